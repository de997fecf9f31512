//! What goes beside the value of a record, as text: formatted by hand, into buffers that stay, and only
//! as far as it differs from what the record before had.

use std::fmt::Write as _;

use ingest_entry::{EntryRef, Source, Timestamp};
use ingest_mux::{LogId, StableId};

/// Digits of a fraction of a second.
const NANOS: usize = 9;

/// The stable id as text: `LOG.EPOCH.LSN`, in hexadecimal digits.
#[derive(Default)]
pub(super) struct Ids {
    text: String,
    /// What stands in front of the number, and how long that is as text.
    of: Option<(LogId, u32, usize)>,
}

impl Ids {
    /// Writes one.
    pub(super) fn write(&mut self, id: StableId) -> &str {
        let len = match self.of {
            Some((log, epoch, len)) if log == id.log_id && epoch == id.epoch => len,
            _ => self.begin(id),
        };
        self.text.truncate(len);
        hex(&mut self.text, id.lsn);
        &self.text
    }

    /// The one that was written last.
    pub(super) fn last(&self) -> &str {
        &self.text
    }

    fn begin(&mut self, id: StableId) -> usize {
        self.text.clear();
        for byte in id.log_id.0 {
            // Writing into a text does not fail.
            let _ = write!(self.text, "{byte:02x}");
        }
        self.text.push('.');
        hex(&mut self.text, u64::from(id.epoch));
        self.text.push('.');
        self.of = Some((id.log_id, id.epoch, self.text.len()));
        self.text.len()
    }
}

/// Without leading zeros.
fn hex(out: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4)) & 15;
        out.push(char::from_digit(u32::try_from(digit).unwrap_or(0), 16).unwrap_or('0'));
    }
}

/// The rest of an entry that has its data for a value: time and source, each alone or all in a line.
#[derive(Default)]
pub(super) struct Rest {
    line: String,
    time: String,
    /// The seconds that the time has, and how long they are as text with the point.
    seconds: Option<(i64, usize)>,
    source: String,
    of: Option<Source>,
}

impl Rest {
    /// `TAG TIME SOURCE`; `-` for a time that no text has, and no source where there is none.
    pub(super) fn line(&mut self, tag: &str, entry: &EntryRef<'_>) -> &str {
        self.line.clear();
        self.line.push_str(tag);
        self.line.push(' ');
        if self.time(entry.ts).is_some() {
            self.line.push_str(&self.time);
        } else {
            self.line.push('-');
        }
        if self.source(entry.src).is_some() {
            self.line.push(' ');
            self.line.push_str(&self.source);
        }
        &self.line
    }

    /// Seconds since the Unix epoch, and nine digits behind the point.
    pub(super) fn time(&mut self, at: Timestamp) -> Option<&str> {
        let at = at.normalized();
        let now = at.unix_seconds()?;
        let len = match self.seconds {
            Some((had, len)) if had == now => len,
            _ => {
                self.time.clear();
                let _ = write!(self.time, "{now}.");
                self.seconds = Some((now, self.time.len()));
                self.time.len()
            }
        };
        self.time.truncate(len);
        let mut digits = [b'0'; NANOS];
        let mut rest = at.nanos();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        self.time.push_str(str::from_utf8(&digits).unwrap_or_default());
        Some(&self.time)
    }

    /// An address.
    pub(super) fn source(&mut self, source: Source) -> Option<&str> {
        if self.of != Some(source) {
            self.source.clear();
            let _ = write!(self.source, "{source}");
            self.of = Some(source);
        }
        (!self.source.is_empty()).then_some(self.source.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::TagId;

    #[test]
    fn ids_are_short_and_whole() {
        let mut ids = Ids::default();
        let log_id = LogId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        let mut text = |log_id, epoch, lsn| ids.write(StableId { log_id, epoch, lsn }).to_owned();
        assert_eq!(text(log_id, 18, 0), "0123456789abcdef0123456789abcdef.12.0");
        assert_eq!(text(log_id, 18, 0x2f), "0123456789abcdef0123456789abcdef.12.2f");
        assert_eq!(
            text(log_id, 0, u64::MAX),
            "0123456789abcdef0123456789abcdef.0.ffffffffffffffff"
        );
        let other = LogId([0xff; 16]);
        assert_eq!(text(other, 1, 0x1f), format!("{}.1.1f", "f".repeat(32)));
        assert_eq!(text(other, 1, 3), format!("{}.1.3", "f".repeat(32)));
        assert_eq!(ids.last(), format!("{}.1.3", "f".repeat(32)));
    }

    #[test]
    fn lines_say_tag_time_and_source() {
        let mut rest = Rest::default();
        let mut line = |ts, source: &str| {
            let src = source.parse().map_or(Source::NONE, Source::from_ip);
            rest.line("app", &EntryRef::new(ts, src, TagId(1), b"")).to_owned()
        };
        let at = |seconds, nanos| Timestamp::from_unix(seconds, nanos).unwrap();
        assert_eq!(line(at(17, 5), "10.0.0.1"), "app 17.000000005 10.0.0.1");
        assert_eq!(line(at(17, 999_999_999), "10.0.0.1"), "app 17.999999999 10.0.0.1");
        assert_eq!(line(at(-3, 7), "2001:db8::1"), "app -3.000000007 2001:db8::1");
        assert_eq!(line(at(18, 0), ""), "app 18.000000000");
        assert_eq!(line(at(18, 1), "::ffff:10.0.0.2"), "app 18.000000001 10.0.0.2");
        let nowhere = Timestamp::from_wire(i64::MIN, 0);
        assert_eq!(nowhere.normalized().unix_seconds(), None);
        assert_eq!(line(nowhere, "10.0.0.1"), "app - 10.0.0.1");
        // More nanoseconds than a second has are seconds.
        let odd = Timestamp::from_wire(at(17, 0).wire_seconds(), 1_000_000_001);
        assert_eq!(line(odd, ""), "app 18.000000001");
    }
}
