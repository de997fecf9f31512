//! Values that every entry gets.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ingest_entry::{EntryRef, LimitError, Timestamp, ValueRef, ValuesWriter};

use crate::sync::lock;

/// An environment variable is read again after so long.
const READ_AGAIN: Duration = Duration::from_secs(5 * 60);

/// A value that is attached to every entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachValue {
    /// This text.
    Text(String),
    /// The time at which the entry is handed over.
    Now,
    /// The name of this machine, read once.
    Hostname,
    /// The muxer's UUID.
    Uuid,
    /// An environment variable, read again every five minutes at most; empty when it is not set.
    Environment(String),
}

/// What is attached, ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Attach {
    values: Vec<(String, Piece)>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Now,
    Environment(String, Mutex<(Instant, String)>),
}

impl Attach {
    pub(crate) fn new(values: &[(String, AttachValue)], uuid: &str) -> Result<Self, LimitError> {
        let piece = |value: &AttachValue| match value {
            AttachValue::Text(text) => Piece::Text(text.clone()),
            AttachValue::Now => Piece::Now,
            AttachValue::Hostname => Piece::Text(crate::about::About::hostname()),
            AttachValue::Uuid => Piece::Text(uuid.to_owned()),
            AttachValue::Environment(name) => {
                let read = Mutex::new((Instant::now(), environment(name)));
                Piece::Environment(name.clone(), read)
            }
        };
        let values = values.iter().map(|(name, value)| (name.clone(), piece(value))).collect();
        let attach = Self { values };
        // What cannot be attached is said now, not with every entry.
        let mut scratch = Vec::new();
        attach.write(&mut ValuesWriter::new(&mut scratch))?;
        Ok(attach)
    }

    /// Whether nothing is attached.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn write(&self, writer: &mut ValuesWriter<'_>) -> Result<(), LimitError> {
        for (name, piece) in &self.values {
            match piece {
                Piece::Text(text) => writer.push(name, text.as_str())?,
                Piece::Now => writer.push(name, ValueRef::Timestamp(now()))?,
                Piece::Environment(variable, read) => {
                    let mut read = lock(read);
                    if read.0.elapsed() >= READ_AGAIN {
                        *read = (Instant::now(), environment(variable));
                    }
                    writer.push(name, read.1.as_str())?;
                }
            }
        }
        Ok(())
    }

    /// The entry with what is attached. Its own values come first, as they were.
    pub(crate) fn apply<'a>(
        &self,
        entry: &EntryRef<'a>,
        scratch: &'a mut Vec<u8>,
    ) -> Result<EntryRef<'a>, LimitError> {
        scratch.clear();
        let mut writer = ValuesWriter::new(scratch);
        for value in entry.values {
            writer.push(value.name(), value.value())?;
        }
        self.write(&mut writer)?;
        Ok(EntryRef { values: writer.finish(), ..*entry })
    }
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::{Source as Address, TagId, Values};

    fn entry(values: &Values) -> EntryRef<'_> {
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, TagId(1), b"x");
        EntryRef { values: values.as_ref(), ..entry }
    }

    #[test]
    fn values_come_behind_those_of_the_entry() {
        let values = [
            ("site".to_owned(), AttachValue::Text("north".to_owned())),
            ("at".to_owned(), AttachValue::Now),
            ("id".to_owned(), AttachValue::Uuid),
            ("path".to_owned(), AttachValue::Environment("NO_SUCH_VARIABLE_HERE".to_owned())),
        ];
        let attach = Attach::new(&values, "u-u").unwrap();
        let mut own = Values::new();
        own.add("host", "web1").unwrap();
        let mut scratch = Vec::new();
        let with = attach.apply(&entry(&own), &mut scratch).unwrap();
        let names: Vec<_> = with.values.iter().map(|value| value.name().to_vec()).collect();
        assert_eq!(names, [&b"host"[..], b"site", b"at", b"id", b"path"]);
        assert_eq!(with.values.find("site"), Some(ValueRef::Text(b"north")));
        assert_eq!(with.values.find("id"), Some(ValueRef::Text(b"u-u")));
        assert_eq!(with.values.find("path"), Some(ValueRef::Text(b"")));
        assert!(matches!(with.values.find("at"), Some(ValueRef::Timestamp(_))));
        assert!(Attach::default().is_empty() && !attach.is_empty());
    }

    #[test]
    fn what_cannot_be_attached_is_said_at_once() {
        let values = [(String::new(), AttachValue::Now)];
        assert!(Attach::new(&values, "").is_err());
        let values = [("x".repeat(2_000), AttachValue::Now)];
        assert!(Attach::new(&values, "").is_err());
    }
}
