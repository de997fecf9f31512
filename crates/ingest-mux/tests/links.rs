//! Links that break, stall and hold on, decided by a seed: nothing is lost, the order that is promised
//! holds, and copies stay within their bound. Time is the runtime's, and paused: a stall of a minute
//! takes none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, Timestamp};
use ingest_mux::{
    Destination, Durability, Leases, LinkError, LinkFuture, Lsn, Muxer, Output, OutputStatus,
};

const ENTRIES: u64 = 6_000;
/// Most entries of a lease here: 15 kB, and up to one record more.
const LEASE: u64 = 15_000 / 55 + 80;

/// SplitMix64.
#[derive(Debug)]
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What a link saw.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Connected,
    Refused,
    /// It got a lease that begins here, and this is its end.
    Got(Lsn, Lsn),
    Confirmed(Lsn),
    /// It broke after it had confirmed so many of a lease.
    Broke(u64),
    /// It went silent with a lease in its hands, until it was given up.
    Silent,
}

/// A destination with troubles, as many as are left.
#[derive(Debug)]
struct Shaky {
    rng: Mutex<Rng>,
    troubles: Mutex<u32>,
    events: Mutex<Vec<Event>>,
    got: Mutex<Vec<Lsn>>,
}

impl Shaky {
    fn new(seed: u64) -> Arc<Self> {
        let (rng, troubles) = (Mutex::new(Rng(seed)), Mutex::new(12));
        Arc::new(Self { rng, troubles, events: Mutex::default(), got: Mutex::default() })
    }

    /// The next trouble, if there is to be one.
    fn trouble(&self) -> Option<u64> {
        let mut left = self.troubles.lock().unwrap();
        let mut rng = self.rng.lock().unwrap();
        if *left == 0 || rng.below(3) > 0 {
            return None;
        }
        *left -= 1;
        Some(rng.below(4))
    }

    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

impl Destination for Shaky {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            if self.trouble() == Some(0) {
                self.note(Event::Refused);
                return Err(LinkError::passing("refused"));
            }
            leases.connected();
            self.note(Event::Connected);
            let mut held: Vec<ingest_mux::Lease> = Vec::new();
            while let Some(mut lease) = leases.next().await {
                let range = lease.range();
                self.note(Event::Got(range.start, range.end));
                self.got.lock().unwrap().extend(lease.entries().map(|(id, _)| id.lsn));
                match self.trouble() {
                    None | Some(0) => {
                        for lease in held.drain(..).chain([lease]) {
                            self.note(Event::Confirmed(lease.range().start));
                            lease.confirm();
                        }
                    }
                    // Acknowledged together with the next one.
                    Some(1) => held.push(lease),
                    Some(2) => {
                        for lease in held.drain(..) {
                            self.note(Event::Confirmed(lease.range().start));
                            lease.confirm();
                        }
                        let some = self.rng.lock().unwrap().below(lease.len() + 1);
                        lease.confirm_first(some);
                        self.note(Event::Broke(some));
                        return Err(LinkError::passing("broke"));
                    }
                    Some(_) => {
                        self.note(Event::Silent);
                        // A half-open connection: only time ends it.
                        std::future::pending::<()>().await;
                    }
                }
            }
            Ok(())
        })
    }
}

/// Writes everything first, so that what happens depends on the seed alone; then the links begin.
async fn run(seed: u64, links: usize) -> (Vec<Arc<Shaky>>, OutputStatus) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = ingest_mux::Options::default();
    options.max_bytes = Some(8 << 20);
    options.min_free = Some(0);
    let builder = || Muxer::builder().dir(dir.path()).log(options.clone());
    let muxer = builder().output(Output::new("out")).start().unwrap();
    let sender = muxer.sender("test").unwrap();
    let tag = sender.tag("tag").unwrap();
    let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, b"some data of an entry");
    let records = Rng(seed).below(60) + 20;
    for _ in 0..ENTRIES / records {
        let batch = vec![entry; records as usize];
        sender.send_all(&batch, Durability::Disk).await.unwrap();
    }
    let rest = vec![entry; (ENTRIES % records) as usize];
    sender.send_all(&rest, Durability::Disk).await.unwrap();
    drop(sender);
    muxer.close(Duration::ZERO).await;
    let places: Vec<_> = (0..links as u64).map(|link| Shaky::new(seed ^ (link << 32))).collect();
    // Slow, so that leases are small; the paused clock does not mind.
    let slow = Output::new("out").rate_limit("60 kB/s".parse().unwrap());
    let output = places.iter().fold(slow, |output, place| output.link(Arc::clone(place) as _));
    let muxer = builder().output(output).start().unwrap();
    muxer.flush(Duration::from_secs(24 * 3_600)).await.unwrap();
    let status = muxer.status().outputs[0].clone();
    muxer.close(Duration::from_secs(1)).await;
    (places, status)
}

