//! The server that is attacked: the loop of the documentation.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use ingest_entry::{TagId, TagName};
use ingest_wire::{Acceptor, Secret, ServerError};
use tokio::net::{TcpListener, TcpStream};

use super::super::{SECRET, TAG};
use super::{Served, raise_files};
use crate::bench::process::say;
use crate::bench::usage::Meter;

/// Serves until it is killed; with handshakes that cost nothing, if wished.
pub(crate) fn run(cheap: bool) -> Result<()> {
    raise_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&listener.local_addr()?)?;
        let mut acceptor = Acceptor::new(Secret::new(SECRET));
        if cheap {
            acceptor = acceptor.iterations(1, 1);
        }
        loop {
            let (stream, peer) = listener.accept().await?;
            ingest_wire::keep_alive(&stream)?;
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            tokio::spawn(async move { serve(acceptor, stream, peer.ip()).await });
        }
    })
}

async fn serve(
    acceptor: Acceptor,
    stream: TcpStream,
    peer: std::net::IpAddr,
) -> Result<(), ServerError> {
    let numbers = |name: &TagName| (name.as_str() == TAG).then_some(TagId(1));
    let mut session = acceptor.accept_from(peer, stream, numbers).await?;
    let (mut meter, mut count) = (None, 0u64);
    while let Some(batch) = session.next_batch().await? {
        meter.get_or_insert_with(|| (Meter::start(), Instant::now()));
        for entry in &batch {
            black_box(&entry);
            count += 1;
        }
        let receipt = batch.receipt();
        session.confirm(receipt);
    }
    // Attackers send less than the good client's first look at the clock.
    if let Some((meter, start)) = meter.filter(|_| count >= 4096)
        && let Ok(spent) = meter.stop(count)
    {
        let counts = acceptor.counts();
        let served = Served {
            entries: count,
            cpu: spent.cpu,
            seconds: start.elapsed().as_secs_f64(),
            peak_mib: spent.rss_mib,
            admitted: counts.admitted,
            wrong: counts.wrong,
            gave_way: counts.gave_way,
            refused: counts.refused,
        };
        // Nobody hears it when the run is over.
        let _ = say(&served);
    }
    Ok(())
}
