//! The outputs of the log: destinations, and which tags they get.

use std::collections::BTreeMap;

use ingest_mux::{Filter, Muxer, Output, SharedDestination};

use super::GatewayError;
use crate::config::{Config, DestinationConfig, DestinationKind, Route, fingerprint};
use crate::destinations;
use crate::log_options::log_options;

/// What was found in the files that destinations name, by destination.
pub(super) type Files = BTreeMap<String, u64>;

/// Opens the log and sets the outputs going, off the runtime's own threads.
pub(super) async fn open(
    config: &Config,
    given: Vec<(String, SharedDestination)>,
) -> Result<Muxer, GatewayError> {
    let mut builder = Muxer::builder().dir(&config.log.dir).log(log_options(&config.log));
    for destination in &config.destinations {
        if let Some(output) = output(destination, &config.routes)? {
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
    tokio::task::block_in_place(|| Ok(builder.start()?))
}

/// What the files that the destinations name hold now.
pub(super) fn files(config: &Config) -> Files {
    let of = |one: &DestinationConfig| (one.name.clone(), fingerprint(one.kind.files()));
    config.destinations.iter().map(of).collect()
}

/// The output of a destination; the store has none.
fn output(
    destination: &DestinationConfig,
    routes: &[Route],
) -> Result<Option<Output>, GatewayError> {
    let name = &destination.name;
    let output = Output::new(name).filter(filter(routes, name));
    match &destination.kind {
        DestinationKind::Store => Ok(None),
        DestinationKind::Gravwell(gravwell) => {
            destinations::gravwell::output(output, name, gravwell).map(Some)
        }
    }
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
#[derive(Debug)]
pub(super) struct Change {
    pub(super) put: Vec<Output>,
    pub(super) remove: Vec<String>,
    pub(super) files: Files,
    /// Names for the report, stores included.
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) gone: Vec<String>,
}

impl Change {
    /// `given`: the destinations that the program brought along, which stay.
    pub(super) fn plan(
        had: &Config,
        new: &Config,
        had_files: &Files,
        given: &[(String, SharedDestination)],
    ) -> Result<Self, GatewayError> {
        let mut change = Self {
            put: Vec::new(),
            remove: Vec::new(),
            files: files(new),
            added: Vec::new(),
            changed: Vec::new(),
            gone: Vec::new(),
        };
        for destination in &new.destinations {
            let name = &destination.name;
            if given.iter().any(|(given, _)| given == name) {
                return Err(GatewayError::DestinationTwice(name.clone()));
            }
            let before = had.destinations.iter().find(|had| had.name == *name);
            let same = before == Some(destination)
                && had_files.get(name) == change.files.get(name)
                && filter(&had.routes, name) == filter(&new.routes, name);
            if same {
                continue;
            }
            let list = if before.is_some() { &mut change.changed } else { &mut change.added };
            list.push(name.clone());
            match output(destination, &new.routes)? {
                Some(output) => change.put.push(output),
                // What had an output may have become the store.
                None if before.is_some_and(has_output) => change.remove.push(name.clone()),
                None => {}
            }
        }
        for (name, destination) in given {
            let filter = filter(&new.routes, name);
            if filter != self::filter(&had.routes, name) {
                change.changed.push(name.clone());
                let output = Output::new(name).filter(filter).link(destination.clone());
                change.put.push(output);
            }
        }
        for gone in &had.destinations {
            if !new.destinations.iter().any(|new| new.name == gone.name) {
                change.gone.push(gone.name.clone());
                if has_output(gone) {
                    change.remove.push(gone.name.clone());
                }
            }
        }
        Ok(change)
    }
}

const fn has_output(destination: &DestinationConfig) -> bool {
    !matches!(destination.kind, DestinationKind::Store)
}
