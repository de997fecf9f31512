//! Indexers behind a network that refuses, resets, falls silent, stalls and loses one direction, and
//! that die and come back: which of these, and at which byte, a seed decides. The protocol is the real
//! one, on both sides. Time is the runtime's, and paused: a partition of a minute takes none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![cfg(feature = "gravwell")]

mod sim;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, Timestamp};
use ingest_mux::{Builder, Confirm, Durability, Gravwell, Muxer, Output, OutputStatus, Policy};
use ingest_wire::Connector;

use sim::{Host, Rng, SECRET, Trouble, Way};

const ENTRIES: u64 = 5_000;
/// Troubles of each host.
const TROUBLES: u32 = 8;
/// What may be on its way without an acknowledgement: a block, or a window.
const WINDOW: u64 = 4_096;
const LONG: Duration = Duration::from_secs(24 * 3_600);

/// What a run came to.
struct Run {
    hosts: Vec<Arc<Host>>,
    outputs: Vec<OutputStatus>,
}

fn link(output: Output, host: &Arc<Host>, confirm: Confirm) -> Output {
    let connector = Connector::new("tcp://simulated", SECRET).unwrap().source(Address::NONE);
    let way = Arc::new(Way(Arc::clone(host)));
    output.link(Arc::new(Gravwell::new(connector).confirm(confirm).through(way)))
}

/// Writes everything, then lets it be delivered: what happens depends on the seed.
async fn run(seed: u64, hosts: usize, build: impl Fn(Builder, &[Arc<Host>]) -> Builder) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut options = ingest_mux::Options::default();
    (options.max_bytes, options.min_free) = (Some(16 << 20), Some(0));
    let hosts: Vec<_> =
        (0..hosts as u64).map(|host| Host::new(seed ^ (host << 32), TROUBLES)).collect();
    let builder = || Muxer::builder().dir(dir.path()).log(options.clone());
    // The outputs begin here, and reach nobody.
    let first = build(builder(), &[]).start().unwrap();
    let sender = first.sender("test").unwrap();
    let tag = sender.tag("tag").unwrap();
    let texts: Vec<_> = (0..ENTRIES).map(|n| format!("{n:.<40}")).collect();
    let batch = Rng(seed).below(200) as usize + 1;
    for texts in texts.chunks(batch) {
        let entry = |text: &String| {
            let data = text.as_bytes();
            EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, data).to_entry()
        };
        let entries: Vec<_> = texts.iter().map(entry).collect();
        let entries: Vec<_> = entries.iter().map(|entry| entry.as_ref()).collect();
        sender.send_all(&entries, Durability::Disk).await.unwrap();
    }
    drop(sender);
    first.close(Duration::ZERO).await;
    let muxer = build(builder(), &hosts).start().unwrap();
    muxer.flush(LONG).await.unwrap();
    let outputs = muxer.status().outputs;
    muxer.close(Duration::from_secs(5)).await;
    Run { hosts, outputs }
}

/// Everything came to these hosts together, and not too often.
fn check(seed: u64, hosts: &[Arc<Host>], output: &OutputStatus) {
    assert!(output.balanced && output.confirmed == ENTRIES, "seed {seed}: {output:?}");
    let stored: Vec<_> = hosts.iter().flat_map(|host| host.stored()).collect();
    let known: BTreeSet<_> = stored.iter().copied().collect();
    assert!(known.into_iter().eq(0..ENTRIES), "seed {seed}: something never came");
    let breaks: u64 = hosts.iter().map(|host| host.troubles().len() as u64).sum();
    let copies = stored.len() as u64 - ENTRIES;
    assert!(copies <= breaks * WINDOW, "seed {seed}: {copies} copies after {breaks} breaks");
    let retries = output.links.iter().map(|link| link.attempts - 1).sum::<u64>();
    assert!(copies == 0 || retries > 0, "seed {seed}: {copies} copies and no break");
}

fn firsts_are_in_order(seed: u64, host: &Host) {
    let mut next = 0;
    for number in host.stored() {
        assert!(number <= next, "seed {seed}: {number} before {next}");
        next = next.max(number + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn one_indexer_behind_a_bad_network_gets_everything_in_order() {
    for seed in 0..20 {
        let one = |builder: Builder, hosts: &[Arc<Host>]| {
            let with = |output, host| link(output, host, Confirm::Acknowledged);
            builder.output(hosts.iter().fold(Output::new("out"), with))
        };
        let run = run(seed, 1, one).await;
        check(seed, &run.hosts, &run.outputs[0]);
        firsts_are_in_order(seed, &run.hosts[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn stored_is_stored_whatever_the_network_does() {
    for seed in 20..30 {
        let one = |builder: Builder, hosts: &[Arc<Host>]| {
            let with = |output, host| link(output, host, Confirm::Stored);
            // A lease is one block here.
            builder.output(hosts.iter().fold(Output::new("out"), with))
        };
        let run = run(seed, 1, one).await;
        check(seed, &run.hosts, &run.outputs[0]);
        firsts_are_in_order(seed, &run.hosts[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn three_indexers_share_and_nothing_is_lost() {
    for policy in [Policy::Share, Policy::FailOver] {
        for seed in 100..112 {
            let three = |builder: Builder, hosts: &[Arc<Host>]| {
                let with = |output, host| link(output, host, Confirm::Acknowledged);
                builder.output(hosts.iter().fold(Output::new("out").policy(policy), with))
            };
            let run = run(seed, 3, three).await;
            check(seed, &run.hosts, &run.outputs[0]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_two_outputs_gets_everything_in_order() {
    for seed in 200..210 {
        let two = |builder: Builder, hosts: &[Arc<Host>]| {
            (0..2).fold(builder, |builder, at| {
                let output = Output::new(format!("out {at}"));
                let with = |output, host| link(output, host, Confirm::Acknowledged);
                builder.output(hosts.get(at).into_iter().fold(output, with))
            })
        };
        let run = run(seed, 2, two).await;
        for (host, output) in run.hosts.iter().zip(&run.outputs) {
            check(seed, std::slice::from_ref(host), output);
            firsts_are_in_order(seed, host);
        }
    }
}

/// The troubles, and the byte at which each comes. How far an acknowledgement had got by then is the
/// scheduler's choice.
#[tokio::test(start_paused = true)]
async fn a_seed_decides_the_troubles() {
    let one = |builder: Builder, hosts: &[Arc<Host>]| {
        let with = |output, host| link(output, host, Confirm::Acknowledged);
        builder.output(hosts.iter().fold(Output::new("out"), with))
    };
    let mut kinds = BTreeSet::new();
    for seed in 0..8 {
        let (first, second) = (run(seed, 1, one).await, run(seed, 1, one).await);
        let (first, second) = (&first.hosts[0], &second.hosts[0]);
        assert_eq!(first.troubles(), second.troubles(), "seed {seed}");
        kinds.extend(first.troubles().iter().map(kind));
    }
    assert_eq!(kinds.len(), 7, "every kind of trouble is met: {kinds:?}");
}

fn kind(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Refused => "refused",
        Trouble::Unreachable => "unreachable",
        Trouble::Reset(_) => "reset",
        Trouble::Silent(_) => "silent",
        Trouble::Deaf(_) => "deaf",
        Trouble::Stalled(..) => "stalled",
        Trouble::Restarted(_) => "restarted",
    }
}
