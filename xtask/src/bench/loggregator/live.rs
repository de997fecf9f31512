//! A server that writes prepared bytes, and our client that reads them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use loggregator_consumer::client::{
    Consumer, Gateway, Item, Messages, Proxy, Query, TrafficController,
};
use tungstenite::handshake::derive_accept_key;

use super::{Read, samples};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Written in pieces of about this size.
const PIECE: usize = 256 << 10;

/// The side that writes.
pub(crate) fn server((what, seconds): (Read, f64)) -> Result<()> {
    let (address, server) = start(what, seconds)?;
    say(&address)?;
    say(&server.join().map_err(|_| anyhow::anyhow!("the server failed"))??)
}

/// The side that reads.
pub(crate) fn reader((what, address): (Read, String)) -> Result<()> {
    say(&read(what, &address)?)
}

pub(super) fn start(what: Read, seconds: f64) -> Result<(String, JoinHandle<Result<Spent>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        // One connection only: whoever comes again is refused.
        drop(listener);
        serve(stream, what, Duration::from_secs_f64(seconds))
    });
    Ok((address, server))
}

fn serve(mut stream: TcpStream, what: Read, time: Duration) -> Result<Spent> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (answer, piece, count, end) = match what {
        Read::Gateway => {
            let event = [b"data: ", samples::json().as_slice(), b"\n\n"].concat();
            let chunk = [format!("{:x}\r\n", event.len()).as_bytes(), &event, b"\r\n"].concat();
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                          Transfer-Encoding: chunked\r\n\r\n";
            let closing = b"event: closing\ndata: x\n\n";
            let length = format!("{:x}\r\n", closing.len());
            let last = [length.as_bytes(), closing, b"\r\n0\r\n\r\n"].concat();
            (answer.to_owned(), chunk, samples::BATCH, last)
        }
        Read::Tail | Read::Stream => {
            let key = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
            });
            let accept = derive_accept_key(key.context("no key")?.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            let message = match what {
                Read::Tail => samples::legacy(),
                _ => samples::dropsonde(),
            };
            let len = u16::try_from(message.len())?.to_be_bytes();
            let frame = [&[0x82, 0x7e], &len[..], &message].concat();
            (answer, frame, 1, vec![0x88, 2, 0x03, 0xe8])
        }
    };
    let repeat = PIECE.div_ceil(piece.len());
    let block = piece.repeat(repeat);
    stream.write_all(answer.as_bytes())?;
    let (meter, start, mut sent) = (Meter::start(), Instant::now(), 0);
    while start.elapsed() < time {
        stream.write_all(&block)?;
        sent += (repeat * count) as u64;
    }
    stream.write_all(&end)?;
    let spent = meter.stop(sent)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // The other end hangs up when it has read everything.
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(spent)
}

pub(super) fn read(what: Read, address: &str) -> Result<Spent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let endpoint = format!("ws://{address}");
        match what {
            Read::Tail => {
                let consumer = Consumer::builder(endpoint).proxy(Proxy::None).build();
                count(consumer.tail("app", "token").await?).await
            }
            Read::Stream => {
                let client = TrafficController::builder(endpoint).proxy(Proxy::None);
                let client = client.token("token").reconnect(false).build();
                count(client.stream("app")).await
            }
            Read::Gateway => {
                let client = Gateway::builder(format!("http://{address}")).proxy(Proxy::None);
                count(client.token("token").build().stream(Query::everything())).await
            }
        }
    })
}

/// Counts messages up to the end of the connection.
async fn count<M>(mut stream: Messages<M>) -> Result<Spent> {
    let (mut meter, mut count) = (None, 0);
    while let Some(item) = stream.next().await {
        match item {
            Item::Message(message) => {
                drop(std::hint::black_box(message));
                meter.get_or_insert_with(Meter::start);
                count += 1;
            }
            Item::Connected => {}
            Item::Undecodable { error, .. } => anyhow::bail!("{error}"),
            _ => break,
        }
    }
    meter.context("nothing came")?.stop(count)
}
