//! The destination that speaks the Gravwell protocol: one link to one indexer.

mod dial;
mod link;
mod push;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::TagName;
use ingest_wire::{ClientError, Connection, Connector, Identity, ProtocolError, SendError};

pub use self::dial::{Dial, DialFuture, Stream};
use self::link::Link;
use crate::destination::{Destination, LinkError, LinkFuture, Trouble};
use crate::lease::Leases;
use crate::sync::lock;

/// How long dialling may take, where it is not the connector that dials.
const DIAL: Duration = Duration::from_secs(5);
/// How long the end of a connection may take.
const CLOSE: Duration = Duration::from_secs(1);
/// The protocol's version that knows ditto blocks.
const DITTO_VERSION: u16 = 9;

/// When an entry counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confirm {
    /// When the indexer has acknowledged it, as it does with every entry. Gravwell's own
    /// acknowledge what they have read from the socket: what they had not stored when they crash
    /// is lost.
    #[default]
    Acknowledged,
    /// When the indexer has said that it is stored for good: entries go in ditto blocks, a lease in
    /// each, one at a time. It needs a server of version 9 and is slower.
    Stored,
}

/// A Gravwell indexer, or whatever else takes entries by its protocol.
///
/// Tags are negotiated by name: those of the output as soon as they are known, and again with every
/// connection. The indexer is told who we are, and how we are.
#[derive(Debug)]
pub struct Gravwell {
    connector: Connector,
    confirm: Confirm,
    min_version: u16,
    identity: Option<Identity>,
    dial: Option<Arc<dyn Dial>>,
    /// The names that links have got numbers for: asked for at once by the next one.
    names: Mutex<BTreeSet<TagName>>,
}

impl Gravwell {
    /// A destination that connects as this connector says. Its identity is replaced by the muxer's.
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        let names = Mutex::default();
        let confirm = Confirm::default();
        Self { connector, confirm, min_version: 0, identity: None, dial: None, names }
    }

    /// When an entry counts as delivered; [`Confirm::Acknowledged`] by default.
    #[must_use]
    pub const fn confirm(mut self, confirm: Confirm) -> Self {
        self.confirm = confirm;
        self
    }

    /// Refuses servers of a lower version of the protocol: an operator sees it as
    /// [`Trouble::OldServer`]. Default: none is too old, unless [`Confirm::Stored`] needs it.
    #[must_use]
    pub const fn min_version(mut self, version: u16) -> Self {
        self.min_version = version;
        self
    }

    /// Names another identity than the muxer's to this indexer.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Reaches the indexer over streams of one's own; the connector's target is not dialled then.
    #[must_use]
    pub fn through(mut self, dial: Arc<dyn Dial>) -> Self {
        self.dial = Some(dial);
        self
    }

    async fn connect(&self, connector: &Connector) -> Result<Connection, ClientError> {
        let Some(dial) = &self.dial else { return connector.connect().await };
        let dialled = tokio::time::timeout(DIAL, dial.dial()).await;
        connector.over(dialled.map_err(|_| ClientError::ConnectTimeout)??).await
    }

    async fn link(&self, leases: &Leases) -> Result<(), LinkError> {
        // Servers refuse a connection that asks for no tag.
        let known = lock(&self.names).iter().cloned().collect::<Vec<_>>();
        let first = TagName::new("default").ok().filter(|_| known.is_empty());
        let identity = self.identity.clone().unwrap_or_else(|| identity(leases));
        let connector = self.connector.clone().tags(known).tags(first).identity(identity);
        let connection = self.connect(&connector).await.map_err(|error| {
            if matches!(&error, ClientError::Protocol(ProtocolError::TagMissing { .. })) {
                // The server has changed its mind: the others are asked for one by one.
                lock(&self.names).clear();
            }
            link_error(error)
        })?;
        let version = connection.server_version();
        let needs = match self.confirm {
            Confirm::Stored => self.min_version.max(DITTO_VERSION),
            Confirm::Acknowledged => self.min_version,
        };
        if version < needs {
            let message = format!("the server has version {version}, and {needs} is needed");
            return Err(LinkError::lasting(message).of(Trouble::OldServer));
        }
        leases.connected();
        let mut link = Link::new(self, leases, &connection);
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

fn identity(leases: &Leases) -> Identity {
    let crate::Identity { name, version, uuid, .. } = leases.identity().clone();
    Identity { name, version, uuid }
}

/// What an operator sees, and whether it passes by itself.
fn link_error(error: ClientError) -> LinkError {
    let trouble = match &error {
        ClientError::TagRefused { .. } => Some(Trouble::TagRefused),
        ClientError::Target(_) | ClientError::Scheme { .. } => Some(Trouble::Other),
        ClientError::Send(SendError::Unsupported { .. }) => Some(Trouble::OldServer),
        ClientError::Send(_) => Some(Trouble::Other),
        ClientError::Protocol(error) => match error {
            ProtocolError::BadSecret => Some(Trouble::WrongSecret),
            ProtocolError::TagsRefused | ProtocolError::TagMissing { .. } => {
                Some(Trouble::TagRefused)
            }
            ProtocolError::TenantUnsupported { .. } => Some(Trouble::OldServer),
            _ => None,
        },
        _ => None,
    };
    match (trouble, &error) {
        (Some(trouble), _) => LinkError::lasting(error.to_string()).of(trouble),
        (None, ClientError::DittoFailed) => {
            LinkError::passing(error.to_string()).of(Trouble::NotStored)
        }
        (None, _) => LinkError::passing(error.to_string()),
    }
}
