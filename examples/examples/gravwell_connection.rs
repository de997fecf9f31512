//! The quick start of the Gravwell ingest API: one entry to one indexer, over one connection.
//! `ingest-wire` alone.
//!
//! ```sh
//! export INGEST_SECRET=IngestSecrets
//! cargo run &                                           # ingestry takes an indexer's place
//! cargo run -p examples --example gravwell_connection
//! target/debug/ingestry search --tag testtag
//! ```
//!
//! An argument is another target: `tls://indexer.example.org`, `pipe:///run/indexer`.

#![allow(clippy::print_stdout, reason = "an example")]

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use ingest_entry::{EntryRef, Source, Timestamp};
use ingest_wire::connect;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:4023".to_owned());
    let secret = std::env::var("INGEST_SECRET").unwrap_or_else(|_| "IngestSecrets".to_owned());

    // Authenticates, and asks for the tags that are to be used.
    let connecting = connect(&target, &secret, &["testtag"]).await;
    let connection = connecting.with_context(|| format!("cannot connect to {target}"))?;

    // Entries carry the number that this indexer has for a tag.
    let tag = connection.tag("testtag").await?;
    let now = Timestamp::from_system_time(SystemTime::now()).context("the clock is wrong")?;
    let source = Source::from_ip(Ipv4Addr::LOCALHOST.into());
    connection.send(EntryRef::new(now, source, tag, b"This is my test data!")).await?;

    // Closing waits for the acknowledgement, and hands back what has none.
    let closed = connection.close(Duration::from_secs(10)).await;
    if let Some(error) = closed.error {
        return Err(error).context("the connection broke");
    }
    ensure!(closed.unacknowledged.is_empty(), "the entry was not acknowledged");
    println!("1 entry acknowledged by {target}");
    Ok(())
}
