//! What became of entries that were given to the producer.

use crate::counters::Counter;

/// What became of entries. One that is sent again is counted again.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    /// Brokers have confirmed them.
    pub(super) sent: Counter,
    /// The client or the broker takes nothing so large, or refuses the record for what it is.
    pub(super) refused: Counter,
    /// What the template came to is no name of a topic.
    pub(super) bad_topic: Counter,
}

impl crate::destinations::Fates for Fates {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("sent", self.sent.get()),
            ("refused", self.refused.get()),
            ("bad-topic", self.bad_topic.get()),
        ]
    }
}
