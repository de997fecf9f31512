//! The front for sources: permits first, then entries, encoded once into the log's own buffers.

use std::sync::Arc;

use ingest_entry::{EntryRef, Source as Address};
use ingest_wal::{Entries, Health, Level, Permit, Permits, Reached, Tally, Ticket, Writer};

use crate::about::About;
use crate::attach::Attach;
use crate::bodies::{Bodies, Body};
use crate::error::SendError;

/// A configured source of entries. Clones share its budget.
#[derive(Clone, Debug)]
pub struct Source {
    writer: Writer,
    number: u16,
    budget: Permits,
    target: usize,
    common: Arc<Common>,
    /// Takes the place of the entries' own addresses.
    address: Option<Address>,
}

/// What all sources of a muxer share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) attach: Attach,
    pub(crate) address: Option<Address>,
    pub(crate) about: Arc<About>,
    pub(crate) has_directory: bool,
    pub(crate) bodies: Bodies,
}

/// Bytes that a source may encode: taken from its own budget, then from the process's.
#[derive(Debug)]
#[must_use = "a grant that is dropped gives its bytes back"]
pub struct Grant {
    own: Permit,
    process: Permit,
}

impl Grant {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.own.bytes().min(self.process.bytes())
    }

    fn split(&mut self, bytes: u64) -> Vec<Permit> {
        vec![self.own.split(bytes), self.process.split(bytes)]
    }
}

impl Source {
    pub(crate) fn new(writer: Writer, number: u16, budget: u64, common: Arc<Common>) -> Self {
        let target = writer.limits().record_target();
        let address = common.address;
        Self { writer, number, budget: Permits::new(budget), target, common, address }
    }

    /// Lets this address take the place of the entries' own; `None` leaves them as they are. The
    /// muxer's own override is the default.
    #[must_use]
    pub fn address(mut self, address: Option<Address>) -> Self {
        self.address = address;
        self
    }

    /// Whether what it takes can be on disk.
    pub(crate) fn has_directory(&self) -> bool {
        self.common.has_directory
    }

    /// The largest record, and so the largest entry.
    pub(crate) fn max_record(&self) -> u64 {
        self.writer.limits().max_record()
    }

    /// Bytes of its budget, free or not.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.budget.capacity().min(self.writer.permits().capacity())
    }

    /// Its number in the log.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Waits until `bytes` may be encoded. Fair: first among those of this source, then among all.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in both queues.
    pub async fn grant(&self, bytes: u64) -> Grant {
        let own = self.budget.acquire(bytes).await;
        let process = self.writer.permits().acquire(bytes).await;
        Grant { own, process }
    }

    /// As [`Source::grant`], for a source that cannot wait: `None` when the budget is used up.
    #[must_use]
    pub fn try_grant(&self, bytes: u64) -> Option<Grant> {
        let own = self.budget.try_acquire(bytes)?;
        let process = self.writer.permits().try_acquire(bytes)?;
        Some(Grant { own, process })
    }

    /// Bytes of its budget that are free.
    #[must_use]
    pub fn budget_available(&self) -> u64 {
        self.budget.available().min(self.writer.permits().available())
    }

    /// Whether other sources have handed something over as well, in the last second or so.
    #[must_use]
    pub fn has_company(&self) -> bool {
        self.writer.is_shared()
    }

    /// Begins a batch. `arrival`: unix nanoseconds.
    pub fn batch(&self, grant: Grant, arrival: i64, level: Level) -> Batch<'_> {
        Batch {
            source: self,
            grant,
            arrival,
            level,
            body: None,
            scratch: Vec::new(),
            count: 0,
            data: 0,
            tally: Tally::new(),
            run: None,
            last: None,
            accepted: 0,
            refused: None,
        }
    }

    /// Waits until a batch is durable, whatever its level, or was dropped by a full log
    /// ([`Source::was_dropped`]).
    pub fn durable(&self, ticket: &Ticket) -> Reached {
        self.writer.durable(ticket)
    }

    /// Whether it is so: durable, or dropped.
    #[must_use]
    pub fn is_durable(&self, ticket: &Ticket) -> bool {
        self.writer.is_durable(ticket)
    }

    /// Waits until a batch has its LSNs, whatever its level.
    pub(crate) fn written(&self, ticket: &Ticket) -> Reached {
        self.writer.written(ticket)
    }

    /// Waits until a batch counts as done, by its level.
    pub fn done(&self, ticket: &Ticket) -> Reached {
        self.writer.done(ticket)
    }

    /// Whether something of a batch was dropped because the log was full: with
    /// `on_full = drop-newest` that is one way in which [`Source::durable`] passes it.
    #[must_use]
    pub fn was_dropped(&self, ticket: &Ticket) -> bool {
        self.writer.was_dropped(ticket)
    }

    /// Entries of this source that the log dropped, in this run, because it was full when they
    /// arrived.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.writer.dropped_of(self.number)
    }

    /// Whether the log takes entries.
    #[must_use]
    pub fn health(&self) -> Health {
        self.writer.health()
    }
}

