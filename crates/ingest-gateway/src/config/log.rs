//! `[log]` and `[log.keep]`.

use std::time::Duration;

use super::model::{LogConfig, MIN_MAX_BYTES};
use super::values::{Sizes, set};
use super::walk::Table;
use crate::units::format_size;

/// What `max_bytes` is at most when nothing is said about it.
const DEFAULT_MOST: u64 = 10 << 30;

pub(super) fn read(table: Option<Table<'_>>) -> LogConfig {
    let mut log = LogConfig::default();
    let Some(mut table) = table else { return log };
    set(&mut log.dir, table.key("dir").and_then(|node| node.path()));
    let max_bytes = Sizes { least: MIN_MAX_BYTES, most: None, example: "10 GiB" };
    let max_node = table.key("max_bytes");
    log.max_bytes = max_node.as_ref().and_then(|node| node.size(max_bytes));
    set(&mut log.durability, table.key("durability").and_then(|node| node.choice()));
    let min_free = Sizes { least: 0, most: None, example: "1 GiB" };
    log.min_free = table.key("min_free").and_then(|node| node.size(min_free));
    set(&mut log.on_full, table.key("on_full").and_then(|node| node.choice()));
    let memory = Sizes { least: 1 << 20, most: None, example: "64 MiB" };
    set(&mut log.memory, table.key("memory").and_then(|node| node.size(memory)));

    if let Some(mut keep) = table.sub_table("keep") {
        let bytes = Sizes { least: 0, most: None, example: "10 GiB" };
        let bytes_node = keep.key("bytes");
        log.keep.bytes = bytes_node.as_ref().and_then(|node| node.size(bytes));
        if let (Some(node), Some(bytes)) = (&bytes_node, log.keep.bytes) {
            match log.max_bytes {
                Some(most) if bytes > most => {
                    let allowed = format!("at most log.max_bytes, which is {}", format_size(most));
                    node.wrong(node.found(), allowed, None);
                }
                None if max_node.is_none() && bytes > DEFAULT_MOST => {
                    let allowed = format!(
                        "at most log.max_bytes, which is {} unless it is set",
                        format_size(DEFAULT_MOST)
                    );
                    node.wrong(node.found(), allowed, None);
                }
                _ => {}
            }
        }
        let age = |node: super::walk::Node<'_>| node.time_or_off(Duration::from_secs(1), "30d");
        set(&mut log.keep.age, keep.key("age").and_then(age));
        keep.finish(super::load::HOMES);
    }
    table.finish(super::load::HOMES);
    log
}
