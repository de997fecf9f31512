//! What the system need not keep of the log in its cache.

use std::io;
use std::sync::Arc;

use crate::format::SegmentName;
use crate::fs::OpenMode;
use crate::shared::{Segment, Shared};

/// Follows the segments that become old. Each is mentioned to the system once: what somebody reads of it
/// later stays in memory as of any file.
#[derive(Debug)]
pub(crate) struct Cooling {
    /// All segments up to this one have been dealt with.
    done: Option<SegmentName>,
}

impl Cooling {
    /// `found`: the segments of earlier runs, which are left to the system.
    pub(crate) fn new(found: &[Arc<Segment>]) -> Self {
        Self { done: found.iter().map(|segment| segment.name).max() }
    }

    /// Mentions the segments that are older than what is to stay.
    pub(crate) fn look(&mut self, shared: &Shared) {
        for name in self.due(&shared.segments(), shared.options.cache_bytes) {
            if let Err(error) = uncache(shared, name) {
                // It may have been removed meanwhile; and nothing depends on it.
                tracing::debug!(segment = %name, %error, "The system keeps a segment in its cache.");
            }
        }
    }

    /// The segments that have become old, the oldest first.
    fn due(&mut self, segments: &[Arc<Segment>], cache_bytes: u64) -> Vec<SegmentName> {
        let mut left = cache_bytes;
        let mut due = Vec::new();
        for segment in segments.iter().rev() {
            if self.done.is_some_and(|done| segment.name <= done) {
                break;
            }
            let room = left.checked_sub(segment.size());
            left = room.unwrap_or(0);
            // The one that is being written is always of use.
            if room.is_none() && segment.is_finished() {
                due.push(segment.name);
            }
        }
        due.reverse();
        self.done = due.last().copied().or(self.done);
        due
    }
}

fn uncache(shared: &Shared, name: SegmentName) -> io::Result<()> {
    shared.fs.open(&shared.dir.join(name.file_name()), OpenMode::Read)?.uncache()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Account;

    fn segment(first: u64, size: u64, finished: bool) -> Arc<Segment> {
        let segment = Segment::new(SegmentName { first, epoch: 1 }, 64, size, size);
        if finished {
            segment.finish(&Account::empty(first));
        }
        Arc::new(segment)
    }

    #[test]
    fn each_segment_becomes_old_once() {
        let mut all = vec![segment(1, 100, true)];
        let mut cooling = Cooling::new(&all);
        let mut due = |all: &[Arc<Segment>], bytes| {
            cooling.due(all, bytes).iter().map(|name| name.first).collect::<Vec<_>>()
        };
        assert_eq!(due(&all, 0), [0; 0], "that of an earlier run");
        all.extend([segment(2, 100, true), segment(3, 100, true), segment(4, 50, false)]);
        assert_eq!(due(&all, 250), [0; 0]);
        assert_eq!(due(&all, 249), [2]);
        assert_eq!(due(&all, 249), [0; 0]);
        // However little may stay, what is being written does.
        assert_eq!(due(&all, 0), [3]);
        all.extend([segment(5, 100, true), segment(6, 10, false)]);
        all[3].finish(&Account::empty(4));
        assert_eq!(due(&all, 20), [4, 5]);
        assert_eq!(due(&all[5..], 0), [0; 0]);
        assert_eq!(due(&all, u64::MAX), [0; 0]);
    }
}
