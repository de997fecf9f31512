//! The side that sends as fast as it is let.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::bench::graphite::{POINTS, What, stream};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Connections, each with a thread.
const CONNECTIONS: usize = 8;
/// Times 10,000 lines that each has handed to the system before the flood is one: more than fits
/// into a socket.
const WARM: u64 = 20;

pub(crate) fn run((to, seconds): (SocketAddr, f64)) -> Result<()> {
    say(&flood(to, Duration::from_secs_f64(seconds), || say(&()))?)
}

/// Floods for so long; `rising` is called once it is high.
fn flood(to: SocketAddr, time: Duration, rising: impl FnOnce() -> Result<()>) -> Result<Spent> {
    let buffer: Arc<[u8]> = stream(What::Lines)?.into();
    let meter = Meter::start();
    let warm = Arc::new(Barrier::new(CONNECTIONS + 1));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (buffer, warm) = (Arc::clone(&buffer), Arc::clone(&warm));
            std::thread::spawn(move || {
                let sent = TcpStream::connect(to).map_err(anyhow::Error::from);
                let sent = sent.and_then(|mut socket| {
                    let first = repeat(&mut socket, &buffer, |turns| turns < WARM);
                    Ok((socket, first?))
                });
                // One that has failed must not keep the others waiting.
                warm.wait();
                let ((mut socket, first), start) = (sent?, Instant::now());
                let then = repeat(&mut socket, &buffer, |_| start.elapsed() < time)?;
                socket.shutdown(Shutdown::Write)?;
                ensure!(socket.read(&mut [0; 8])? == 0, "the gateway has said something");
                anyhow::Ok(first + then)
            })
        })
        .collect();
    warm.wait();
    rising()?;
    let mut turns = 0;
    for sender in senders {
        turns += sender.join().ok().context("a sender of the flood has failed")??;
    }
    meter.stop(turns * POINTS as u64)
}

/// Writes the buffer as long as that is wanted: how often.
fn repeat(socket: &mut TcpStream, buffer: &[u8], wanted: impl Fn(u64) -> bool) -> Result<u64> {
    let mut turns = 0;
    while wanted(turns) {
        socket.write_all(buffer)?;
        turns += 1;
    }
    Ok(turns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn every_connection_sends_and_waits_for_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let readers = std::thread::spawn(move || {
            let readers: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    let (mut socket, _) = listener.accept().unwrap();
                    std::thread::spawn(move || {
                        let (mut lines, mut piece) = (0, vec![0; 256 << 10]);
                        loop {
                            match socket.read(&mut piece).unwrap() {
                                0 => return lines,
                                count => {
                                    lines += memchr::memchr_iter(b'\n', &piece[..count]).count()
                                }
                            }
                        }
                    })
                })
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
        });
        let mut high = false;
        let sent = flood(to, Duration::ZERO, || {
            high = true;
            Ok(())
        });
        let least = WARM * POINTS as u64 * CONNECTIONS as u64;
        assert!(high);
        assert_eq!(sent.unwrap().count, least);
        assert_eq!(readers.join().unwrap() as u64, least);
    }
}
