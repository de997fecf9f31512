//! How a message looks: for people as tracing's own lines, for programs as JSON.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Text or JSON, as it is said at the moment.
#[derive(Debug)]
pub(super) struct Shape {
    json: Arc<AtomicBool>,
    text: Format<Full, SystemTime>,
}

impl Shape {
    pub(super) fn new(json: Arc<AtomicBool>) -> Self {
        Self { json, text: Format::default() }
    }
}

/// A message as a JSON object, its keys in this order.
#[derive(Serialize)]
struct Line<'l> {
    /// RFC 3339, UTC, to the microsecond.
    time: &'l str,
    level: String,
    target: &'l str,
    message: String,
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for Shape
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !self.json.load(Ordering::Relaxed) {
            return self.text.format_event(context, writer, event);
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = Line {
            time: &time,
            level: event.metadata().level().to_string().to_ascii_lowercase(),
            target: event.metadata().target(),
            message: fields.message,
            fields: fields.others,
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The message, and the fields beside it.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn written(json: bool, say: impl FnOnce()) -> String {
        let sink = Sink::default();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Shape::new(Arc::new(AtomicBool::new(json))))
            .with_ansi(false)
            .with_writer(sink.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        let bytes = sink.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn say() {
        let error = io::Error::other("with \"quotes\"\nand a line end");
        tracing::warn!(
            target: "t", source = "graphite", peer = %"10.0.0.1", times = 3_u64, open = true,
            share = 0.5, %error, "Line {}.", 1
        );
    }

    #[test]
    fn json_has_an_object_a_line() {
        let text = written(true, say);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        let keys: Vec<&str> = text.match_indices("\":").map(|(at, _)| &text[..at]).collect();
        assert!(keys[0].ends_with("{\"time"), "{text}");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["target"], "t");
        assert_eq!(line["message"], "Line 1.");
        assert_eq!(line["fields"]["source"], "graphite");
        assert_eq!(line["fields"]["peer"], "10.0.0.1");
        assert_eq!(line["fields"]["times"], 3);
        assert_eq!(line["fields"]["open"], true);
        assert_eq!(line["fields"]["share"], 0.5);
        assert_eq!(line["fields"]["error"], "with \"quotes\"\nand a line end");
        let time = line["time"].as_str().unwrap();
        assert!(crate::units::parse_time(time, ingest_entry::Timestamp::UNIX_EPOCH).is_ok());
    }

    #[test]
    fn text_has_the_same_for_people() {
        let text = written(false, say);
        assert!(
            text.contains(" WARN t: Line 1. source=\"graphite\" peer=10.0.0.1 times=3"),
            "{text}"
        );
    }
}
