//! Hours of reading, in paused time: the gateway closes its streams, tokens run out, servers go
//! away and come back. Every message comes exactly once, or a gap covers it.

use std::time::Duration;

use loggregator_consumer::client::{End, GapCause, Reason};

use crate::fake::{Fake, Fault, SLOW, messages};
use crate::reader::{Drive, Fresh, consumer, controller, firehose, gateway, read};

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_shard_bridges_the_gateways_reconnects() {
    let fake = Fake::start();
    let (stream, fresh) = gateway(&fake, Some("s"));
    let got = read(&fake, stream, Drive::hours(4, &[])).await;
    let sent = fake.sent();
    assert!(sent.len() > 7_000, "{}", sent.len());
    // The gateway closed every 14 minutes, the token ran out every hour.
    assert!(fake.connections() >= 16, "{}", fake.connections());
    assert!((3..=8).contains(&fresh.asked()), "{}", fresh.asked());
    assert_eq!((got.check(&sent, Duration::ZERO), got.gaps), (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_shard_gives_nothing_twice_and_keeps_the_order() {
    let fake = Fake::start();
    let got = read(&fake, gateway(&fake, None).0, Drive::hours(2, &[])).await;
    assert_eq!((got.check(&fake.sent(), Duration::ZERO), got.out_of_order), (0, 0));
    assert_eq!(got.gaps, []);
}

#[tokio::test(start_paused = true)]
async fn what_faults_cost_is_covered_by_gaps() {
    let faults = [
        (600, Fault::Drop),
        (1800, Fault::Down(Duration::from_secs(90))),
        (3000, Fault::Silence),
        (4000, Fault::Garbage),
        (5400, Fault::Drop),
    ];
    let fake = Fake::start();
    let got = read(&fake, gateway(&fake, Some("s")).0, Drive::hours(2, &faults)).await;
    let missing = got.check(&fake.sent(), Duration::ZERO);
    assert!(missing > 0, "the faults cost nothing, and so prove nothing");
    assert!(got.gaps.len() >= 4, "{:?}", got.gaps);
    assert!(got.gaps.iter().all(|gap| matches!(gap.cause, GapCause::Ended(_))), "{:?}", got.gaps);
}

#[tokio::test(start_paused = true)]
async fn without_a_shard_faults_cost_no_more_than_the_gaps_say() {
    let faults = [
        (600, Fault::Drop),
        // While two connections are open both are cut.
        (820, Fault::Drop),
        (1800, Fault::Down(Duration::from_secs(90))),
        (3000, Fault::Silence),
        (4000, Fault::Garbage),
    ];
    let fake = Fake::start();
    let (stream, fresh) = gateway(&fake, None);
    let got = read(&fake, stream, Drive::hours(2, &faults)).await;
    assert!(got.check(&fake.sent(), Duration::ZERO) > 0, "the faults cost nothing");
    assert!(fresh.asked() >= 2, "{}", fresh.asked());
    assert!(got.gaps.len() >= 4, "{:?}", got.gaps);
}

#[tokio::test(start_paused = true)]
async fn a_firehose_tells_what_it_missed() {
    let fake = Fake::start();
    let faults = [(300, SLOW), (900, Fault::Drop), (1200, Fault::Silence)];
    let got = read(&fake, firehose(&fake), Drive::hours(1, &faults)).await;
    assert!(got.check(&fake.sent(), Duration::ZERO) > 0);
    let slow = got.gaps.iter().filter(|gap| matches!(gap.cause, GapCause::SlowConsumer(_)));
    assert_eq!(slow.count(), 1, "{:?}", got.gaps);
    assert_eq!(got.gaps.len(), 3, "{:?}", got.gaps);
}

#[tokio::test(start_paused = true)]
async fn an_applications_stream_outlives_tokens_and_servers() {
    let fake = Fake::start();
    let (client, fresh) = controller(&fake);
    let faults = [
        (1000, Fault::Garbage),
        (3700, Fault::Down(Duration::from_secs(300))),
        (7300, Fault::Drop),
        (9000, Fault::Silence),
    ];
    let got = read(&fake, client.stream(messages::APP), Drive::hours(3, &faults)).await;
    assert!(got.check(&fake.sent(), Duration::ZERO) > 0);
    assert_eq!(got.gaps.len(), 4, "{:?}", got.gaps);
    // One for the start, and one for each hour in which it had to connect again.
    assert_eq!(fresh.asked(), 3);
    // Hours without a fault cost nothing, and no connection: pings are answered.
    let quiet = Fake::start();
    let got = read(&quiet, controller(&quiet).0.stream(messages::APP), Drive::hours(3, &[])).await;
    assert_eq!((got.check(&quiet.sent(), Duration::ZERO), got.gaps.len()), (0, 0));
    assert_eq!(quiet.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_is_followed_outlives_tokens_and_servers() {
    let fake = Fake::start();
    let fresh = Fresh::of(&fake);
    let stream = consumer(&fake).follow(messages::APP, fresh.clone());
    let faults = [
        (900, Fault::Drop),
        (2000, SLOW),
        (4000, Fault::Garbage),
        (5000, Fault::Down(Duration::from_secs(60))),
    ];
    let got = read(&fake, stream, Drive::hours(2, &faults)).await;
    assert!(got.check(&fake.sent(), Duration::ZERO) > 0);
    assert_eq!(got.gaps.len(), 4, "{:?}", got.gaps);
    assert_eq!(fresh.asked(), 2);
    let ends: Vec<_> = got.ends.iter().filter(|end| matches!(end, Reason::End(_))).collect();
    assert_eq!(*ends[0], Reason::End(End::Eof));
    assert!(matches!(ends[1], Reason::End(end) if end.may_be_slow_consumer()), "{ends:?}");
    assert!(matches!(ends[2], Reason::End(End::Protocol(_))), "{ends:?}");
    assert_eq!(got.undecodable, 1);
    // A whole hour and more, with keep-alives and pings in it, is one connection.
    assert_eq!(fake.connections(), 5);
}

/// The plain `tail` of the first generation ends, and says why.
#[tokio::test(start_paused = true)]
async fn a_tail_has_every_message_up_to_the_end_that_it_tells() {
    let fake = Fake::start();
    let mut stream = consumer(&fake).tail(messages::APP, &fake.token()).await.unwrap();
    let mut got = crate::reader::Got::default();
    let faults = vec![(5000, Fault::Close(1001, "going away"))];
    let reading = async {
        while let Some(item) = stream.next().await {
            got.take(item);
        }
    };
    let (time, every) = (Duration::from_secs(5100), Duration::from_secs(1));
    tokio::join!(reading, fake.drive(time, every, faults));
    let end = End::Closed { code: Some(1001), text: "going away".to_owned() };
    assert_eq!(got.ends, [Reason::End(end)]);
    let before: Vec<_> = fake.sent().into_iter().take(4999).collect();
    assert_eq!(got.check(&before, Duration::ZERO), 0);
}
