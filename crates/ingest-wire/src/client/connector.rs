//! Options, dialling, handshake.

use std::time::Duration;

use std::net::{IpAddr, Ipv6Addr};

use ingest_entry::{Source, TagName};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::error::ClientError;
use crate::net::{self, Turn};
use crate::proto::{
    ClientConfig, ClientEvent, ClientMachine, Identity, Piece, ProtocolError, Secret, Target,
};

/// A stream of bytes both ways.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// How often a connect is tried again when the server hangs up in the set-up, as Go servers do
/// when a client is quick; and how long before each further try.
const SETUP_RETRIES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
];
/// How long a compressed stream is looked at before it is used: a reply that such a server writes
/// a second time, without compression, follows the first one closely.
const LOOK: Duration = Duration::from_millis(5);

/// Options of a connection; [`Connector::connect`] makes it.
///
/// ```no_run
/// # async fn f() -> Result<(), ingest_wire::ClientError> {
/// use ingest_wire::Connector;
///
/// let connection = Connector::new("tls://indexer.example", "open sesame")?
///     .tag("syslog")?
///     .compression(true)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    target: Target,
    secret: Secret,
    config: ClientConfig,
    dial: Duration,
    linger: Duration,
    source: Option<Source>,
    #[cfg(feature = "tls")]
    tls: crate::tls::TlsOptions,
}

impl Connector {
    /// A connector for a target such as `tcp://HOST`, `tls://HOST:PORT` or `pipe://PATH`.
    ///
    /// # Errors
    /// [`ClientError::Target`] if that is none.
    pub fn new(target: &str, secret: impl AsRef<[u8]>) -> Result<Self, ClientError> {
        Ok(Self::to(target.parse()?, Secret::new(secret)))
    }

    /// A connector for a target that has been read already.
    #[must_use]
    pub fn to(target: Target, secret: Secret) -> Self {
        Self {
            target,
            secret,
            config: ClientConfig::default(),
            dial: Duration::from_secs(5),
            linger: Duration::from_millis(10),
            source: None,
            #[cfg(feature = "tls")]
            tls: crate::tls::TlsOptions::default(),
        }
    }

    /// Asks for a tag, one of those that the connection begins with. Gravwell's servers refuse a
    /// connection that asks for none.
    ///
    /// # Errors
    /// [`ClientError::TagName`] if the name is not allowed.
    pub fn tag(mut self, name: &str) -> Result<Self, ClientError> {
        self.config.tags.push(TagName::new(name)?);
        Ok(self)
    }

    /// Asks for tags.
    #[must_use]
    pub fn tags(mut self, names: impl IntoIterator<Item = TagName>) -> Self {
        self.config.tags.extend(names);
        self
    }

