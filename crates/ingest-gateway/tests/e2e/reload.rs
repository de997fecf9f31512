//! Another configuration while data comes in: what is the same is not touched, nothing is lost,
//! nothing comes twice, and one that is wrong changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::client::{acknowledged, connect, send, send_datagram, source_row, status};
use crate::support::indexer::{Indexer, Kept, SECRET};
use crate::support::process::{Ingestry, ended, printed};
use crate::support::stored::{lines, search};
use crate::support::wait::until;

/// Where the sources of a test listen: addresses that stay, over reloads.
struct Places {
    graphite: SocketAddr,
    udp: SocketAddr,
}

impl Places {
    /// Ports that were free a moment ago.
    fn new() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { graphite: free(), udp: free() }
    }

    fn sources(&self, keys: &str) -> String {
        let Self { graphite, udp } = self;
        format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n\
             [sources.graphite]\ntype = \"graphite\"\nlisten = \"{graphite}\"\n{keys}\n\
             [sources.udp]\ntype = \"graphite-udp\"\nlisten = \"{udp}\"\n{keys}\n"
        )
    }
}

/// A gateway with a configuration file.
struct Configured<'a> {
    work: &'a Path,
    ingestry: Ingestry,
}

impl<'a> Configured<'a> {
    fn start(work: &'a Path, text: &str) -> Self {
        Self::write(work, text);
        Self { work, ingestry: Ingestry::start(work, &["--config", "in.toml"]) }
    }

    fn write(work: &Path, text: &str) {
        // A literal secret wants a file that nobody else reads; and nobody reads half of one.
        use std::os::unix::fs::PermissionsExt as _;
        let new = work.join("new.toml");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&new, work.join("in.toml")).unwrap();
    }

    /// Reloads with this text, and what the command says: its exit code, output and errors.
    fn reload(&self, text: &str, more: &[&str]) -> (Option<i32>, String, String) {
        Self::write(self.work, text);
        let args = [&["reload", "--config", "in.toml"], more].concat();
        let output = ended(self.work, &args);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn reloads(&self, text: &str, says: &str) {
        let (code, out, err) = self.reload(text, &[]);
        assert_eq!((code, out.trim()), (Some(0), says), "{err}{}", self.ingestry.err());
    }

    fn stored(&self, text: &str) -> Vec<String> {
        lines(&self.work.join("ingestry-data"), text)
    }
}

#[test]
fn connections_go_on_and_new_ones_have_the_new_settings() {
    let work = tempfile::tempdir().unwrap();
    let places = Places::new();
    let gateway = Configured::start(work.path(), &places.sources(""));
    let mut before = connect(places.graphite).unwrap();
    before.write_all(b"before 1 1700000000\n").unwrap();
    send_datagram(places.udp, b"udp.before 1 1700000000\n");
    let admin = gateway.ingestry.address("admin");
    let seen = |name: &str| source_row(&status(admin), name)["accepted"]["items"].as_u64();
    until("both are in", || (seen("graphite")? + seen("udp")? == 2).then_some(()));

    gateway.reloads(&places.sources("tag = \"other\""), "Reloaded: changed: graphite, udp.");
    before.write_all(b"between 1 1700000000\n").unwrap();
    send(places.graphite, b"after 1 1700000000\n").unwrap();
    acknowledged(before).unwrap();
    send_datagram(places.udp, b"udp.after 1 1700000000\n");
    // The counters go on.
    until("all are in", || (seen("graphite")? == 3 && seen("udp")? == 2).then_some(()));
    gateway.reloads(&places.sources("tag = \"other\""), "Reloaded: nothing has changed.");
    let found = search(&work.path().join("ingestry-data"), " 1700000000");
    let tags: BTreeSet<_> = found
        .iter()
        .map(|found| (found.data.split(' ').next().unwrap(), found.tag.as_str()))
        .collect();
    let wanted = [
        ("before", "graphite"),
        ("between", "graphite"),
        ("after", "other"),
        ("udp.before", "graphite"),
        ("udp.after", "other"),
    ];
    assert_eq!(tags, wanted.into_iter().collect());
    assert_eq!(found.len(), wanted.len());
    gateway.ingestry.stop();
}

