//! The side that sends one entry at a time and waits for its acknowledgement.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Client, Job};
use crate::bench::process::say;
use crate::bench::rounds::median;
use crate::bench::wire::{Lone, data};

/// Entries before those that count: until everything on the way has been used once.
const WARM: usize = 20;
/// Longer than any acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// From entries to their acknowledgements.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(super) median_ms: f64,
    /// What one of 100 exceeds.
    pub(super) slow_ms: f64,
}

pub(crate) fn run(job: Job) -> Result<()> {
    say(&measure(&job)?)
}

fn measure(job: &Job) -> Result<Times> {
    match job.client {
        Client::Gravwell => {
            let (mut client, data) = (Lone::connect(job.to)?, data());
            repeat(job.seconds, |number| client.send(&data, number))
        }
        Client::Graphite => repeat(job.seconds, |number| line(job.to, number)),
    }
}

fn repeat(seconds: f64, mut one: impl FnMut(u64) -> Result<f64>) -> Result<Times> {
    for number in 0..WARM {
        one(number as u64)?;
    }
    let (time, start) = (Duration::from_secs_f64(seconds), Instant::now());
    let mut times = Vec::new();
    while start.elapsed() < time {
        times.push(one((WARM + times.len()) as u64)?);
    }
    times.sort_by(f64::total_cmp);
    let slow_ms = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    Ok(Times { median_ms: median(times.into_iter()), slow_ms })
}

/// A line over a connection of its own: how many ms until the gateway ended its side.
fn line(to: SocketAddr, number: u64) -> Result<f64> {
    let start = Instant::now();
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(format!("fairness.quiet {number} 1700000000\n").as_bytes())?;
    socket.shutdown(Shutdown::Write)?;
    ensure!(socket.read(&mut [0; 8])? == 0, "the gateway has said something");
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_line_is_timed_to_the_end_of_the_other_side() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let (ended, wait) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let mut lines = Vec::new();
            while wait.try_recv().is_err() {
                let (mut socket, _) = listener.accept().unwrap();
                let mut line = String::new();
                socket.read_to_string(&mut line).unwrap();
                lines.push(line);
            }
            lines
        });
        let job = Job { to, client: Client::Graphite, seconds: 0.01 };
        let times = measure(&job).unwrap();
        assert!(times.median_ms > 0.0 && times.slow_ms >= times.median_ms, "{times:?}");
        ended.send(()).unwrap();
        // So that the server looks whether it is over; if it has looked by itself, nobody is there.
        let _ = line(to, 0);
        let lines = server.join().unwrap();
        assert!(lines.len() > WARM, "{}", lines.len());
        assert_eq!(lines[3], "fairness.quiet 3 1700000000\n");
    }
}
