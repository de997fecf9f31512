//! Bringing what came in some order into one.

use crate::{dropsonde, legacy};

/// Sorts by timestamp; what has the same stays as it came. An absent timestamp counts as 0.
///
/// What comes of `recent` is in the server's order: that of several servers one after the other.
pub fn sort_recent<B: crate::wire::Slice>(messages: &mut [legacy::LogMessage<B>]) {
    messages.sort_by_key(legacy::LogMessage::timestamp);
}

/// Sorts container metrics by the number of the instance; what has the same stays as it came.
pub fn sort_by_instance<B: crate::wire::Slice>(metrics: &mut [dropsonde::ContainerMetric<B>]) {
    metrics.sort_by_key(dropsonde::ContainerMetric::instance_index);
}
