//! The publisher against a broker that confirms when it is told to: a wait that is given up, at any
//! place, forgets nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod publisher {
    pub(crate) mod broker;
}

use std::time::Duration;

use graphite_proto::amqp::{AmqpError, Broker as Address, Exchange, Publisher};
use tokio::time::timeout;

use self::publisher::broker::Broker;

/// How long anything may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A publisher with this many messages that the broker has, and has not confirmed.
async fn with_messages(count: usize) -> (Publisher, Broker) {
    let (broker, port) = Broker::start();
    let mut address = Address::default();
    address.host = "127.0.0.1".to_owned();
    address.port = port;
    address.heartbeat = Duration::ZERO;
    let mut publisher = Publisher::connect(&address, &Exchange::default(), true).await.unwrap();
    let mut broker = broker.connected();
    publish(&mut publisher, &mut broker, count).await;
    (publisher, broker)
}

async fn publish(publisher: &mut Publisher, broker: &mut Broker, count: usize) {
    for n in 0..count {
        publisher.publish(&format!("some.path{n}"), b"1 1700000000").await.unwrap();
    }
    let published = broker.published(count).await;
    assert!(published.iter().all(|body| body == b"1 1700000000"), "{published:?}");
}

/// Begins to wait, and gives up at once: whether it was over by then.
async fn begin_to_wait(publisher: &mut Publisher) -> Option<Result<(), AmqpError>> {
    tokio::select! {
        biased;
        confirmed = publisher.confirmed() => Some(confirmed),
        () = tokio::task::yield_now() => None,
    }
}

#[tokio::test]
async fn a_wait_that_was_given_up_is_waited_for_again() {
    let (mut publisher, mut broker) = with_messages(3).await;
    for _ in 0..3 {
        assert!(begin_to_wait(&mut publisher).await.is_none(), "nothing was confirmed");
        assert_eq!(publisher.waiting(), 3);
    }
    // One of them is, and the wait is given up between it and the others.
    broker.acknowledge(3, false);
    let one_is_known = async {
        while publisher.waiting() == 3 {
            assert!(begin_to_wait(&mut publisher).await.is_none(), "two are not confirmed");
        }
    };
    timeout(PATIENCE, one_is_known).await.unwrap();
    assert_eq!(publisher.waiting(), 2);
    assert!(begin_to_wait(&mut publisher).await.is_none(), "two are not confirmed");
    // All up to the second.
    broker.acknowledge(2, true);
    timeout(PATIENCE, publisher.confirmed()).await.unwrap().unwrap();
    assert_eq!(publisher.waiting(), 0);
    // Nothing is out: nothing to wait for.
    publisher.confirmed().await.unwrap();
    timeout(PATIENCE, publisher.close()).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_the_broker_refuses_after_a_wait_was_given_up_is_told() {
    let (mut publisher, mut broker) = with_messages(2).await;
    assert!(begin_to_wait(&mut publisher).await.is_none(), "nothing was confirmed");
    broker.acknowledge(1, false);
    broker.refuse(2);
    let refused = timeout(PATIENCE, publisher.confirmed()).await.unwrap();
    assert!(matches!(refused, Err(AmqpError::Refused)), "{refused:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_a_wait_was_given_up_confirms_nothing() {
    let (mut publisher, broker) = with_messages(2).await;
    assert!(begin_to_wait(&mut publisher).await.is_none(), "nothing was confirmed");
    broker.break_off();
    let broken = timeout(PATIENCE, publisher.confirmed()).await.unwrap();
    assert!(matches!(broken, Err(AmqpError::Broker(_))), "{broken:?}");
}
