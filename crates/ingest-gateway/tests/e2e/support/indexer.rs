//! A Gravwell indexer as simple as can be: keeps what it gets in memory, and confirms it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ingest_wire::{Acceptor, Secret, ServerConfig, TagId, TagName};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The secret of all indexers here.
pub(crate) const SECRET: &str = "open sesame";

/// What an indexer has: tag and data, in the order of their arrival, over all its lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<(String, String)>>>);

impl Kept {
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A running indexer; it ends when it is dropped, with its connections.
#[derive(Debug)]
pub(crate) struct Indexer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Indexer {
    /// Starts one at `address`. It breaks each connection after `entries`, the last batch of which
    /// is kept and not confirmed.
    pub(crate) async fn start(address: &str, kept: &Kept, entries: usize) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = kept.clone();
        let task = tokio::spawn(async move {
            let config = ServerConfig::default();
            let acceptor = Acceptor::new(Secret::new(SECRET)).config(config).iterations(1, 1);
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                sessions.spawn(serve(acceptor.clone(), stream, kept.clone(), entries));
            }
        });
        Self { address, task }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(acceptor: Acceptor, stream: tokio::net::TcpStream, kept: Kept, entries: usize) {
    let names: Arc<Mutex<BTreeMap<u16, String>>> = Arc::default();
    let given = names.clone();
    let number = move |name: &TagName| {
        let mut given = given.lock().unwrap();
        // Other numbers than any log would give.
        let id = 1_000 + given.len() as u16;
        given.insert(id, name.as_str().to_owned());
        Some(TagId(id))
    };
    let Ok(mut session) = acceptor.accept(stream, number).await else { return };
    let mut taken = 0;
    while let Ok(Some(batch)) = session.next_batch().await {
        taken += batch.len();
        let names = names.lock().unwrap().clone();
        let named = batch.iter().map(|entry| {
            let name = names.get(&entry.tag.0).map_or("default", String::as_str);
            (name.to_owned(), String::from_utf8(entry.data.to_vec()).unwrap())
        });
        kept.0.lock().unwrap().extend(named);
        if taken >= entries {
            return;
        }
        let receipt = batch.receipt();
        session.confirm(receipt);
    }
}
