//! The gateway as a library, with a destination of our own.
//!
//! Takes Graphite lines on a port that the system chooses, keeps them in a temporary directory
//! until the destination has confirmed them, and prints what the destination gets:
//!
//! ```text
//! cargo run -p examples --example embed_gateway
//! ```

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use ingest_gateway::{Gateway, STOP_DEADLINE, config};
use ingest_mux::{Destination, Leases, LinkError, LinkFuture};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Prints every entry. A real one would connect first. When it returns an error it is run again,
/// and what it has not confirmed comes again.
#[derive(Debug)]
struct Print;

impl Destination for Print {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            leases.connected();
            while let Some(lease) = leases.next().await {
                for (id, entry) in lease.entries() {
                    let tag = leases.tag_name(entry.tag);
                    let tag = tag.as_ref().map_or("?", |tag| tag.as_str());
                    let data = String::from_utf8_lossy(entry.data);
                    let printed = writeln!(io::stdout(), "{} {tag} {data}", id.lsn);
                    printed.map_err(|error| LinkError::passing(error.to_string()))?;
                }
                // Only now may the log forget them.
                lease.confirm();
            }
            Ok(())
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    // The same text as in a configuration file; mistakes are reported with line and column.
    let text = format!(
        r#"
        [log]
        dir = {:?}
        max_bytes = "16 MiB"
        min_free = "16 MiB"
        [admin]
        enabled = false
        [sources.metrics]
        type = "graphite"
        listen = "127.0.0.1:0"
        tag = "metrics"
        "#,
        dir.path()
    );
    let loaded = config::parse(Path::new("embedded"), text.as_bytes())?;
    let gateway = Gateway::builder(loaded.config).destination("print", Arc::new(Print)).start();
    let gateway = gateway.await?;

    // A client: the end of file that answers its own says that everything is on disk.
    let address = gateway.addresses().remove("metrics").context("the source listens")?;
    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"local.test.diceroll 4 1700000000\nthis is no metric\n").await?;
    client.shutdown().await?;
    client.read_to_end(&mut Vec::new()).await?;

    // Stopping delivers what is left, for a while, and gives an account of everything.
    let report = gateway.stop(STOP_DEADLINE).await;
    let mut out = io::stdout().lock();
    for (name, reasons, totals) in &report.sources {
        writeln!(
            out,
            "{name}: {} received, {} accepted",
            totals.received_items, totals.accepted_items
        )?;
        for (reason, count) in reasons.iter().zip(&totals.refused).filter(|(_, count)| **count > 0)
        {
            writeln!(out, "{name}: {count} refused: {reason}")?;
        }
    }
    anyhow::ensure!(report.balanced, "the accounts do not add up");
    Ok(())
}
