//! One connection at work.

use std::collections::{BTreeMap, VecDeque};

use ingest_entry::{EntryRef, TagId, TagName};
use ingest_wire::{ClientError, Connection, Position};

use super::push::Pusher;
use super::{Confirm, Gravwell, link_error};
use crate::destination::LinkError;
use crate::lease::{Entries, Lease, Leases};
use crate::sync::lock;

/// Leases that may wait for their acknowledgements at once.
const LEASES: usize = 4;

pub(super) struct Link<'a> {
    destination: &'a Gravwell,
    leases: &'a Leases,
    connection: &'a Connection,
    /// The connection's numbers for the log's.
    numbers: BTreeMap<TagId, TagId>,
    /// Tags to be negotiated before they are used, and how many the log had when it was asked.
    early: VecDeque<(TagId, TagName)>,
    seen_tags: usize,
    /// Leases that wait for their acknowledgements, the oldest first.
    sent: VecDeque<Sent>,
}

/// A lease on its way, and where it begins and ends on the connection.
struct Sent {
    begin: Position,
    /// None: the connection was lost before all of it was sent.
    end: Option<Position>,
    lease: Lease,
}

impl<'a> Link<'a> {
    pub(super) fn new(
        destination: &'a Gravwell,
        leases: &'a Leases,
        connection: &'a Connection,
    ) -> Self {
        Self {
            destination,
            leases,
            connection,
            numbers: BTreeMap::new(),
            early: VecDeque::new(),
            seen_tags: 0,
            sent: VecDeque::new(),
        }
    }

    pub(super) async fn deliver(&mut self) -> Result<(), LinkError> {
        let mut pusher = Pusher::new(self.leases, self.connection);
        loop {
            let oldest = self.sent.front().and_then(|sent| sent.end);
            let early = self.early.pop_front();
            tokio::select! {
                biased;
                acknowledged = acknowledged(self.connection, oldest), if oldest.is_some() => {
                    acknowledged.map_err(link_error)?;
                    self.settle();
                }
                lease = self.leases.next(), if self.sent.len() < LEASES => match lease {
                    Some(lease) => self.send(lease).await?,
                    None => break,
                },
                number = negotiate(self.connection, &early), if early.is_some() => {
                    self.note_early(early.clone(), number)?;
                    continue;
                }
                (tags, seen) = self.leases.new_tags(self.seen_tags), if early.is_none() => {
                    self.early.extend(tags);
                    self.seen_tags = seen;
                    pusher.hurry();
                }
                result = pusher.step() => result.map_err(link_error)?,
                error = self.connection.lost() => return Err(link_error(error)),
            }
            // It was not its turn yet.
            self.early.extend(early);
        }
        if let Some(last) = self.sent.back().and_then(|sent| sent.end) {
            self.connection.acknowledged(last).await.map_err(link_error)?;
            self.settle();
        }
        Ok(())
    }

    /// Confirms the leases that are acknowledged. One that was not sent to its end is none of them,
    /// although nothing that was sent before there may be left to be acknowledged.
    fn settle(&mut self) {
        while let Some(sent) = self.sent.front()
            && sent.end.is_some_and(|end| self.connection.is_acknowledged(end))
        {
            if let Some(sent) = self.sent.pop_front() {
                sent.lease.confirm();
            }
        }
    }

    /// The connection is lost: what was acknowledged of the oldest lease need not be sent again.
    pub(super) fn give_up(mut self) {
        self.settle();
        if let Some(oldest) = self.sent.front_mut() {
            let acknowledged = self.connection.acknowledged_since(oldest.begin);
            oldest.lease.confirm_first(acknowledged);
        }
    }

    async fn send(&mut self, lease: Lease) -> Result<(), LinkError> {
        match self.destination.confirm {
            Confirm::Acknowledged => self.stream(lease).await,
            Confirm::Stored => self.store(lease).await,
        }
    }

    /// Sends a lease entry by entry; its acknowledgements come later.
    async fn stream(&mut self, lease: Lease) -> Result<(), LinkError> {
        let begin = self.connection.position();
        let sent = self.stream_entries(&lease).await;
        // Some of it may be on its way whatever happened.
        let end = sent.is_ok().then(|| self.connection.position());
        self.sent.push_back(Sent { begin, end, lease });
        sent?;
        // Whoever has sent all there is waits for nothing but the acknowledgements.
        self.connection.request_acks().map_err(link_error)
    }