#[test]
fn sources_come_move_and_go() {
    let work = tempfile::tempdir().unwrap();
    let (places, other) = (Places::new(), Places::new());
    let gateway = Configured::start(work.path(), &places.sources(""));
    let source = |name: &str, listen: SocketAddr| {
        format!("[sources.{name}]\ntype = \"graphite\"\nlisten = \"{listen}\"\n")
    };
    let two = format!("{}{}", places.sources(""), source("more", other.graphite));
    gateway.reloads(&two, "Reloaded: new: more.");
    send(other.graphite, b"more 1 1700000000\n").unwrap();

    // What has arrived at a source that goes is kept, and the next one has its address.
    let mut open = connect(other.graphite).unwrap();
    open.write_all(b"open 1 1700000000\n").unwrap();
    let admin = gateway.ingestry.address("admin");
    until("it is in", || {
        let row = source_row(&status(admin), "more");
        (row["accepted"]["items"].as_u64() == Some(2)).then_some(())
    });
    let renamed = format!("{}{}", places.sources(""), source("less", other.graphite));
    gateway.reloads(&renamed, "Reloaded: new: less; removed: more.");
    send(other.graphite, b"less 1 1700000000\n").unwrap();
    until("it is stored", || (gateway.stored("open 1").len() == 1).then_some(()));
    drop(open);

    // One that comes back at once finds its address.
    gateway.reloads(&places.sources(""), "Reloaded: removed: less.");
    gateway.reloads(&renamed, "Reloaded: new: less.");
    send(other.graphite, b"back 1 1700000000\n").unwrap();

    let moved = format!("{}{}", places.sources(""), source("less", other.udp));
    gateway.reloads(&moved, "Reloaded: listens elsewhere: less.");
    send(other.udp, b"moved 1 1700000000\n").unwrap();
    assert!(connect(other.graphite).is_err());
    let row = source_row(&status(admin), "less");
    assert_eq!(row["accepted"]["items"].as_u64(), Some(2), "it goes on counting: {row:#}");
    gateway.ingestry.stop();
    assert_eq!(lines(&work.path().join("ingestry-data"), " 1 1700000000").len(), 5);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let work = tempfile::tempdir().unwrap();
    let places = Places::new();
    let gateway = Configured::start(work.path(), &places.sources(""));
    let (code, _, err) = gateway.reload(&places.sources("tag = 3"), &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("in.toml:6:7: sources.graphite.tag") && err.contains("Nothing was changed")
    );

    // An address that somebody else has is seen only when it is tried.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "{}[sources.more]\ntype = \"graphite\"\nlisten = \"{}\"\n",
        places.sources("tag = \"other\""),
        taken.local_addr().unwrap()
    );
    let (code, out, err) = gateway.reload(&more, &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(out.contains("more cannot listen on") && out.contains("nothing was changed"), "{out}");

    // A plain signal is answered in the log.
    Configured::write(work.path(), &places.sources("tag = \"\""));
    gateway.ingestry.signal("HUP");
    let refusals = || gateway.ingestry.err().matches("Not reloaded").count();
    until("the second refusal", || (refusals() == 2).then_some(()));
    send(places.graphite, b"same 1 1700000000\n").unwrap();
    assert_eq!(search(&work.path().join("ingestry-data"), "same")[0].tag, "graphite");

    let log = format!("{}[log]\nmax_bytes = \"64 MiB\"\n", places.sources(""));
    gateway.reloads(&log, "Reloaded: waits for a restart: log.max_bytes.");
    gateway.ingestry.stop();
    let output = ended(work.path(), &["reload"]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), err.trim()),
        (Some(1), "error: no gateway runs on ingestry-data")
    );
}

fn destination(name: &str, target: SocketAddr, keys: &str) -> String {
    format!(
        "[destinations.{name}]\ntype = \"gravwell\"\ntargets = [\"tcp://{target}\"]\n\
         secret = \"literal:{SECRET}\"\n{keys}\n"
    )
}

