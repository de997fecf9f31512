//! The Graphite sender for many points: a pickled list of tuples `(path, (timestamp, value))`, with
//! its length in front. `graphite-proto` without any feature, and std's sockets.
//!
//! ```sh
//! cargo run &
//! cargo run -p examples --example graphite_pickle -- 127.0.0.1:2004 1000
//! ```
//!
//! It does what this does in Python:
//!
//! ```python
//! payload = pickle.dumps(listOfMetricTuples, protocol=2)
//! header = struct.pack("!L", len(payload))
//! message = header + payload
//! ```

#![allow(clippy::print_stdout, reason = "an example")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use graphite_proto::{MetricRef, PointEncoder, Timestamp, Wire};

/// As many as carbon puts into a frame.
const POINTS: usize = 500;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:2004".to_owned());
    let count: u32 = arguments.next().as_deref().unwrap_or("1000").parse().context("the count")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
    let now = Timestamp::from_seconds(i64::try_from(now.as_secs())?);

    let mut stream = TcpStream::connect(&address).with_context(|| format!("no {address}"))?;
    let mut encoder = PointEncoder::new(Wire::Pickle, POINTS);
    let mut frames = Vec::new();
    for number in 0..count {
        let path = format!("local.test.dice{number}.roll");
        let roll = f64::from(1 + number % 6);
        // Header and payload are appended when the list has 500 points.
        encoder.push(&MetricRef::new(&path, roll, now), &mut frames)?;
        stream.write_all(&frames)?;
        frames.clear();
    }
    encoder.flush(&mut frames);
    stream.write_all(&frames)?;

    // The end of the server's side says that it has read everything; ingestry's, that it is on disk.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.read_to_end(&mut Vec::new()).context("the server has not closed its side")?;
    println!("{count} points sent to {address}");
    Ok(())
}