/// Entries that a source hands over in one go. They go to the log in records of about 64 KiB, in
/// the order of the pushes.
#[derive(Debug)]
pub struct Batch<'a> {
    source: &'a Source,
    grant: Grant,
    arrival: i64,
    level: Level,
    body: Option<Body>,
    /// Holds the values of an entry to which some are attached.
    scratch: Vec<u8>,
    count: u16,
    /// Bytes of the entries' data.
    data: u64,
    tally: Tally,
    /// Entries of one tag that are not in the tally yet.
    run: Option<(u16, u64)>,
    last: Option<Ticket>,
    accepted: u64,
    refused: Option<SendError>,
}

/// What a batch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what was handed over is not durable yet"]
pub struct Sent {
    /// From the first record to the last; `None` when there was no entry. When it is done, all of
    /// them are; when one of them was dropped, it fails.
    pub ticket: Option<Ticket>,
    /// Entries handed over.
    pub entries: u64,
    /// Why the others, if there were more, were not: the log refused.
    pub refused: Option<SendError>,
}

impl Batch<'_> {
    /// Encodes an entry.
    ///
    /// # Errors
    /// [`SendError`]; with [`SendError::can_continue`] the batch goes on without this entry. When
    /// the log refuses, entries pushed before may be among those that were not handed over:
    /// [`Batch::finish`] says how many were.
    pub fn push(&mut self, entry: &EntryRef<'_>) -> Result<(), SendError> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let common = &self.source.common;
        if self.level != Level::Memory && !common.has_directory {
            return Err(SendError::NoDirectory);
        }
        if common.attach.is_empty() && self.source.address.is_none() {
            return self.encode(entry);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let src = self.source.address.unwrap_or(entry.src);
        let entry = EntryRef { src, ..*entry };
        let pushed = if common.attach.is_empty() {
            self.encode(&entry)
        } else {
            let with = common.attach.apply(&entry, &mut scratch);
            with.map_err(SendError::from).and_then(|entry| self.encode(&entry))
        };
        self.scratch = scratch;
        pushed
    }

    #[inline]
    fn encode(&mut self, entry: &EntryRef<'_>) -> Result<(), SendError> {
        let so_far = self.body.as_ref().map_or(0, |body| body.bytes.len());
        let needed = so_far + entry.stored_len();
        if self.count == u16::MAX || (self.count > 0 && needed > self.source.target) {
            self.hand_over()?;
        }
        let body = self.body.get_or_insert_with(|| {
            let room = usize::try_from(self.grant.bytes()).unwrap_or(usize::MAX);
            let size = room.min(self.source.target).max(entry.stored_len());
            self.source.common.bodies.take(size)
        });
        entry.encode_stored(&mut body.bytes)?;
        self.count += 1;
        self.data += entry.data.len() as u64;
        match &mut self.run {
            Some((tag, count)) if *tag == entry.tag.0 => *count += 1,
            run => {
                if let Some((tag, count)) = run.replace((entry.tag.0, 1)) {
                    *self.tally.entry(tag).or_default() += count;
                }
            }
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), SendError> {
        if self.count == 0 {
            return Ok(());
        }
        let (body, held) = self.body.take().map(Body::share).unwrap_or_default();
        let count = std::mem::take(&mut self.count);
        if let Some((tag, count)) = self.run.take() {
            *self.tally.entry(tag).or_default() += count;
        }
        // Memory is what was allocated, not what was used of it.
        let permits = self.grant.split(held as u64);
        let appended = self.source.writer.append(Entries {
            count,
            source: self.source.number,
            arrival: self.arrival,
            body,
            level: self.level,
            tally: std::mem::take(&mut self.tally),
            permits,
        });
        match appended {
            Ok(ticket) => {
                self.accepted += u64::from(count);
                let data = std::mem::take(&mut self.data);
                self.source.common.about.count(u64::from(count), data);
                self.last = Some(match self.last.take() {
                    Some(before) => before.through(ticket),
                    None => ticket,
                });
                Ok(())
            }
            Err(error) => {
                self.refused = Some(SendError::Refused(error.clone()));
                Err(error.into())
            }
        }
    }

    /// Hands over what is left, and says what became of all of it. The rest of the grant goes
    /// back.
    pub fn finish(mut self) -> Sent {
        // A refusal is kept in the batch.
        let _ = self.hand_over();
        Sent { ticket: self.last.take(), entries: self.accepted, refused: self.refused.take() }
    }
}