    async fn stream_entries(&mut self, lease: &Lease) -> Result<(), LinkError> {
        let mut entries = lease.entries();
        loop {
            let mut unknown = None;
            let renumbered = Renumbered {
                entries: &mut entries,
                numbers: &self.numbers,
                last: None,
                unknown: &mut unknown,
            };
            self.connection.send_all(renumbered).await.map_err(link_error)?;
            let Some(entry) = unknown else { return Ok(()) };
            let tag = self.number(entry.tag).await?;
            self.connection.send(EntryRef { tag, ..entry }).await.map_err(link_error)?;
        }
    }

    /// Sends a lease as a ditto block and waits until it is stored.
    async fn store(&mut self, lease: Lease) -> Result<(), LinkError> {
        let mut block = Vec::with_capacity(usize::try_from(lease.len()).unwrap_or_default());
        for (_, entry) in lease.entries() {
            let tag = match self.numbers.get(&entry.tag) {
                Some(tag) => *tag,
                None => self.number(entry.tag).await?,
            };
            block.push(EntryRef { tag, ..entry });
        }
        self.connection.send_ditto(&block).await.map_err(link_error)?;
        drop(block);
        lease.confirm();
        Ok(())
    }

    /// The number of a tag on this connection.
    async fn number(&mut self, tag: TagId) -> Result<TagId, LinkError> {
        let number = match self.leases.tag_name(tag) {
            Some(name) => {
                let number = self.connection.tag(name.as_str()).await.map_err(link_error)?;
                lock(&self.destination.names).insert(name);
                number
            }
            None => {
                tracing::warn!(%tag, "The name of a tag was lost: sent as \"default\".");
                TagId::DEFAULT
            }
        };
        self.numbers.insert(tag, number);
        Ok(number)
    }

    /// A tag that nobody has used yet has got a number, or not: that is trouble only once it is
    /// used.
    fn note_early(
        &mut self,
        tag: Option<(TagId, TagName)>,
        number: Result<TagId, ClientError>,
    ) -> Result<(), LinkError> {
        let Some((tag, name)) = tag else { return Ok(()) };
        match number {
            Ok(number) => {
                self.numbers.insert(tag, number);
                lock(&self.destination.names).insert(name);
                Ok(())
            }
            Err(error) if error.can_continue() => {
                tracing::warn!(output = self.leases.output(), %error, "A tag was refused.");
                Ok(())
            }
            Err(error) => Err(link_error(error)),
        }
    }
}

/// Entries with the numbers that a connection has for their tags, up to one that has none.
struct Renumbered<'n, 'i, 'e> {
    entries: &'i mut Entries<'e>,
    numbers: &'n BTreeMap<TagId, TagId>,
    last: Option<(TagId, TagId)>,
    unknown: &'i mut Option<EntryRef<'e>>,
}

impl<'e> Iterator for Renumbered<'_, '_, 'e> {
    type Item = EntryRef<'e>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'e>> {
        if self.unknown.is_some() {
            return None;
        }
        let (_, entry) = self.entries.next()?;
        let tag = match self.last {
            Some((have, tag)) if have == entry.tag => tag,
            _ => {
                let Some(tag) = self.numbers.get(&entry.tag).copied() else {
                    *self.unknown = Some(entry);
                    return None;
                };
                self.last = Some((entry.tag, tag));
                tag
            }
        };
        Some(EntryRef { tag, ..entry })
    }
}

async fn negotiate(
    connection: &Connection,
    tag: &Option<(TagId, TagName)>,
) -> Result<TagId, ClientError> {
    match tag {
        Some((_, name)) => connection.tag(name.as_str()).await,
        None => std::future::pending().await,
    }
}

async fn acknowledged(connection: &Connection, at: Option<Position>) -> Result<(), ClientError> {
    match at {
        Some(position) => connection.acknowledged(position).await,
        None => std::future::pending().await,
    }
}
