//! What the admin pages need to know of the gateway.

use std::sync::Arc;
use std::time::Duration;

use crate::counters::SourceCounters;
use crate::limits::Limits;
use crate::rules::Rules;

/// A gateway as the admin pages see it. Every call takes short locks only and never waits for the
/// disk or the network.
pub trait View: Send + Sync + 'static {
    /// A moment of the log and its outputs.
    fn status(&self) -> ingest_mux::Status;

    /// The counters of every source, in the order of the configuration. Names are unique.
    fn sources(&self) -> Vec<Arc<SourceCounters>>;

    /// The names of the destinations that are the log itself, kept.
    fn store_outputs(&self) -> Vec<String>;

    /// The `type` of a configured output that the log delivers to.
    fn output_type(&self, _name: &str) -> &str {
        "injected"
    }

    /// Where the links of a configured output lead, in their order, as far as that is known.
    fn output_targets(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }

    /// What an output did with the entries that it was given, by the names of their fates, where a
    /// destination tells: counted in this run, and again for what was sent again.
    fn output_fates(&self, _name: &str) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// The rules, with what they did.
    fn rules(&self) -> Rules {
        Rules::default()
    }

    /// The limits, with what they did.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Whether every listener is up and the log takes entries.
    fn ready(&self) -> bool;

    /// Time since the start of the process.
    fn uptime(&self) -> Duration;

    /// The version of the program.
    fn version(&self) -> &str;
}
