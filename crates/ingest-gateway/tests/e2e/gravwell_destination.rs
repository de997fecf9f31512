//! Gravwell indexers as destinations: everything arrives, whatever breaks.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ingest_mux::LinkPhase;

use crate::support::client::send;
use crate::support::indexer::{Indexer, Kept, SECRET};
use crate::support::library::{Library, SOURCES};
use crate::support::wait::until;

const LONG: Duration = Duration::from_secs(30);

/// Graphite sources and a destination `out` with these targets and keys.
fn gateway(dir: &Path, targets: &[String], keys: &str) -> Library {
    let text = format!(
        "[log]\ndir = {dir:?}\n{SOURCES}\n[destinations.out]\ntype = \"gravwell\"\ntargets = \
         {targets:?}\nsecret = \"literal:{SECRET}\"\n{keys}\n"
    );
    Library::with(&text, None)
}

fn metrics(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("numbered {n} 1700000000\n")).collect()
}

fn numbers(kept: &Kept) -> Vec<usize> {
    let number = |data: &str| data.split(' ').nth(1).unwrap().parse().unwrap();
    kept.all().iter().map(|(_, data)| number(data)).collect()
}

fn delivered(library: &Library) {
    until("all is delivered", || (library.status().outputs[0].queued == 0).then_some(()));
}

#[test]
fn entries_arrive_in_order_under_the_names_of_their_tags() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = Kept::default();
    let indexer = runtime.block_on(Indexer::start("127.0.0.1:0", &kept, usize::MAX));
    let library =
        gateway(dir.path(), &[format!("tcp://{}", indexer.address)], "compression = true");
    send(library.address("graphite"), metrics(0, 20_000).as_bytes()).unwrap();
    delivered(&library);
    assert!(numbers(&kept).into_iter().eq(0..20_000));
    assert!(kept.all().iter().all(|(tag, _)| tag == "graphite"));
    let status = library.status();
    let output = &status.outputs[0];
    assert_eq!((output.confirmed, output.resent), (20_000, 0));
    assert_eq!(output.links[0].phase, LinkPhase::Up);
    library.stop(LONG);
}

#[test]
fn an_indexer_that_breaks_gets_the_rest_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = Kept::default();
    // Each connection ends after some thousand entries, without a word about the last ones.
    let indexer = runtime.block_on(Indexer::start("127.0.0.1:0", &kept, 7_000));
    let library = gateway(dir.path(), &[format!("tcp://{}", indexer.address)], "");
    send(library.address("graphite"), metrics(0, 30_000).as_bytes()).unwrap();
    delivered(&library);
    let got = numbers(&kept);
    let different: BTreeSet<usize> = got.iter().copied().collect();
    assert!(different.into_iter().eq(0..30_000), "nothing is missing");
    let output = library.status().outputs[0].clone();
    assert_eq!(output.confirmed, 30_000);
    assert!(output.resent > 0 && got.len() as u64 <= 30_000 + output.resent);
    library.stop(LONG);
}

#[test]
fn a_wrong_secret_is_a_state_that_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = Kept::default();
    let indexer = runtime.block_on(Indexer::start("127.0.0.1:0", &kept, usize::MAX));
    let text = format!(
        "[log]\ndir = {:?}\n{SOURCES}\n[destinations.out]\ntype = \"gravwell\"\ntargets = \
         [\"tcp://{}\"]\nsecret = \"literal:open barley\"\n",
        dir.path(),
        indexer.address
    );
    let library = Library::with(&text, None);
    let link = until("a link that is stuck", || {
        let link = library.status().outputs[0].links[0].clone();
        (link.phase == LinkPhase::Stuck).then_some(link)
    });
    assert!(link.last_error.unwrap().contains("secret"));
    send(library.address("graphite"), metrics(0, 10).as_bytes()).unwrap();
    assert_eq!(library.status().outputs[0].queued, 10);
    library.stop(Duration::from_millis(10));
}

#[test]
fn shared_entries_go_to_one_of_two() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (one, two) = (Kept::default(), Kept::default());
    let first = runtime.block_on(Indexer::start("127.0.0.1:0", &one, usize::MAX));
    let second = runtime.block_on(Indexer::start("127.0.0.1:0", &two, usize::MAX));
    let targets = [&first, &second].map(|indexer| format!("tcp://{}", indexer.address));
    let library = gateway(dir.path(), &targets, "");
    until("both links", || {
        let links = library.status().outputs[0].links.clone();
        links.iter().all(|link| link.phase == LinkPhase::Up).then_some(())
    });
    send(library.address("graphite"), metrics(0, 100_000).as_bytes()).unwrap();
    delivered(&library);
    let mut got = [numbers(&one), numbers(&two)].concat();
    assert!(one.count() > 0 && two.count() > 0, "{} and {}", one.count(), two.count());
    got.sort_unstable();
    assert!(got.into_iter().eq(0..100_000));
    library.stop(LONG);
}

#[test]
fn fail_over_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (one, two) = (Kept::default(), Kept::default());
    let first = runtime.block_on(Indexer::start("127.0.0.1:0", &one, usize::MAX));
    let second = runtime.block_on(Indexer::start("127.0.0.1:0", &two, usize::MAX));
    let place = first.address.to_string();
    let targets = [&first, &second].map(|indexer| format!("tcp://{}", indexer.address));
    let library = gateway(dir.path(), &targets, "policy = \"fail-over\"");
    let phases = || library.status().outputs[0].links.iter().map(|l| l.phase).collect::<Vec<_>>();
    until("both links", || phases().iter().all(|phase| *phase == LinkPhase::Up).then_some(()));
    send(library.address("graphite"), metrics(0, 20_000).as_bytes()).unwrap();
    delivered(&library);
    assert_eq!((one.count(), two.count()), (20_000, 0), "all to the first");

    drop(first);
    until("the first is down", || (phases()[0] != LinkPhase::Up).then_some(()));
    send(library.address("graphite"), metrics(20_000, 30_000).as_bytes()).unwrap();
    delivered(&library);
    assert_eq!((one.count(), two.count()), (20_000, 10_000), "the second took over");

    let first = runtime.block_on(Indexer::start(&place, &one, usize::MAX));
    until("the first is back", || (phases()[0] == LinkPhase::Up).then_some(()));
    send(library.address("graphite"), metrics(30_000, 40_000).as_bytes()).unwrap();
    delivered(&library);
    assert_eq!((one.count(), two.count()), (30_000, 10_000), "and back");
    drop(first);
    library.stop(LONG);
}
