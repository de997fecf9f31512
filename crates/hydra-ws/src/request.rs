//! What an ingestor is asked to take.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Ack, Metadata, Validation};

/// The id of a request, as its report repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A piece of the message, which was UTF-8.
    Given(Bytes),
    Drawn([u8; 8]),
}

impl Id {
    /// An id that a client gave.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(Kind::Given(Bytes::copy_from_slice(text.as_bytes())))
    }

    pub(crate) const fn part(of_a_message: Bytes) -> Self {
        Self(Kind::Given(of_a_message))
    }

    pub(crate) const fn drawn(id: [u8; 8]) -> Self {
        Self(Kind::Drawn(id))
    }

    /// What dialect `head` reports for a message without an id.
    pub(crate) const fn zero() -> Self {
        Self(Kind::Given(Bytes::from_static(b"0")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = match &self.0 {
            Kind::Given(bytes) => bytes,
            Kind::Drawn(bytes) => bytes.as_slice(),
        };
        str::from_utf8(bytes).unwrap_or_default()
    }
}

/// What a request says beside its payload. The requests of a session share it until the next
/// `SET`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) metadata: Metadata,
    pub(crate) ack: Ack,
    pub(crate) validation: Validation,
    /// The ingestor that the path names, unless the metadata names one.
    pub(crate) path: Option<Box<str>>,
    pub(crate) peer: Option<IpAddr>,
}

/// A payload for one or all ingestors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) id: Id,
    pub(crate) payload: Bytes,
    pub(crate) context: Arc<Context>,
}

impl Request {
    /// The id that its report repeats. Not unique: a client chooses it.
    #[must_use]
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// What is to be ingested. Over a web socket it is UTF-8, over HTTP it may be anything.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The session's metadata at the time, or the fields of an HTTP request.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.context.metadata
    }

    /// What must have happened before the request is complete.
    #[must_use]
    pub fn ack(&self) -> Ack {
        self.context.ack
    }

    /// How strictly the payload is to be checked.
    #[must_use]
    pub fn validation(&self) -> Validation {
        self.context.validation
    }

    /// The one ingestor that it is for. `None`: all of them.
    #[must_use]
    pub fn ingestor(&self) -> Option<&str> {
        self.context.ingestor()
    }

    /// Who sent it, where that is known.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.context.peer
    }

    /// The same request, sent by this peer.
    #[must_use]
    pub fn from_peer(mut self, peer: IpAddr) -> Self {
        let context = Context { peer: Some(peer), ..Context::clone(&self.context) };
        self.context = Arc::new(context);
        self
    }

    /// Whether both were sent under the same metadata: between two `SET`s of one session.
    #[must_use]
    pub fn shares_context_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.context, &other.context)
    }
}

impl Context {
    pub(crate) fn ingestor(&self) -> Option<&str> {
        self.metadata.get("hydra-ingestor").or(self.path.as_deref())
    }
}
