//! Brokers of AMQP: an entry counts as delivered when the broker has confirmed its message.

use std::sync::Arc;

use graphite_proto::amqp::{AmqpError, Broker, Exchange, MAX_KEY, Publisher};
use graphite_proto::{PointEncoder, Wire};
use ingest_mux::{Destination, Filter, Lease, Leases, LinkError, LinkFuture, Output};

use super::graphite::points::Writer;
use super::graphite::{Fates, Ready};
use crate::config::{AmqpDestination, AmqpName};
use crate::gateway::GatewayError;

/// A broker.
#[derive(Debug)]
struct Amqp {
    broker: Broker,
    exchange: Exchange,
    config: AmqpDestination,
    fates: Arc<Fates>,
}

/// The output of a destination.
pub(crate) fn output(
    name: &str,
    config: &AmqpDestination,
    filter: Filter,
) -> Result<Ready, GatewayError> {
    let (broker, exchange) = crate::broker::broker(name, &config.broker)?;
    let fates = Arc::new(Fates::default());
    let amqp = Amqp { broker, exchange, config: config.clone(), fates: Arc::clone(&fates) };
    let output = Output::new(name).filter(filter).link(Arc::new(amqp));
    Ok(Ready { name: name.to_owned(), output, fates })
}

impl Destination for Amqp {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move { self.link(leases).await.map_err(|error| failed(&error)) })
    }
}

fn failed(error: &AmqpError) -> LinkError {
    LinkError::passing(error.to_string())
}

impl Amqp {
    async fn link(&self, leases: &Leases) -> Result<(), AmqpError> {
        let (exchange, persistent) = (&self.exchange, self.config.persistent);
        let mut publisher = Publisher::connect(&self.broker, exchange, persistent).await?;
        leases.connected();
        let mut writer = Writer::new(PointEncoder::new(Wire::Lines, 1), None);
        let mut lines = Vec::new();
        while let Some(lease) = leases.next().await {
            lines.clear();
            self.deliver(&lease, &mut writer, &mut lines, &mut publisher).await?;
            lease.confirm();
        }
        publisher.close().await
    }

    async fn deliver(
        &self,
        lease: &Lease,
        writer: &mut Writer<'_>,
        lines: &mut Vec<u8>,
        publisher: &mut Publisher,
    ) -> Result<(), AmqpError> {
        writer.write(lease, &self.fates, lines);
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let (message, behind) = split(rest, self.lines_at_once());
            rest = behind;
            match self.config.name {
                AmqpName::Body => publisher.publish(&self.config.routing_key, message).await?,
                _ => {
                    let (key, body) = named(message);
                    publisher.publish(key, body).await?;
                }
            }
        }
        publisher.confirmed().await
    }

    const fn lines_at_once(&self) -> usize {
        match self.config.name {
            AmqpName::Body => self.config.lines,
            _ => 1,
        }
    }
}

/// The first so many lines, and what is behind them.
fn split(lines: &[u8], count: usize) -> (&[u8], &[u8]) {
    let ends = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let end = ends.take(count).last().unwrap_or(lines.len());
    lines.split_at_checked(end).unwrap_or((lines, &[]))
}

/// A line's path, as the routing key, and the rest, as the body. A path that is too long for a key
/// stays in the body: consumers that look for the name where it is find it.
fn named(line: &[u8]) -> (&str, &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (path, rest) = line.split_at_checked(at).unwrap_or((line, &[]));
    match str::from_utf8(path) {
        Ok(path) if path.len() <= MAX_KEY => (path, rest.get(1..).unwrap_or_default()),
        _ => ("", line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_messages() {
        let lines = b"a 1 7\nb;x=1 2 8\nc 3 9\n";
        assert_eq!(split(lines, 1), (&lines[..6], &lines[6..]));
        assert_eq!(split(lines, 2), (&lines[..16], &lines[16..]));
        assert_eq!(split(lines, 9), (&lines[..], &lines[lines.len()..]));
        assert_eq!(named(b"b;x=1 2 8\n"), ("b;x=1", &b"2 8"[..]));
        let long = format!("{} 1 7", "x".repeat(300));
        assert_eq!(named(long.as_bytes()), ("", long.as_bytes()));
    }
}
