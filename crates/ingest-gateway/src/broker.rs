//! Brokers of AMQP, from their settings.

use std::time::Duration;

use graphite_proto::amqp::{Broker, BrokerTls, Exchange};

use crate::config::{AmqpBroker, TlsFileError};
use crate::gateway::GatewayError;

/// The broker and the exchange of a source or destination.
pub(crate) fn broker(name: &str, config: &AmqpBroker) -> Result<(Broker, Exchange), GatewayError> {
    let mut broker = Broker::default();
    broker.host = config.host.clone();
    broker.port = config.port;
    broker.vhost = config.vhost.clone();
    broker.user = config.user.clone();
    if let Some(from) = &config.password {
        let password = from.read().map_err(|error| GatewayError::secret(name, error))?;
        broker.password = String::from_utf8_lossy(&password).into_owned();
    }
    broker.heartbeat = config.heartbeat.unwrap_or(Duration::ZERO);
    if let Some(tls) = &config.tls {
        let failed = |error| GatewayError::Tls {
            name: name.to_owned(),
            error: TlsFileError::Read { path: "tls.ca".to_owned(), error },
        };
        let authority = tls.ca.as_ref().map(std::fs::read_to_string).transpose();
        broker.tls = Some(BrokerTls::new(authority.map_err(failed)?));
    }
    let mut exchange = Exchange::default();
    exchange.name = config.exchange.clone();
    exchange.kind = config.exchange_type.clone();
    exchange.durable = config.durable;
    exchange.declare = config.declare;
    Ok((broker, exchange))
}