#[test]
fn a_destination_that_is_down_does_not_hold_a_reload_and_keeps_what_is_its() {
    let work = tempfile::tempdir().unwrap();
    let (places, nobody) = (Places::new(), Places::new());
    let with =
        |keys: &str| format!("{}{}", places.sources(""), destination("out", nobody.udp, keys));
    let gateway = Configured::start(work.path(), &with(""));
    send(places.graphite, b"queued 1 1700000000\n").unwrap();
    gateway.reloads(&with("compression = true"), "Reloaded: changed: out.");

    let (code, out, _) = gateway.reload(&places.sources(""), &[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("1 entries are queued for it") && out.contains("nothing was changed"),
        "{out}"
    );
    let (code, out, _) = gateway.reload(&places.sources(""), &["--drop-undelivered"]);
    assert_eq!((code, out.trim()), (Some(0), "Reloaded: new: store; removed: out."));

    // It comes back, and gets what was its.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = Kept::default();
    let indexer = runtime.block_on(Indexer::start("127.0.0.1:0", &kept, usize::MAX));
    let back = format!("{}{}", places.sources(""), destination("out", indexer.address, ""));
    gateway.reloads(&back, "Reloaded: new: out; removed: store.");
    until("it is delivered", || (kept.count() == 1).then_some(()));
    gateway.ingestry.stop();
}

#[test]
fn under_load_nothing_is_lost_and_nothing_comes_twice() {
    let work = tempfile::tempdir().unwrap();
    let places = Places::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = Kept::default();
    let indexer = runtime.block_on(Indexer::start("127.0.0.1:0", &kept, usize::MAX));
    let with = |fraction: bool| {
        let sources = places.sources(&format!("fraction = {fraction}"));
        let keys = format!("compression = {fraction}");
        format!("{sources}{}", destination("out", indexer.address, &keys))
    };
    let gateway = Configured::start(work.path(), &with(false));
    let done = AtomicBool::new(false);
    let (sent, long) = std::thread::scope(|scope| {
        // Connections that last, and connections one after the other.
        let long = scope.spawn(|| {
            let mut stream = connect(places.graphite).unwrap();
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                writeln!(stream, "long.{sent} 1 1700000000").unwrap();
                sent += 1;
            }
            acknowledged(stream).unwrap();
            sent
        });
        let short = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                let text: String =
                    (sent..sent + 20).map(|n| format!("short.{n} 1 1700000000\n")).collect();
                send(places.graphite, text.as_bytes()).unwrap();
                sent += 20;
            }
            sent
        });
        for round in 0..12 {
            gateway.reloads(&with(round % 2 == 0), "Reloaded: changed: graphite, udp, out.");
            let before = kept.count();
            until("more arrives", || (kept.count() > before).then_some(()));
        }
        done.store(true, Ordering::Relaxed);
        (short.join().unwrap(), long.join().unwrap())
    });
    let all: BTreeSet<String> = (0..sent)
        .map(|n| format!("short.{n} 1 1700000000"))
        .chain((0..long).map(|n| format!("long.{n} 1 1700000000")))
        .collect();
    let is_all = |found: Vec<String>| {
        found.len() == all.len() && found.into_iter().collect::<BTreeSet<_>>() == all
    };
    assert!(is_all(gateway.stored(" 1 1700000000")));
    until("all is delivered", || (kept.count() >= all.len()).then_some(()));
    gateway.ingestry.stop();
    assert!(is_all(kept.all().into_iter().map(|(_, data)| data).collect()), "{}", kept.count());
}

#[test]
fn certificates_that_were_renewed_are_shown() {
    let work = tempfile::tempdir().unwrap();
    let file = |name: &str| work.path().join(name);
    let renew = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(file("cert.pem"), made.cert.pem()).unwrap();
        fs::write(file("key.pem"), made.signing_key.serialize_pem()).unwrap();
    };
    renew();
    let places = Places::new();
    let text = format!(
        "[admin]\nenabled = false\n[sources.wire]\ntype = \"gravwell\"\nlisten = \"{}\"\n\
         secret = \"literal:{SECRET}\"\ntls = {{ cert = {:?}, key = {:?} }}\n",
        places.graphite,
        file("cert.pem"),
        file("key.pem")
    );
    let gateway = Configured::start(work.path(), &text);
    gateway.reloads(&text, "Reloaded: nothing has changed.");
    renew();
    gateway.reloads(&text, "Reloaded: changed: wire.");
    // Who trusts the new certificate alone gets through.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = ingest_wire::TlsOptions::default().authority(fs::read(file("cert.pem")).unwrap());
    let target = format!("tls://localhost:{}", places.graphite.port());
    let connector =
        ingest_wire::Connector::new(&target, SECRET).unwrap().tls(options).tag("a").unwrap();
    let connected =
        async { tokio::time::timeout(Duration::from_secs(20), connector.connect()).await };
    runtime.block_on(connected).unwrap().unwrap();
    gateway.ingestry.stop();
}

/// The secret that a first start makes is no change.
#[test]
fn the_first_reload_of_a_default_run_changes_nothing() {
    let work = tempfile::tempdir().unwrap();
    let gateway = Ingestry::start(work.path(), &["--listen", "gravwell=127.0.0.1:0"]);
    assert_eq!(printed(work.path(), &["reload"]), "Reloaded: nothing has changed.\n");
    gateway.stop();
}
