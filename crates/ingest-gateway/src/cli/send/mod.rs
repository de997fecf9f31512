//! `ingestry send`: lines from files or standard input, over any of the protocols, to an ingestry or
//! whatever else speaks them.

mod args;
mod input;
mod sinks;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

pub use args::{Destination, Secret, SendArgs, Speaks};
use sinks::{Counts, End, Sink};

use super::Exit;
use crate::units::format_size_rounded;

/// With a rate, pieces are so short that they come at this pace.
const PACE: u64 = 20;

/// Sends all, and says what became of it.
pub(super) fn run(args: &SendArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sent = runtime.block_on(send(args));
    // A thread may be waiting for input that nobody wants any more.
    runtime.shutdown_background();
    sent
}

/// Sends these bytes, which end with a whole item, and waits for the acknowledgement.
pub(super) async fn feed(args: &SendArgs, bytes: Vec<u8>) -> anyhow::Result<()> {
    let mut counts = Counts::default();
    let mut sink = Sink::open(args).await?;
    let piece = input::Piece { bytes, ..input::Piece::default() };
    sink.send(&piece, &mut counts).await?;
    let end = sink.finish(Duration::from_secs(args.wait), &mut counts).await?;
    if counts.unsendable > 0 {
        anyhow::bail!("{} items have no form in this protocol", counts.unsendable);
    }
    match end {
        End::Acknowledged | End::Unknown => Ok(()),
        End::Missing(count) => anyhow::bail!("{count} items were not acknowledged"),
    }
}

async fn send(args: &SendArgs) -> anyhow::Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle signals")?;
    let mut sink = Sink::open(args).await?;
    let most = args.rate.map_or(u64::MAX, |rate| rate.get().div_ceil(PACE));
    let mut input = input::read(args.files.clone(), args.repeat.get(), most);
    let (bar, read) = (bar(args), Instant::now());
    let mut counts = Counts::default();
    let mut lines = 0;
    let broken = loop {
        let piece = tokio::select! {
            piece = input.recv() => piece,
            _ = interrupt.recv() => None,
        };
        let Some(piece) = piece.transpose()? else { break None };
        if let Err(error) = sink.send(&piece, &mut counts).await {
            break Some(error);
        }
        lines += piece.lines;
        bar.inc(piece.bytes.len() as u64);
        bar.set_message(format!("{} items", counts.sent));
        if let Some(rate) = args.rate {
            let due = Duration::from_secs_f64(lines as f64 / rate.get() as f64);
            tokio::time::sleep_until((read + due).into()).await;
        }
    };
    drop(input);
    let end = match broken {
        Some(error) => Err(error),
        None => sink.finish(Duration::from_secs(args.wait), &mut counts).await,
    };
    bar.finish_and_clear();
    let good = matches!(end, Ok(End::Acknowledged | End::Unknown))
        && counts.unsendable + counts.refused == 0;
    report(args, counts, read.elapsed(), &end)?;
    end?;
    Ok(if good { Exit::Fine } else { Exit::Failed })
}

fn report(
    args: &SendArgs,
    counts: Counts,
    took: Duration,
    end: &anyhow::Result<End>,
) -> io::Result<()> {
    let seconds = took.as_secs_f64().max(1e-9);
    let mut out = io::stdout().lock();
    let end = match end {
        Ok(End::Acknowledged) => "all acknowledged".to_owned(),
        Ok(End::Unknown) => "datagrams are not acknowledged".to_owned(),
        Ok(End::Missing(some)) => format!("{some} not acknowledged"),
        Err(_) => "what of it arrived is not known".to_owned(),
    };
    writeln!(
        out,
        "{}: sent {} items ({}) in {seconds:.1} s, {:.0} a second; {end}",
        args.to,
        counts.sent,
        format_size_rounded(counts.bytes),
        counts.sent as f64 / seconds
    )?;
    for (number, what) in [
        (counts.unsendable, "not sent: the protocol has no form for them"),
        (counts.refused, "refused by the other side"),
    ] {
        if number > 0 {
            writeln!(out, "  {number} {what}")?;
        }
    }
    out.flush()
}

/// A bar on a terminal, of the files' bytes where there are files.
fn bar(args: &SendArgs) -> ProgressBar {
    let sizes = args.files.iter().map(|file| Some(std::fs::metadata(file).ok()?.len()));
    let total: Option<u64> = sizes.sum::<Option<u64>>().filter(|_| !args.files.is_empty());
    let target = ProgressDrawTarget::stderr_with_hz(5);
    let (length, template) = match total {
        Some(total) => (
            Some(total.saturating_mul(args.repeat.get())),
            "sending [{bar:30}] {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {msg}  \
             {binary_bytes_per_sec}  {eta} left",
        ),
        None => (None, "sending {binary_bytes}  {msg}  {binary_bytes_per_sec}"),
    };
    let bar = ProgressBar::with_draw_target(length, target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
