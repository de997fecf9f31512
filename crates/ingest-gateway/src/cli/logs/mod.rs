//! The program's own messages: to standard error, as text or as JSON, each not too often.
//!
//! What level a message has, and what to do about it, is in `docs/logs.md`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::RunArgs;
use crate::config::{LogFormat, LogsConfig};
use crate::relay::LogRelay;

mod limit;
mod shape;

pub(super) use limit::Limit;
use shape::Shape;

/// The variable that says from which level on messages are written, for every command.
const LEVEL: &str = "INGESTRY_LOG";

/// The messages of this process, as they are set up.
#[derive(Debug)]
pub(super) struct Logs {
    /// `None`: somebody who embeds the commands has set up others.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
    json: Arc<AtomicBool>,
    limit: Limit,
    relay: LogRelay,
    /// The command line or the environment has decided that.
    level_is_set: bool,
    format_is_set: bool,
}

impl Logs {
    /// Begins to write. The command line wins over the environment, and that over a configuration.
    pub(super) fn start(args: Option<&RunArgs>) -> Self {
        let named = args.and_then(|args| args.log_level.clone());
        let variable = std::env::var(LEVEL).ok().filter(|text| !text.is_empty());
        let (mut wrong, mut level_is_set) = (None, true);
        let filter = match (named, variable) {
            (Some(level), _) => EnvFilter::try_new(level).ok(),
            (None, Some(text)) => {
                EnvFilter::try_new(&text).map_err(|error| wrong = Some((text, error))).ok()
            }
            (None, None) => None,
        };
        let filter = filter.unwrap_or_else(|| {
            level_is_set = false;
            EnvFilter::new("info")
        });
        let format = args.and_then(|args| args.log_format);
        let json = Arc::new(AtomicBool::new(format == Some(LogFormat::Json)));
        let (limit, relay) = (Limit::default(), LogRelay::default());
        let (filter, handle) = reload::Layer::new(filter);
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Shape::new(Arc::clone(&json)))
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal());
        let started = tracing_subscriber::registry().with(filter).with(limit.clone());
        let started = started.with(lines).with(relay.clone()).try_init().is_ok();
        if let Some((text, error)) = wrong {
            tracing::warn!(variable = LEVEL, value = %text, %error, "Not a level: taken as info.");
        }
        let filter = started.then_some(handle);
        Self { filter, json, limit, relay, level_is_set, format_is_set: format.is_some() }
    }

    /// Goes on as a configuration says, in what neither command line nor environment decided.
    pub(super) fn apply(&self, config: &LogsConfig) {
        if !self.format_is_set {
            self.json.store(config.format == LogFormat::Json, Ordering::Relaxed);
        }
        if let (Some(filter), false) = (&self.filter, self.level_is_set) {
            let level = EnvFilter::new(config.level.as_str());
            // It is there for as long as the process is.
            let _ = filter.reload(level);
        }
        self.limit.set(config.repeat, config.period);
    }

    /// What holds messages back, and says how many.
    pub(super) const fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Hands the messages on as entries, once it is connected.
    pub(super) const fn relay(&self) -> &LogRelay {
        &self.relay
    }

    /// Says on standard error what a person should read whatever the level is. Of JSON, each line
    /// is an object.
    pub(super) fn warning(&self, text: &str) {
        if self.json.load(Ordering::Relaxed) {
            tracing::warn!(target: "ingestry", "{text}");
        } else {
            write_error(text);
        }
    }

    /// As [`warning`](Self::warning), for what ends the program or refuses what was asked for.
    pub(super) fn error(&self, text: &str) {
        if self.json.load(Ordering::Relaxed) {
            tracing::error!(target: "ingestry", "{text}");
        } else {
            write_error(text);
        }
    }
}

fn write_error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Reads what `--log-level` says: a level, or levels for parts of the program.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse_level(text: &str) -> Result<String, String> {
    let allowed = "allowed: error, warn, info, debug or trace, or parts with their own such as \
                   info,ingest_wal=debug";
    match EnvFilter::builder().parse(text) {
        // A word alone is taken for a part of the program.
        Ok(_) if is_word(text) && text.parse::<tracing::Level>().is_err() && text != "off" => {
            Err(allowed.to_owned())
        }
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) => Err(allowed.to_owned()),
        Err(error) => Err(format!("{error}; {allowed}")),
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_or_parts_with_their_own() {
        for text in ["info", "WARN", "off", "info,ingest_wal=debug", "ingest_wal::commit=trace"] {
            assert_eq!(parse_level(text).as_deref(), Ok(text));
        }
        for text in ["", "loud", "info,=", "ingest_wal=loud"] {
            assert!(parse_level(text).unwrap_err().contains("allowed: error"), "{text:?}");
        }
    }
}
