//! Carbon servers. Without a hash they are links of one output; with a hash each is an output of its
//! own, with its own place in the log, so that one that is away holds up no other.
//!
//! A Carbon server never answers. What counts as delivered is either what the system took and what
//! its connection survived for a while ([`GraphiteConfirm::Written`]), or what the server closed its
//! side upon ([`GraphiteConfirm::Closed`]). When a connection breaks, all that was not yet counted is
//! sent again.

mod link;
pub(crate) mod points;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use graphite_proto::hashing::{Dialect, Hash, Node, Ring};
use graphite_proto::{PointEncoder, Wire};
use ingest_mux::{Destination, Filter, Leases, LinkFuture, Output};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::{
    GraphiteConfirm, GraphiteDestination, GraphitePolicy, GraphiteWire, HashDialect, TlsFileError,
};
use crate::gateway::GatewayError;

pub(crate) use points::Fates;

/// Points of a frame, as carbon's `MAX_DATAPOINTS_PER_MESSAGE`.
const FRAME: usize = 500;

/// One server.
struct Graphite {
    server: Node,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    wire: Wire,
    infinite: bool,
    closed: bool,
    settle: Duration,
    share: Option<Share>,
    fates: Arc<Fates>,
}

/// Which points belong to a server, of several.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    ring: Arc<Ring>,
    dialect: Dialect,
    replication: usize,
    diverse: bool,
    place: usize,
}

impl Share {
    /// Whether a series belongs there. `places` is scratch.
    fn takes(&self, path: &str, places: &mut Vec<usize>) -> bool {
        places.clear();
        let key = self.dialect.key(path.as_bytes());
        self.ring.place(key, self.replication, self.diverse, places);
        places.contains(&self.place)
    }
}

impl Graphite {
    fn encoder(&self) -> PointEncoder {
        let encoder = PointEncoder::new(self.wire, FRAME);
        if self.infinite { encoder.with_infinite() } else { encoder }
    }
}

impl fmt::Debug for Graphite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graphite")
            .field("server", &self.server)
            .field("wire", &self.wire)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Destination for Graphite {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(self.link(leases))
    }
}

/// An output, what it is called, and what it counts.
pub(crate) struct Ready {
    pub(crate) name: String,
    pub(crate) output: Output,
    pub(crate) fates: Arc<Fates>,
}

/// The outputs of a destination.
pub(crate) fn outputs(
    name: &str,
    config: &GraphiteDestination,
    filter: &Filter,
) -> Result<Vec<Ready>, GatewayError> {
    let tls = match &config.tls {
        None => None,
        Some(files) => {
            let failed = |error| GatewayError::Tls { name: name.to_owned(), error };
            let options = files.load().map_err(failed)?;
            let client = options.client_config().map_err(TlsFileError::from).map_err(failed)?;
            Some(TlsConnector::from(Arc::new(client)))
        }
    };
    let server = |server: &Node, share: Option<Share>, fates: &Arc<Fates>| {
        let tls = match &tls {
            None => None,
            Some(connector) => {
                let host = ServerName::try_from(server.host.clone());
                let failed = |_| GatewayError::Tls {
                    name: name.to_owned(),
                    error: TlsFileError::from(ingest_wire::TlsError::Host),
                };
                Some((connector.clone(), host.map_err(failed)?))
            }
        };
        Ok::<_, GatewayError>(Arc::new(Graphite {
            server: server.clone(),
            tls,
            wire: match config.format {
                GraphiteWire::Lines => Wire::Lines,
                GraphiteWire::Protobuf => Wire::Protobuf,
                GraphiteWire::Pickle => Wire::Pickle,
            },
            infinite: config.infinite,
            closed: config.confirm == GraphiteConfirm::Closed,
            settle: config.settle,
            share,
            fates: Arc::clone(fates),
        }))
    };
    let hash = match config.policy {
        GraphitePolicy::CarbonCh => Hash::Carbon,
        GraphitePolicy::Fnv1aCh => Hash::Fnv1a,
        GraphitePolicy::JumpFnv1aCh => Hash::JumpFnv1a,
        policy => {
            let fates = Arc::new(Fates::default());
            let mut output = Output::new(name).filter(filter.clone()).policy(match policy {
                GraphitePolicy::FailOver => ingest_mux::Policy::FailOver,
                _ => ingest_mux::Policy::Share,
            });
            for target in &config.targets {
                output = output.link(server(target, None, &fates)?);
            }
            return Ok(vec![Ready { name: name.to_owned(), output, fates }]);
        }
    };
    let dialect = match config.dialect {
        HashDialect::CRelay => Dialect::CRelay,
        HashDialect::RelayNg => Dialect::RelayNg,
        HashDialect::RelayNg2 => Dialect::RelayNg2,
        HashDialect::Carbon => Dialect::Carbon,
    };
    let ring = Arc::new(Ring::new(hash, dialect, &config.targets));
    let mut outputs = Vec::new();
    for (place, target) in config.targets.iter().enumerate() {
        let (replication, diverse) = (config.replication, config.diverse);
        let share = Share { ring: Arc::clone(&ring), dialect, replication, diverse, place };
        let fates = Arc::new(Fates::default());
        let name = output_name(name, target);
        let output = Output::new(&name).filter(filter.clone());
        let output = output.link(server(target, Some(share), &fates)?);
        outputs.push(Ready { name, output, fates });
    }
    Ok(outputs)
}

/// What the output for one server of a hash is called: its place in the log goes by that name.
fn output_name(name: &str, server: &Node) -> String {
    format!("{name}@{server}")
}
