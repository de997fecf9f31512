//! History goes to an indexer.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use ingest_entry::{Entry, TagId, TagName};
use ingest_wire::{Acceptor, Secret, ServerError};
use tokio::net::{TcpListener, TcpStream};

use crate::support::wait::until;
use crate::tools::{lines, start, wal, written};

/// An indexer: what it has, and how it behaves.
#[derive(Debug, Clone, Default)]
struct Indexer {
    got: Arc<Mutex<Vec<(String, Entry)>>>,
    tags: Arc<Mutex<BTreeMap<String, u16>>>,
    /// Each connection ends after so many entries; 0: none does.
    break_after: usize,
    /// It never confirms.
    silent: bool,
}

impl Indexer {
    /// Listens on a port of its own; ends with the runtime that comes back.
    fn listen(&self) -> (tokio::runtime::Runtime, String) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let target = format!("tcp://{}", listener.local_addr().unwrap());
        let indexer = self.clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let indexer = indexer.clone();
                tokio::spawn(async move {
                    // A client that goes, or may not come in, is no failure of the indexer.
                    let _ = indexer.serve(stream).await;
                });
            }
        });
        (runtime, target)
    }

    async fn serve(&self, stream: TcpStream) -> Result<(), ServerError> {
        let tags = self.tags.clone();
        let numbers = move |name: &TagName| {
            let mut tags = tags.lock().unwrap();
            let next = tags.len() as u16 + 7;
            Some(TagId(*tags.entry(name.to_string()).or_insert(next)))
        };
        let acceptor = Acceptor::new(Secret::new("open sesame")).iterations(1, 20);
        let mut session = acceptor.accept(stream, numbers).await?;
        let mut taken = 0;
        while let Some(batch) = session.next_batch().await? {
            let tags = self.tags.lock().unwrap().clone();
            let name =
                |id: TagId| tags.iter().find(|(_, number)| **number == id.0).unwrap().0.clone();
            let entries = batch.iter().map(|entry| (name(entry.tag), entry.to_entry()));
            self.got.lock().unwrap().extend(entries);
            taken += batch.len();
            let receipt = batch.receipt();
            if self.break_after > 0 && taken >= self.break_after {
                return Ok(());
            }
            if !self.silent {
                session.confirm(receipt);
            }
        }
        Ok(())
    }

    fn data(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(_, entry)| String::from_utf8(entry.data.to_vec()).unwrap()).collect()
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

fn replay<'a>(target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["replay", "--target", target, "--secret", "literal:open sesame"];
    args.extend(more);
    args
}

#[test]
fn all_of_it_arrives_with_tags_and_values() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let gateway = start(work);
    let mut sent = lines(0..2000);
    sent.push("tagged.metric;host=h1;zone=z 5 1700000000".to_owned());
    crate::tools::feed(&gateway, "graphite", &sent);
    crate::tools::feed(&gateway, "rare", &lines(0..5));
    // Beside the running gateway.
    let indexer = Indexer::default();
    let (_runtime, target) = indexer.listen();
    let (code, out, err) = wal(work, &replay(&target, &[]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("sent 2,006, acknowledged 2,006, not acknowledged 0"), "{out}");
    assert!(out.contains("--after 2006"), "{out}");
    let got = indexer.got.lock().unwrap().clone();
    assert_eq!(got.len(), 2006);
    assert!(got[..2001].iter().all(|(tag, _)| tag == "graphite"));
    assert!(got[2001..].iter().all(|(tag, _)| tag == "rare"));
    let tagged = &got[2000].1;
    let values: Vec<_> = tagged.as_ref().values.iter().map(|value| value.name().to_vec()).collect();
    assert_eq!(values, [b"host".to_vec(), b"zone".to_vec()]);
    assert_eq!(tagged.as_ref().src.to_string(), "127.0.0.1");

    // A part of it, and what came since.
    let (_, out, _) = wal(work, &replay(&target, &["--tag", "rare"]));
    assert!(out.contains("sent 5,"), "{out}");
    crate::tools::feed(&gateway, "graphite", &lines(0..3));
    let (code, out, _) = wal(work, &replay(&target, &["--after", "2006"]));
    assert_eq!(code, 0);
    assert!(out.contains("sent 3, acknowledged 3,") && out.contains("--after 2009"), "{out}");
    gateway.stop();
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 6000);
    let indexer = Indexer { break_after: 2500, ..Indexer::default() };
    let (_runtime, target) = indexer.listen();
    let (code, out, err) = wal(work, &replay(&target, &["--tag", "graphite"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("sent 6,000, acknowledged 6,000, not acknowledged 0"), "{out}");
    assert!(out.contains("sent again after a break"), "{out}");
    // At least once, and the first copies in order.
    let mut seen = std::collections::BTreeSet::new();
    let mut first = indexer.data();
    first.retain(|data| seen.insert(data.clone()));
    assert_eq!(first, lines(0..6000));
}

#[test]
fn an_interrupt_says_how_far_it_came() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 100);
    let indexer = Indexer { silent: true, ..Indexer::default() };
    let (_runtime, target) = indexer.listen();
    let child = spawn(work, &replay(&target, &["--after", "40", "--tag", "graphite"]));
    until("all is sent", || (indexer.count() == 60).then_some(()));
    let kill = format!("kill -s INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let (code, out, err) = crate::tools::said(child.wait_with_output().unwrap());
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("sent 60, acknowledged 0, not acknowledged 60"), "{out}");
    assert!(out.contains("Interrupted.") && out.contains("--after 40"), "{out}");
}

fn spawn(work: &std::path::Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ingestry"))
        .arg("wal")
        .args(args)
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn who_is_not_let_in_is_told() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 10);
    let indexer = Indexer::default();
    let (runtime, target) = indexer.listen();
    for (secret, code) in [("literal:wrong", 1), ("env:NO_SUCH_SECRET", 2), ("file:none", 2)] {
        let (found, out, err) = wal(work, &["replay", "--target", &target, "--secret", secret]);
        assert_eq!(found, code, "{secret}: {out}{err}");
        assert!(err.contains("error: ") && !err.contains("wrong"), "{err}");
    }
    std::fs::write(work.join("secret"), "open sesame\n").unwrap();
    let (code, out, err) = wal(work, &["replay", "--target", &target, "--secret", "file:secret"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(indexer.count(), 15);
    // Nobody there any more.
    drop(runtime);
    let (code, out, err) = wal(work, &replay(&target, &[]));
    assert_eq!(code, 1);
    assert!(out.contains("sent 0,") && out.contains("--after 0"), "{out}{err}");
    let (code, _, err) = wal(work, &replay("http://x", &[]));
    assert_eq!(code, 2);
    assert!(err.contains("tcp, tls or pipe"), "{err}");
}
