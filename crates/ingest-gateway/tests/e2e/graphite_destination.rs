//! Carbon servers as destinations: everything arrives where it belongs, whatever breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use graphite_proto::hashing::{Dialect, Hash, Node, Ring};
use ingest_mux::LinkPhase;

use crate::support::carbon::Carbon;
use crate::support::client::{page, send, status};
use crate::support::library::{Library, SOURCES};
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

/// Graphite sources and a destination `out` with these targets and keys.
fn gateway(dir: &Path, targets: &[String], keys: &str) -> Library {
    let text = format!(
        "[log]\ndir = {dir:?}\n{SOURCES}\n[destinations.out]\ntype = \"graphite\"\ntargets = \
         {targets:?}\nsettle = \"100ms\"\n{keys}\n"
    );
    Library::with(&text, None)
}

fn metrics(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("numbered.{} {n} 1700000000", n % 100)).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn delivered(library: &Library) {
    until("all is delivered", || {
        let outputs = library.status().outputs;
        outputs.iter().all(|output| output.queued == 0).then_some(())
    });
}

#[test]
fn points_arrive_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let carbon = Carbon::start("127.0.0.1:0", 0);
    let library = gateway(dir.path(), &[carbon.address.to_string()], "format = \"lines\"");
    let sent = metrics(0, 20_000);
    send(library.address("graphite"), text(&sent).as_bytes()).unwrap();
    delivered(&library);
    // What counts as delivered may still be on its way.
    until("the last line", || (carbon.lines().len() == sent.len()).then_some(()));
    assert_eq!(carbon.lines(), sent);
    let output = library.status().outputs[0].clone();
    assert_eq!((output.confirmed, output.resent), (20_000, 0));
    assert_eq!(output.links[0].phase, LinkPhase::Up);
    library.stop(DEADLINE);
    assert_eq!(carbon.lines(), sent);
}

#[test]
fn a_server_that_breaks_gets_the_rest_again() {
    let dir = tempfile::tempdir().unwrap();
    let carbon = Carbon::start("127.0.0.1:0", 3);
    let library = gateway(dir.path(), &[carbon.address.to_string()], "format = \"lines\"");
    let sent = metrics(0, 50_000);
    send(library.address("graphite"), text(&sent).as_bytes()).unwrap();
    delivered(&library);
    let all: BTreeSet<&str> = sent.iter().map(String::as_str).collect();
    until("every line", || {
        let got = carbon.lines();
        let got: BTreeSet<&str> = got.iter().map(String::as_str).collect();
        (got == all).then_some(())
    });
    let output = library.status().outputs[0].clone();
    assert_eq!(output.confirmed, 50_000);
    assert!(output.resent > 0);
    library.stop(DEADLINE);
}

#[test]
fn what_another_gateway_closed_upon_is_durable_there() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (format, kind) in
        [("pickle", "graphite-pickle"), ("protobuf", "graphite-protobuf"), ("lines", "graphite")]
    {
        let receiver = Library::with(
            &format!(
                "[log]\ndir = {:?}\n[admin]\nenabled = false\n[sources.in]\ntype = \"{kind}\"\n\
                 listen = \"127.0.0.1:0\"\n",
                there.path().join(format)
            ),
            None,
        );
        let dir = here.path().join(format);
        let keys = format!("format = \"{format}\"\nconfirm = \"closed\"\n");
        let library = gateway(&dir, &[receiver.address("in").to_string()], &keys);
        let sent: Vec<String> =
            (0..3_000).map(|n| format!("a{n};host=h;zone=z {n}.5 {}", 1_700_000_000 + n)).collect();
        send(library.address("graphite"), text(&sent).as_bytes()).unwrap();
        delivered(&library);
        // Nothing to wait for: what is confirmed is on disk there.
        assert_eq!(lines(&there.path().join(format), "host=h"), sent, "{format}");
        library.stop(DEADLINE);
        receiver.stop(DEADLINE);
    }
}

