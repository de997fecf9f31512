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

#[test]
fn a_new_destination_gets_history_and_stored_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Library::with(&format!("[log]\ndir = {:?}\n{SOURCES}", dir.path()), None);
    send(store.address("graphite"), metrics(0, 500).as_bytes()).unwrap();
    store.stop(LONG);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = Kept::default();
    let indexer = runtime.block_on(Indexer::start("127.0.0.1:0", &kept, usize::MAX));
    let keys = "from = \"oldest\"\nconfirm = \"stored\"\nrate_limit = \"1 GB/s\"\nmax_lag = \
                \"1 GiB\"\non_lag = \"block\"\nmin_version = 9";
    let library = gateway(dir.path(), &[format!("tcp://{}", indexer.address)], keys);
    send(library.address("graphite"), metrics(500, 600).as_bytes()).unwrap();
    delivered(&library);
    assert!(numbers(&kept).into_iter().eq(0..600));
    library.stop(LONG);

    // One that is too old is a state that is seen.
    let other = tempfile::tempdir().unwrap();
    let keys = "min_version = 10";
    let library = gateway(other.path(), &[format!("tcp://{}", indexer.address)], keys);
    let link = until("a link that is stuck", || {
        let link = library.status().outputs[0].links[0].clone();
        (link.phase == LinkPhase::Stuck).then_some(link)
    });
    assert_eq!(link.trouble, Some(ingest_mux::Trouble::OldServer));
    library.stop(Duration::from_millis(10));
}

#[test]
fn ingesters_behind_a_gateway_are_told_to_the_one_before_it() {
    let source = format!(
        "[admin]\nenabled = false\n[sources.gravwell]\ntype = \"gravwell\"\nlisten = \
         \"127.0.0.1:0\"\nsecret = \"literal:{SECRET}\"\n"
    );
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = Library::with(&format!("[log]\ndir = {:?}\n{source}", first.path()), None);
    let to = before.address("gravwell");
    let behind = Library::with(
        &format!(
            "[log]\ndir = {:?}\n[delivery]\nlabel = \"south\"\n{source}[destinations.out]\ntype = \
             \"gravwell\"\ntargets = [\"tcp://{to}\"]\nsecret = \"literal:{SECRET}\"\n",
            second.path()
        ),
        None,
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let uuid = "11111111-2222-3333-4444-555555555555";
    let state = ingest_wire::IngesterState {
        uuid: uuid.to_owned(),
        name: "collector".to_owned(),
        entries: 7,
        ..Default::default()
    };
    let connection = runtime.block_on(async {
        let target = format!("tcp://{}", behind.address("gravwell"));
        let connector = ingest_wire::Connector::new(&target, SECRET).unwrap().tag("alpha").unwrap();
        let (name, version) = ("collector".to_owned(), "1.2".to_owned());
        let uuid = uuid.to_owned();
        let connector = connector.identity(ingest_wire::Identity { name, version, uuid });
        let connection = connector.connect().await.unwrap();
        connection.send_state(&state).await.unwrap();
        connection
    });
    let names = |wanted: &[&str]| {
        until("the ingester behind is told", || {
            let children = before.source("gravwell").children.list();
            let child = children.into_iter().find(|child| child.label == "south")?;
            (child.children == wanted).then_some(child)
        })
    };
    assert_eq!(names(&[uuid]).name, "ingestry");
    runtime.block_on(connection.close(LONG));
    names(&[]);
    behind.stop(LONG);
    before.stop(LONG);
}
