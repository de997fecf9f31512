//! The destination that speaks the Gravwell protocol: one link to one indexer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use ingest_entry::{EntryRef, TagId, TagName};
use ingest_wire::{ClientError, Connection, Connector, Position, ProtocolError};

use crate::destination::{Destination, LinkError, LinkFuture};
use crate::lease::{Lease, Leases, StableId};
use crate::sync::lock;

/// Leases that may wait for their acknowledgements at once.
const LEASES: usize = 4;
/// How long the end of a connection may take.
const CLOSE: Duration = Duration::from_secs(1);

/// A Gravwell indexer, or whatever else takes entries by its protocol.
///
/// Tags are negotiated by name, before the first entry that carries them, and again with every
/// connection. An entry counts as delivered when the indexer has acknowledged it.
#[derive(Debug)]
pub struct Gravwell {
    connector: Connector,
    /// The names that links have needed so far: asked for at once by the next one.
    names: Mutex<BTreeSet<TagName>>,
}

impl Gravwell {
    /// A destination that connects as this connector says.
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        Self { connector, names: Mutex::default() }
    }

    async fn link(&self, leases: &Leases) -> Result<(), LinkError> {
        // Servers refuse a connection that asks for no tag.
        let known = lock(&self.names).iter().cloned().collect::<Vec<_>>();
        let first = TagName::new("default").ok().filter(|_| known.is_empty());
        let connector = self.connector.clone().tags(known).tags(first);
        let connection = connector.connect().await.map_err(link_error)?;
        leases.connected();
        let mut link = Link {
            destination: self,
            leases,
            connection: &connection,
            numbers: BTreeMap::new(),
            sent: VecDeque::new(),
        };
        let delivered = link.deliver().await;
        link.give_up();
        // What is not acknowledged stays in the log; it need not be handed back.
        let within = if delivered.is_ok() { CLOSE } else { Duration::ZERO };
        connection.close(within).await;
        delivered
    }
}

impl Destination for Gravwell {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(self.link(leases))
    }
}

/// One connection at work.
struct Link<'a> {
    destination: &'a Gravwell,
    leases: &'a Leases,
    connection: &'a Connection,
    /// The connection's numbers for the log's.
    numbers: BTreeMap<TagId, TagId>,
    /// Leases that wait for their acknowledgements, the oldest first.
    sent: VecDeque<Sent>,
}

/// A lease on its way, and where it begins and ends on the connection.
struct Sent {
    begin: Position,
    end: Position,
    lease: Lease,
}

impl Link<'_> {
    async fn deliver(&mut self) -> Result<(), LinkError> {
        loop {
            let oldest = self.sent.front().map(|sent| sent.end);
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
                error = self.connection.lost() => return Err(link_error(error)),
            }
        }
        if let Some(last) = self.sent.back() {
            self.connection.acknowledged(last.end).await.map_err(link_error)?;
            self.settle();
        }
        Ok(())
    }

    /// Confirms the leases that are acknowledged.
    fn settle(&mut self) {
        while let Some(sent) = self.sent.front()
            && self.connection.is_acknowledged(sent.end)
        {
            if let Some(sent) = self.sent.pop_front() {
                sent.lease.confirm();
            }
        }
    }

    /// The connection is lost: what was acknowledged of the oldest lease need not be sent again.
    fn give_up(mut self) {
        self.settle();
        if let Some(oldest) = self.sent.front_mut() {
            let acknowledged = self.connection.acknowledged_since(oldest.begin);
            oldest.lease.confirm_first(acknowledged);
        }
    }

    async fn send(&mut self, lease: Lease) -> Result<(), LinkError> {
        self.number(&lease).await?;
        let begin = self.connection.position();
        let entries = Renumbered { entries: lease.entries(), numbers: &self.numbers };
        let sent = self.connection.send_all(entries).await;
        self.sent.push_back(Sent { begin, end: self.connection.position(), lease });
        sent.map_err(link_error)?;
        // Whoever has sent all there is waits for nothing but the acknowledgements.
        self.connection.request_acks().map_err(link_error)
    }

    /// Sees to it that every tag of a lease has a number on this connection.
    async fn number(&mut self, lease: &Lease) -> Result<(), LinkError> {
        let mut new = BTreeMap::new();
        let mut last = None;
        for (_, entry) in lease.entries() {
            if last != Some(entry.tag) && !self.numbers.contains_key(&entry.tag) {
                new.entry(entry.tag).or_insert_with(|| self.leases.tag_name(&entry));
            }
            last = Some(entry.tag);
        }
        for (tag, name) in new {
            let number = match name {
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
        }
        Ok(())
    }
}

/// Entries with the numbers that a connection has for their tags.
struct Renumbered<'a, I> {
    entries: I,
    numbers: &'a BTreeMap<TagId, TagId>,
}

impl<'e, I: Iterator<Item = (StableId, EntryRef<'e>)>> Iterator for Renumbered<'_, I> {
    type Item = EntryRef<'e>;

    fn next(&mut self) -> Option<EntryRef<'e>> {
        let (_, entry) = self.entries.next()?;
        let tag = self.numbers.get(&entry.tag).copied().unwrap_or(TagId::DEFAULT);
        Some(EntryRef { tag, ..entry })
    }
}

async fn acknowledged(connection: &Connection, at: Option<Position>) -> Result<(), ClientError> {
    match at {
        Some(position) => connection.acknowledged(position).await,
        None => std::future::pending().await,
    }
}

/// What an operator sees, and whether it passes by itself.
fn link_error(error: ClientError) -> LinkError {
    let lasting = match &error {
        ClientError::TagRefused { .. } | ClientError::Target(_) | ClientError::Send(_) => true,
        ClientError::Protocol(error) => matches!(
            error,
            ProtocolError::BadSecret
                | ProtocolError::TagsRefused
                | ProtocolError::TagMissing { .. }
                | ProtocolError::TenantUnsupported { .. }
        ),
        _ => false,
    };
    if lasting {
        LinkError::lasting(error.to_string())
    } else {
        LinkError::passing(error.to_string())
    }
}
