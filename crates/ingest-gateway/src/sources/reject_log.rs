//! Log lines for refused items: one by reason and window, with what was not said counted.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::RejectStore;
use crate::rules::RULE;

/// After a line about a reason the next one about it comes this much later at the earliest.
const WINDOW: Duration = Duration::from_secs(10);
/// Bytes of an item that a line shows.
const SHOWN: usize = 120;

/// The refusals of one source.
#[derive(Debug)]
pub(crate) struct RejectLog {
    source: String,
    reasons: Vec<&'static str>,
    state: Mutex<Vec<Seen>>,
    store: Option<RejectStore>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    last: Option<Instant>,
    silent: u64,
}

impl RejectLog {
    pub(crate) fn new(source: &str, reasons: Vec<&'static str>) -> Self {
        let state = Mutex::new(vec![Seen::default(); reasons.len()]);
        Self { source: source.to_owned(), reasons, state, store: None }
    }

    /// The same, which also keeps items.
    pub(crate) fn keeping(mut self, store: Option<RejectStore>) -> Self {
        self.store = store;
        self
    }

    /// Where items are kept.
    pub(crate) const fn store(&self) -> Option<&RejectStore> {
        self.store.as_ref()
    }

    /// Hands what is to be kept over to the log. For those who have called [`note`](Self::note).
    pub(crate) fn hand_over(&self) {
        if let Some(store) = &self.store {
            store.hand_over(&self.source, &self.reasons);
        }
    }

    /// Refused items that were kept.
    pub(crate) fn kept(&self) -> u64 {
        self.store.as_ref().map_or(0, RejectStore::kept)
    }

    /// A refused item: its reason by its place, who sent it, where in the stream, its bytes.
    pub(crate) fn note(
        &self,
        reason: usize,
        peer: impl Into<Option<IpAddr>>,
        offset: Option<u64>,
        item: &[u8],
    ) {
        let peer = peer.into();
        if self.reasons.get(reason) == Some(&RULE) {
            // What the operator wants to be left out is nothing to be told of.
            return;
        }
        if let Some(store) = &self.store {
            store.take(reason, peer, offset, item);
        }
        let Some(silent) = self.speak(reason, Instant::now()) else { return };
        let reason = self.reasons.get(reason).copied().unwrap_or("unknown");
        let shown = item.get(..SHOWN).unwrap_or(item).escape_ascii();
        let more = if item.len() > SHOWN { "…" } else { "" };
        tracing::warn!(
            source = %self.source, reason, peer = peer.map(tracing::field::display), offset, item = %format_args!("{shown}{more}"),
            not_shown_before = silent, "Refused an item."
        );
    }

    /// A connection that was not let in: why by its place, who it was, in words.
    pub(crate) fn note_connection(
        &self,
        reason: usize,
        peer: impl Into<Option<IpAddr>>,
        error: &dyn fmt::Display,
    ) {
        let peer = peer.into();
        let Some(silent) = self.speak(reason, Instant::now()) else { return };
        let reason = self.reasons.get(reason).copied().unwrap_or("unknown");
        tracing::warn!(
            source = %self.source, reason, peer = peer.map(tracing::field::display), %error, not_shown_before = silent,
            "Refused a connection."
        );
    }

    /// How many were passed over in silence before this one; `None`: so is this one.
    fn speak(&self, reason: usize, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = state.get_mut(reason)?;
        if seen.last.is_some_and(|last| now.duration_since(last) < WINDOW) {
            seen.silent += 1;
            return None;
        }
        seen.last = Some(now);
        Some(std::mem::take(&mut seen.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_by_reason_and_window() {
        let log = RejectLog::new("s", vec!["a", "b"]);
        let start = Instant::now();
        assert_eq!(log.speak(0, start), Some(0));
        assert_eq!(log.speak(1, start), Some(0));
        assert_eq!(log.speak(0, start), None);
        assert_eq!(log.speak(0, start + WINDOW / 2), None);
        assert_eq!(log.speak(0, start + WINDOW), Some(2));
        assert_eq!(log.speak(7, start), None);
    }
}
