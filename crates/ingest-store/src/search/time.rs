//! Order of the entries' own time.
//!
//! Nothing is written, and memory is bounded, so the entries are delivered window by window: each
//! pass keeps the lowest entries above the last one delivered, as many as fit. A pass reads only
//! the segments (with a sidecar: the blocks) whose times can matter, which, as times mostly rise
//! with arrival, is little more than the window itself.

use std::io;
use std::ops::ControlFlow;

use super::keys::Highest;
use super::window::Window;
use super::{Search, deliver};
use crate::filter::Key;
use crate::segment::{Opened, Times};

/// What a pass has learnt of a segment.
#[derive(Clone, Copy, Debug)]
enum Known {
    Nothing,
    /// The keys that are not yet delivered lie in between; if the first is above the second, there
    /// are none.
    Between(Key, Key),
}

impl Known {
    const NONE: Self = Self::Between(Key::MAX, Key::MIN);

    fn add(&mut self, key: Key) {
        match self {
            Self::Nothing => *self = Self::Between(key, key),
            Self::Between(min, max) => (*min, *max) = ((*min).min(key), (*max).max(key)),
        }
    }

    fn may_have(self, from: Key, to: Key) -> bool {
        match self {
            Self::Nothing => true,
            Self::Between(min, max) => min <= max && max >= from && min <= to,
        }
    }
}

/// Everything.
pub(crate) fn all(search: &mut Search<'_>, memory: usize) -> io::Result<()> {
    let known = vec![Known::Nothing; search.view.segments.len()];
    from(search, memory, Key::MIN, known, true)
}

/// The last `limit`: first the key where they begin, then everything from there on.
pub(crate) fn last(search: &mut Search<'_>, limit: usize, memory: usize) -> io::Result<()> {
    if limit == 0 {
        return Ok(());
    }
    let mut known = vec![Known::NONE; search.view.segments.len()];
    let (mut left, mut below) = (limit, None);
    // Fewer than fit: the window comes after them, and what was freed may not be reused.
    let room = (memory / 64).max(1);
    let start = loop {
        let mut highest = Highest::new(left.min(room));
        collect(search, &mut highest, below, &mut known)?;
        let Some(lowest) = highest.lowest() else { break below.unwrap_or(Key::MAX) };
        if !highest.is_full() || left <= room {
            break lowest;
        }
        left -= room;
        below = Some(lowest);
    };
    from(search, memory, start, known, false)
}

/// Finds the highest keys below `below`, the newest segments first: they are likely to have them.
fn collect(
    search: &mut Search<'_>,
    highest: &mut Highest,
    below: Option<Key>,
    known: &mut [Known],
) -> io::Result<()> {
    let Search { dir, view, filter, report, .. } = search;
    let end = view.end();
    for (segment, known) in view.segments.iter().zip(known).rev() {
        let Some(mut opened) = Opened::open(dir, segment)? else { continue };
        let wanted = |highest: &Highest| {
            let full = highest.is_full();
            let min = highest.lowest().filter(|_| full).map_or(Times::ALL.min, |key| key.ts);
            Times { min, max: below.map_or(Times::ALL.max, |key| key.ts) }
        };
        for part in opened.parts(filter, wanted(highest), end, report).iter().rev() {
            let _ = opened.scan(dir, part, filter, end, report, &mut |found| {
                let key = Key::of(&found.entry, found.lsn);
                if below.is_none_or(|below| key < below) {
                    let enters =
                        !highest.is_full() || highest.lowest().is_some_and(|low| low < key);
                    if enters {
                        highest.push(key);
                        known.add(key);
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok(())
}

/// Everything from `start` on, window by window. Damage is counted in the first pass, if at all.
fn from(
    search: &mut Search<'_>,
    memory: usize,
    start: Key,
    mut known: Vec<Known>,
    mut count_damage: bool,
) -> io::Result<()> {
    let Search { dir, view, names, filter, report, sink, .. } = search;
    let end = view.end();
    let (mut window, mut scratch) = (Window::new(memory), String::new());
    let wanted = |key: Key, after: Option<Key>| match after {
        Some(after) => key > after,
        None => key >= start,
    };
    let mut after = None;
    loop {
        window.clear();
        let (damaged, undecodable) = (report.damaged_bytes, report.undecodable);
        for (segment, known) in view.segments.iter().zip(&mut known) {
            let low = after.unwrap_or(start);
            if !known.may_have(low, window.cap().unwrap_or(Key::MAX)) {
                continue;
            }
            let Some(mut opened) = Opened::open(dir, segment)? else {
                report.expired_segments += 1;
                *known = Known::NONE;
                continue;
            };
            let high = window.cap().map_or(Times::ALL.max, |cap| cap.ts);
            let times = Times { min: low.ts, max: high };
            let parts = opened.parts(filter, times, end, report);
            let mut seen = Known::NONE;
            if let Some(sidecar) = opened.sidecar().filter(|_| high < Times::ALL.max) {
                // What was left out for being too late is for another pass.
                let times = sidecar.times();
                if times.max > high {
                    seen.add(Key { ts: times.max, lsn: u64::MAX });
                    seen.add(Key { ts: times.min.max(low.ts), lsn: 0 });
                }
            }
            for part in &parts {
                let _ = opened.scan(dir, part, filter, end, report, &mut |found| {
                    let key = Key::of(&found.entry, found.lsn);
                    if wanted(key, after) {
                        seen.add(key);
                        window.push(key, &found);
                    }
                    ControlFlow::Continue(())
                })?;
            }
            *known = seen;
        }
        if !count_damage {
            (report.damaged_bytes, report.undecodable) = (damaged, undecodable);
        }
        count_damage = false;
        let more = window.cap().is_some();
        for (key, found) in window.sorted() {
            report.hits += 1;
            if deliver(&found, names, &mut scratch, *sink).is_break() {
                return Ok(());
            }
            after = Some(key);
        }
        if !more {
            return Ok(());
        }
    }
}
