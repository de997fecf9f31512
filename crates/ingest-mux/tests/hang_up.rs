//! An indexer that is stopped in order: it stores and acknowledges what it has read, and closes. What
//! is being handed to the connection at that moment has to be sent again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "gravwell")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, TagId, TagName, Timestamp};
use ingest_mux::{Durability, Gravwell, Muxer, Options, Output};
use ingest_wire::{Acceptor, Connector, Secret};
use tokio::net::TcpListener;

const SECRET: &str = "open sesame";
const ENTRIES: u64 = 3_000;
const LONG: Duration = Duration::from_secs(120);

type Stored = Arc<Mutex<Vec<u64>>>;

/// Takes a batch from each connection, acknowledges it, and hangs up.
async fn serve(listener: TcpListener, stored: Stored) {
    let acceptor = Acceptor::new(Secret::new(SECRET)).iterations(1, 1);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let number = |_: &TagName| Some(TagId(1));
        let Ok(mut session) = acceptor.accept(stream, number).await else { continue };
        if let Ok(Some(batch)) = session.next_batch().await {
            let number = |data: &[u8]| std::str::from_utf8(data).unwrap().parse::<u64>().unwrap();
            stored.lock().unwrap().extend(batch.into_iter().map(|entry| number(entry.data)));
            let receipt = batch.receipt();
            session.confirm(receipt);
        }
        let _ = session.close().await;
    }
}

#[tokio::test]
async fn what_an_orderly_end_interrupts_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let stored = Stored::default();
    let server = tokio::spawn(serve(listener, Arc::clone(&stored)));
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    (options.max_bytes, options.min_free) = (Some(16 << 20), Some(0));
    let connector = Connector::new(&target, SECRET).unwrap();
    let output = Output::new("out").link(Arc::new(Gravwell::new(connector)));
    let muxer = Muxer::builder().dir(dir.path()).log(options).output(output).start().unwrap();
    let sender = muxer.sender("test").unwrap();
    let tag = sender.tag("tag").unwrap();
    for number in 0..ENTRIES {
        let text = number.to_string();
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, text.as_bytes());
        // A group of its own for many of them: leases come while connections end.
        let level = if number % 4 == 0 { Durability::Disk } else { Durability::Memory };
        sender.send_all(&[entry], level).await.unwrap();
    }
    muxer.flush(LONG).await.unwrap();
    let output = muxer.status().outputs.remove(0);
    muxer.close(Duration::from_secs(5)).await;
    server.abort();
    assert!(output.balanced && output.confirmed == ENTRIES, "{output:?}");
    let stored: BTreeSet<_> = stored.lock().unwrap().iter().copied().collect();
    let missing: Vec<_> = (0..ENTRIES).filter(|number| !stored.contains(number)).collect();
    assert!(missing.is_empty(), "confirmed, and never stored: {missing:?}");
}
