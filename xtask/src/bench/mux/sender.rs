//! The side with the muxer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ingest_entry::{EntryRef, Source, TagId, Timestamp};
use ingest_mux::{Durability, Muxer, Options, Output, Sender};

use super::{Job, What};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};
use crate::bench::wire::{SECRET, TAG, data};

/// Entries that are handed over at once.
const BATCH: u64 = 512;
/// How long everything may take to be delivered.
const PATIENCE: Duration = Duration::from_secs(100);
/// Before each lone entry: as long as everything needs to fall asleep.
const PAUSE: Duration = Duration::from_millis(60);

pub(crate) fn run(job: Job) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let muxer = muxer(&job)?;
        let sender = muxer.sender("bench")?;
        let tag = sender.tag(TAG)?;
        let spent = measure(&job, &muxer, &sender, tag).await?;
        let report = muxer.close(Duration::from_secs(10)).await;
        ensure!(report.outputs.iter().all(|output| output.balanced), "{report:?}");
        say(&spent)
    })
}

fn muxer(job: &Job) -> Result<Muxer> {
    let targets: Vec<_> = job.to.iter().map(|to| format!("tcp://{to}")).collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    let output = Output::gravwell("indexers", &targets, SECRET)?;
    let builder = Muxer::builder().output(output).longest_wait(Duration::from_secs(1));
    Ok(match &job.dir {
        Some(dir) => {
            let mut options = Options::default();
            options.max_bytes = Some(8 << 30);
            options.min_free = Some(0);
            // No history: the files of what is delivered are written again.
            options.keep_bytes = Some(0);
            builder.dir(dir).log(options).start()?
        }
        None => builder.start()?,
    })
}

async fn measure(job: &Job, muxer: &Muxer, sender: &Sender, tag: TagId) -> Result<Spent> {
    let durability = match job.dir {
        Some(_) => Durability::Disk,
        None => Durability::Memory,
    };
    let data = data();
    match job.what {
        What::Send(count) => {
            connected(muxer).await;
            let meter = Meter::start();
            send(sender, tag, &data, count, durability).await?;
            sender.flush(PATIENCE).await?;
            meter.stop(count)
        }
        What::Lone(count) => {
            let meter = Meter::start();
            for _ in 0..count {
                tokio::time::sleep(PAUSE).await;
                let entry = EntryRef::new(now(), Source::NONE, tag, &data);
                sender.send(entry, durability).await?;
            }
            sender.flush(PATIENCE).await?;
            meter.stop(count)
        }
        What::Backlog(count) => {
            let start = Instant::now();
            send(sender, tag, &data, count, durability).await?;
            muxer.flush_to_disk().await?;
            say(&(count as f64 / start.elapsed().as_secs_f64()))?;
            connected(muxer).await;
            let meter = Meter::start();
            sender.flush(PATIENCE).await?;
            meter.stop(count)
        }
    }
}

/// Waits for the first link.
async fn connected(muxer: &Muxer) {
    let up = |status: &ingest_mux::Status| {
        status
            .outputs
            .iter()
            .flat_map(|output| &output.links)
            .any(|link| link.attempts > 0 && link.phase == ingest_mux::LinkPhase::Up)
    };
    while !up(&muxer.status()) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn send(
    sender: &Sender,
    tag: TagId,
    data: &[u8],
    count: u64,
    durability: Durability,
) -> Result<()> {
    let mut last = None;
    let mut batch = Vec::with_capacity(BATCH as usize);
    for first in (0..count).step_by(BATCH as usize) {
        batch.clear();
        let numbers = first..(first + BATCH).min(count);
        batch.extend(numbers.map(|number| super::super::wire::entry(data, tag, number)));
        // Accepted is what has been waited for; the memory that waits is the sender's budget.
        last = Some(sender.hand_over(&batch, durability).await?);
    }
    if let Some(last) = last {
        sender.finish(&last).await?;
    }
    Ok(())
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = i64::try_from(now.unwrap_or_default().as_nanos());
    Timestamp::from_unix_nanos(nanos.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::sink;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_sent_arrives() {
        for on_disk in [true, false] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let dir = tempfile::tempdir().unwrap();
            let dir = on_disk.then(|| dir.path().to_owned());
            let to = vec![listener.local_addr().unwrap()];
            let job = Job { to, dir, what: What::Send(5_000) };
            let sent = async {
                let muxer = muxer(&job).unwrap();
                let sender = muxer.sender("bench").unwrap();
                let tag = sender.tag(TAG).unwrap();
                let spent = measure(&job, &muxer, &sender, tag).await.unwrap();
                muxer.close(Duration::from_secs(10)).await;
                spent
            };
            let (sent, taken) = tokio::join!(sent, sink::serve(&listener, Duration::ZERO));
            assert_eq!((sent.count, taken.unwrap().spent.count), (5_000, 5_000));
        }
    }
}
