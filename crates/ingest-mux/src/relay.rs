//! A program's own log, as entries of the tag `gravwell`, which indexers show to operators.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ingest_entry::{EntryRef, Source as Address, TagId, Timestamp};
use ingest_wal::Level;

use crate::about::About;
use crate::source::Source;

/// Bytes that may be on their way to the disk: lines beyond are dropped, and counted.
pub(crate) const BUDGET: u64 = 256 << 10;
/// The longest text of a line, in bytes.
const MAX_TEXT: usize = 8 << 10;
/// The longest value of a parameter, in bytes.
const MAX_VALUE: usize = 1 << 10;
/// Lengths that RFC 5424 allows.
const MAX_HOST: usize = 255;
const MAX_APP: usize = 48;
const MAX_MESSAGE_ID: usize = 32;
/// Facility "user".
const FACILITY: u8 = 8;

/// How bad it is, as in RFC 5424.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// Entries were lost, or may be.
    Critical,
    /// Something failed.
    Error,
    /// Something may fail.
    Warning,
    /// Something happened.
    Info,
    /// For developers.
    Debug,
}

impl Severity {
    const fn code(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }
}

/// Takes lines of a program's log, and makes entries of them: tag `gravwell`, data a line of
/// RFC 5424 without an end of line. They go where all entries go, and wait in the log while no
/// destination is there. Clones share it. [`crate::Muxer::relay`] makes one.
#[derive(Clone, Debug)]
pub struct Relay {
    source: Source,
    about: Arc<About>,
    host: String,
    /// Shared by the clones.
    dropped: Arc<AtomicU64>,
}

impl Relay {
    pub(crate) fn new(source: Source, about: Arc<About>) -> Self {
        let host = header(&About::hostname(), MAX_HOST);
        Self { source, about, host, dropped: Arc::default() }
    }

    /// Hands a line over. It never waits: whether the line was taken. `message_id` says where it
    /// comes from; of text and values what is too long is cut, at 8 KiB and 1 KiB.
    pub fn line(
        &self,
        severity: Severity,
        message_id: &str,
        parameters: &[(&str, &str)],
        text: &str,
    ) -> bool {
        let now = crate::attach::now();
        let line = self.format(now, severity, message_id, parameters, text);
        let taken = self.hand_over(now, line.as_bytes());
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Lines that were not taken, because the log was slower or does not take entries.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn hand_over(&self, now: Timestamp, line: &[u8]) -> bool {
        let entry = EntryRef::new(now, Address::NONE, TagId::GRAVWELL, line);
        let Some(grant) = self.source.try_grant(entry.stored_len() as u64) else { return false };
        let level = if self.source.has_directory() { Level::Os } else { Level::Memory };
        let arrival = i64::try_from(now.unix_nanos()).unwrap_or(i64::MAX);
        let mut batch = self.source.batch(grant, arrival, level);
        batch.push(&entry).is_ok() && batch.finish().refused.is_none()
    }

    fn format(
        &self,
        now: Timestamp,
        severity: Severity,
        message_id: &str,
        parameters: &[(&str, &str)],
        text: &str,
    ) -> String {
        let identity = &self.about.identity;
        let (app, id) = (header(&identity.name, MAX_APP), header(message_id, MAX_MESSAGE_ID));
        let priority = FACILITY | severity.code();
        let time = microseconds(&now.to_string());
        let mut line = format!("<{priority}>1 {time} {} {app} - {id} [gw@1", self.host);
        let own = [("ingester", &*identity.name), ("ingesteruuid", &*identity.uuid)];
        for (name, value) in parameters.iter().copied().chain(own) {
            let name = parameter_name(name);
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}=\"");
            for c in cut(value, MAX_VALUE).chars() {
                if matches!(c, '"' | '\\' | ']') {
                    line.push('\\');
                }
                line.push(c);
            }
            line.push('"');
        }
        line.push_str("] ");
        line.push_str(cut(text, MAX_TEXT).trim_end_matches(['\r', '\n']));
        line
    }
}

/// RFC 5424 has no finer times.
fn microseconds(time: &str) -> String {
    let Some((seconds, fraction)) = time.split_once('.') else { return time.to_owned() };
    format!("{seconds}.{:.6}Z", fraction.trim_end_matches('Z'))
}

/// As a field of the header: printable ASCII, not too long; `-` for nothing.
fn header(text: &str, most: usize) -> String {
    let field: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if field.is_empty() { "-".to_owned() } else { field }
}

/// As a name of a parameter.
fn parameter_name(text: &str) -> String {
    let name = header(text, MAX_MESSAGE_ID);
    name.replace(['=', ']', '"'], "_")
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_field_may_hold_is_left_out() {
        assert_eq!(header("a b\u{e9}c\n", 9), "abc");
        assert_eq!((header("abc", 2), header(" ", 9)), ("ab".to_owned(), "-".to_owned()));
        assert_eq!(parameter_name("a=b]"), "a_b_");
        assert_eq!(microseconds("2026-01-31T12:00:00.123456789Z"), "2026-01-31T12:00:00.123456Z");
        assert_eq!(microseconds("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00Z");
        assert_eq!((cut("a\u{e9}", 2), cut("ab", 9)), ("a", "ab"));
    }
}
