//! What a destination is, as a contract.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::lease::Leases;

/// What kind of trouble a link has, for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// Nobody answers, or the connection broke.
    Connection,
    /// The destination does not accept the secret.
    WrongSecret,
    /// The destination refuses a tag.
    TagRefused,
    /// The destination is too old for what is asked of it.
    OldServer,
    /// The destination did not confirm in time.
    Stalled,
    /// The destination said that it could not store something.
    NotStored,
    /// Something else.
    Other,
}

impl Trouble {
    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::WrongSecret => "wrong-secret",
            Self::TagRefused => "tag-refused",
            Self::OldServer => "old-server",
            Self::Stalled => "stalled",
            Self::NotStored => "not-stored",
            Self::Other => "other",
        }
    }
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct LinkError {
    /// What an operator sees.
    pub message: String,
    /// Trying again will not help until somebody changes something (a wrong secret, a refused
    /// tag): it is still tried, at the longest interval.
    pub lasting: bool,
    /// What kind of trouble it is.
    pub trouble: Trouble,
}

impl LinkError {
    /// An error that passes by itself: a broken connection, a peer that is away.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), lasting: false, trouble: Trouble::Connection }
    }

    /// An error that somebody has to mend.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), lasting: true, trouble: Trouble::Other }
    }

    /// The same error, of this kind.
    #[must_use]
    pub fn of(mut self, trouble: Trouble) -> Self {
        self.trouble = trouble;
        self
    }
}

/// The future of a link.
pub type LinkFuture<'a> = Pin<Box<dyn Future<Output = Result<(), LinkError>> + Send + 'a>>;

/// One place that entries go to.
///
/// The contract:
/// * [`run`](Self::run) is one link: connect, call [`Leases::connected`], take leases with
///   [`Leases::next`], deliver their entries in order, and [`confirm`](crate::Lease::confirm) each
///   lease when the destination has said that it has all of it. A link may hold several leases, up
///   to what its protocol lets be outstanding.
/// * A lease that is dropped without being confirmed goes back: its entries are delivered again,
///   on this link or another, from the oldest one on. So an error at any time loses nothing, and
///   cancelling the future is safe.
/// * Return `Err` when the link breaks: it is run again, at once if it had confirmed something,
///   else after 100 ms and longer. Return `Ok` when [`Leases::next`] said that there will be no more.
/// * Delivery is at least once. [`Lease::id`](crate::Lease::id) is the same for the same entry
///   whenever it is sent again, for destinations that can tell duplicates apart.
/// * A lease that is not confirmed within 60 s ends the link.
pub trait Destination: Send + Sync + Debug + 'static {
    /// Runs one link until it breaks or nothing more comes.
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a>;
}

/// A destination in shared hands.
pub type SharedDestination = Arc<dyn Destination>;
