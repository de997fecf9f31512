//! The gateway's side of an event stream: chunks that end anywhere, heartbeats, the closing event.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep_until};

use super::{Carrier, Fake, Fault, Told, messages};

const HEARTBEAT: Duration = Duration::from_secs(15);
const STREAM_TIME: Duration = Duration::from_secs(14 * 60);
/// Envelopes of an event.
const BATCH: usize = 100;

pub(crate) async fn serve(fake: &Fake, mut stream: impl Carrier, shard: &str) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let (Told { mut envelopes, mut faults }, lag) = fake.join(shard);
    let over = Instant::now() + STREAM_TIME;
    let mut heartbeat = Instant::now() + HEARTBEAT;
    let mut out = Chunks { stream, size: fake.chunk };
    // What has been sent, and is not there yet.
    let mut next: Option<(u64, Instant)> = None;
    loop {
        let due = next.map(|(_, sent)| sent + lag);
        let wake = due.unwrap_or(heartbeat).min(over);
        tokio::select! {
            biased;
            Some(fault) = faults.recv() => return fail(&mut out, fault).await,
            envelope = envelopes.recv(), if next.is_none() => next = Some(envelope?),
            () = sleep_until(wake) => {
                if due.is_some_and(|due| due <= Instant::now()) {
                    let mut numbers: Vec<_> = next.take().map(|(number, _)| number).into_iter().collect();
                    while numbers.len() < BATCH && next.is_none() {
                        match envelopes.try_recv() {
                            Ok((number, sent)) if sent + lag <= Instant::now() => numbers.push(number),
                            Ok(later) => next = Some(later),
                            Err(_) => break,
                        }
                    }
                    out.write(&batch(&numbers)).await?;
                    heartbeat = Instant::now() + HEARTBEAT;
                } else if Instant::now() >= over {
                    break;
                } else {
                    let now = fake.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
                    out.write(format!("event: heartbeat\ndata: {now}\n\n").as_bytes()).await?;
                    heartbeat = Instant::now() + HEARTBEAT;
                }
            }
        }
    }
    // No more envelopes for this stream; those that are in it are still sent.
    envelopes.close();
    loop {
        if let Some((number, sent)) = next.take() {
            sleep_until(sent + lag).await;
            out.write(&batch(&[number])).await?;
        }
        next = Some(match envelopes.recv().await {
            Some(next) => next,
            None => break,
        });
    }
    out.write(b"event: closing\ndata: closing due to stream timeout\n\n").await?;
    out.stream.write_all(b"0\r\n\r\n").await.ok()
}

async fn fail(out: &mut Chunks<impl Carrier>, fault: Fault) -> Option<()> {
    match fault {
        Fault::Silence => std::future::pending().await,
        Fault::Garbage => out.stream.write_all(b"\r\nno chunk at all\r\n").await.ok(),
        _ => out.write(b"data: {\"batch\":[{\"timest").await,
    }
}

struct Chunks<S> {
    stream: S,
    size: usize,
}

impl<S: Carrier> Chunks<S> {
    /// Writes in chunks that cut anywhere.
    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        for piece in bytes.chunks(self.size.min(37.max(bytes.len() / 16))) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            self.stream.write_all(&chunk).await.ok()?;
        }
        Some(())
    }
}

fn batch(numbers: &[u64]) -> Vec<u8> {
    let batch: Vec<_> = numbers
        .iter()
        .map(|number| loggregator_consumer::json::to_json(&messages::v2(*number), true))
        .collect();
    format!("data: {{\"batch\":[{}]}}\n\n", batch.join(",")).into_bytes()
}
