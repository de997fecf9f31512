//! Reads Graphite lines and says what each one is, or why it is none. `graphite-proto` alone.
//!
//! ```sh
//! printf 'cpu.load 0.5 1700000000\ncpu;host=b;dc=a 1e3 -1\nno value here\n' |
//!     cargo run -p examples --example graphite_lines
//! ```

use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use graphite_proto::{Event, LineDecoder, Options, Timestamp};

fn main() -> Result<()> {
    let mut decoder = LineDecoder::new(Options::default());
    let mut input = std::io::stdin().lock();
    let mut out = std::io::stdout().lock();
    let (mut metrics, mut refused) = (0u64, 0u64);
    let mut piece = [0; 4096];
    loop {
        // The decoder takes pieces of any size and knows no clock: both come from here.
        let len = input.read(&mut piece).context("cannot read the standard input")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
        let now = Timestamp::from_seconds(i64::try_from(now.as_secs())?);

        let mut text = String::new();
        let mut sink = |event: Event<'_>| match event {
            Event::Metric(metric) => {
                metrics += 1;
                let (path, value) = (metric.canonical_path(), metric.value());
                let seconds = metric.timestamp().seconds;
                text.push_str(&format!("{path}: {value} at {seconds}\n"));
            }
            Event::Rejected(rejected) => {
                refused += 1;
                let shown = String::from_utf8_lossy(rejected.line);
                let (reason, at) = (rejected.reason, rejected.offset);
                text.push_str(&format!("refused, at byte {at}: {reason}: {shown}\n"));
            }
            _ => {}
        };
        match piece.get(..len) {
            Some(bytes) if len > 0 => decoder.push(bytes, now, &mut sink),
            // A line without its end is refused.
            _ => decoder.finish(now, &mut sink),
        }
        out.write_all(text.as_bytes()).context("cannot write")?;
        if len == 0 {
            break;
        }
    }
    writeln!(out, "{metrics} metrics, {refused} refused").context("cannot write")
}
