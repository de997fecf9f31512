//! The Gravwell protocol: one connection, a muxer, and both sides of `ingest-wire`.

use crate::support::{Beside, SECRET, Served, ended, example, said};

#[test]
fn an_entry_over_one_connection() {
    let gateway = Served::start();
    let target = format!("tcp://{}", gateway.address("gravwell"));
    let out = said(example("gravwell_connection").arg(&target), "");
    assert_eq!(out, format!("1 entry acknowledged by {target}\n"));
    let mut wrong = example("gravwell_connection");
    let (fine, _, why) = ended(wrong.arg(&target).env("INGEST_SECRET", "another"), "");
    assert!(!fine && why.contains("cannot connect to tcp://") && !why.contains("another"), "{why}");
    let entry = ("testtag".to_owned(), "This is my test data!".to_owned());
    assert_eq!(gateway.stop(), [entry]);
}

#[test]
fn entries_through_a_muxer_to_two() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Served::start(), Served::start());
    let targets = [&one, &two].map(|one| format!("tcp://{}", one.address("gravwell")));
    let input: String = (1..=2000).map(|n| format!("{n}\n")).collect();
    let out = said(example("gravwell_muxer").arg(dir.path().join("spool")).args(targets), &input);
    assert!(out.starts_with("512 entries are on disk\n"), "{out}");
    assert!(out.contains("indexers: 2000 confirmed, 0 queued\n"), "{out}");
    // Each went to one of them.
    let mut stored = [one.stop(), two.stop()].concat();
    stored.sort_by_key(|(_, data)| data.parse::<u32>().unwrap());
    let all = (1..=2000).map(|n| ("testtag".to_owned(), n.to_string()));
    assert!(stored.into_iter().eq(all));
}

#[test]
fn what_a_muxer_could_not_deliver_is_delivered_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("tcp://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut first = example("gravwell_muxer");
    let out = said(first.arg(dir.path()).arg(&nobody), "kept\n");
    assert!(out.contains("1 entries are on disk\nindexers: 0 confirmed, 1 queued\n"), "{out}");

    let gateway = Served::start();
    let target = format!("tcp://{}", gateway.address("gravwell"));
    let out = said(example("gravwell_muxer").arg(dir.path()).arg(target), "");
    assert!(out.contains("indexers: 1 confirmed, 0 queued\n"), "{out}");
    assert_eq!(gateway.stop(), [("testtag".to_owned(), "kept".to_owned())]);
}

#[test]
fn a_client_and_a_server_of_our_own() {
    let dir = tempfile::tempdir().unwrap();
    said(example("wire_certificate").current_dir(dir.path()).arg("."), "");
    let file = |name: &str| dir.path().join(name);
    for scheme in ["tcp", "tls"] {
        let mut command = example("wire_server");
        command.args(["--listen", &format!("{scheme}://127.0.0.1:0")]);
        command.arg("--cert").arg(file("chain.pem")).arg("--key").arg(file("key.pem"));
        let mut server = Beside::start(&mut command);
        let listening: serde_json::Value = serde_json::from_str(&server.line()).unwrap();
        let target = listening["listening"].as_str().unwrap();
        let mut client = example("wire_client");
        client.args([target, "--secret", SECRET, "--tag", "a", "--tag", "b", "--count", "500"]);
        let sent = said(client.arg("--ca").arg(file("authority.pem")), "");
        let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
        let taken: serde_json::Value = serde_json::from_str(&server.end()).unwrap();
        assert_eq!((&sent["entries"], &taken["entries"]), (&500.into(), &500.into()), "{scheme}");
        // Sums over every entry's bytes.
        assert_eq!(sent["tags"], taken["tags"], "{scheme}");
    }
}
