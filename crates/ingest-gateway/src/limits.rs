//! Limits: how much of what comes in is taken in a second. What is beyond is dropped and counted, or
//! whoever sends it is read more slowly. Every limit that fits an entry counts it, until one drops it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ingest_entry::{EntryRef, TagId, TagPattern};
use ingest_mux::Tags;
use tokio::time::{Instant, sleep};

use crate::chosen::{Chooses, Chosen};
use crate::config::{LimitConfig, LimitPer, OnLimit};
use crate::counters::Counter;
use crate::map::graphite::Refusal;
use crate::sources::Rate;

/// The reason at a source of items that a limit drops.
pub const LIMIT: &str = "limit";

/// A limit, and what it did in this run.
#[derive(Debug)]
pub struct Limit {
    /// What it says.
    pub config: LimitConfig,
    /// Entries that it let pass.
    pub passed: Counter,
    /// Entries that it dropped.
    pub dropped: Counter,
    /// Times that reading waited for it.
    pub waits: Counter,
    buckets: Mutex<HashMap<Key, Arc<Bucket>>>,
}

/// What has a bucket of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    All,
    Source(Arc<str>),
    Tag(TagId),
}

/// What may come now.
#[derive(Debug)]
struct Bucket(Mutex<Left>);

#[derive(Debug)]
struct Left {
    entries: Option<Rate>,
    bytes: Option<Rate>,
}

impl Bucket {
    fn new(config: &LimitConfig, now: Instant) -> Self {
        let entries = config.entries.map(|most| Rate::new(most, now));
        let bytes = config.bytes.map(|most| Rate::new(most.bytes_per_second(), now));
        Self(Mutex::new(Left { entries, bytes }))
    }

    /// An entry of so many bytes has come, if it may or `regardless`: `None` if it may not, else how long
    /// to wait until it is made good.
    fn take(&self, bytes: u64, now: Instant, regardless: bool) -> Option<Duration> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Left { entries, bytes: of_bytes } = &mut *left;
        let mut rates = [(entries, 1), (of_bytes, bytes)];
        let mut rates = rates.each_mut().map(|(rate, amount)| (rate.as_mut(), *amount));
        for (rate, _) in &mut rates {
            if let Some(rate) = rate {
                rate.refill(now);
            }
        }
        let has = |(rate, amount): &(Option<&mut Rate>, u64)| {
            rate.as_ref().is_none_or(|rate| rate.has(*amount))
        };
        if !regardless && !rates.iter().all(has) {
            return None;
        }
        let spent = rates
            .iter_mut()
            .map(|(rate, amount)| rate.as_mut().map_or(Duration::ZERO, |rate| rate.spend(*amount)));
        spent.max()
    }
}

impl Chooses for Limit {
    fn sources(&self) -> &[String] {
        &self.config.sources
    }

    fn tags(&self) -> &[TagPattern] {
        &self.config.tags
    }
}

impl Limit {
    fn new(config: &LimitConfig) -> Self {
        Self {
            config: config.clone(),
            passed: Counter::default(),
            dropped: Counter::default(),
            waits: Counter::default(),
            buckets: Mutex::default(),
        }
    }

    fn bucket(&self, source: &Arc<str>, tag: TagId, now: Instant) -> Arc<Bucket> {
        let key = match self.config.per {
            LimitPer::All => Key::All,
            LimitPer::Source => Key::Source(Arc::clone(source)),
            LimitPer::Tag => Key::Tag(tag),
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key);
        Arc::clone(bucket.or_insert_with(|| Arc::new(Bucket::new(&self.config, now))))
    }
}

/// All limits of a configuration, in their order. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Limits(Arc<[Arc<Limit>]>);

