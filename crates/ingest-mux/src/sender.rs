//! The front for programs that have entries at hand: async and blocking, from any number of
//! threads.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ingest_entry::{EntryRef, Source as Address, TagId, TagName};
use ingest_wal::{Level, RefusedError, Ticket};

use crate::block_on::block_on;
use crate::delivery::Delivery;
use crate::durability::{Accepted, Durability, State};
use crate::error::{DefineError, FlushError, SendError};
use crate::muxer::Tags;
use crate::source::{Sent, Source};
use crate::status::Refusals;

/// Most bytes that are handed over in one go, so that one large batch does not hold the budget of a
/// source for long.
const PIECE: u64 = 1 << 20;

/// Takes entries. Clones share its budget, and all of them can be used at once, from tasks and from
/// plain threads.
///
/// Each write says how safe it has to be before it counts as done ([`Durability`]). The bytes that
/// are in memory are bounded by the sender's budget and by the log's: past them a write waits, which
/// is the only back-pressure.
///
/// A write that is given up, by a drop of its future or a time-out, may have been handed over all
/// the same.
#[derive(Clone, Debug)]
pub struct Sender {
    source: Source,
    delivery: Delivery,
    tags: Tags,
    refusals: Refusals,
}

/// Entries that were handed over and are not safe yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what was handed over is not safe yet"]
pub struct HandedOver {
    ticket: Option<Ticket>,
    tags: Vec<TagId>,
    entries: u64,
    durability: Durability,
}

impl HandedOver {
    fn at(&self, state: State) -> Accepted {
        let lsns = self.ticket.as_ref().and_then(Ticket::lsns);
        Accepted { lsns, entries: self.entries, state }
    }
}

impl Sender {
    pub(crate) fn new(source: Source, delivery: Delivery, tags: Tags, refusals: Refusals) -> Self {
        Self { source, delivery, tags, refusals }
    }

    /// Lets this address take the place of the entries' own.
    #[must_use]
    pub fn address(mut self, address: Option<Address>) -> Self {
        self.source = self.source.address(address);
        self
    }

    /// The number of a tag, given now if it has none.
    ///
    /// # Errors
    /// [`DefineError`]: the name is not allowed, the table is full, or the log does not take it.
    pub fn tag(&self, name: &str) -> Result<TagId, DefineError> {
        let name = TagName::new(name).map_err(|error| DefineError::Name(error.to_string()))?;
        self.tags.number(&name)
    }

