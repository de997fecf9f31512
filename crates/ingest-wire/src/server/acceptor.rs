//! Who is let in, and how tags get their numbers.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use ingest_entry::{TagId, TagName};
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::ServerError;
use super::gate::{AcceptCounts, AcceptLimits, Gate};
use super::session::Session;
use crate::net;
use crate::proto::{Secret, ServerConfig, ServerMachine};

/// Gives tags their numbers.
///
/// A name that is known already has to keep its number. Closures from `&TagName` to
/// `Option<TagId>` do it.
pub trait NumberTags: Send {
    /// The number of a tag, `None` to refuse it.
    ///
    /// # Cancel safety
    /// The future may be dropped, and then be asked for again for the same tag: a number that was
    /// given meanwhile has to stay.
    fn number(&mut self, name: &TagName) -> impl Future<Output = Option<TagId>> + Send;
}

impl<F: FnMut(&TagName) -> Option<TagId> + Send> NumberTags for F {
    fn number(&mut self, name: &TagName) -> impl Future<Output = Option<TagId>> + Send {
        std::future::ready(self(name))
    }
}

/// Lets clients in that know a secret, within [`AcceptLimits`] that its clones share.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use ingest_wire::{Acceptor, Secret, TagId, TagName};
///
/// let acceptor = Acceptor::new(Secret::new("open sesame"));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:4023").await?;
/// loop {
///     let (stream, peer) = listener.accept().await?;
///     ingest_wire::keep_alive(&stream)?;
///     let acceptor = acceptor.clone();
///     tokio::spawn(async move {
///         let numbers = |name: &TagName| (name.as_str() == "syslog").then_some(TagId(1));
///         let mut session = acceptor.accept_from(peer.ip(), stream, numbers).await?;
///         while let Some(batch) = session.next_batch().await? {
///             for entry in &batch {
///                 // store it
///             }
///             let receipt = batch.receipt();
///             session.confirm(receipt);
///         }
///         Ok::<_, ingest_wire::ServerError>(())
///     });
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Acceptor {
    secrets: Arc<[Secret]>,
    config: ServerConfig,
    iterations: (u16, u16),
    gate: Arc<Gate>,
}

impl Acceptor {
    /// Lets in who knows this secret.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secrets: Arc::new([secret]),
            config: ServerConfig::default(),
            iterations: (10_000, 19_999),
            gate: Gate::new(AcceptLimits::default()),
        }
    }

    /// What clients may cost that have not authenticated, and how many may. Clones made after this
    /// count together, apart from those made before.
    #[must_use]
    pub fn limits(mut self, limits: AcceptLimits) -> Self {
        self.gate = Gate::new(limits);
        self
    }

    /// Numbers of this acceptor and its clones.
    #[must_use]
    pub fn counts(&self) -> AcceptCounts {
        self.gate.counts()
    }

    /// Lets in who knows this secret, too: for replacing one. Each costs a wrong guess more time.
    #[must_use]
    pub fn also(mut self, secret: Secret) -> Self {
        self.secrets = self.secrets.iter().cloned().chain([secret]).collect();
        self
    }

    /// What sessions announce and take.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// How often clients have to hash, from and to. Default 10,000 and 19,999, as Go servers. It
    /// costs the server as much as the client, so fewer are kinder to a server with many
    /// connections; more make guessing the secret from a recording slower.
    #[must_use]
    pub const fn iterations(mut self, from: u16, to: u16) -> Self {
        self.iterations = (from, to);
        self
    }

    /// Takes a client in: challenge, authentication, tags. The stream can be anything; for TLS,
    /// wrap it before. Over TCP, [`keep_alive`](crate::keep_alive) finds out when a client that
    /// says nothing is gone.
    ///
    /// Where there are addresses, [`Acceptor::accept_from`] is better: of clients without one, the
    /// wrong responses of some make all others wait, if not for long.
    ///
    /// # Errors
    /// [`ServerError`]; a client that was refused for its secret or its tags has been told.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream; no entry was taken.
    pub async fn accept<T, N>(&self, stream: T, tags: N) -> Result<Session<T, N>, ServerError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
        N: NumberTags,
    {
        self.take(None, stream, tags).await
    }

    /// The same for a client whose address is known: wrong responses from one address make the
    /// next ones from there wait, and no others.
    ///
    /// # Errors
    /// As [`Acceptor::accept`], and [`ServerError::Suspect`].
    ///
    /// # Cancel safety
    /// As [`Acceptor::accept`].
    pub async fn accept_from<T, N>(
        &self,
        peer: IpAddr,
        stream: T,
        tags: N,
    ) -> Result<Session<T, N>, ServerError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
        N: NumberTags,
    {
        self.take(Some(peer), stream, tags).await
    }

    async fn take<T, N>(
        &self,
        peer: Option<IpAddr>,
        stream: T,
        tags: N,
    ) -> Result<Session<T, N>, ServerError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
        N: NumberTags,
    {
        let place = self.gate.enter(peer)?;
        let mut random = [0; 34];
        getrandom::fill(&mut random).map_err(|_| ServerError::Random)?;
        let [r0, r1, rand @ ..] = random;
        let (from, to) = self.iterations;
        let span = u32::from(to.saturating_sub(from)) + 1;
        let more = u32::from(u16::from_le_bytes([r0, r1])) % span;
        let iterate = from.saturating_add(more as u16);
        let machine = ServerMachine::new(self.config.clone(), rand, iterate, net::now());
        let mut session = Session::new(machine, stream, tags, place);
        session.handshake(&self.secrets).await?;
        Ok(session)
    }
}
