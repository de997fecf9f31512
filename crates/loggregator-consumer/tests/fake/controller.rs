//! The traffic controller's side of a web socket: one message a frame, pings, 1008 without pongs,
//! 1000 for who is too slow.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::request::Request;
use super::{Carrier, Fake, Fault, Told, messages};

const PING_TIME: Duration = Duration::from_secs(15);
const PONG_TIME: Duration = Duration::from_secs(30);
/// How long a client may leave an envelope.
const SLOW_TIME: Duration = Duration::from_secs(5);
const KEEP_ALIVE: &str = "Client did not respond to ping before keep-alive timeout expired.";

/// Answers the handshake.
pub(crate) async fn switch(stream: &mut impl Carrier, request: &Request) -> Option<()> {
    let key = request.header("sec-websocket-key")?;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.ok()
}

pub(crate) async fn serve(
    fake: &Fake,
    stream: impl Carrier,
    shard: &str,
    message: fn(u64) -> Vec<u8>,
) -> Option<()> {
    let (Told { mut envelopes, mut faults }, lag) = fake.join(shard);
    let (mut input, mut output) = tokio::io::split(stream);
    let mut ping = Instant::now();
    let mut pong = Instant::now() + PONG_TIME;
    let (mut buffer, mut heard) = ([0; 256], Vec::new());
    let mut next: Option<(u64, Instant)> = None;
    loop {
        let due = next.map_or(ping, |(_, sent)| ping.min(sent + lag)).min(pong);
        tokio::select! {
            biased;
            Some(fault) = faults.recv() => return fail(&mut output, fault, message).await,
            envelope = envelopes.recv(), if next.is_none() => next = Some(envelope?),
            read = input.read(&mut buffer) => {
                let read = read.ok()?;
                if read == 0 {
                    return None;
                }
                heard.extend_from_slice(&buffer[..read]);
                for frame in frames(&mut heard) {
                    match frame[0] {
                        0x8a => pong = Instant::now() + PONG_TIME,
                        0x88 => return output.write_all(&close(1000, "")).await.ok(),
                        _ => {}
                    }
                }
            }
            () = sleep_until(due) => {
                let now = Instant::now();
                if pong <= now {
                    return output.write_all(&close(1008, KEEP_ALIVE)).await.ok();
                }
                if ping <= now {
                    ping = now + PING_TIME;
                    output.write_all(&frame(0x89, b"")).await.ok()?;
                }
                if let Some((number, _)) = next.take_if(|(_, sent)| *sent + lag <= now) {
                    let frame = frame(0x82, &fake.message(number, message));
                    let mut writing = std::pin::pin!(output.write_all(&frame));
                    match timeout(SLOW_TIME, &mut writing).await {
                        Ok(written) => written.ok()?,
                        Err(_) => {
                            // Nothing more is read for it; the frame has to be whole.
                            drop(envelopes);
                            writing.await.ok()?;
                            return output.write_all(&close(1000, "")).await.ok();
                        }
                    }
                }
            }
        }
    }
}

/// What is kept, and the end.
pub(crate) async fn dump(fake: &Fake, mut stream: impl Carrier) -> Option<()> {
    for (number, _) in super::recent::kept(fake) {
        stream.write_all(&frame(0x82, &messages::line(number))).await.ok()?;
    }
    stream.write_all(&close(1000, "")).await.ok()
}

async fn fail(
    output: &mut (impl tokio::io::AsyncWrite + Unpin),
    fault: Fault,
    message: fn(u64) -> Vec<u8>,
) -> Option<()> {
    match fault {
        Fault::Silence => std::future::pending().await,
        Fault::Close(code, text) => output.write_all(&close(code, text)).await.ok(),
        Fault::Garbage => {
            let bad = [&frame(0x82, b"\xff\xff")[..], b"\xff\x01garbage"].concat();
            output.write_all(&bad).await.ok()
        }
        _ => {
            let whole = frame(0x82, &message(0));
            output.write_all(&whole[..whole.len() / 2]).await.ok()
        }
    }
}

/// Masked frames of less than 126 bytes that are complete: texts, pongs and closes.
pub(crate) fn frames(heard: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while heard.len() >= 2 && heard.len() >= 6 + usize::from(heard[1] & 0x7f) {
        frames.push(heard.drain(..6 + usize::from(heard[1] & 0x7f)).collect());
    }
    frames
}

pub(crate) fn close(code: u16, text: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes()[..], text.as_bytes()].concat())
}

pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        short @ 0..126 => vec![short as u8],
        long => [&[126], &(long as u16).to_be_bytes()[..]].concat(),
    };
    [&[first], &length[..], payload].concat()
}
