//! A client of Hydra's web sockets: sends its lines with ids, reads reports meanwhile, closes, and
//! waits for the end of the other side.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use super::client::{Contact, End, Outcome, PATIENCE};
use super::oracle::{self, Id};
use super::plan::Connection;

/// What is in front of the id, and behind it when all is well.
const BEFORE: &[u8] = b"{\"requestId\":\"";
const WELL: &[u8] = b"\",\"status\":{\"code\":200,";

/// Opens the sessions one after the other, until one of them breaks.
pub(crate) fn run(connections: &[Connection], contact: &Contact) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for plan in connections {
        let mut sent = 0;
        let reported = AtomicU64::new(0);
        let mut end = match converse(plan, contact, &mut sent, &reported) {
            Ok(()) => End::EndOfFile(Instant::now()),
            Err(error) => End::Broken(Instant::now(), error),
        };
        let reported = reported.into_inner();
        if matches!(end, End::EndOfFile(_)) && reported != sent {
            let error = io::Error::other(format!("{sent} lines, reports up to {reported}"));
            end = End::Broken(Instant::now(), error);
        }
        let complete = matches!(end, End::EndOfFile(_));
        outcomes.push(Outcome { connection: plan.number, sent, reported, end });
        if !complete {
            break;
        }
        // Nobody waits for it in a round that ends at an instant.
        let _ = contact.ends_of_file.send(());
    }
    outcomes
}

fn converse(
    plan: &Connection,
    contact: &Contact,
    sent: &mut u64,
    reported: &AtomicU64,
) -> io::Result<()> {
    let stream = open(contact)?;
    let mut reading = stream.try_clone()?;
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read(&mut reading, reported));
        let written = write(plan, contact, &stream, sent);
        let read = reader.join().unwrap_or_else(|_| Err(io::Error::other("the reader panicked")));
        written.and(read)
    })
}

/// A session at `persisted`, with the tag that the oracle looks for.
fn open(contact: &Contact) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&contact.address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET /ws-ingest/gravwell_ingestor HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         hydra-ack: persisted\r\nhydra-tag: graphite\r\n\r\n",
        contact.address
    );
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    if head.starts_with(b"HTTP/1.1 101") {
        return Ok(stream);
    }
    Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()))
}

fn write(
    plan: &Connection,
    contact: &Contact,
    mut stream: &TcpStream,
    sent: &mut u64,
) -> io::Result<()> {
    let id = Id { round: contact.round, connection: plan.number };
    let (mut frames, mut text) = (Vec::new(), Vec::new());
    for burst in &plan.bursts {
        if contact.killed.recv_timeout(burst.pause) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        frames.clear();
        for k in (1..=burst.lines).map(|k| *sent + k) {
            text.clear();
            text.extend_from_slice(format!("-i {k} ").as_bytes());
            oracle::write_line(id, k, &mut text);
            text.pop();
            frame(0x81, &text, &mut frames);
        }
        // Before the write: it may fail after the gateway has got some of it.
        *sent += burst.lines;
        stream.write_all(&frames)?;
    }
    frames.clear();
    frame(0x88, &1000_u16.to_be_bytes(), &mut frames);
    stream.write_all(&frames)
}

/// A client's frame, of at most 125 bytes.
fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    let mask = [0x0f, 0x1e, 0x2d, 0x3c];
    out.extend_from_slice(&[first, 0x80 | payload.len().min(125) as u8]);
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Reads reports up to the close frame. Every one has to be a 200.
fn read(stream: &mut TcpStream, reported: &AtomicU64) -> io::Result<()> {
    let mut reader = io::BufReader::new(stream);
    let mut payload = Vec::new();
    loop {
        let mut head = [0; 2];
        reader.read_exact(&mut head)?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                usize::from(u16::from_be_bytes(length))
            }
            short => usize::from(short & 0x7f),
        };
        payload.resize(length, 0);
        reader.read_exact(&mut payload)?;
        if head[0] == 0x88 {
            return Ok(());
        }
        let Some(k) = number(&payload) else {
            return Err(io::Error::other(String::from_utf8_lossy(&payload).into_owned()));
        };
        reported.fetch_max(k, Ordering::Relaxed);
    }
}

/// The line of a report of 200.
fn number(report: &[u8]) -> Option<u64> {
    let rest = report.strip_prefix(BEFORE)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(digits)?;
    if !rest.starts_with(WELL) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_counts() {
        let report = |code| {
            format!("{{\"requestId\":\"17\",\"status\":{{\"code\":{code},\"message\":\"x\"}}}}")
        };
        assert_eq!(number(report(200).as_bytes()), Some(17));
        assert_eq!(number(report(408).as_bytes()), None);
        assert_eq!(number(b"{\"status\":200,\"message\":\"\"}"), None);
    }

    #[test]
    fn frames_are_masked() {
        let mut out = Vec::new();
        frame(0x81, b"ab", &mut out);
        assert_eq!(out, [0x81, 0x82, 0x0f, 0x1e, 0x2d, 0x3c, b'a' ^ 0x0f, b'b' ^ 0x1e]);
    }
}