impl Limits {
    /// The limits of another configuration: those that are the same count on.
    #[must_use]
    pub fn next(&self, configs: &[LimitConfig]) -> Self {
        let limit = |config: &LimitConfig| match self.iter().find(|had| had.config == *config) {
            Some(had) => Arc::clone(had),
            None => Arc::new(Limit::new(config)),
        };
        Self(configs.iter().map(limit).collect())
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Limit>> {
        self.0.iter()
    }

    /// Those that are for a source.
    pub(crate) fn of_source(&self, name: &str, tags: Tags) -> SourceLimits {
        let present = Chosen::of_source(self.iter(), name, tags);
        SourceLimits(present.map(|chosen| Arc::new(Present { chosen, source: name.into() })))
    }
}

/// The limits of one source. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceLimits(Option<Arc<Present>>);

#[derive(Debug)]
struct Present {
    chosen: Chosen<Limit>,
    source: Arc<str>,
}

impl SourceLimits {
    /// Begins to look at the entries of a batch.
    pub(crate) fn begin(&self) -> Admission {
        self.begin_at(Instant::now())
    }

    fn begin_at(&self, now: Instant) -> Admission {
        let state = self.0.as_ref().map(|present| Looking {
            present: Arc::clone(present),
            now,
            hold: Duration::ZERO,
            waits_for: None,
            last: None,
        });
        Admission(state)
    }

    /// Whether they say the same.
    pub(crate) fn are(&self, other: &Self) -> bool {
        let configs = |limits: &Self| -> Vec<LimitConfig> {
            let limits = limits.0.iter().flat_map(|present| present.chosen.all());
            limits.map(|limit| limit.config.clone()).collect()
        };
        configs(self) == configs(other)
    }
}

/// What is let in of a batch.
#[derive(Debug)]
pub(crate) struct Admission(Option<Looking>);

#[derive(Debug)]
struct Looking {
    present: Arc<Present>,
    now: Instant,
    hold: Duration,
    waits_for: Option<Arc<Limit>>,
    last: Option<(TagId, Fitting)>,
}

/// The limits that fit a tag, with their buckets.
type Fitting = Vec<(Arc<Limit>, Arc<Bucket>)>;

impl Admission {
    /// That an item becomes an entry: it has, then.
    ///
    /// # Errors
    /// [`Refusal::Limit`].
    #[inline]
    pub(crate) fn check(&mut self, entry: &EntryRef<'_>) -> Result<(), Refusal> {
        match &mut self.0 {
            None => Ok(()),
            Some(looking) => looking.check(entry),
        }
    }

    /// How long nothing more should be taken from who sent the batch.
    pub(crate) fn hold(&self) -> Duration {
        let Some(looking) = &self.0 else { return Duration::ZERO };
        if let Some(limit) = &looking.waits_for {
            limit.waits.add(1);
        }
        looking.hold
    }

