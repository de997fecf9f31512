//! The settings of AMQP as plain data.

use std::time::Duration;

use crate::config::choice::choice;
use crate::config::graphite::GraphiteLines;
use crate::config::secret::SecretFrom;
use crate::config::tls::ClientTls;

/// A broker, and the exchange there. The names of carbon's configuration are the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpBroker {
    /// `AMQP_HOST`.
    pub host: String,
    /// `AMQP_PORT`.
    pub port: u16,
    /// `AMQP_VHOST`.
    pub vhost: String,
    /// `AMQP_USER`.
    pub user: String,
    /// `AMQP_PASSWORD`. `None`: `guest`.
    pub password: Option<SecretFrom>,
    /// `AMQP_EXCHANGE`.
    pub exchange: String,
    /// The type of the exchange.
    pub exchange_type: String,
    /// Whether the exchange is declared, or has to be there.
    pub declare: bool,
    /// Whether the exchange outlives the broker's process.
    pub durable: bool,
    /// How often each side says that it is there. `None`: never.
    pub heartbeat: Option<Duration>,
    /// `None`: clear text.
    pub tls: Option<ClientTls>,
}

impl Default for AmqpBroker {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 5672,
            vhost: "/".to_owned(),
            user: "guest".to_owned(),
            password: None,
            exchange: "graphite".to_owned(),
            exchange_type: "topic".to_owned(),
            declare: true,
            durable: true,
            heartbeat: Some(Duration::from_secs(30)),
            tls: None,
        }
    }
}

/// Graphite points from a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpSource {
    /// `ENABLE_AMQP`: whether it consumes at all.
    pub enabled: bool,
    /// `AMQP_VERBOSE`: whether each message is logged.
    pub verbose: bool,
    /// The broker.
    pub broker: AmqpBroker,
    /// `BIND_PATTERNS`: which routing keys are consumed.
    pub patterns: Vec<String>,
    /// The queue. `None`: one for the connection alone.
    pub queue: Option<String>,
    /// Messages that may be out and not acknowledged.
    pub prefetch: u16,
    /// When messages are acknowledged.
    pub ack: AmqpAck,
    /// Where the name of a metric stands: `AMQP_METRIC_NAME_IN_BODY`.
    pub name: AmqpName,
    /// How lines become entries.
    pub lines: GraphiteLines,
}

impl Default for AmqpSource {
    fn default() -> Self {
        Self {
            enabled: true,
            verbose: false,
            broker: AmqpBroker::default(),
            patterns: vec!["#".to_owned()],
            queue: None,
            prefetch: 1000,
            ack: AmqpAck::default(),
            name: AmqpName::default(),
            lines: GraphiteLines::default(),
        }
    }
}

/// Graphite points to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpDestination {
    /// The broker.
    pub broker: AmqpBroker,
    /// Where the name of a metric goes. [`AmqpName::Auto`] is none of them.
    pub name: AmqpName,
    /// The routing key of messages with names in their bodies.
    pub routing_key: String,
    /// Lines of a message with names in its body.
    pub lines: usize,
    /// Whether messages outlive the broker's process, in queues that do.
    pub persistent: bool,
}

choice! {
    /// When messages of a broker are acknowledged.
    AmqpAck {
        /// When what they hold is as durable as `log.durability` says.
        #[default]
        Durable = "durable",
        /// Never: the broker forgets them when it sends them, as with carbon.
        None = "none",
    }
}

choice! {
    /// Where the name of a metric stands in a message.
    AmqpName {
        /// In the routing key.
        #[default]
        Key = "key",
        /// In the body.
        Body = "body",
        /// In whichever the number of fields on a line says.
        Auto = "auto",
    }
}
