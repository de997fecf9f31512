//! `[logs]`: what the program says about itself on standard error.

use std::time::Duration;

use super::choice::choice;
use super::values::set;
use super::walk::Table;

/// `[logs]`: the program's own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsConfig {
    /// How a message is written.
    pub format: LogFormat,
    /// From which level on messages are written.
    pub level: LogLevel,
    /// How often the same message from the same place is written in a period; at least once.
    pub repeat: usize,
    /// The period. `None`: nothing is held back.
    pub period: Option<Duration>,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: LogLevel::default(),
            repeat: 20,
            period: Some(Duration::from_secs(10)),
        }
    }
}

choice! {
    /// How the program's own messages are written.
    LogFormat {
        /// For people: time, level, place, message, fields.
        #[default]
        Text = "text",
        /// For programs: a JSON object a line.
        Json = "json",
    }
}

choice! {
    /// How urgent a message of the program is. `docs/logs.md` has the policy.
    LogLevel {
        /// Data is lost, or will be.
        Error = "error",
        /// Something does not work that works again by itself, or that nobody asked for.
        Warn = "warn",
        /// What an operator wants to find later.
        #[default]
        Info = "info",
        /// What helps in the search for a mistake.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

pub(super) fn read(table: Option<Table<'_>>) -> LogsConfig {
    let mut logs = LogsConfig::default();
    let Some(mut table) = table else { return logs };
    set(&mut logs.format, table.key("format").and_then(|node| node.choice()));
    set(&mut logs.level, table.key("level").and_then(|node| node.choice()));
    set(&mut logs.repeat, table.key("repeat").and_then(|node| node.count(1, 1_000_000)));
    let period = |node: super::walk::Node<'_>| node.time_or_off(Duration::from_secs(1), "10s");
    set(&mut logs.period, table.key("period").and_then(period));
    table.finish(super::load::HOMES);
    logs
}
