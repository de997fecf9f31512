//! Connections to a broker of AMQP 0-9-1, RabbitMQ before all.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use lapin::options::ExchangeDeclareOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::{FieldTable, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;

/// The longest frame that is agreed on, in bytes: what RabbitMQ proposes. The client holds room for
/// several of them, so that a broker that names no limit, or a large one, must not have its way.
const MAX_FRAME: u32 = 128 * 1024;

/// Why a broker cannot be spoken to. What was under way and not confirmed is to be done again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AmqpError {
    /// It did not answer in time.
    #[error("the broker did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The connection or the channel broke, or the broker refused something.
    #[error("{0}")]
    Broker(String),
    /// The broker took the consumer off its queue, which somebody deleted, say.
    #[error("the broker has ended the consumer")]
    Ended,
    /// A message was not taken by the broker.
    #[error("the broker refused a message")]
    Refused,
    /// A name is longer than 255 bytes, the most that the protocol has room for.
    #[error("a name is longer than 255 bytes: {0}")]
    Name(String),
}

impl From<lapin::Error> for AmqpError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.to_string())
    }
}

/// How a broker is reached. The names and defaults are those of carbon's example configuration
/// (`graphite.md` 6.1).
#[derive(Clone)]
#[non_exhaustive]
pub struct Broker {
    /// `AMQP_HOST`. Default: `localhost`.
    pub host: String,
    /// `AMQP_PORT`. Default: 5672.
    pub port: u16,
    /// `AMQP_VHOST`. Default: `/`.
    pub vhost: String,
    /// `AMQP_USER`. Default: `guest`.
    pub user: String,
    /// `AMQP_PASSWORD`. Default: `guest`. Not shown by `Debug`.
    pub password: String,
    /// How often each side says that it is there; a connection on which nothing is heard for twice
    /// as long is given up. Default: 30 s. Zero: never.
    pub heartbeat: Duration,
    /// How long connecting and each answer may take. Default: 10 s.
    pub timeout: Duration,
    /// Clear text without.
    pub tls: Option<BrokerTls>,
}

/// How a broker is known to be the right one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerTls {
    /// The authorities that are trusted, in PEM, beside the system's.
    pub authority: Option<String>,
}

impl BrokerTls {
    /// TLS that trusts these authorities, in PEM, beside the system's.
    #[must_use]
    pub const fn new(authority: Option<String>) -> Self {
        Self { authority }
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 5672,
            vhost: "/".to_owned(),
            user: "guest".to_owned(),
            password: "guest".to_owned(),
            heartbeat: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            tls: None,
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("vhost", &self.vhost)
            .field("user", &self.user)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// An exchange, as carbon declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// `AMQP_EXCHANGE`. Default: `graphite`.
    pub name: String,
    /// Default: `topic`.
    pub kind: String,
    /// Whether it outlives the broker's process. Default: yes.
    pub durable: bool,
    /// Whether it is declared, or has to be there. Default: declared.
    pub declare: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { name: "graphite".to_owned(), kind: "topic".to_owned(), durable: true, declare: true }
    }
}

impl Broker {
    /// A connection with one channel, on which the exchange is there.
    pub(super) async fn open(&self, exchange: &Exchange) -> Result<Open, AmqpError> {
        let uri = AMQPUri {
            scheme: if self.tls.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                frame_max: Some(MAX_FRAME),
                heartbeat: Some(u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX)),
                ..AMQPQueryString::default()
            },
        };
        let properties = ConnectionProperties::default().with_connection_name("ingestry".into());
        let authority = self.tls.as_ref().and_then(|tls| tls.authority.clone());
        let tls = OwnedTLSConfig { identity: None, cert_chain: authority };
        let runtime = lapin::runtime::default_runtime()?;
        let connection =
            self.within(Connection::connect_uri_with_config(uri, properties, tls, runtime)).await?;
        let channel = self.within(connection.create_channel()).await?;
        if exchange.declare {
            let kind = match exchange.kind.as_str() {
                "topic" => ExchangeKind::Topic,
                "direct" => ExchangeKind::Direct,
                "fanout" => ExchangeKind::Fanout,
                "headers" => ExchangeKind::Headers,
                other => ExchangeKind::Custom(other.to_owned()),
            };
            let options = ExchangeDeclareOptions {
                durable: exchange.durable,
                ..ExchangeDeclareOptions::default()
            };
            let declared = channel.exchange_declare(
                short(&exchange.name)?,
                kind,
                options,
                FieldTable::default(),
            );
            self.within(declared).await?;
        }
        Ok(Open { connection, channel })
    }

    pub(super) async fn within<T>(
        &self,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, AmqpError> {
        match timeout(self.timeout, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(AmqpError::Late(self.timeout)),
        }
    }
}

/// A connection with its channel.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
}

impl Open {
    /// Says good-bye.
    pub(super) async fn close(self) -> Result<(), AmqpError> {
        Ok(self.connection.close(200, "fine".into()).await?)
    }
}

/// A name as the protocol has it.
pub(super) fn short(name: &str) -> Result<ShortString, AmqpError> {
    ShortString::try_new(name).map_err(|_| AmqpError::Name(name.chars().take(64).collect()))
}
