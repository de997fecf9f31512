//! The sample consumer of Cloud Foundry's first library: what an application has said of late, then
//! what it says from now on. `loggregator-consumer`, with its default feature.
//!
//! ```sh
//! export CF_ACCESS_TOKEN="bearer eyJ…"                        # `cf oauth-token` prints it
//! export APP_GUID=55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c        # `cf app dora --guid`
//! cargo run -p examples --example loggregator_sample -- wss://loggregator.example.com
//! ```
//!
//! It speaks with servers of the first generation. Those of today have
//! `loggregator_consumer::client::Gateway`: the README of that crate shows it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example")]

use anyhow::{Context, Result};
use loggregator_consumer::client::{Consumer, Item};
use loggregator_consumer::legacy::LogMessage;
use loggregator_consumer::sort_recent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).context("use: loggregator_sample wss://HOST[:PORT]")?;
    let token = std::env::var("CF_ACCESS_TOKEN").context("CF_ACCESS_TOKEN is not set")?;
    let app = std::env::var("APP_GUID").context("APP_GUID is not set")?;
    let consumer = Consumer::builder(endpoint).on_connect(|| eprintln!("connected")).build();

    // In the order of the server, which need not be that of time.
    let mut recent = consumer.recent(&app, &token).await.context("no recent messages")?;
    sort_recent(&mut recent.messages);
    println!("recent: {}", recent.messages.len());
    recent.messages.iter().for_each(print);

    // What may be missing is an item of the stream. The last item says why the stream is over;
    // `Consumer::follow` would connect again.
    let mut messages = consumer.tail(&app, &token).await.context("cannot tail")?;
    println!("tail:");
    while let Some(item) = messages.next().await {
        match item {
            Item::Message(message) => print(&message),
            Item::Gap(gap) => eprintln!("something may be missing: {:?}", gap.cause),
            Item::Dropped(count) => eprintln!("{count} messages were dropped: we are too slow"),
            Item::Undecodable { error, .. } => eprintln!("no message: {error}"),
            Item::Ended(reason) => eprintln!("the end: {reason}"),
            _ => {}
        }
    }
    Ok(())
}

fn print(message: &LogMessage) {
    let (name, at) = (message.source_name(), message.timestamp.unwrap_or_default());
    println!("{at} [{name}] {}", String::from_utf8_lossy(message.message()).trim_end());
}
