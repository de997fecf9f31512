//! The side that takes entries, looks at each, and acknowledges them.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use ingest_entry::{TagId, TagName};
use ingest_wire::{Acceptor, Secret};
use tokio::net::TcpListener;

use super::{SECRET, TAG};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Serves one client, says what it took.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let spent = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&listener.local_addr()?)?;
        serve(&listener).await
    });
    say(&spent?)
}

pub(super) async fn serve(listener: &TcpListener) -> Result<Spent> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let numbers = |name: &TagName| (name.as_str() == TAG).then_some(TagId(1));
    let mut session = Acceptor::new(Secret::new(SECRET)).accept(stream, numbers).await?;
    let (mut meter, mut count) = (None, 0);
    while let Some(batch) = session.next_batch().await? {
        meter.get_or_insert_with(Meter::start);
        for entry in &batch {
            black_box(&entry);
            count += 1;
        }
        let receipt = batch.receipt();
        session.confirm(receipt);
    }
    meter.context("no entry came")?.stop(count)
}
