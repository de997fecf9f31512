//! Sends Graphite lines from the standard input to a Carbon daemon, as pickles or as lines, and ends
//! when the daemon has read them. One that is away is waited for. `graphite-proto` alone.
//!
//! ```sh
//! printf 'cpu.load 0.5 1700000000\n' |
//!     cargo run -p examples --example graphite_send -- 127.0.0.1:2004 pickle
//! ```

use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use graphite_proto::{
    Event, LineDecoder, Metric, Options, Sender, SenderOptions, Tcp, Timestamp, Wire,
};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().context("an address is missing, such as 127.0.0.1:2004")?;
    let mut options = SenderOptions::default();
    options.wire = match args.next().as_deref() {
        None | Some("pickle") => Wire::Pickle,
        Some("lines") => Wire::Lines,
        Some("protobuf") => Wire::Protobuf,
        Some(other) => bail!("found {other:?}; allowed: pickle, lines, protobuf"),
    };
    let mut sender = Sender::new(Tcp(address), options);
    let mut decoder = LineDecoder::new(Options::default());
    let mut input = std::io::stdin().lock();
    let mut piece = vec![0; 64 * 1024];
    let (mut sent, mut refused) = (0_u64, 0_u64);
    loop {
        let len = input.read(&mut piece).context("cannot read the standard input")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
        let now = Timestamp::from_seconds(i64::try_from(now.as_secs())?);
        let mut points: Vec<Metric> = Vec::new();
        let mut sink = |event: Event<'_>| match event {
            Event::Metric(metric) => points.push(metric.to_metric()),
            _ => refused += 1,
        };
        match len {
            0 => decoder.finish(now, &mut sink),
            _ => decoder.push(piece.get(..len).unwrap_or_default(), now, &mut sink),
        }
        for point in &points {
            match sender.send(&point.as_ref()).await {
                Ok(()) => sent += 1,
                Err(error) => {
                    refused += 1;
                    writeln!(std::io::stderr(), "{}: {error}", point.path())?;
                }
            }
        }
        if len == 0 {
            break;
        }
    }
    sender.finish().await;
    let connections = sender.connections();
    writeln!(std::io::stdout(), "{sent} sent, {refused} refused, over {connections} connections")?;
    Ok(())
}
