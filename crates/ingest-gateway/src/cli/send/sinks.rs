//! What items are sent through: one for each protocol, all alike to use.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use graphite_proto::{Event, LineDecoder, Link, Options, PointEncoder, Wire};
use hydra_ws::{ClientOptions, HydraClient, Others, Target};
use ingest_entry::{EntryRef, Source as Address, TagId, Timestamp};
use ingest_wire::{Connection, Connector, Identity, TlsOptions};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::args::{SendArgs, Speaks};
use super::input::Piece;
use crate::sources::{graphite_time, unix_nanos};

const CONNECT: Duration = Duration::from_secs(10);
/// Points of a frame, as carbon's relay has it.
const FRAME: usize = 500;
/// The largest datagram: what fits an Ethernet frame.
const DATAGRAM: usize = 1400;
/// Messages without a report.
const IN_FLIGHT: usize = 512;

/// What became of the items so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) bytes: u64,
    /// Not sent: the protocol has no form for them.
    pub(super) unsendable: u64,
    /// The other side said no.
    pub(super) refused: u64,
}

/// How the other side ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It has everything, and said so.
    Acknowledged,
    /// It has no way to say so.
    Unknown,
    /// So many were not acknowledged in time.
    Missing(u64),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(super) enum Sink {
    Lines(Link<Box<dyn Stream>>),
    Points(Box<Points>),
    Datagrams(UdpSocket, Vec<u8>),
    Gravwell(Box<Connection>, TagId),
    Hydra(Messages),
}

pub(super) struct Points {
    link: Link<Box<dyn Stream>>,
    decoder: LineDecoder,
    encoder: PointEncoder,
    out: Vec<u8>,
}

pub(super) struct Messages {
    client: Arc<HydraClient>,
    slots: Arc<Semaphore>,
    flying: JoinSet<bool>,
    /// Nothing is expected here, and it must not fill up.
    others: Others,
}

impl Sink {
    /// Connects.
    pub(super) async fn open(args: &SendArgs) -> anyhow::Result<Self> {
        let to = &args.to;
        let context = || format!("cannot connect to {to}");
        Ok(match to.speaks {
            Speaks::Lines => Self::Lines(Link::new(stream(args).await.with_context(context)?)),
            Speaks::Pickle | Speaks::Protobuf => {
                let wire = if to.speaks == Speaks::Pickle { Wire::Pickle } else { Wire::Protobuf };
                Self::Points(Box::new(Points {
                    link: Link::new(stream(args).await.with_context(context)?),
                    decoder: LineDecoder::new(Options::default()),
                    encoder: PointEncoder::new(wire, FRAME).with_infinite(),
                    out: Vec::new(),
                }))
            }
            Speaks::Datagrams => {
                let address =
                    tokio::net::lookup_host(to.rest()).await.with_context(context)?.next();
                let address = address.with_context(context)?;
                let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(own).await?;
                socket.connect(address).await.with_context(context)?;
                Self::Datagrams(socket, Vec::new())
            }
            Speaks::Gravwell => {
                let secret =
                    args.secret.0.read().with_context(|| format!("--secret {}", args.secret))?;
                let scheme = if to.tls { "tls" } else { "tcp" };
                let target = format!("{scheme}://{}", to.rest());
                let identity = Identity {
                    name: "ingestry-send".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..Identity::default()
                };
                let connector = Connector::new(&target, &secret)?
                    .identity(identity)
                    .tls(tls(args)?)
                    .tags([args.tag.clone()]);
                let connection = connector.connect().await.with_context(context)?;
                let tag = connection.tag(args.tag.as_str()).await?;
                Self::Gravwell(Box::new(connection), tag)
            }
            Speaks::Hydra => Self::Hydra(Messages::open(args).await.with_context(context)?),
        })
    }

