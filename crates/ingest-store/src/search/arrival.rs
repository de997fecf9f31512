//! Order of arrival, which is the order of the log.

use std::io;
use std::ops::{ControlFlow, Range};

use ingest_wal::OfflineSegment;

use super::{Search, deliver};
use crate::hit::Report;
use crate::segment::{Opened, Times};

/// Everything, first to last.
pub(crate) fn all(search: &mut Search<'_>) -> io::Result<()> {
    let end = search.view.end();
    let segments = std::mem::take(&mut search.view.segments);
    for segment in &segments {
        search.watch.segment(segment);
        if segment.end <= search.filter.from {
            continue;
        }
        let Some(mut opened) = open(search, segment)? else { continue };
        for part in opened.parts(&search.filter, Times::ALL, end, &mut search.report) {
            let mut skip = 0;
            search.watch.part(&part);
            if show(search, &mut opened, &part, &mut skip)?.is_break() {
                return Ok(());
            }
        }
    }
    search.watch.end();
    Ok(())
}

/// The parts of one segment that hold matches, the last one first.
struct Hot<'v> {
    segment: &'v OfflineSegment,
    parts: Vec<Range<u64>>,
}

/// The last `limit`. The parts are counted from the end until there are enough matches, then
/// those that have some are read in order.
pub(crate) fn last(search: &mut Search<'_>, limit: usize) -> io::Result<()> {
    let end = search.view.end();
    let segments = std::mem::take(&mut search.view.segments);
    let limit = limit as u64;
    let (mut found, mut hot) = (0u64, Vec::new());
    for segment in segments.iter().rev() {
        if found >= limit || segment.end <= search.filter.from {
            break;
        }
        let Some(mut opened) = open(search, segment)? else { continue };
        let mut parts = Vec::new();
        for part in opened.parts(&search.filter, Times::ALL, end, &mut search.report).iter().rev() {
            let before = found;
            let Search { dir, filter, report, .. } = search;
            let flow = opened.scan(dir, part, filter, end, report, &mut |_| {
                found += 1;
                ControlFlow::Continue(())
            })?;
            debug_assert!(flow.is_continue());
            if found > before {
                parts.push(part.clone());
            }
            if found >= limit {
                break;
            }
        }
        if !parts.is_empty() {
            hot.push(Hot { segment, parts });
        }
    }
    let mut skip = found.saturating_sub(limit);
    // Damage was counted above.
    let damaged = search.report.damaged_bytes;
    let undecodable = search.report.undecodable;
    'shown: for Hot { segment, parts } in hot.iter().rev() {
        let Some(mut opened) = Opened::open(search.dir, segment)? else {
            // It expired since it was counted, and with it what was to be left out.
            search.report.expired_segments += 1;
            skip = 0;
            continue;
        };
        for part in parts.iter().rev() {
            if show(search, &mut opened, part, &mut skip)?.is_break() {
                break 'shown;
            }
        }
    }
    let Report { damaged_bytes, undecodable: again, .. } = &mut search.report;
    (*damaged_bytes, *again) = (damaged, undecodable);
    Ok(())
}

fn open(search: &mut Search<'_>, segment: &OfflineSegment) -> io::Result<Option<Opened>> {
    let opened = Opened::open(search.dir, segment)?;
    search.report.expired_segments += u64::from(opened.is_none());
    Ok(opened)
}

/// Hands the matches of a part to the sink, but for the first `skip`.
fn show(
    search: &mut Search<'_>,
    opened: &mut Opened,
    part: &Range<u64>,
    skip: &mut u64,
) -> io::Result<ControlFlow<()>> {
    let end = search.view.end();
    let Search { dir, names, filter, report, sink, .. } = search;
    let (mut hits, mut scratch) = (0, String::new());
    let flow = opened.scan(dir, part, filter, end, report, &mut |found| {
        if *skip > 0 {
            *skip -= 1;
            return ControlFlow::Continue(());
        }
        hits += 1;
        deliver(&found, names, &mut scratch, *sink)
    })?;
    report.hits += hits;
    Ok(flow)
}