    /// Waits as long as nothing more should be taken.
    pub(crate) async fn wait(&self) {
        let hold = self.hold();
        if !hold.is_zero() {
            sleep(hold).await;
        }
    }
}

impl Looking {
    fn check(&mut self, entry: &EntryRef<'_>) -> Result<(), Refusal> {
        let Self { present, now, hold, waits_for, last } = self;
        let (_, fitting) = match last {
            Some(last) if last.0 == entry.tag => last,
            last => {
                let limits = present.chosen.of_tag(entry.tag);
                let with = |limit: &Arc<Limit>| {
                    (Arc::clone(limit), limit.bucket(&present.source, entry.tag, *now))
                };
                last.insert((entry.tag, limits.iter().map(with).collect()))
            }
        };
        let bytes = entry.stored_len() as u64;
        for (limit, bucket) in fitting {
            let blocks = limit.config.on_limit == OnLimit::Block;
            let Some(wait) = bucket.take(bytes, *now, blocks) else {
                limit.dropped.add(1);
                return Err(Refusal::Limit);
            };
            limit.passed.add(1);
            if blocks && wait > *hold {
                *hold = wait;
                *waits_for = Some(Arc::clone(limit));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {

    use ingest_entry::{Source, TagName, Timestamp};
    use ingest_mux::Muxer;

    use super::*;

    fn limit(tags: &[&str], per: LimitPer, on_limit: OnLimit) -> LimitConfig {
        LimitConfig {
            name: "l".to_owned(),
            sources: Vec::new(),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            per,
            entries: Some(10),
            bytes: None,
            on_limit,
        }
    }

    fn entry(tag: TagId, data: &[u8]) -> EntryRef<'_> {
        EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, tag, data)
    }

    #[tokio::test]
    async fn what_is_beyond_is_dropped_by_source_and_by_tag() {
        let muxer = Muxer::builder().memory(1 << 20).start().unwrap();
        let tag = |name| muxer.tag(&TagName::new(name).unwrap()).unwrap();
        let (a, b, other) = (tag("app-a"), tag("app-b"), tag("other"));
        let start = Instant::now();
        let later = start + Duration::from_millis(500);
        let taken_at = |limits: &SourceLimits, tag, count, now| {
            let mut batch = limits.begin_at(now);
            let taken = (0..count).filter(|_| batch.check(&entry(tag, b"x")).is_ok()).count();
            assert_eq!(batch.hold(), Duration::ZERO, "who drops does not wait");
            taken
        };
        let taken = |limits: &SourceLimits, tag, count| taken_at(limits, tag, count, start);
        for (per, b_taken, elsewhere) in
            [(LimitPer::All, 0, 0), (LimitPer::Source, 0, 10), (LimitPer::Tag, 10, 0)]
        {
            let all = Limits::default().next(&[limit(&["app-*"], per, OnLimit::Drop)]);
            let here = all.of_source("here", muxer.tags());
            let there = all.of_source("there", muxer.tags());
            assert_eq!(taken(&here, a, 25), 10);
            assert_eq!(taken(&here, b, 25), b_taken, "{per:?}");
            assert_eq!(taken(&there, a, 25), elsewhere, "{per:?}");
            assert_eq!(taken(&here, other, 25), 25, "it is not for that tag");
            assert_eq!(taken_at(&here, a, 25, later), 5);
            let counts = all.iter().map(|limit| (limit.passed.get(), limit.dropped.get()));
            let passed = 15 + b_taken as u64 + elsewhere as u64;
            assert_eq!(counts.collect::<Vec<_>>(), [(passed, 100 - passed)]);
        }
    }

    #[tokio::test]
    async fn who_blocks_takes_everything_and_waits() {
        let muxer = Muxer::builder().memory(1 << 20).start().unwrap();
        let tag = muxer.tag(&TagName::new("a").unwrap()).unwrap();
        let mut config = limit(&[], LimitPer::All, OnLimit::Block);
        let all = Limits::default().next(std::slice::from_ref(&config));
        let limits = all.of_source("s", muxer.tags());
        let start = Instant::now();
        let mut batch = limits.begin_at(start);
        assert!((0..25).all(|_| batch.check(&entry(tag, b"x")).is_ok()));
        assert_eq!(batch.hold(), Duration::from_millis(1500));
        assert!(all.iter().all(|limit| limit.waits.get() == 1 && limit.passed.get() == 25));

        // Bytes as they are stored: 34 and the data.
        (config.entries, config.bytes) = (None, ingest_mux::Rate::of_bytes(1_000));
        config.on_limit = OnLimit::Drop;
        let all = Limits::default().next(&[config]);
        let mut batch = all.of_source("s", muxer.tags()).begin_at(start);
        let data = [0; 66];
        assert_eq!((0..25).filter(|_| batch.check(&entry(tag, &data)).is_ok()).count(), 10);
        // One that is more than a second's worth passes alone.
        let later = start + Duration::from_secs(2);
        let mut batch = all.of_source("s", muxer.tags()).begin_at(later);
        assert!(batch.check(&entry(tag, &[0; 5_000])).is_ok());
        assert!(batch.check(&entry(tag, b"x")).is_err());
        assert_eq!(all.iter().next().unwrap().dropped.get(), 16);
    }

    #[test]
    fn limits_that_stay_count_on() {
        let keep = limit(&["a"], LimitPer::All, OnLimit::Drop);
        let before = Limits::default().next(std::slice::from_ref(&keep));
        before.iter().for_each(|limit| limit.passed.add(3));
        let after = before.next(&[limit(&["b"], LimitPer::All, OnLimit::Drop), keep]);
        let passed: Vec<_> = after.iter().map(|limit| limit.passed.get()).collect();
        assert_eq!(passed, [0, 3]);
    }
}
