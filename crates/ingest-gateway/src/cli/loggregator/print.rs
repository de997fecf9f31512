//! Messages as lines.

use std::io::{self, Write};

use ingest_entry::Timestamp;
use loggregator_consumer::json::{ToJson, to_json};
use loggregator_consumer::v2::{EnvelopeMessage, LogType};
use loggregator_consumer::{dropsonde, legacy, v2};

use super::args::Shape;

/// A message that can be printed.
pub(super) trait Shown: ToJson + Sized {
    /// What was logged, if it is a line.
    fn payload(&self) -> Option<&[u8]>;
    /// Nanoseconds since 1970.
    fn nanos(&self) -> i64;
    /// Where it comes from, and on which stream.
    fn origin(&self) -> String;

    fn print(&self, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
        match (shape, self.payload()) {
            (Shape::Json, _) => writeln!(out, "{}", to_json(self, false)),
            (Shape::Raw, Some(payload)) => {
                out.write_all(payload)?;
                out.write_all(b"\n")
            }
            (Shape::Raw, None) => Ok(()),
            (Shape::Text, payload) => {
                let time = Timestamp::from_unix_nanos(self.nanos());
                write!(out, "{time} [{}] ", self.origin())?;
                match payload {
                    // Lines have no end of their own, but some do.
                    Some(payload) => {
                        out.write_all(payload.strip_suffix(b"\n").unwrap_or(payload))?
                    }
                    None => out.write_all(to_json(self, false).as_bytes())?,
                }
                out.write_all(b"\n")
            }
        }
    }
}

impl Shown for legacy::LogMessage {
    fn payload(&self) -> Option<&[u8]> {
        Some(self.message())
    }

    fn nanos(&self) -> i64 {
        self.timestamp()
    }

    fn origin(&self) -> String {
        let kind = self.message_type().name().unwrap_or("?");
        format!("{}/{} {kind}", self.source_name(), self.source_id())
    }
}

impl Shown for dropsonde::Envelope {
    fn payload(&self) -> Option<&[u8]> {
        let line = self.log_message.as_ref();
        line.filter(|_| self.event_type() == dropsonde::EventType::LOG_MESSAGE).map(|l| l.message())
    }

    fn nanos(&self) -> i64 {
        let line = self.log_message.as_ref().and_then(|line| line.timestamp);
        line.unwrap_or_else(|| self.timestamp())
    }

    fn origin(&self) -> String {
        match &self.log_message {
            Some(line) => {
                let kind = line.message_type().name().unwrap_or("?");
                format!("{}/{} {kind}", line.source_type(), line.source_instance())
            }
            None => format!("{} {}", self.origin(), self.event_type().name().unwrap_or("?")),
        }
    }
}

impl Shown for v2::Envelope {
    fn payload(&self) -> Option<&[u8]> {
        match &self.message {
            Some(EnvelopeMessage::Log(log)) => Some(&log.payload),
            _ => None,
        }
    }

    fn nanos(&self) -> i64 {
        self.timestamp
    }

    fn origin(&self) -> String {
        let kind = match &self.message {
            Some(EnvelopeMessage::Log(log)) if log.r#type == LogType::ERR => "ERR",
            Some(EnvelopeMessage::Log(_)) => "OUT",
            Some(EnvelopeMessage::Counter(_)) => "counter",
            Some(EnvelopeMessage::Gauge(_)) => "gauge",
            Some(EnvelopeMessage::Timer(_)) => "timer",
            Some(EnvelopeMessage::Event(_)) => "event",
            None => "?",
        };
        format!("{}/{} {kind}", self.source_id, self.instance_id)
    }
}
