//! A Gravwell indexer that acknowledges what it has read, as Gravwell's own do, and stores it later;
//! ditto blocks it stores at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ingest_entry::{TagId, TagName};
use ingest_mux::{Confirm, Gravwell, Output};
use ingest_wire::{Acceptor, Connector, Secret};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::support::text;

pub(crate) const SECRET: &str = "open sesame";
/// The tag that it gives no number.
pub(crate) const REFUSED: &str = "refused";

#[derive(Debug, Default)]
struct Kept {
    /// Lost by a crash.
    memory: Mutex<Vec<String>>,
    disk: Mutex<Vec<String>>,
    changed: Notify,
}

#[derive(Debug)]
pub(crate) struct Indexer {
    address: String,
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

impl Indexer {
    /// It hangs up its first connection after so many entries.
    pub(crate) async fn start(address: &str, first: Option<usize>) -> Self {
        Self::with(address, first, Arc::default()).await
    }

    async fn with(address: &str, mut first: Option<usize>, kept: Arc<Kept>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            let acceptor = Acceptor::new(Secret::new(SECRET)).iterations(1, 1);
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                sessions.spawn(serve(acceptor.clone(), stream, Arc::clone(&serving), first.take()));
            }
        });
        Self { address, kept, task }
    }

    pub(crate) fn target(&self) -> String {
        format!("tcp://{}", self.address)
    }

    pub(crate) fn output(&self, confirm: Confirm) -> Output {
        let connector = Connector::new(&self.target(), SECRET).unwrap();
        Output::new("out").link(Arc::new(Gravwell::new(connector).confirm(confirm)))
    }

    /// What was not stored is gone, and so are the connections.
    pub(crate) async fn crash(&self) -> String {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        self.kept.memory.lock().unwrap().clear();
        self.address.clone()
    }

    pub(crate) async fn restart(&self, address: &str) -> Self {
        Self::with(address, None, Arc::clone(&self.kept)).await
    }

    /// Stores what is in memory.
    pub(crate) async fn store(&self) {
        let memory = std::mem::take(&mut *self.kept.memory.lock().unwrap());
        self.kept.disk.lock().unwrap().extend(memory);
    }

    fn all(&self) -> Vec<String> {
        let mut all = self.kept.disk.lock().unwrap().clone();
        all.extend(self.kept.memory.lock().unwrap().iter().cloned());
        all
    }

    /// How many of the expected entries it has, and how many copies beyond.
    pub(crate) fn count(&self, expected: usize) -> (usize, usize) {
        let all = self.all();
        let known: BTreeSet<_> = all.iter().collect();
        let there = (0..expected).filter(|n| known.contains(&text(*n))).count();
        (there, all.len() - there)
    }

    pub(crate) async fn has(&self, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.kept.changed.notified());
            changed.as_mut().enable();
            if self.all().len() >= count {
                return;
            }
            changed.await;
        }
    }
}

async fn serve(
    acceptor: Acceptor,
    stream: tokio::net::TcpStream,
    kept: Arc<Kept>,
    most: Option<usize>,
) {
    let number = |name: &TagName| (name.as_str() != REFUSED).then_some(TagId(1));
    let Ok(mut session) = acceptor.accept(stream, number).await else { return };
    let mut taken = 0;
    while let Ok(Some(batch)) = session.next_batch().await {
        taken += batch.len();
        let data = batch.iter().map(|entry| String::from_utf8(entry.data.to_vec()).unwrap());
        let to = if batch.is_ditto() { &kept.disk } else { &kept.memory };
        to.lock().unwrap().extend(data);
        kept.changed.notify_waiters();
        if most.is_some_and(|most| taken >= most) {
            return;
        }
        let receipt = batch.receipt();
        session.confirm(receipt);
    }
}
