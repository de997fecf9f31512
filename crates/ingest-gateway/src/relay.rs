//! The gateway's own log lines as entries.

use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};

use ingest_mux::{Relay, Severity};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::config::RelayedLog;

/// Lines that wait for the task that hands them over; further ones are dropped.
const WAITING: usize = 1024;

/// A layer of `tracing` that hands events on, once it is told where to. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LogRelay {
    to: Arc<OnceLock<To>>,
}

#[derive(Debug)]
struct To {
    lines: mpsc::Sender<Line>,
    level: Level,
}

/// An event.
#[derive(Debug, Default)]
struct Line {
    severity: Option<Severity>,
    target: &'static str,
    text: String,
    fields: Vec<(&'static str, String)>,
}

impl LogRelay {
    /// From now on events of that level, and worse ones, go there. A task of the runtime hands them
    /// over, so that no event waits for the log. Only the first call counts.
    pub fn connect(&self, relay: Relay, level: RelayedLog) {
        let level = match level {
            RelayedLog::Off => return,
            RelayedLog::Error => Level::ERROR,
            RelayedLog::Warn => Level::WARN,
            RelayedLog::Info => Level::INFO,
        };
        let (lines, mut waiting) = mpsc::channel::<Line>(WAITING);
        if self.to.set(To { lines, level }).is_err() {
            return;
        }
        tokio::spawn(async move {
            while let Some(Line { severity, target, text, fields }) = waiting.recv().await {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
                // What is not taken is counted there, and nothing can be said about it here.
                relay.line(severity.unwrap_or(Severity::Info), target, &fields, &text);
            }
        });
    }
}

impl<S: Subscriber> Layer<S> for LogRelay {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(to) = self.to.get() else { return };
        let metadata = event.metadata();
        if *metadata.level() > to.level {
            return;
        }
        let severity = match *metadata.level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warning,
            Level::INFO => Severity::Info,
            _ => Severity::Debug,
        };
        let mut line =
            Line { severity: Some(severity), target: metadata.target(), ..Line::default() };
        event.record(&mut line);
        // A flood of events is bounded, not waited for.
        let _ = to.lines.try_send(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.text, "{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.text.push_str(value);
        } else {
            self.fields.push((field.name(), value.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ingest_mux::Muxer;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn events_become_entries() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = ingest_mux::Options::default();
        (options.max_bytes, options.min_free) = (Some(8 << 20), Some(0));
        let muxer = Muxer::builder().dir(dir.path()).log(options).start().unwrap();
        let layer = LogRelay::default();
        let subscriber = tracing_subscriber::registry().with(layer.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        tracing::warn!("Before anybody listens.");
        layer.connect(muxer.relay().unwrap(), RelayedLog::Warn);
        tracing::warn!(output = "indexers", tries = 3, "A link broke.");
        tracing::info!("Of no interest.");
        while muxer.status().entries < 1 {
            tokio::task::yield_now().await;
        }
        muxer.flush_to_disk().await.unwrap();
        assert_eq!(muxer.status().entries, 1);
        let mut reader = muxer.log().reader(1);
        let record = loop {
            match reader.next_item().unwrap().unwrap() {
                ingest_wal::Item::Record(record) => break record,
                _ => continue,
            }
        };
        let entry = ingest_entry::stored::entries(&record.body).next().unwrap().unwrap();
        assert_eq!(entry.tag, ingest_entry::TagId::GRAVWELL);
        let line = String::from_utf8(entry.data.to_vec()).unwrap();
        assert!(line.starts_with("<12>1 ") && line.ends_with("] A link broke."), "{line}");
        assert!(line.contains(r#" output="indexers" tries="3" "#), "{line}");
        muxer.close(Duration::from_secs(5)).await;
    }
}
