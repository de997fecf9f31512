//! The permits, the waker queue and the hand-over in every order of their threads' steps.
//!
//! `RUSTFLAGS='--cfg loom' cargo test -p ingest-wal --lib loom`. A wake-up that is lost shows as a
//! deadlock. A fault planted in the code that a model is about has to be found: such a run is a
//! process of its own, because what it finds may end it in the middle of a clean-up.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Waker};

use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::intake::{Intake, Sink};
use crate::lane::{Lane, Lanes};
use crate::progress::Progress;
use crate::sync::{Misstep, block_on, plant};
use crate::{Lsn, Permits, Reached, RefusedError};

/// Names the fault of a process that has one.
const PLANTED: &str = "INGESTRY_MISSTEP";

/// Runs a model; with at most so many switches away from a thread that could go on, where all of
/// them are too many.
fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let name = std::env::var(PLANTED).unwrap_or_default();
    plant(Misstep::ALL.into_iter().find(|misstep| format!("{misstep:?}") == name));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Each fault, the model that is about it, and what that says.
#[test]
fn a_fault_in_the_order_of_steps_is_found() {
    for misstep in Misstep::ALL {
        let (model, says) = match misstep {
            Misstep::LookedOnce => ("whoever_waits_for_the_watermark_is_woken", "deadlock"),
            Misstep::GrantKept => ("whoever_waits_for_bytes_is_served", "deadlock"),
            Misstep::NumberedApart => {
                ("what_is_handed_over_arrives_in_the_order_of_its_places", "without a gap")
            }
            Misstep::RefusedBefore => {
                ("whoever_waits_in_any_lane_is_told_of_a_refusal", "deadlock")
            }
        };
        let this = std::env::current_exe().expect("a test has a file");
        let run = Command::new(this)
            .args(["--exact", &format!("loom::{model}"), "--nocapture"])
            .env(PLANTED, format!("{misstep:?}"))
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("it can be started again");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains(says), "{misstep:?} went unseen: {said}");
    }
}

/// Bytes are given back while one waits for them and one has asked and gives up.
fn permits() {
    let permits = Permits::new(2);
    let held = permits.try_acquire(2).expect("all are there");
    let waiting = {
        let permits = permits.clone();
        thread::spawn(move || drop(block_on(permits.acquire(1))))
    };
    let giving = thread::spawn(move || drop(held));
    let mut given_up = permits.acquire(2);
    let permit = Pin::new(&mut given_up).poll(&mut Context::from_waker(Waker::noop()));
    drop((given_up, permit));
    waiting.join().expect("it is served");
    giving.join().expect("it ends");
    assert_eq!(permits.available(), 2);
}

#[test]
fn whoever_waits_for_bytes_is_served() {
    check(Some(2), permits);
}

/// A large request and a small one wait: the first in the queue is served first, both in the end.
#[test]
fn a_queue_is_served_to_its_end() {
    check(Some(2), || {
        let permits = Permits::new(2);
        let held = permits.try_acquire(1).expect("all are there");
        let threads = [2, 1].map(|bytes| {
            let permits = permits.clone();
            thread::spawn(move || drop(block_on(permits.acquire(bytes))))
        });
        drop(held);
        for thread in threads {
            thread.join().expect("it is served");
        }
        assert_eq!(permits.available(), 2);
    });
}

/// The watermark moves, twice, while one waits and one gives up waiting.
fn watermark() {
    let progress = Arc::new(Progress::new(1));
    let reached = |range: Range<Lsn>| Reached::new(Arc::clone(&progress), range);
    let waiting = {
        let reached = reached(2..3);
        thread::spawn(move || block_on(reached))
    };
    let moving = {
        let progress = Arc::clone(&progress);
        thread::spawn(move || {
            progress.advance(2);
            progress.advance(3);
        })
    };
    let mut given_up = reached(1..2);
    let early = Pin::new(&mut given_up).poll(&mut Context::from_waker(Waker::noop()));
    assert!(early.is_pending() || progress.end() >= 2);
    drop(given_up);
    assert_eq!(waiting.join().expect("it is woken"), Ok(()));
    moving.join().expect("it ends");
}