    /// Sends the items of a piece.
    pub(super) async fn send(&mut self, piece: &Piece, counts: &mut Counts) -> anyhow::Result<()> {
        match self {
            Self::Lines(link) => {
                link.write_all(&piece.bytes).await?;
                counts.sent += piece.lines().count() as u64;
                counts.bytes += piece.bytes.len() as u64;
            }
            Self::Points(points) => points.send(piece, counts).await?,
            Self::Datagrams(socket, out) => {
                for line in piece.lines() {
                    if line.len() >= DATAGRAM {
                        counts.unsendable += 1;
                        continue;
                    }
                    if out.len() + line.len() >= DATAGRAM {
                        socket.send(out).await?;
                        out.clear();
                    }
                    out.extend_from_slice(line);
                    out.push(b'\n');
                    counts.sent += 1;
                    counts.bytes += line.len() as u64 + 1;
                }
                if !out.is_empty() {
                    socket.send(out).await?;
                    out.clear();
                }
            }
            Self::Gravwell(connection, tag) => {
                let nanos = unix_nanos();
                let (seconds, rest) =
                    (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
                let ts = Timestamp::from_unix(seconds, u32::try_from(rest).unwrap_or(0))
                    .unwrap_or(Timestamp::UNIX_EPOCH);
                let entry = |line| EntryRef::new(ts, Address::NONE, *tag, line);
                connection.send_all(piece.lines().map(entry)).await?;
                for line in piece.lines() {
                    counts.sent += 1;
                    counts.bytes += line.len() as u64;
                }
            }
            Self::Hydra(messages) => messages.send(piece, counts).await?,
        }
        Ok(())
    }

    /// Ends it, and waits until the other side has everything.
    pub(super) async fn finish(self, within: Duration, counts: &mut Counts) -> anyhow::Result<End> {
        match self {
            Self::Lines(link) => finish(link, within).await,
            Self::Points(mut points) => {
                points.flush().await?;
                finish(points.link, within).await
            }
            Self::Datagrams(..) => Ok(End::Unknown),
            Self::Gravwell(connection, _) => {
                let closed = connection.close(within).await;
                if let Some(error) = closed.error {
                    tracing::error!(%error, "The connection was lost.");
                }
                Ok(match closed.unacknowledged.len() as u64 {
                    0 => End::Acknowledged,
                    some => End::Missing(some),
                })
            }
            Self::Hydra(messages) => messages.finish(within, counts).await,
        }
    }
}

/// Ends our side; who ends theirs has read everything.
async fn finish(mut link: Link<Box<dyn Stream>>, within: Duration) -> anyhow::Result<End> {
    match timeout(within, link.finish()).await {
        Ok(ended) => {
            ended.context("the other side reset the connection")?;
            Ok(End::Acknowledged)
        }
        Err(_) => anyhow::bail!("the other side has not closed within {} s", within.as_secs()),
    }
}

impl Points {
    async fn send(&mut self, piece: &Piece, counts: &mut Counts) -> anyhow::Result<()> {
        let Self { decoder, encoder, out, .. } = self;
        let now = graphite_time(unix_nanos());
        decoder.push(&piece.bytes, now, &mut |event| match event {
            Event::Metric(metric) => match encoder.push(&metric, out) {
                Ok(()) => counts.sent += 1,
                Err(_) => counts.unsendable += 1,
            },
            Event::Rejected(_) => counts.unsendable += 1,
            _ => {}
        });
        counts.bytes += out.len() as u64;
        self.link.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        self.encoder.flush(&mut self.out);
        self.link.write_all(&self.out).await?;
        Ok(())
    }
}

impl Messages {
    async fn open(args: &SendArgs) -> anyhow::Result<Self> {
        let target: Target = args.to.url.parse()?;
        let mut options = ClientOptions::default();
        options.fields = args.header.iter().map(|one| (one.0.clone(), one.1.clone())).collect();
        options.timeout = Duration::from_secs(args.wait);
        let (client, others) = HydraClient::over(stream(args).await?, &target, options).await?;
        Ok(Self {
            client: Arc::new(client),
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
            flying: JoinSet::new(),
            others,
        })
    }

    async fn send(&mut self, piece: &Piece, counts: &mut Counts) -> anyhow::Result<()> {
        for line in piece.lines() {
            let Ok(text) = std::str::from_utf8(line) else {
                counts.unsendable += 1;
                continue;
            };
            let slot = Arc::clone(&self.slots).acquire_owned().await?;
            counts.sent += 1;
            counts.bytes += line.len() as u64;
            let (client, text) = (Arc::clone(&self.client), text.to_owned());
            self.flying.spawn(async move {
                let report = client.send(&text).await;
                drop(slot);
                report.is_ok_and(|report| report.code == 200)
            });
            while let Some(done) = self.flying.try_join_next() {
                counts.refused += u64::from(!done.unwrap_or(false));
            }
            while self.others.try_recv().is_ok() {}
        }
        Ok(())
    }

    async fn finish(mut self, within: Duration, counts: &mut Counts) -> anyhow::Result<End> {
        let all = async {
            while let Some(done) = self.flying.join_next().await {
                counts.refused += u64::from(!done.unwrap_or(false));
            }
        };
        let late = timeout(within, all).await.is_err();
        let left = self.flying.len() as u64;
        self.client.close().await;
        Ok(if late { End::Missing(left) } else { End::Acknowledged })
    }
}

fn tls(args: &SendArgs) -> anyhow::Result<TlsOptions> {
    let mut options = TlsOptions::default();
    if let Some(ca) = &args.ca {
        let pem = std::fs::read(ca).with_context(|| format!("--ca {}", ca.display()))?;
        options = options.authority(pem);
    }
    if args.insecure {
        options = options.dangerous_accept_any_certificate();
    }
    Ok(options)
}

/// A connection, with TLS if the destination says so.
async fn stream(args: &SendArgs) -> anyhow::Result<Box<dyn Stream>> {
    let address = args.to.rest().split('/').next().unwrap_or_default();
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if !args.to.tls {
            return Ok(Box::new(stream) as Box<dyn Stream>);
        }
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let connector = TlsConnector::from(Arc::new(tls(args)?.client_config()?));
        Ok(Box::new(connector.connect(name, stream).await?) as Box<dyn Stream>)
    };
    timeout(CONNECT, connecting).await.context("it took more than 10 s")?
}