    /// Sends as this tenant; it needs a server of version 7.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Vec<u8>>) -> Self {
        self.config.tenant = Some(tenant.into());
        self
    }

    /// Says who we are.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.config.identity = identity;
        self
    }

    /// Compresses the stream with Snappy, if the server knows that. Default no.
    #[must_use]
    pub const fn compression(mut self, compression: bool) -> Self {
        self.config.compression = compression;
        self
    }

    /// How many entries may wait for their acknowledgement. Default 4,095.
    #[must_use]
    pub const fn window(mut self, entries: u16) -> Self {
        self.config.window = entries;
        self
    }

    /// The source that entries get that have none. [`Source::NONE`] leaves them without one, as a
    /// relay should. Default: the local address of the connection's socket in 16 bytes, IPv4 as
    /// `::ffff:a.b.c.d`, and `::1` for `pipe://`, as the Go library's clients; over a stream of
    /// one's own ([`Connector::over`]), none. Entries of ditto blocks are left as they are.
    #[must_use]
    pub const fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// How long an entry may wait for others before it is written. Default 10 ms.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How long dialling may take, TLS included. Default 5 s. The handshake has a timeout of its
    /// own, [`ClientConfig::handshake_timeout`].
    #[must_use]
    pub const fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.dial = timeout;
        self
    }

    /// Changes all that the options above do not reach.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// How TLS is set up for `tls://` targets.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, options: crate::tls::TlsOptions) -> Self {
        self.tls = options;
        self
    }

    /// Connects: dialling, handshake, set-up. While the server does not take entries it goes on
    /// asking, without end. If the server hangs up in the set-up or garbles its last reply there,
    /// which Go servers do at times, it is tried again at once, a few times. With compression that
    /// takes 5 ms: the reply may be garbled where the compressed stream begins.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; nothing was sent but the handshake.
    pub async fn connect(&self) -> Result<Connection, ClientError> {
        let mut pauses = SETUP_RETRIES.into_iter();
        loop {
            let error = match self.dial().await {
                Ok((stream, local)) => match self.establish(stream, local).await {
                    Ok(connection) => return Ok(connection),
                    Err((error, true)) => error,
                    Err((error, false)) => return Err(error),
                },
                Err(error) => return Err(error),
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!(target = %self.target, %error, "the server hung up in the set-up");
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes a connection over a stream that exists already; nothing is tried again.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream; nothing was sent but the handshake.
    pub async fn over<T>(&self, stream: T) -> Result<Connection, ClientError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.establish(Box::new(stream), Source::NONE).await.map_err(|(error, _)| error)
    }

    async fn dial(&self) -> Result<(Box<dyn Transport>, Source), ClientError> {
        let dialled = tokio::time::timeout(self.dial, self.dial_untimed()).await;
        dialled.map_err(|_| ClientError::ConnectTimeout)?
    }

    /// A stream, and our own address.
    async fn dial_untimed(&self) -> Result<(Box<dyn Transport>, Source), ClientError> {
        match &self.target {
            Target::Tcp(address) => {
                let (stream, local) = tcp(address).await?;
                Ok((Box::new(stream), local))
            }
            #[cfg(feature = "tls")]
            Target::Tls(address) => {
                let config = std::sync::Arc::new(self.tls.client_config()?);
                let host = self.target.host().unwrap_or_default().to_owned();
                let host = rustls::pki_types::ServerName::try_from(host)
                    .map_err(|_| crate::tls::TlsError::Host)?;
                let (stream, local) = tcp(address).await?;
                let stream = tokio_rustls::TlsConnector::from(config).connect(host, stream).await?;
                Ok((Box::new(stream), local))
            }
            #[cfg(unix)]
            Target::Pipe(path) => {
                let stream = tokio::net::UnixStream::connect(path).await?;
                Ok((Box::new(stream), Source::from(Ipv6Addr::LOCALHOST)))
            }
            #[allow(unreachable_patterns, reason = "features and systems differ")]
            Target::Tls(_) => Err(ClientError::Scheme { scheme: "tls" }),
            #[allow(unreachable_patterns, reason = "features and systems differ")]
            Target::Pipe(_) => Err(ClientError::Scheme { scheme: "pipe" }),
        }
    }

    /// The handshake and the set-up; with an error, whether to try again at once.
    async fn establish(
        &self,
        mut stream: Box<dyn Transport>,
        local: Source,
    ) -> Result<Connection, (ClientError, bool)> {
        let mut config = self.config.clone();
        if config.source.is_none() {
            config.source = self.source.unwrap_or(local);
        }
        let mut machine = ClientMachine::new(config, net::now());
        let greeted = match self.greet(&mut stream, &mut machine).await {
            Ok(()) if self.config.compression => match look(&mut stream, &mut machine).await {
                Ok(()) => Ok(()),
                Err(error) => return Err((error, true)),
            },
            other => other,
        };
        match greeted {
            Ok(()) => Ok(Connection::start(machine, stream, self.linger)),
            Err(error) => {
                let hung_up = match &error {
                    ClientError::Io(_) => machine.is_setting_up(),
                    ClientError::Protocol(ProtocolError::UnexpectedEnd { piece }) => matches!(
                        piece,
                        Piece::Version
                            | Piece::Identity
                            | Piece::IngestOk
                            | Piece::StreamConfiguration
                    ),
                    // The same race can make them write their last reply a second time.
                    ClientError::Protocol(
                        ProtocolError::TooLong { piece: Piece::StreamConfiguration, .. }
                        | ProtocolError::EmptyConfiguration
                        | ProtocolError::Compression { .. },
                    ) => true,
                    _ => false,
                };
                Err((error, hung_up))
            }
        }
    }

    async fn greet(
        &self,
        stream: &mut Box<dyn Transport>,
        machine: &mut ClientMachine,
    ) -> Result<(), ClientError> {
        let mut output = bytes::Bytes::new();
        let mut dirty = false;
        loop {
            while let Some(event) = machine.poll(net::now())? {
                match event {
                    ClientEvent::Challenge(challenge) => {
                        let secret = self.secret.clone();
                        let hash =
                            tokio::task::spawn_blocking(move || secret.respond(&challenge)).await;
                        machine.respond(hash.map_err(std::io::Error::other)?)?;
                    }
                    ClientEvent::Ready => return Ok(()),
                    ClientEvent::NotAllowed => {
                        tracing::warn!(target = %self.target, "the server takes no entries yet");
                    }
                    _ => {}
                }
            }
            if output.is_empty() {
                output = machine.transmit(net::now())?.unwrap_or_default();
            }
            let deadline = machine.deadline();
            let space = machine.space();
            match net::turn(stream, space, &output, &mut dirty, None, deadline).await? {
                Turn::Wrote(len) => drop(output.split_to(len)),
                Turn::Read(0) => machine.end()?,
                Turn::Read(len) => machine.filled(len),
                Turn::Due => machine.on_deadline(net::now())?,
                Turn::Woken => {}
            }
        }
    }
}

/// Looks at the beginning of a compressed stream. Nothing of it is used.
async fn look(
    stream: &mut Box<dyn Transport>,
    machine: &mut ClientMachine,
) -> Result<(), ClientError> {
    if machine.begins_well().is_none() {
        let until = net::now() + LOOK;
        match net::turn(stream, machine.space(), &[], &mut true, None, Some(until)).await? {
            Turn::Read(0) => {
                return Err(ProtocolError::UnexpectedEnd { piece: Piece::Chunk }.into());
            }
            Turn::Read(len) => machine.filled(len),
            Turn::Wrote(_) | Turn::Woken | Turn::Due => {}
        }
    }
    match machine.begins_well() {
        Some(false) => {
            let reason = "it begins with something else".to_owned();
            Err(ProtocolError::Snappy { reason }.into())
        }
        _ => Ok(()),
    }
}

/// A stream, and our own address in 16 bytes.
async fn tcp(address: &str) -> Result<(tokio::net::TcpStream, Source), ClientError> {
    let mut last = None;
    for address in tokio::net::lookup_host(address).await? {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()?
        } else {
            tokio::net::TcpSocket::new_v6()?
        };
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                net::keep_alive(&stream)?;
                let local = match stream.local_addr()?.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                return Ok((stream, Source::from(local)));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()).into())
}
