//! What is in the messages of an AMQP broker: the body, and the name in its routing key
//! (`graphite.md` 6).

#[cfg(feature = "amqp")]
mod broker;
#[cfg(feature = "amqp")]
mod consumer;
#[cfg(feature = "amqp")]
mod publisher;

#[cfg(feature = "amqp")]
pub use broker::{AmqpError, Broker, BrokerTls, Exchange};
#[cfg(feature = "amqp")]
pub use consumer::{Consumer, ConsumerOptions, Delivery};
#[cfg(feature = "amqp")]
pub use publisher::{MAX_KEY, Publisher};

use crate::line::{self, Outcome};
use crate::{Event, Options, Profile, RejectReason, Rejected, Timestamp};

/// Where the name of a metric stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum NameIn {
    /// In the routing key: the lines of the body are `value timestamp`. carbon's default.
    #[default]
    Key,
    /// In the body, whose lines are `path value timestamp`; the routing key says nothing. carbon's
    /// `AMQP_METRIC_NAME_IN_BODY`.
    Body,
    /// In whichever the number of fields on a line says, two or three.
    Auto,
}

/// Decodes the body of one message. Its end ends its last line; offsets count from its start.
///
/// Any body is survived: each line that is none is refused for itself, among them those that are not
/// UTF-8. [`Profile::Carbon`] takes a timestamp of −1 for what it is, as carbon does for these
/// messages only; for the other profiles it means `now`.
pub fn decode_message(
    options: &Options,
    name: NameIn,
    key: &[u8],
    body: &[u8],
    now: Timestamp,
    sink: &mut impl FnMut(Event<'_>),
) {
    let literal = matches!(options.profile, Profile::Carbon);
    let now = if literal { Timestamp::from_seconds(-1) } else { now };
    let (mut whole, mut lossy, mut offset) = (Vec::new(), String::new(), 0_u64);
    for line in body.split(|byte| *byte == b'\n') {
        let start = offset;
        offset += line.len() as u64 + 1;
        if line.len() > options.max_line {
            let shown = line.get(..options.max_line).unwrap_or(line);
            sink(Event::Rejected(Rejected::new(RejectReason::LineTooLong, shown, start)));
            continue;
        }
        let from_key = match name {
            NameIn::Key => true,
            NameIn::Body => false,
            NameIn::Auto => fields(line) == 2,
        };
        if line::is_blank(line, options) {
            continue;
        }
        let read = if from_key {
            // A key with blanks in it would become fields of the line.
            if key.is_empty() || fields(key) != 1 || key.contains(&b' ') {
                sink(Event::Rejected(Rejected::new(RejectReason::BadPath, line, start)));
                continue;
            }
            whole.clear();
            whole.extend_from_slice(key);
            whole.push(b' ');
            whole.extend_from_slice(line.trim_ascii_start());
            line::general(&whole, options, now, &mut lossy)
        } else {
            line::general(line, options, now, &mut lossy)
        };
        match read {
            Outcome::Metric(metric) => sink(Event::Metric(metric)),
            Outcome::Blank => {}
            Outcome::Rejected(reason) => sink(Event::Rejected(Rejected::new(reason, line, start))),
        }
    }
}

fn fields(line: &[u8]) -> usize {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_650_000_000);

    fn decode(profile: Profile, name: NameIn, key: &str, body: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        decode_message(&Options::new(profile), name, key.as_bytes(), body, NOW, &mut |event| {
            found.push(match event {
                Event::Metric(metric) => {
                    let mut line = Vec::new();
                    metric.write_canonical(&mut line);
                    String::from_utf8(line).unwrap()
                }
                Event::Rejected(Rejected { reason, offset, .. }) => {
                    format!("!{}@{offset}", reason.as_str())
                }
            });
        });
        found
    }

    #[test]
    fn names_come_from_where_they_are() {
        let body = b"1 7\n\n  2.5 8 \r\nx.y 3 9\nnan 7";
        let ours = Profile::Default;
        assert_eq!(
            decode(ours, NameIn::Key, "a.b", body),
            ["a.b 1 7", "a.b 2.5 8", "!field_count@15", "!nan@23"]
        );
        assert_eq!(
            decode(ours, NameIn::Body, "a.b", body),
            ["!field_count@0", "!field_count@5", "x.y 3 9", "!field_count@23"]
        );
        assert_eq!(
            decode(ours, NameIn::Auto, "a.b", body),
            ["a.b 1 7", "a.b 2.5 8", "x.y 3 9", "!nan@23"]
        );
    }

    #[test]
    fn any_body_is_survived() {
        let body = b"\xff\xfe\n1 7\n";
        assert_eq!(decode(Profile::Default, NameIn::Key, "a", body), ["!not_utf8@0", "a 1 7"]);
        assert_eq!(decode(Profile::Default, NameIn::Key, "", b"1 7"), ["!bad_path@0"]);
        assert_eq!(decode(Profile::Default, NameIn::Key, "a b", b"1 7"), ["!bad_path@0"]);
        let long = [&b"1 7"[..], &[b' '; 17_000], b"\n2 7"].concat();
        let found = decode(Profile::Default, NameIn::Key, "a", &long);
        assert_eq!(found, ["!line_too_long@0", "a 2 7"]);
    }

    #[test]
    fn minus_one_is_now_but_for_carbon() {
        assert_eq!(decode(Profile::Default, NameIn::Key, "a", b"1 -1"), ["a 1 1650000000"]);
        assert_eq!(decode(Profile::Carbon, NameIn::Key, "a", b"1 -1"), ["a 1 -1"]);
    }
}
