//! The Graphite sender that everybody begins with, without `nc`: one line over TCP, and the end of
//! the connection as its acknowledgement. `graphite-proto` without any feature, and std's sockets.
//!
//! ```sh
//! cargo run &
//! cargo run -p examples --example graphite_nc -- 127.0.0.1:2003 4
//! echo "local.test.diceroll 4 `date +%s`" | nc -N 127.0.0.1 2003    # the same
//! ```

#![allow(clippy::print_stdout, reason = "an example")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use graphite_proto::{MetricRef, PointEncoder, Timestamp, Wire};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:2003".to_owned());
    let roll: f64 = arguments.next().as_deref().unwrap_or("4").parse().context("the roll")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
    let now = Timestamp::from_seconds(i64::try_from(now.as_secs())?);

    // Refuses what servers would misread: a blank in the name, NaN, a time before 1970.
    let mut line = Vec::new();
    let mut encoder = PointEncoder::new(Wire::Lines, 1);
    encoder.push(&MetricRef::new("local.test.diceroll", roll, now), &mut line)?;

    let mut stream = TcpStream::connect(&address).with_context(|| format!("no {address}"))?;
    stream.write_all(&line)?;
    // "That was all." Carbon closes its side when it has read it; ingestry, when it is on disk.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.read_to_end(&mut Vec::new()).context("the server has not closed its side")?;
    print!("{}", String::from_utf8_lossy(&line));
    Ok(())
}
