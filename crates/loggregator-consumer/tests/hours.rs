//! Hours of reading, in paused time: the gateway closes its streams, tokens run out, servers go
//! away and come back. Every message comes exactly once, or a gap covers it.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "fake/mod.rs"]
mod fake;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fake::{Fake, Fault};
use loggregator_consumer::client::{
    Filter, Gap, GapCause, Gateway, Item, Proxy, Query, TokenSource, TrafficController,
};
use loggregator_consumer::v2::Envelope;

/// Gives the token that the server takes now.
struct Fresh(Arc<Fake>, AtomicU64);

impl TokenSource for Fresh {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.0.token()) })
    }
}

/// What came of a stream.
#[derive(Default)]
struct Got {
    /// How often each number came.
    counts: BTreeMap<u64, u32>,
    gaps: Vec<Gap>,
    order_kept: bool,
}

impl Got {
    fn add(&mut self, number: u64) {
        *self.counts.entry(number).or_default() += 1;
    }

    /// Each that was sent came once, or a gap covers when it was sent.
    fn check(&self, sent: &[(u64, SystemTime)]) -> usize {
        let mut missing = 0;
        for (number, at) in sent {
            match self.counts.get(number) {
                Some(1) => {}
                Some(more) => panic!("{number} came {more} times"),
                None => {
                    missing += 1;
                    // The clock of a gap is the client's; both are moved by the same timer.
                    let slack = Duration::from_secs(2);
                    let covers = |gap: &&Gap| *at + slack >= gap.since && *at <= gap.until + slack;
                    assert!(
                        self.gaps.iter().any(|gap| covers(&gap)),
                        "{number} at {at:?} is missing"
                    );
                }
            }
        }
        missing
    }
}

fn number(envelope: &Envelope) -> u64 {
    envelope.timestamp.unsigned_abs()
}

async fn read(
    fake: &Arc<Fake>,
    shard: Option<&str>,
    hours: u64,
    faults: &[(u64, Fault)],
) -> (Got, u64) {
    let fresh = Arc::new(Fresh(Arc::clone(fake), AtomicU64::new(0)));
    let gateway = Gateway::builder("http://gateway.test")
        .connector(fake.connector())
        .proxy(Proxy::None)
        .token_source(Arc::clone(&fresh) as Arc<dyn TokenSource>)
        .build();
    let query = Query { shard_id: shard.map(str::to_owned), ..Query::everything() };
    let mut stream = gateway.stream(query);
    let mut got = Got { order_kept: true, ..Got::default() };
    let driver = fake.drive(Duration::from_secs(hours * 3600), faults.to_vec());
    let reading = async {
        let mut last = 0;
        while let Some(item) = stream.next().await {
            match item {
                Item::Message(envelope) => {
                    got.order_kept &= number(&envelope) > last;
                    last = number(&envelope);
                    got.add(last);
                }
                Item::Gap(gap) => got.gaps.push(gap),
                Item::Ended(_) => break,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = driver => {}
        () = reading => panic!("the stream ended"),
    }
    // What is on its way still comes.
    stream.close();
    while let Some(item) = stream.next().await {
        if let Item::Message(envelope) = item {
            got.add(number(&envelope));
        }
    }
    (got, fresh.1.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_shard_bridges_the_gateways_reconnects() {
    let fake = Fake::start();
    let (got, refreshes) = read(&fake, Some("s"), 4, &[]).await;
    let sent = fake.sent();
    assert!(sent.len() > 10_000, "{}", sent.len());
    // The gateway closed every 14 minutes, the token ran out every hour.
    assert!(fake.connections() >= 16, "{}", fake.connections());
    assert!((3..=8).contains(&refreshes), "{refreshes}");
    assert_eq!(got.check(&sent), 0);
    assert_eq!(got.gaps, []);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_shard_gives_nothing_twice() {
    let fake = Fake::start();
    let (got, _) = read(&fake, None, 2, &[]).await;
    assert_eq!(got.check(&fake.sent()), 0);
    assert_eq!(got.gaps, []);
    assert!(got.order_kept);
}

#[tokio::test(start_paused = true)]
async fn what_faults_cost_is_covered_by_gaps() {
    let fake = Fake::start();
    let faults = [
        (600, Fault::Drop),
        (1800, Fault::Down(Duration::from_secs(90))),
        (3000, Fault::Silence),
        (4000, Fault::Garbage),
        (5400, Fault::Drop),
    ];
    let (got, _) = read(&fake, Some("s"), 2, &faults).await;
    let missing = got.check(&fake.sent());
    assert!(missing > 0, "the faults cost nothing, and so prove nothing");
    assert!(got.gaps.len() >= 4, "{:?}", got.gaps);
    assert!(got.gaps.iter().all(|gap| matches!(gap.cause, GapCause::Ended(_))), "{:?}", got.gaps);
}

#[tokio::test(start_paused = true)]
async fn a_firehose_tells_what_it_missed() {
    let fake = Fake::start();
    let fresh = Arc::new(Fresh(Arc::clone(&fake), AtomicU64::new(0)));
    let client = TrafficController::builder("ws://controller.test")
        .connector(fake.connector())
        .proxy(Proxy::None)
        .token_source(fresh)
        .build();
    let mut stream = client.firehose("sub", Filter::All);
    let mut got = Got::default();
    let faults = vec![(300, Fault::Slow), (900, Fault::Drop), (1200, Fault::Silence)];
    let driver = fake.drive(Duration::from_secs(3600), faults);
    let reading = async {
        while let Some(item) = stream.next().await {
            match item {
                Item::Message(envelope) => got.add(envelope.timestamp().unsigned_abs()),
                Item::Gap(gap) => got.gaps.push(gap),
                Item::Ended(reason) => panic!("{reason}"),
                _ => {}
            }
        }
    };
    tokio::select! {
        () = driver => {}
        () = reading => {}
    }
    stream.close();
    while let Some(item) = stream.next().await {
        if let Item::Message(envelope) = item {
            got.add(envelope.timestamp().unsigned_abs());
        }
    }
    assert!(got.check(&fake.sent()) > 0);
    let slow = got.gaps.iter().filter(|gap| matches!(gap.cause, GapCause::SlowConsumer(_)));
    assert_eq!(slow.count(), 1, "{:?}", got.gaps);
    assert_eq!(got.gaps.len(), 3, "{:?}", got.gaps);
}