    /// Sends one entry and waits until it is as safe as it has to be. Several writers at once
    /// share the log's syncs; a batch is cheaper still.
    ///
    /// # Errors
    /// [`SendError`]; when waiting failed, the entry may be in the log all the same.
    ///
    /// # Cancel safety
    /// A dropped future may have handed the entry over.
    pub async fn send<'e>(
        &self,
        entry: impl Into<EntryRef<'e>>,
        durability: Durability,
    ) -> Result<Accepted, SendError> {
        self.send_all(&[entry.into()], durability).await
    }

    /// Sends entries in their order and waits until all are as safe as they have to be.
    ///
    /// # Errors
    /// [`SendError`]. With an entry that is not allowed none is handed over. When the log refuses,
    /// or waiting fails, some of the first may be in the log.
    ///
    /// # Cancel safety
    /// A dropped future may have handed some of the first entries over.
    pub async fn send_all(
        &self,
        entries: &[EntryRef<'_>],
        durability: Durability,
    ) -> Result<Accepted, SendError> {
        let handed = self.hand_over(entries, durability).await?;
        self.finish(&handed).await
    }

    /// Hands entries over as soon as there is room for them, and waits for nothing else:
    /// [`Sender::finish`] does.
    ///
    /// # Errors
    /// As [`Sender::send_all`].
    ///
    /// # Cancel safety
    /// As [`Sender::send_all`].
    pub async fn hand_over(
        &self,
        entries: &[EntryRef<'_>],
        durability: Durability,
    ) -> Result<HandedOver, SendError> {
        let result = self.hand_over_uncounted(entries, durability).await;
        result.inspect_err(|error| self.refusals.count(error, entries.len()))
    }

    async fn hand_over_uncounted(
        &self,
        entries: &[EntryRef<'_>],
        durability: Durability,
    ) -> Result<HandedOver, SendError> {
        let level = self.check(entries, durability)?;
        let most = (self.source.budget() / 2).min(PIECE);
        let mut handed = HandedOver { ticket: None, tags: tags(entries), entries: 0, durability };
        let mut rest = entries;
        while !rest.is_empty() {
            let (piece, bytes) = piece(rest, most);
            let grant = self.source.grant(bytes).await;
            let (now, later) = rest.split_at(piece);
            self.push(now, grant, level, &mut handed)?;
            rest = later;
        }
        Ok(handed)
    }

    /// Hands entries over if there is room for them now.
    ///
    /// # Errors
    /// [`SendError::Busy`] if there is none, else as [`Sender::send_all`].
    pub fn try_send(
        &self,
        entries: &[EntryRef<'_>],
        durability: Durability,
    ) -> Result<HandedOver, SendError> {
        let result = (|| {
            let level = self.check(entries, durability)?;
            let bytes = entries.iter().map(|entry| entry.stored_len() as u64).sum();
            let grant = self.source.try_grant(bytes).ok_or(SendError::Busy)?;
            let tags = tags(entries);
            let mut handed = HandedOver { ticket: None, tags, entries: 0, durability };
            self.push(entries, grant, level, &mut handed)?;
            Ok(handed)
        })();
        result.inspect_err(|error| self.refusals.count(error, entries.len()))
    }

    /// Waits until what was handed over is as safe as it has to be.
    ///
    /// # Errors
    /// [`SendError::Refused`] when the log fails or is closed before.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn finish(&self, handed: &HandedOver) -> Result<Accepted, SendError> {
        let state = self.safe(handed).await?;
        let Durability::Delivered(within) = handed.durability else {
            return Ok(handed.at(state));
        };
        let delivered = self.delivered(handed);
        let delivered = tokio::time::timeout(within, delivered).await.unwrap_or(Ok(false))?;
        Ok(handed.at(if delivered { State::Delivered } else { State::Queued }))
    }

    /// As [`Sender::send`], blocking the thread. Needs no runtime on it.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send_blocking<'e>(
        &self,
        entry: impl Into<EntryRef<'e>>,
        durability: Durability,
    ) -> Result<Accepted, SendError> {
        self.send_all_blocking(&[entry.into()], durability, None)
    }

    /// As [`Sender::send_all`], blocking the thread, for so long at most. Needs no runtime on it.
    ///
    /// # Errors
    /// As [`Sender::send_all`], and [`SendError::Timeout`].
    pub fn send_all_blocking(
        &self,
        entries: &[EntryRef<'_>],
        durability: Durability,
        within: Option<Duration>,
    ) -> Result<Accepted, SendError> {
        let deadline = within.and_then(|within| Instant::now().checked_add(within));
        let late = |handed_over| move || SendError::Timeout { handed_over };
        let handed = block_on(self.hand_over(entries, durability), deadline)
            .unwrap_or_else(|| Err(late(false)()))?;
        let state = block_on(self.safe(&handed), deadline).unwrap_or_else(|| Err(late(true)()))?;
        let Durability::Delivered(within) = durability else { return Ok(handed.at(state)) };
        let patience = Instant::now().checked_add(within);
        let until = [deadline, patience].into_iter().flatten().min();
        let delivered = block_on(self.delivered(&handed), until).unwrap_or(Ok(false))?;
        Ok(handed.at(if delivered { State::Delivered } else { State::Queued }))
    }

    /// Waits until everything that any sender or source has handed over before is confirmed by
    /// every output, for so long at most.
    ///
    /// # Errors
    /// [`FlushError`] says what is not.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn flush(&self, within: Duration) -> Result<(), FlushError> {
        self.delivery.flush(within).await
    }

    /// As [`Sender::flush`], blocking the thread.
    ///
    /// # Errors
    /// As [`Sender::flush`].
    pub fn flush_blocking(&self, within: Duration) -> Result<(), FlushError> {
        self.delivery.flush_blocking(within)
    }

    /// The source below, for those who encode as they go ([`Source::batch`]).
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Nothing of what cannot be accepted as a whole is handed over.
    fn check(&self, entries: &[EntryRef<'_>], durability: Durability) -> Result<Level, SendError> {
        let has_directory = self.source.has_directory();
        if durability.needs_directory() && !has_directory {
            return Err(SendError::NoDirectory);
        }
        let mut known = None;
        let limit = self.source.max_record();
        for entry in entries {
            entry.header()?;
            let found = entry.stored_len() as u64;
            if found > limit {
                return Err(RefusedError::TooLarge { found, limit }.into());
            }
            if known != Some(entry.tag) && !self.tags.is_known(entry.tag) {
                return Err(SendError::UnknownTag(entry.tag));
            }
            known = Some(entry.tag);
        }
        Ok(durability.level(has_directory))
    }

    fn push(
        &self,
        entries: &[EntryRef<'_>],
        grant: crate::source::Grant,
        level: Level,
        handed: &mut HandedOver,
    ) -> Result<(), SendError> {
        let mut batch = self.source.batch(grant, arrival(), level);
        for entry in entries {
            // A refusal is in what the batch came to.
            if batch.push(entry).is_err() {
                break;
            }
        }
        let Sent { ticket, entries: count, refused } = batch.finish();
        handed.entries += count;
        if let Some(ticket) = ticket {
            handed.ticket = Some(match handed.ticket.take() {
                Some(before) => before.through(ticket),
                None => ticket,
            });
        }
        refused.map_or(Ok(()), Err)
    }

    /// Waits for the log.
    async fn safe(&self, handed: &HandedOver) -> Result<State, SendError> {
        let Some(ticket) = &handed.ticket else { return Ok(State::Disk) };
        self.source.done(ticket).await?;
        Ok(match ticket.level() {
            Level::Memory => State::Memory,
            Level::Os => State::Os,
            _ => State::Disk,
        })
    }

    /// Waits until every output that it is meant for has settled it: whether all was delivered.
    async fn delivered(&self, handed: &HandedOver) -> Result<bool, SendError> {
        let Some(ticket) = &handed.ticket else { return Ok(true) };
        // Without a directory it may have no LSNs yet.
        self.source.written(ticket).await?;
        let lsns = ticket.lsns().unwrap_or(0..0);
        Ok(self.delivery.delivered(lsns, &handed.tags).await)
    }
}

/// The tags of entries, each once if they come together.
fn tags(entries: &[EntryRef<'_>]) -> Vec<TagId> {
    let mut tags = Vec::new();
    for entry in entries {
        if tags.last() != Some(&entry.tag) {
            tags.push(entry.tag);
        }
    }
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// How many of the first entries are handed over at once, and their bytes.
fn piece(entries: &[EntryRef<'_>], most: u64) -> (usize, u64) {
    let mut bytes = 0;
    for (at, entry) in entries.iter().enumerate() {
        let with = bytes + entry.stored_len() as u64;
        if at > 0 && with > most {
            return (at, bytes);
        }
        bytes = with;
    }
    (entries.len(), bytes)
}

fn arrival() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::Timestamp;

    #[test]
    fn large_batches_are_cut() {
        let data = [0; 66];
        let entry = |tag| EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, TagId(tag), &data);
        let entries = [entry(3), entry(1), entry(3), entry(3)];
        assert_eq!(piece(&entries, 250), (2, 200));
        assert_eq!(piece(&entries, 1), (1, 100), "one at least");
        assert_eq!(piece(&entries, 1_000), (4, 400));
        assert_eq!(tags(&entries), [TagId(1), TagId(3)]);
    }
}
