//! The side that takes entries, and confirms them, perhaps a little late.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use ingest_entry::{TagId, Timestamp};
use ingest_wire::{Acceptor, Secret};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Place, Taken};
use crate::bench::process::say;
use crate::bench::usage::Meter;
use crate::bench::wire::SECRET;

/// Serves one client to its end, says what it took.
pub(crate) fn run(place: Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let taken = runtime.block_on(async {
        let at = place.at.map_or_else(|| "127.0.0.1:0".to_owned(), |at| at.to_string());
        let listener = TcpListener::bind(at).await?;
        say(&listener.local_addr()?)?;
        serve(&listener, Duration::from_millis(place.late_ms)).await
    });
    say(&taken?)
}

pub(super) async fn serve(listener: &TcpListener, late: Duration) -> Result<Taken> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut session =
        Acceptor::new(Secret::new(SECRET)).accept(stream, |_: &_| Some(TagId(1))).await?;
    let confirmer = session.confirmer();
    let (receipts, mut due) = mpsc::unbounded_channel();
    let confirms = tokio::spawn(async move {
        while let Some((at, receipt)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            confirmer.confirm(receipt);
        }
    });
    let (mut meter, mut count) = (None, 0);
    let mut latencies = VecDeque::new();
    while let Some(batch) = session.next_batch().await? {
        meter.get_or_insert_with(Meter::start);
        for entry in &batch {
            // Those of one time after the other are few.
            if latencies.len() < 1_000 {
                latencies.push_back(age_ms(entry.ts));
            }
            black_box(&entry);
            count += 1;
        }
        let receipt = batch.receipt();
        if late.is_zero() {
            session.confirm(receipt);
        } else {
            let _ = receipts.send((Instant::now() + late, receipt));
        }
    }
    drop(receipts);
    confirms.await?;
    let spent = meter.context("no entry came")?.stop(count)?;
    let mut latencies: Vec<f64> = latencies.into();
    latencies.sort_by(f64::total_cmp);
    let at = |at: usize| latencies.get(at).copied().unwrap_or(f64::NAN);
    let (median_ms, worst_ms) = (at(latencies.len() / 2), at(latencies.len().saturating_sub(1)));
    Ok(Taken { spent, median_ms, worst_ms })
}

fn age_ms(ts: Timestamp) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let then = ts.unix_seconds().unwrap_or_default() as i128 * 1_000_000_000;
    (now as i128 - then - i128::from(ts.nanos())) as f64 / 1e6
}
