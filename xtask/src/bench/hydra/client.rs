//! The side that sends: one thread writes, another one reads and compares.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::stream::{self, Expected};
use super::{Ack, Answers, Job};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Bytes read in one go.
const READ: usize = 256 << 10;

pub(crate) fn run(job: Job) -> Result<()> {
    say(&send(&job)?)
}

/// Sends for so long, and reads until the server closes.
pub(super) fn send(job: &Job) -> Result<Spent> {
    let mut stream = open(job.to)?;
    if let Answers::Report(Ack::Persisted) = job.answers {
        let reply = say_one(&mut stream, b"-c SET hydra-ack = persisted")?;
        ensure!(reply.starts_with(b"{\"status\":200"), "{:?}", String::from_utf8_lossy(&reply));
    }
    let frames = stream::frames(job.size);
    let expected = match job.answers {
        Answers::Echo => Expected::These(frames.texts),
        Answers::Report(_) => Expected::Around(
            b"{\"requestId\":\"",
            b"\",\"status\":{\"code\":200,\"message\":\"OK\"},\"ingestors\":\
              {\"gravwell_ingestor\":{\"code\":200,\"message\":\"OK\"}}}",
        ),
    };
    let (bytes, count) = (frames.bytes, frames.count);
    let time = Duration::from_secs_f64(job.seconds);
    let mut writing = stream.try_clone()?;
    let (meter, start) = (Meter::start(), Instant::now());
    let writer = std::thread::spawn(move || -> Result<u64> {
        let mut sent = 0;
        loop {
            writing.write_all(&bytes)?;
            sent += count;
            if start.elapsed() >= time {
                break;
            }
        }
        let mut close = Vec::new();
        stream::masked(0x88, &1000_u16.to_be_bytes(), &mut close);
        writing.write_all(&close)?;
        Ok(sent)
    });
    let answered = read(&mut stream, &expected)?;
    let spent = meter.stop(answered)?;
    let sent = writer.join().ok().context("the writer failed")??;
    ensure!(sent == answered, "{sent} messages were sent, {answered} were answered");
    Ok(spent)
}

/// A web socket at the path that asks every ingestor.
pub(super) fn open(to: std::net::SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /ws-ingest HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{:?}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Sends one message and reads what answers it.
pub(super) fn say_one(stream: &mut TcpStream, message: &[u8]) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    stream::masked(0x81, message, &mut frame);
    stream.write_all(&frame)?;
    let mut have = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        have.extend_from_slice(&byte);
        if let Some((text, _)) = stream::text(&have)? {
            return Ok(text.to_vec());
        }
    }
}

/// Counts answers up to the close frame; each has to be what is expected.
fn read(stream: &mut TcpStream, expected: &Expected) -> Result<u64> {
    let mut buffer = vec![0; READ];
    let (mut have, mut count) = (0, 0);
    loop {
        let read = stream.read(buffer.get_mut(have..).unwrap_or_default())?;
        ensure!(read > 0, "the server ended after {count} answers, without a close frame");
        have += read;
        let mut at = 0;
        while let Some((text, length)) = stream::text(buffer.get(at..have).unwrap_or_default())? {
            if text.is_empty() {
                return Ok(count);
            }
            expected.check(count, text)?;
            count += 1;
            at += length;
        }
        buffer.copy_within(at..have, 0);
        have -= at;
    }
}
