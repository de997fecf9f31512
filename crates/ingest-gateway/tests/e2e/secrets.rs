//! No secret is in anything that the program says: its pages, its messages at the level `trace`, what
//! `check` and `reload` print, the configuration as a developer prints it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ingest_gateway::config::load;

use crate::support::client::page;
use crate::support::hydra::{Socket, post};
use crate::support::process::{Ingestry, ended};
use crate::support::wait::until;

/// In every secret, and in nothing else.
const MARK: &str = "mark-7f3a";

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Sources and destinations with a secret each, of every origin.
fn configuration(work: &Path, server: &str) -> String {
    let file = |name: &str| {
        let path = work.join(name);
        write(&path, &format!("{MARK}-{name}\n"));
        format!("file:{}", path.display())
    };
    format!(
        "[sources.gravwell]\ntype = \"gravwell\"\nlisten = \"127.0.0.1:0\"\nsecret = \"{}\"\n\
         [sources.hydra]\ntype = \"hydra\"\nlisten = \"127.0.0.1:0\"\ntoken = \"{}\"\n\
         [sources.platform]\ntype = \"loggregator\"\nendpoint = \"http://{server}\"\ntoken = \"{}\"\n\
         [destinations.indexers]\ntype = \"gravwell\"\ntargets = [\"tcp://{server}\"]\n\
         secret = \"literal:{MARK}-literal\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        file("ingest"),
        file("bearer"),
        file("access"),
    )
}

#[test]
fn no_secret_is_said_anywhere() {
    let work = tempfile::tempdir().unwrap();
    let config = work.path().join("c.toml");
    // Somebody who takes what is sent and says nothing.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = configuration(work.path(), &server.local_addr().unwrap().to_string());
    write(&config, &text);
    let args = ["--config", "c.toml", "--log-level", "trace"];
    let gateway = Ingestry::start(work.path(), &args);
    let mut said = Vec::new();

    // Let in with the secrets, and kept out with others.
    let (gravwell, hydra) = (gateway.address("gravwell"), gateway.address("hydra"));
    let target = format!("tcp://{gravwell}");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let secret = format!("{MARK}-ingest");
        let connection = ingest_wire::connect(&target, secret.as_str(), &["a"]).await.unwrap();
        drop(connection);
        let wrong = ingest_wire::connect(&target, "another", &["a"]).await;
        said.push(("a client's error", wrong.unwrap_err().to_string()));
    });
    let right = format!("Authorization: Bearer {MARK}-bearer\r\n");
    assert_eq!(post(hydra, "/ingest", &right, "x").0, 200);
    assert_eq!(post(hydra, "/ingest", "Authorization: Bearer another\r\n", "x").0, 401);
    let nearly = format!("Authorization: Bearer {MARK}-beareR\r\n");
    assert_eq!(post(hydra, "/ingest", &nearly, "x").0, 401);
    assert!(Socket::open(hydra, "/ws-ingest", &right).is_ok());
    until("who was refused", || gateway.err().contains("Refused a connection.").then_some(()));

    let admin = gateway.address("admin");
    for path in ["/status", "/metrics", "/"] {
        said.push((path, page(admin, path)));
    }
    let ran = |args: &[&str]| {
        let output = ended(work.path(), args);
        let (out, err) = (output.stdout, output.stderr);
        String::from_utf8_lossy(&[out, err].concat()).into_owned()
    };
    said.push(("check", ran(&["check", "c.toml"])));
    said.push(("reload", ran(&["reload", "--config", "c.toml"])));
    // As somebody writes it who does not know how.
    for (name, wrong) in [
        ("prefix", format!("secret = \"{MARK}\"")),
        ("bare", format!("secret = {MARK}")),
        ("half", format!("secret = \"{MARK}")),
        ("list", format!("secret = [\"{MARK}\"]")),
        ("more", format!("secret = \"literal:{MARK}\" {MARK}")),
        ("key", format!("secret = \"literal:x\"\npassword = \"{MARK}\"")),
    ] {
        let file = format!("{name}.toml");
        let text = format!("[sources.g]\ntype = \"gravwell\"\n{wrong}\n");
        write(&work.path().join(&file), &text);
        let checked = ran(&["check", &file]);
        assert!(checked.contains(&format!("{file}:")), "{checked}");
        said.push((name, checked));
        said.push((name, ran(&["run", "--config", &file, "--log-format", "json"])));
    }
    // A secret that others can read is refused without being shown.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    said.push(("the refusal", load(&config).unwrap_err().to_string()));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    said.push(("the configuration", format!("{:?}", load(&config).unwrap())));

    said.push(("standard output", gateway.out()));
    gateway.signal("TERM");
    said.push(("standard error", gateway.err()));
    for (what, text) in said {
        assert!(!text.is_empty(), "{what}");
        assert!(!text.contains(MARK), "{what}: {text}");
    }
}
