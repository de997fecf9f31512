//! The side that sends entries and waits for their acknowledgements.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ingest_entry::TagId;
use ingest_wire::Connection;

use super::{How, Job, SECRET, TAG, data, entry};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// How many entries are sent between two looks at the clock.
const LOOK: u64 = 4096;

/// Sends for so long, waits for everything, says what it took.
pub(crate) fn run(job: Job) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    say(&runtime.block_on(send(&job))?)
}

async fn send(job: &Job) -> Result<Spent> {
    let connection = ingest_wire::connect(&format!("tcp://{}", job.to), SECRET, &[TAG]).await?;
    let tag = connection.tag(TAG).await?;
    let (data, time) = (data(), Duration::from_secs_f64(job.seconds));
    let (meter, start) = (Meter::start(), Instant::now());
    let mut count = 0;
    while start.elapsed() < time {
        some(&connection, job.how, &data, tag, count).await?;
        count += LOOK;
    }
    connection.sync(Duration::from_secs(30)).await?;
    let spent = meter.stop(count)?;
    ensure!(connection.counts().acknowledged == count, "not everything was acknowledged");
    let closed = connection.close(Duration::from_secs(10)).await;
    ensure!(closed.unacknowledged.is_empty(), "something was not acknowledged");
    Ok(spent)
}

async fn some(
    connection: &Connection,
    how: How,
    data: &[u8],
    tag: TagId,
    first: u64,
) -> Result<()> {
    let numbers = first..first + LOOK;
    match how {
        How::OneByOne => {
            for number in numbers {
                connection.send(entry(data, tag, number)).await?;
            }
        }
        How::Batches(size) => {
            for batch in numbers.step_by(size) {
                let end = (batch + size as u64).min(first + LOOK);
                connection.send_all((batch..end).map(|n| entry(data, tag, n))).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::wire::server;

    #[tokio::test]
    async fn everything_sent_is_received_and_acknowledged() {
        for how in [How::OneByOne, How::Batches(100)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let to = listener.local_addr().unwrap();
            let job = Job { to, seconds: 0.01, how };
            let (sent, received) = tokio::join!(send(&job), server::serve(&listener));
            let (sent, received) = (sent.unwrap(), received.unwrap());
            assert!(sent.count >= LOOK);
            assert_eq!(sent.count, received.count);
        }
    }
}
