//! The task that reads the log for an output, a little ahead of its links.

use std::ops::Range;
use std::sync::Arc;

use ingest_entry::stored;
use ingest_wal::{Item, Lsn, MissingCause, Reader, Writer};

use crate::lease::MAX_ENTRIES;
use crate::output::Settled;
use crate::shared::{Chunk, READY, Shared, State};
use crate::sync::lock;

/// What the feeder does next.
enum Step {
    Read { at: Lsn, until: Lsn, again: bool },
    Wait { at: Lsn },
    End,
}

/// Reads until the output is closed.
pub(crate) async fn run(shared: Arc<Shared>, mut reader: Reader, writer: Writer) {
    loop {
        let notified = shared.feed.notified();
        match next_step(&shared, writer.shown_end()) {
            Step::End => return,
            Step::Wait { at } => {
                // Either something new is durable, or the output's own state has changed.
                tokio::select! {
                    () = notified => {}
                    result = writer.shown(at.saturating_add(1)) => {
                        if result.is_err() {
                            // Failed or closed: what is durable can still be delivered.
                            notified_or_later(&shared).await;
                        }
                    }
                }
            }
            Step::Read { at, until, again } => {
                let for_blocking = Arc::clone(&shared);
                let job = tokio::task::spawn_blocking(move || {
                    let result = read(&for_blocking, &mut reader, at..until, again);
                    (reader, result)
                });
                match job.await {
                    Ok((back, Ok(()))) => reader = back,
                    Ok((back, Err(error))) => {
                        reader = back;
                        tracing::error!(output = %shared.name, %error, "Cannot read the log.");
                        notified_or_later(&shared).await;
                    }
                    Err(error) => {
                        tracing::error!(output = %shared.name, %error, "Reading the log ended.");
                        return;
                    }
                }
            }
        }
    }
}

async fn notified_or_later(shared: &Shared) {
    let later = tokio::time::sleep(std::time::Duration::from_millis(200));
    tokio::select! {
        () = shared.feed.notified() => {}
        () = later => {}
    }
}

fn next_step(shared: &Shared, shown_end: Lsn) -> Step {
    let mut state = lock(&shared.state);
    if state.closed {
        return Step::End;
    }
    if state.ready.len() >= READY {
        // Woken when one is taken.
        return Step::Wait { at: Lsn::MAX - 1 };
    }
    if let Some(range) = state.again.as_slice().first() {
        return Step::Read { at: range.start, until: range.end, again: true };
    }
    let until = state.skip_settled().map_or(shown_end, |settled| settled.min(shown_end));
    if state.fed < until {
        return Step::Read { at: state.fed, until, again: false };
    }
    Step::Wait { at: state.fed }
}

/// Reads one chunk from the beginning of `range`, or settles what holds nothing for this output.
fn read(
    shared: &Shared,
    reader: &mut Reader,
    range: Range<Lsn>,
    again: bool,
) -> std::io::Result<()> {
    if reader.position() != range.start {
        reader.seek(range.start);
    }
    let mut records = Vec::new();
    let (mut matching, mut meant_bytes, mut bytes) = (0, 0, 0);
    let most = shared.lease_bytes();
    let mut at = range.start;
    let mut gap = None;
    while at < range.end && at - range.start < MAX_ENTRIES && bytes < most {
        match reader.next_item()? {
            None => break,
            Some(Item::Record(record)) => {
                let end = record.header.end().min(range.end);
                let (meant, of_them) = count(shared, &record, at..end);
                // What the filter passes over ends a chunk only in front, so that a rare tag
                // holds nothing back.
                if meant == 0 && records.is_empty() {
                    settle(shared, at..end, Settled::Filtered, again);
                    return Ok(());
                }
                matching += meant;
                meant_bytes += of_them;
                bytes += record.body.len();
                at = end;
                records.push(record);
            }
            Some(Item::Missing(missing)) => {
                let how = match missing.cause {
                    MissingCause::Damaged => Settled::Lost("damaged"),
                    MissingCause::Dropped => Settled::Lost("dropped"),
                    _ => Settled::Nothing,
                };
                gap = Some((at..missing.range.end.min(range.end), how));
                break;
            }
            Some(Item::Expired(expired)) => {
                // Only what every output had passed is removed: an older position of this one
                // came back. What it would repeat is gone, and had been delivered.
                gap = Some((at..expired.end.min(range.end), Settled::Passed));
                break;
            }
            Some(_) => break,
        }
    }
    if !records.is_empty() {
        let chunk = Chunk { range: range.start..at, records, matching, bytes: meant_bytes, again };
        offer(shared, chunk);
    }
    if let Some((gap, how)) = gap {
        settle(shared, gap, how, again);
    }
    Ok(())
}

/// How many entries of a record are meant, and their bytes.
fn count(shared: &Shared, record: &ingest_wal::Record, within: Range<Lsn>) -> (u64, u64) {
    let whole = within == (record.header.first..record.header.end());
    if shared.matcher.takes_all() && whole {
        return (within.end.saturating_sub(within.start), record.body.len() as u64);
    }
    let mut memo = shared.matcher.memo();
    let entries = stored::entries(&record.body).flatten().zip(record.header.first..);
    entries
        .filter(|(entry, lsn)| within.contains(lsn) && memo.takes(entry.tag))
        .fold((0, 0), |(count, bytes), (entry, _)| (count + 1, bytes + entry.stored_len() as u64))
}

/// The range is read: it no longer waits to be.
fn taken(state: &mut State, range: &Range<Lsn>, again: bool) {
    if again {
        state.again.remove(range);
    } else {
        state.fed = state.fed.max(range.end);
    }
}

fn offer(shared: &Shared, chunk: Chunk) {
    {
        let mut state = lock(&shared.state);
        // A break in the meantime may have put something before it.
        let first = state.again.as_slice().first().map(|range| range.start);
        let overtaken = first.is_some_and(|first| first < chunk.range.start)
            || (!chunk.again && state.fed != chunk.range.start);
        if overtaken {
            return;
        }
        taken(&mut state, &chunk.range, chunk.again);
        let arrival = chunk.records.first().map(|record| record.header.arrival);
        state.oldest_arrival = state.oldest_arrival.or(arrival);
        state.ready.push_back(chunk);
    }
    shared.ready.notify_waiters();
}

fn settle(shared: &Shared, range: Range<Lsn>, how: Settled<'_>, again: bool) {
    let mut state = lock(&shared.state);
    if !again && state.fed != range.start {
        return;
    }
    taken(&mut state, &range, again);
    if let Settled::Lost(reason) = how {
        let entries = range.end.saturating_sub(range.start);
        tracing::error!(output = %shared.name, entries, reason, "Entries are lost to an output.");
        state.lose(range, reason);
    } else {
        state.account.settle(range, how);
    }
    drop(state);
    shared.settled.notify_waiters();
}
