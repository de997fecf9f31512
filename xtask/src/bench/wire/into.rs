//! The cases that end in the gateway's log: acknowledged means synced.

use anyhow::Result;

use super::lone::Alone;
use super::{CLIENT, How, Job, LONE, SECRET};
use crate::bench::case::{Bar, Case, Context, Figure, Sample};
use crate::bench::gateway::Gateway;
use crate::bench::process::Side;
use crate::bench::usage::Spent;

/// How long a lone entry's acknowledgement takes beyond a bare write and sync.
const OVER: &str = "ms over the bare sync";

/// Entries into the log, as many as it takes.
pub(super) fn many() -> Case {
    Case {
        name: "wire/256B/gateway",
        unit: "entries/s",
        us: "gateway",
        peer: Some("client"),
        beside: &[super::ONE_WAY],
        bars: vec![Bar::at_least(Figure::Value, 1e6, 2e6)],
        run: Box::new(|context| {
            let gateway = start()?;
            let (job, before) = (job(&gateway, context)?, gateway.cpu()?);
            let sent: Spent = Side::start(CLIENT, &job)?.finish()?;
            let sample = sample(&gateway, before, sent.rate(), &sent)?;
            gateway.stop()?;
            Ok(sample)
        }),
    }
}

/// One entry at a time, in turn with a bare write and sync of 4 KiB on the same disk.
pub(super) fn alone() -> Case {
    Case {
        name: "wire/lone/gateway",
        unit: "ms",
        us: "gateway",
        peer: Some("client"),
        beside: &[],
        bars: vec![Bar::at_most(Figure::More(OVER), 0.2, 0.2)],
        run: Box::new(|context| {
            let gateway = start()?;
            let (job, before) = (job(&gateway, context)?, gateway.cpu()?);
            let alone: Alone = Side::start(LONE, &(job, gateway.dir()))?.finish()?;
            let mut sample = sample(&gateway, before, alone.ack_ms, &alone.spent)?;
            sample.more.insert("ms of the bare sync", alone.sync_ms);
            sample.more.insert("ms that one of 100 exceeds", alone.slow_ms);
            sample.more.insert(OVER, alone.over_ms);
            gateway.stop()?;
            Ok(sample)
        }),
    }
}

fn start() -> Result<Gateway> {
    Gateway::start("gravwell", &[("INGEST_SECRET", SECRET)])
}

fn job(gateway: &Gateway, context: &Context) -> Result<Job> {
    let to = gateway.address("gravwell")?;
    Ok(Job { to, seconds: context.time.as_secs_f64(), how: How::Batches(512) })
}

fn sample(gateway: &Gateway, before: f64, value: f64, client: &Spent) -> Result<Sample> {
    let cpu = (gateway.cpu()? - before) * 1e6 / client.count as f64;
    Ok(Sample {
        value,
        cpu: [("gateway", cpu), ("client", client.cpu_per_million())].into(),
        rss_mib: gateway.rss_mib()?,
        more: [("client MiB", client.rss_mib)].into(),
        ..Sample::default()
    })
}
