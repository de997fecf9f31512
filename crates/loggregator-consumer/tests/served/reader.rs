//! Who reads, and what came of it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use loggregator_consumer::client::{
    Consumer, Filter, Gap, Gateway, Item, Messages, Proxy, Query, Reason, TokenSource,
    TrafficController,
};
use loggregator_consumer::{dropsonde, v2};

use crate::fake::messages::Numbered;
use crate::fake::{Fake, Fault};

/// Gives the token that the server takes now, and counts.
pub(crate) struct Fresh(pub(crate) Arc<Fake>, AtomicU64);

impl Fresh {
    pub(crate) fn of(fake: &Arc<Fake>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(fake), AtomicU64::new(0)))
    }

    pub(crate) fn asked(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }
}

impl TokenSource for Fresh {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.0.token()) })
    }
}

/// What came of a stream.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// How often each number came.
    counts: BTreeMap<u64, u32>,
    last: u64,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) out_of_order: u64,
    pub(crate) undecodable: u64,
    pub(crate) ends: Vec<Reason>,
}

impl Got {
    fn add(&mut self, message: &impl Numbered) {
        let number = message.number();
        assert_eq!(*message, Numbered::sent(number));
        *self.counts.entry(number).or_default() += 1;
        self.out_of_order += u64::from(number < self.last);
        self.last = number;
    }

    pub(crate) fn take<M: Numbered>(&mut self, item: Item<M>) {
        match item {
            Item::Message(message) => self.add(&message),
            Item::Gap(gap) => self.gaps.push(gap),
            Item::Undecodable { .. } => self.undecodable += 1,
            Item::Ended(reason) | Item::Retrying { error: reason, .. } => self.ends.push(reason),
            Item::Connected => {}
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.len()
    }

    /// Each that was sent came once, or a gap covers when it was sent; a gap tells of when things
    /// came, which is `lag` later. Gives how many are missing.
    pub(crate) fn check(&self, sent: &[(u64, SystemTime)], lag: Duration) -> usize {
        let mut missing = 0;
        // The clocks of both sides are moved by the same timer.
        let slack = Duration::from_millis(100);
        for (number, at) in sent {
            match self.counts.get(number) {
                Some(1) => {}
                Some(more) => panic!("{number} came {more} times"),
                None => {
                    missing += 1;
                    let covers =
                        |gap: &Gap| *at + lag + slack >= gap.since && *at <= gap.until + slack;
                    let covered = self.gaps.iter().any(covers);
                    assert!(covered, "{number} at {at:?} is missing: {:?}", self.gaps);
                }
            }
        }
        assert!(self.counts.keys().all(|number| sent.iter().any(|(sent, _)| sent == number)));
        missing
    }

    /// How long the gaps are in all.
    pub(crate) fn time(&self) -> Duration {
        self.gaps.iter().map(|gap| gap.until.duration_since(gap.since).unwrap()).sum()
    }
}

/// How the server is driven.
pub(crate) struct Drive {
    pub(crate) time: Duration,
    pub(crate) every: Duration,
    pub(crate) faults: Vec<(u64, Fault)>,
}

impl Drive {
    pub(crate) fn hours(hours: u64, faults: &[(u64, Fault)]) -> Self {
        let time = Duration::from_secs(hours * 3600);
        Self { time, every: Duration::from_secs(2), faults: faults.to_vec() }
    }
}

/// Reads a stream while the server is driven, and then what is on its way.
pub(crate) async fn read<M: Numbered>(fake: &Fake, mut stream: Messages<M>, drive: Drive) -> Got {
    let mut got = Got::default();
    let reading = async {
        while let Some(item) = stream.next().await {
            let over = matches!(item, Item::Ended(_));
            got.take(item);
            assert!(!over, "the stream ended: {:?}", got.ends);
        }
    };
    tokio::select! {
        () = fake.drive(drive.time, drive.every, drive.faults) => {}
        () = reading => panic!("nothing comes behind the end"),
    }
    stream.close();
    while let Some(item) = stream.next().await {
        got.take(item);
    }
    got
}

/// A client of the gateway's, and what gives its tokens.
pub(crate) fn gateway(
    fake: &Arc<Fake>,
    shard: Option<&str>,
) -> (Messages<v2::Envelope>, Arc<Fresh>) {
    let fresh = Fresh::of(fake);
    let gateway = Gateway::builder("http://gateway.test")
        .connector(fake.connector())
        .proxy(Proxy::None)
        .token_source(Arc::clone(&fresh) as Arc<dyn TokenSource>)
        .build();
    let query = Query { shard_id: shard.map(str::to_owned), ..Query::everything() };
    (gateway.stream(query), fresh)
}

/// A client of the traffic controller's, and what gives its tokens.
pub(crate) fn controller(fake: &Arc<Fake>) -> (TrafficController, Arc<Fresh>) {
    let fresh = Fresh::of(fake);
    let client = TrafficController::builder("ws://controller.test")
        .connector(fake.connector())
        .proxy(Proxy::None)
        .token_source(Arc::clone(&fresh) as Arc<dyn TokenSource>)
        .build();
    (client, fresh)
}

pub(crate) fn firehose(fake: &Arc<Fake>) -> Messages<dropsonde::Envelope> {
    controller(fake).0.firehose("sub", Filter::All)
}

/// A client of the first generation's server.
pub(crate) fn consumer(fake: &Arc<Fake>) -> Consumer {
    Consumer::builder("ws://old.test").connector(fake.connector()).proxy(Proxy::None).build()
}
