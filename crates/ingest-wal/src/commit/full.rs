//! What happens to what arrives while there is no room.

use std::time::Instant;

use super::{Committer, Message, Owner, RETRY, Submission};
use crate::format::{Kind, Missing, MissingCause};
use crate::options::OnFull;
use crate::shared::{Chore, Counters, lock};
use crate::status::Health;

impl Committer {
    /// Waits until there may be room, or drops what waits, as the options say.
    pub(super) fn wait_for_room(&mut self) -> std::io::Result<()> {
        if self.shared.set_health(Health::Full) {
            Counters::add(&self.shared.counters.full_episodes, 1);
            // Whatever had failed before: from here on it is room that is waited for.
            self.shared.refuse(None);
            tracing::warn!(
                used = self.shared.used_bytes(),
                max_bytes = self.shared.limits.max_bytes,
                min_free = self.shared.limits.min_free,
                on_full = self.shared.options.on_full.as_str(),
                "The log is full."
            );
        }
        let drops = self.shared.options.on_full == OnFull::DropNewest;
        // History may be on its way out: first it is asked for.
        let asked = self.room_asked.is_some_and(|asked| asked.elapsed() < RETRY);
        if !asked {
            let _ = self.shared.chores.try_send(Chore::Look);
            self.room_asked = Some(Instant::now());
        }
        let room = if drops && asked {
            self.shared.room.1.try_recv().is_ok()
        } else {
            self.shared.room.1.recv_timeout(RETRY).is_ok()
        };
        if drops && !room {
            self.drop_newest()?;
            // Asked again only after a while: meanwhile what arrives goes the same way.
            self.room_asked = Some(Instant::now());
        }
        Ok(())
    }

    /// Ranges that were dropped and that no durable record names yet.
    pub(super) fn dropped_unnamed(&self) -> &[Missing] {
        if self.begun { &self.announce } else { &[] }
    }

    /// Drops every record of entries that waits. Its LSNs are void, and whoever waits is told.
    fn drop_newest(&mut self) -> std::io::Result<()> {
        let waiting: Vec<Message> = self.inbox.try_iter().collect();
        waiting.into_iter().for_each(|message| self.take(message, Instant::now()));
        while self.number_next() {}
        // What was written before is made durable, so that the watermark can pass over the rest.
        if !self.unsynced.is_empty() {
            self.sync()?;
        }
        let pending = std::mem::take(&mut self.pending);
        let (gone, kept): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|submission| submission.kind == Kind::Entries);
        self.pending = kept.into();
        self.pending_bytes = self.pending.iter().map(Submission::bytes).sum();
        let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return Ok(()) };
        let range = first.first..last.end();
        let entries = range.end.saturating_sub(range.start);
        Counters::add(&self.shared.counters.dropped_newest, entries);
        {
            // Before anybody is told.
            let mut by_source = lock(&self.shared.dropped_by_source);
            for submission in &gone {
                *by_source.entry(submission.source).or_default() += u64::from(submission.count);
            }
        }
        {
            // The watermark moves with the totals, so that the account holds at each moment.
            let mut missing = lock(&self.shared.missing);
            missing.count(range.clone(), MissingCause::Void);
            self.shared.written.drop_range(range.clone());
            self.shared.synced.drop_range(range.clone());
        }
        for Owner { lane, entries, .. } in gone.iter().filter_map(|gone| gone.owner.as_ref()) {
            lane.written.drop_range(entries.clone());
            lane.synced.drop_range(entries.clone());
        }
        match self.announce.last_mut().filter(|missing| missing.range.end == range.start) {
            Some(before) if before.cause == MissingCause::Void => before.range.end = range.end,
            _ => self.announce.push(Missing { range, cause: MissingCause::Void }),
        }
        Ok(())
    }
}
