//! The outputs of the log: destinations, and which tags they get.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingest_mux::{Filter, Identity, Muxer, Output, SharedDestination};
use ingest_store::Digests;

use super::GatewayError;
use crate::config::{
    Config, DestinationConfig, DestinationKind, Route, StateMessages, fingerprint,
};
use crate::destinations::{self, Fates};
use crate::log_options::log_options;

/// What was found in the files that destinations name, by destination.
pub(super) type Files = BTreeMap<String, u64>;

/// An output of the log that belongs to a destination.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) destination: String,
    pub(super) name: String,
    /// The `type` of the destination.
    pub(super) kind: &'static str,
    /// Where its links lead, in their order, as far as that is known.
    pub(super) targets: Vec<String>,
    /// What it did with entries, where it tells.
    pub(super) fates: Option<Arc<dyn Fates>>,
}

/// An output that does not run yet.
type Made = (Known, Output);

/// Opens the log and sets the outputs going, off the runtime's own threads.
pub(super) async fn open(
    config: &Config,
    given: Vec<(String, SharedDestination)>,
    digests: Arc<Digests>,
) -> Result<(Muxer, Vec<Known>), GatewayError> {
    let mut log = log_options(&config.log);
    log.onlooker = Some(digests);
    let identity = Identity {
        name: "ingestry".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        label: config.delivery.label.clone(),
        ..Identity::default()
    };
    let mut builder = Muxer::builder()
        .dir(&config.log.dir)
        .log(log)
        .identity(identity)
        .longest_wait(config.delivery.longest_wait);
    if let Some(rate) = config.delivery.rate_limit {
        builder = builder.rate_limit(rate);
    }
    let mut all = Vec::new();
    for destination in &config.destinations {
        for (known, output) in made(destination, &config.routes)? {
            all.push(known);
            builder = builder.output(output);
        }
    }
    for (name, destination) in given {
        if config.destinations.iter().any(|had| had.name == name) {
            return Err(GatewayError::DestinationTwice(name));
        }
        let filter = filter(&config.routes, &name);
        builder = builder.output(Output::new(&name).filter(filter).link(destination));
    }
    let muxer = tokio::task::block_in_place(|| builder.start())?;
    muxer.announcement().set_minimal(config.delivery.state == StateMessages::Minimal);
    Ok((muxer, all))
}

/// What the files that the destinations name hold now.
pub(super) fn files(config: &Config) -> Files {
    let of = |one: &DestinationConfig| (one.name.clone(), fingerprint(one.kind.files()));
    config.destinations.iter().map(of).collect()
}

/// The outputs of a destination; the store has none.
fn made(destination: &DestinationConfig, routes: &[Route]) -> Result<Vec<Made>, GatewayError> {
    let name = &destination.name;
    let filter = filter(routes, name);
    let known = |output: &str, fates: Option<Arc<dyn Fates>>| Known {
        destination: name.clone(),
        name: output.to_owned(),
        kind: destination.kind.type_name(),
        targets: Vec::new(),
        fates,
    };
    Ok(match &destination.kind {
        DestinationKind::Store => Vec::new(),
        DestinationKind::Gravwell(gravwell) => {
            let output = Output::new(name).filter(filter);
            let output = destinations::outflow::apply(output, &gravwell.outflow);
            let targets = gravwell.targets.iter().map(ToString::to_string).collect();
            let known = Known { targets, ..known(name, None) };
            vec![(known, destinations::gravwell::output(output, name, gravwell)?)]
        }
        DestinationKind::Graphite(graphite) => {
            destinations::graphite::outputs(name, graphite, &filter)?
                .into_iter()
                .map(|ready| (known(&ready.name, Some(ready.fates)), ready.output))
                .collect()
        }
        #[cfg(feature = "amqp")]
        DestinationKind::Amqp(amqp) => {
            let ready = destinations::amqp::output(name, amqp, filter)?;
            vec![(known(&ready.name, Some(ready.fates)), ready.output)]
        }
        #[cfg(feature = "kafka")]
        DestinationKind::Kafka(kafka) => {
            let output = Output::new(name).filter(filter);
            let output = destinations::outflow::apply(output, &kafka.outflow);
            let (output, fates) = destinations::kafka::output(output, name, kafka)?;
            let targets = vec![kafka.brokers.brokers.join(" ")];
            vec![(Known { targets, ..known(name, Some(fates)) }, output)]
        }
        // Refused when the configuration was read.
        #[cfg(not(feature = "kafka"))]
        DestinationKind::Kafka(_) => Vec::new(),
        #[cfg(not(feature = "amqp"))]
        DestinationKind::Amqp(_) => Vec::new(),
    })
}

/// What the routes send to an output.
fn filter(routes: &[Route], name: &str) -> Filter {
    if routes.is_empty() {
        return Filter::All;
    }
    let tags = routes.iter().filter(|route| route.to.iter().any(|to| to == name));
    Filter::Tags(tags.flat_map(|route| &route.tags).cloned().collect())
}

/// How the outputs of one configuration become those of another.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) put: Vec<Output>,
    pub(super) remove: Vec<String>,
    /// The outputs and files of all destinations then.
    pub(super) known: Vec<Known>,
    pub(super) files: Files,
    /// Destinations, for the report.
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) gone: Vec<String>,
}

/// What runs now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running<'a> {
    pub(super) config: &'a Config,
    pub(super) known: &'a [Known],
    pub(super) files: &'a Files,
    /// The destinations that the program brought along, which stay.
    pub(super) given: &'a [(String, SharedDestination)],
}

impl Change {
    /// What has to be done so that another configuration holds.
    pub(super) fn plan(had: &Running<'_>, new: &Config) -> Result<Self, GatewayError> {
        let mut change = Self { files: files(new), ..Self::default() };
        let filters = |name: &str| [had.config, new].map(|config| filter(&config.routes, name));
        for destination in &new.destinations {
            let name = &destination.name;
            if had.given.iter().any(|(given, _)| given == name) {
                return Err(GatewayError::DestinationTwice(name.clone()));
            }
            let before = had.config.destinations.iter().find(|had| had.name == *name);
            let [old_filter, new_filter] = filters(name);
            let same = before == Some(destination)
                && had.files.get(name) == change.files.get(name)
                && old_filter == new_filter;
            if same {
                let known = had.known.iter().filter(|known| known.destination == *name);
                change.known.extend(known.cloned());
                continue;
            }
            let list = if before.is_some() { &mut change.changed } else { &mut change.added };
            list.push(name.clone());
            for (known, output) in made(destination, &new.routes)? {
                change.known.push(known);
                change.put.push(output);
            }
        }
        for (name, destination) in had.given {
            let [old_filter, new_filter] = filters(name);
            if old_filter != new_filter {
                change.changed.push(name.clone());
                let output = Output::new(name).filter(new_filter).link(destination.clone());
                change.put.push(output);
            }
        }
        let gone = had.config.destinations.iter().map(|gone| &gone.name);
        let gone = gone.filter(|gone| !new.destinations.iter().any(|new| new.name == **gone));
        change.gone.extend(gone.cloned());
        let stays = |name: &str| change.known.iter().any(|known| known.name == name);
        let left = had.known.iter().filter(|known| !stays(&known.name));
        change.remove = left.map(|known| known.name.clone()).collect();
        Ok(change)
    }
}
