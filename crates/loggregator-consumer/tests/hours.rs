//! Hours of reading, in paused time: the gateway closes its streams, tokens run out, servers go
//! away and come back. Every message comes exactly once, or a gap covers it.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "fake/mod.rs"]
#[allow(dead_code, reason = "others use the rest")]
mod fake;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fake::{Fake, Fault};
use loggregator_consumer::client::{
    Consumer, End, Filter, Gap, GapCause, Gateway, Item, Messages, Proxy, Query, Reason,
    TokenSource, TrafficController,
};
use loggregator_consumer::dropsonde;
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
async fn without_a_shard_faults_cost_no_more_than_the_gaps_say() {
    let fake = Fake::start();
    let faults = [
        (600, Fault::Drop),
        // While two connections are open both are cut.
        (820, Fault::Drop),
        (1800, Fault::Down(Duration::from_secs(90))),
        (3000, Fault::Silence),
        (4000, Fault::Garbage),
    ];
    let (got, refreshes) = read(&fake, None, 2, &faults).await;
    assert!(got.check(&fake.sent()) > 0, "the faults cost nothing, and so prove nothing");
    assert!(refreshes >= 2, "{refreshes}");
    assert!(got.gaps.len() >= 4, "{:?}", got.gaps);
}

/// Reads a stream of the second generation while the server sends and fails.
async fn controller(
    fake: &Fake,
    mut stream: Messages<dropsonde::Envelope>,
    hours: u64,
    faults: Vec<(u64, Fault)>,
) -> Got {
    let mut got = Got::default();
    let driver = fake.drive(Duration::from_secs(hours * 3600), faults);
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
    got
}

fn client(fake: &Arc<Fake>) -> (TrafficController, Arc<Fresh>) {
    let fresh = Arc::new(Fresh(Arc::clone(fake), AtomicU64::new(0)));
    let client = TrafficController::builder("ws://controller.test")
        .connector(fake.connector())
        .proxy(Proxy::None)
        .token_source(Arc::clone(&fresh) as Arc<dyn TokenSource>)
        .build();
    (client, fresh)
}

#[tokio::test(start_paused = true)]
async fn a_firehose_tells_what_it_missed() {
    let fake = Fake::start();
    let (client, _) = client(&fake);
    let faults = vec![(300, Fault::Slow), (900, Fault::Drop), (1200, Fault::Silence)];
    let got = controller(&fake, client.firehose("sub", Filter::All), 1, faults).await;
    assert!(got.check(&fake.sent()) > 0);
    let slow = got.gaps.iter().filter(|gap| matches!(gap.cause, GapCause::SlowConsumer(_)));
    assert_eq!(slow.count(), 1, "{:?}", got.gaps);
    assert_eq!(got.gaps.len(), 3, "{:?}", got.gaps);
}

#[tokio::test(start_paused = true)]
async fn an_applications_stream_outlives_tokens_and_servers() {
    let fake = Fake::start();
    let (client, fresh) = client(&fake);
    let faults = vec![
        (1000, Fault::Garbage),
        (3700, Fault::Down(Duration::from_secs(300))),
        (7300, Fault::Drop),
        (9000, Fault::Silence),
    ];
    let got = controller(&fake, client.stream(fake::messages::APP), 3, faults).await;
    assert!(got.check(&fake.sent()) > 0);
    assert_eq!(got.gaps.len(), 4, "{:?}", got.gaps);
    // One for the start, and one for each hour in which it had to connect again.
    assert_eq!(fresh.1.load(Ordering::Relaxed), 3);
    // Hours without a fault cost nothing, and no connection: pings are answered.
    let quiet = Fake::start();
    let got = controller(&quiet, self::client(&quiet).0.stream("app"), 3, Vec::new()).await;
    assert_eq!((got.check(&quiet.sent()), got.gaps.len()), (0, 0));
    assert_eq!(quiet.connections(), 1);
}

/// The first generation's streams end, and say why; whoever wants more asks again.
#[tokio::test(start_paused = true)]
async fn a_tail_has_every_message_up_to_the_end_that_it_tells() {
    let fake = Fake::start();
    let consumer =
        Consumer::builder("ws://old.test").connector(fake.connector()).proxy(Proxy::None).build();
    let faults = vec![
        (900, Fault::Drop),
        (2000, Fault::Slow),
        (4000, Fault::Garbage),
        (5000, Fault::Down(Duration::from_secs(60))),
    ];
    let mut got = Got::default();
    let mut ends = Vec::new();
    let reading = async {
        // When the last message of the stream before came.
        let mut since = None;
        loop {
            let Ok(mut stream) = consumer.tail("app", &fake.token()).await else {
                tokio::time::sleep(Duration::from_secs(2)).await; // tidy: sleep paused time, between tries
                continue;
            };
            if let Some((since, end)) = since.take() {
                let until = fake.now();
                got.gaps.push(Gap { since, until, after: None, cause: GapCause::Ended(end) });
            }
            let mut last = fake.now();
            while let Some(item) = stream.next().await {
                match item {
                    Item::Message(line) => {
                        got.add(line.timestamp().unsigned_abs());
                        last = fake.now();
                    }
                    Item::Ended(Reason::End(end)) => {
                        ends.push(end.clone());
                        since = Some((last, end));
                    }
                    Item::Undecodable { .. } | Item::Connected => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    tokio::select! {
        () = fake.drive(Duration::from_secs(2 * 3600), faults) => {}
        () = reading => {}
    }
    assert!(got.check(&fake.sent()) > 0);
    assert_eq!(ends.len(), 4, "{ends:?}");
    assert_eq!(ends[0], End::Eof);
    assert!(ends[1].may_be_slow_consumer(), "{ends:?}");
    assert!(matches!(ends[2], End::Protocol(_)), "{ends:?}");
    // A whole hour and more, with keep-alives and pings in it, is one connection.
    assert_eq!(fake.connections(), 5);
}