#[test]
fn each_series_is_where_the_hash_has_it_and_one_that_is_away_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut servers: Vec<Option<Carbon>> =
        (0..3).map(|_| Some(Carbon::start("127.0.0.1:0", 0))).collect();
    let nodes: Vec<Node> = servers
        .iter()
        .zip(["a", "b", "c"])
        .map(|(server, instance)| {
            let port = server.as_ref().unwrap().address.port();
            Node::new("127.0.0.1", port, Some(instance))
        })
        .collect();
    let targets: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let keys = "format = \"lines\"\npolicy = \"carbon_ch\"\nreplication = 2\ndiverse = false\n";
    // The second is away.
    let place = servers[1].as_ref().unwrap().address.to_string();
    servers[1] = None;
    let library = gateway(dir.path(), &targets, keys);
    let sent = metrics(0, 5_000);
    send(library.address("graphite"), text(&sent).as_bytes()).unwrap();

    let ring = Ring::new(Hash::Carbon, Dialect::Carbon, &nodes);
    let mut expected: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for line in &sent {
        let mut places = Vec::new();
        ring.place(line.split(' ').next().unwrap().as_bytes(), 2, false, &mut places);
        assert_eq!(places.len(), 2);
        places.into_iter().for_each(|at| expected.entry(at).or_default().push(line.clone()));
    }
    let arrived = |servers: &[Option<Carbon>], at: usize| {
        until("what belongs there", || {
            let got = servers[at].as_ref().unwrap().lines();
            (got.len() >= expected[&at].len()).then_some(got)
        })
    };
    assert_eq!(arrived(&servers, 0), expected[&0]);
    assert_eq!(arrived(&servers, 2), expected[&2]);
    let outputs = library.status().outputs;
    let queued: Vec<u64> = outputs.iter().map(|output| output.queued).collect();
    assert_eq!(outputs[1].name, format!("out@{}", targets[1]));
    assert_eq!(queued[1], 5_000, "{queued:?}");

    servers[1] = Some(Carbon::start(&place, 0));
    delivered(&library);
    assert_eq!(arrived(&servers, 1), expected[&1]);
    library.stop(DEADLINE);
}

#[test]
fn what_is_no_point_is_counted_and_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let carbon = Carbon::start("127.0.0.1:0", 0);
    let text = format!(
        "[log]\ndir = {:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n[sources.graphite]\n\
         type = \"graphite\"\nlisten = \"127.0.0.1:0\"\n[sources.carbon]\ntype = \"graphite\"\n\
         listen = \"127.0.0.1:0\"\nprofile = \"carbon\"\n[sources.hydra]\ntype = \"hydra\"\n\
         listen = \"127.0.0.1:0\"\n[destinations.out]\ntype = \"graphite\"\n\
         targets = [\"{}\"]\nformat = \"lines\"\nsettle = \"100ms\"\n",
        dir.path(),
        carbon.address
    );
    let library = Library::with(&text, None);
    send(library.address("graphite"), b"a 1 7\nb inf 7\nc 2 8\n").unwrap();
    send(library.address("carbon"), b"d 1 -7\n").unwrap();
    let (code, _) = crate::support::hydra::post(
        library.address("hydra"),
        "/ingest",
        "hydra-ack: persisted\r\n",
        "{\"roll\":4}",
    );
    assert_eq!(code, 200);
    delivered(&library);
    until("the points", || (carbon.lines().len() == 2).then_some(()));
    assert_eq!(carbon.lines(), ["a 1 7", "c 2 8"]);
    let admin = library.address("admin");
    let status = status(admin);
    let fates = &status["outputs"][0]["fates"];
    let expected = [("sent", 2), ("bad-value", 1), ("bad-time", 1), ("not-a-point", 1)];
    for (fate, count) in expected {
        assert_eq!(fates[fate], count, "{status:#}");
    }
    let metrics = page(admin, "/metrics");
    assert!(
        metrics.lines().any(|line| line.starts_with("ingestry_output_handled_entries_total{")
            && line.contains("fate=\"bad-value\"")
            && line.ends_with(" 1")),
        "{metrics}"
    );
    library.stop(DEADLINE);
}