#[test]
fn whoever_waits_for_the_watermark_is_woken() {
    check(None, watermark);
}

#[test]
fn whoever_waits_is_told_of_a_refusal_and_of_what_was_dropped() {
    check(Some(2), || {
        let progress = Arc::new(Progress::new(1));
        let waiting = [1..2, 2..3].map(|range| {
            let reached = Reached::new(Arc::clone(&progress), range);
            thread::spawn(move || block_on(reached))
        });
        progress.drop_range(1..2);
        progress.refuse(Some(RefusedError::Closed));
        let told = waiting.map(|thread| thread.join().expect("it is woken"));
        assert_eq!(told, [Err(RefusedError::Dropped), Err(RefusedError::Closed)]);
    });
}

/// The log thread's inbox, as the checker can see it.
#[derive(Clone, Default)]
struct Inbox(Arc<Parts>);

#[derive(Default)]
struct Parts {
    messages: Mutex<VecDeque<Range<Lsn>>>,
    arrived: Condvar,
}

impl Sink<Range<Lsn>> for Inbox {
    fn put(&self, message: Range<Lsn>) -> bool {
        self.0.messages.lock().expect("no panic").push_back(message);
        self.0.arrived.notify_one();
        true
    }
}

impl Inbox {
    fn next(&self) -> Range<Lsn> {
        let mut messages = self.0.messages.lock().expect("no panic");
        loop {
            if let Some(message) = messages.pop_front() {
                return message;
            }
            messages = self.0.arrived.wait(messages).expect("no panic");
        }
    }
}

/// Two producers hand over and wait; the log thread takes, and moves the watermark.
fn hand_over() {
    let inbox = Inbox::default();
    let intake = Arc::new(Intake::new(1, inbox.clone()));
    let lane = Arc::new(Lane::new(None));
    let producers = [1, 2].map(|count| {
        let (intake, lane) = (Arc::clone(&intake), Arc::clone(&lane));
        thread::spawn(move || {
            let entries = intake.hand_over(&lane, count, |entries| entries)?;
            block_on(Reached::new(Arc::clone(&lane.synced), entries))
        })
    });
    for _ in 0..2 {
        let entries = inbox.next();
        assert_eq!(entries.start, lane.synced.end(), "in the order of the places, without a gap");
        lane.synced.advance(entries.end);
    }
    for producer in producers {
        assert_eq!(producer.join().expect("it is woken"), Ok(()));
    }
    assert_eq!((intake.next(), lane.synced.end()), (4, 4));
}

#[test]
fn what_is_handed_over_arrives_in_the_order_of_its_places() {
    check(Some(2), hand_over);
}

/// Two sources begin, and wait for what never comes, while the log says that it takes no more.
#[test]
fn whoever_waits_in_any_lane_is_told_of_a_refusal() {
    check(Some(2), || {
        let lanes = Arc::new(Lanes::default());
        let waiting = [1, 2].map(|source| {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || {
                let lane = lanes.of(source);
                block_on(Reached::new(Arc::clone(&lane.synced), 1..2))
            })
        });
        lanes.refuse(Some(&RefusedError::Closed));
        for thread in waiting {
            assert_eq!(thread.join().expect("it is woken"), Err(RefusedError::Closed));
        }
    });
}

/// Somebody waits for all that was handed over, in two lanes that move one after the other.
#[test]
fn whoever_waits_for_all_is_woken_by_the_last() {
    check(Some(2), || {
        let lanes = Arc::new(Lanes::default());
        for source in [1, 2] {
            lanes.of(source).place(1);
        }
        let all = lanes.all_synced();
        let waiting = thread::spawn(move || block_on(all));
        let moving = {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || lanes.of(2).synced.advance(2))
        };
        lanes.of(1).synced.advance(2);
        assert_eq!(waiting.join().expect("it is woken"), Ok(()));
        moving.join().expect("it ends");
    });
}
