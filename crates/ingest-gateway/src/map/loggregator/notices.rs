//! What a stream tells of itself, as entries: where messages are missing, and how many were dropped.

use std::time::{SystemTime, UNIX_EPOCH};

use ingest_entry::{EntryRef, Source, Timestamp};
use loggregator_consumer::client::{Gap, GapCause};

use super::Mapper;

impl Mapper {
    /// A gap, at its end: data is a sentence; `since` and `until` are nanoseconds since 1970 by our
    /// clock, `after` is the timestamp of the last message before it.
    pub fn gap(&mut self, gap: &Gap) -> EntryRef<'_> {
        let (since, until) = (nanos(gap.since), nanos(gap.until));
        self.begin(&format!("Messages may be missing: {}.", gap.cause), "gap");
        self.value("since", since);
        self.value("until", until);
        if let Some(after) = gap.after {
            self.value("after", after);
        }
        let cause = match &gap.cause {
            GapCause::Ended(_) => "ended",
            GapCause::SlowConsumer(_) => "slow-consumer",
            GapCause::Reconnect => "reconnect",
            GapCause::Undecodable(_) => "undecodable",
            GapCause::Dropped(_) => "server-dropped",
            _ => "other",
        };
        self.value("cause", cause);
        if let GapCause::Dropped(count) = gap.cause {
            self.value("dropped", count);
        }
        self.notice(until)
    }

    /// So many messages were dropped here.
    pub fn dropped(&mut self, count: u64, now: i64) -> EntryRef<'_> {
        self.begin(&format!("{count} messages were dropped here, oldest first."), "dropped");
        self.value("dropped", count);
        self.notice(now)
    }

    fn begin(&mut self, data: &str, kind: &str) {
        self.data.clear();
        self.values.clear();
        self.data.extend_from_slice(data.as_bytes());
        self.value("event_type", kind);
    }

    fn notice(&mut self, nanos: i64) -> EntryRef<'_> {
        self.transport_values();
        EntryRef {
            ts: Timestamp::from_unix_nanos(nanos),
            src: Source::NONE,
            tag: self.tagger.own(),
            data: &self.data,
            values: self.values.as_ref(),
        }
    }
}

fn nanos(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
