//! Gravwell indexers: one link for each target.

use std::sync::Arc;

use ingest_mux::{Gravwell, Output};
use ingest_wire::{Connector, Secret};

use crate::config::{Confirm, GravwellDestination, Policy};
use crate::gateway::GatewayError;

/// The output with its links.
pub(crate) fn output(
    output: Output,
    name: &str,
    config: &GravwellDestination,
) -> Result<Output, GatewayError> {
    let secret = config
        .secret
        .read()
        .map_err(|error| GatewayError::DestinationSecret { name: name.to_owned(), error })?;
    let tls =
        config.tls.load().map_err(|error| GatewayError::Tls { name: name.to_owned(), error })?;
    let policy = match config.policy {
        Policy::FailOver => ingest_mux::Policy::FailOver,
        _ => ingest_mux::Policy::Share,
    };
    let confirm = match config.confirm {
        Confirm::Stored => ingest_mux::Confirm::Stored,
        _ => ingest_mux::Confirm::Acknowledged,
    };
    let link = |output: Output, target: &ingest_wire::Target| {
        let mut connector = Connector::to(target.clone(), Secret::new(&secret))
            .compression(config.compression)
            // Entries go on as they came.
            .source(ingest_entry::Source::NONE)
            .tls(tls.clone());
        if !config.tenant.is_empty() {
            connector = connector.tenant(config.tenant.as_str());
        }
        output.link(Arc::new(
            Gravwell::new(connector).confirm(confirm).min_version(config.min_version),
        ))
    };
    Ok(config.targets.iter().fold(output.policy(policy), link))
}