fn check_whole(seed: u64, places: &[Arc<Shaky>], status: &OutputStatus) {
    let got: Vec<_> = places.iter().flat_map(|place| place.got.lock().unwrap().clone()).collect();
    let known: BTreeSet<_> = got.iter().copied().collect();
    assert!(known.into_iter().eq(1..=ENTRIES), "seed {seed}: something never came");
    let copies = got.len() as u64 - ENTRIES;
    assert!(status.balanced && status.confirmed == ENTRIES, "seed {seed}: {status:?}");
    assert!(copies <= status.resent, "seed {seed}: {copies} of {}", status.resent);
    // A break repeats what was in flight: twelve leases that wait for a confirmation, and one more. A
    // link that breaks connects again.
    let events = places.iter().flat_map(|place| place.events.lock().unwrap().clone());
    let connects = events.filter(|event| *event == Event::Connected).count();
    let most = connects.saturating_sub(places.len()) as u64 * 13 * LEASE;
    assert!(copies <= most, "seed {seed}: {copies} of {most} after {connects} connections");
}

#[tokio::test(start_paused = true)]
async fn one_link_gets_first_copies_in_order_and_repeats_from_the_oldest() {
    for seed in 0..12 {
        let (places, status) = run(seed, 1).await;
        check_whole(seed, &places, &status);
        let got = places[0].got.lock().unwrap().clone();
        let mut seen = BTreeSet::new();
        let firsts: Vec<_> = got.into_iter().filter(|lsn| seen.insert(*lsn)).collect();
        assert!(firsts.into_iter().eq(1..=ENTRIES), "seed {seed}: first copies out of order");
        // Behind each break the oldest that was not confirmed comes first.
        let (mut ends, mut low, mut last, mut anew) = (BTreeMap::new(), 1, 0, true);
        for event in places[0].events.lock().unwrap().iter() {
            match event {
                Event::Got(start, end) => {
                    assert!(!anew || *start == low, "seed {seed}: {start} and not {low}");
                    ends.insert(*start, *end);
                    (last, anew) = (*start, false);
                }
                Event::Confirmed(start) => low = ends[start],
                Event::Broke(some) => low = last + some,
                Event::Connected => anew = true,
                Event::Refused | Event::Silent => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_decides_everything_that_a_link_sees() {
    for seed in [3, 8] {
        let ((one, _), (other, _)) = (run(seed, 1).await, run(seed, 1).await);
        let (one, other) = (one[0].events.lock().unwrap(), other[0].events.lock().unwrap());
        assert_eq!(*one, *other, "seed {seed}");
        assert!(one.iter().any(|event| matches!(event, Event::Broke(_) | Event::Silent)));
    }
}

#[tokio::test(start_paused = true)]
async fn several_links_lose_nothing() {
    for seed in 100..112 {
        let (places, status) = run(seed, 3).await;
        check_whole(seed, &places, &status);
        for place in &places {
            let mut last = 0;
            for event in place.events.lock().unwrap().iter() {
                match event {
                    Event::Connected => last = 0,
                    // What another link gave back comes when it comes.
                    Event::Got(start, end) => {
                        assert!(start < end && *start != last, "seed {seed}: {start} twice");
                        last = *start;
                    }
                    _ => {}
                }
            }
        }
    }
}
