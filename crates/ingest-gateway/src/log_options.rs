//! How the log of a configuration is opened: one place for `run` and `check`.

use ingest_wal::Options;

use crate::config::{LogConfig, OnFull};

/// The options that `[log]` stands for.
pub(crate) fn log_options(log: &LogConfig) -> Options {
    let mut options = Options::default();
    options.max_bytes = log.max_bytes;
    options.min_free = log.min_free;
    options.keep_bytes = log.keep.bytes;
    options.keep_age = log.keep.age;
    options.memory = Some(log.memory);
    options.on_full = match log.on_full {
        OnFull::Block => ingest_wal::OnFull::Block,
        OnFull::DropNewest => ingest_wal::OnFull::DropNewest,
        OnFull::DropOldest => ingest_wal::OnFull::DropOldest,
    };
    options
}
