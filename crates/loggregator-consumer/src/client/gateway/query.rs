//! What the gateway is asked for.

use crate::client::endpoint::escape;

/// What of the platform is wanted: types, of all sources or some.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Of these sources; none for all, which needs an administrator's token.
    pub source_ids: Vec<String>,
    /// Lines.
    pub log: bool,
    /// Counters.
    pub counter: bool,
    /// Counters of these names; [`Self::counter`] then has no effect.
    pub counter_names: Vec<String>,
    /// Gauges.
    pub gauge: bool,
    /// Gauges that have all names of one of these lists; [`Self::gauge`] then has no effect.
    pub gauge_names: Vec<Vec<String>>,
    /// Time spans.
    pub timer: bool,
    /// Events.
    pub event: bool,
    /// The group that shares the envelopes.
    pub shard_id: Option<String>,
    /// A name that decides the members of the group by a hash.
    pub deterministic_name: Option<String>,
}

impl Query {
    /// Lines of one source.
    #[must_use]
    pub fn logs_of(source_id: impl Into<String>) -> Self {
        Self { source_ids: vec![source_id.into()], log: true, ..Self::default() }
    }

    /// All types.
    #[must_use]
    pub fn everything() -> Self {
        Self { log: true, counter: true, gauge: true, timer: true, event: true, ..Self::default() }
    }

    /// Whether a type is wanted. The gateway refuses a query without.
    #[must_use]
    pub const fn has_type(&self) -> bool {
        self.log
            || self.counter
            || !self.counter_names.is_empty()
            || self.gauge
            || !self.gauge_names.is_empty()
            || self.timer
            || self.event
    }

    /// Its text in a URL, without the question mark. Values are percent-encoded; a comma in a
    /// gauge's name cannot be told from one between two.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut parts = Vec::new();
        let mut flag = |wanted: bool, name: &str| {
            if wanted {
                parts.push(name.to_owned());
            }
        };
        flag(self.log, "log");
        flag(self.counter && self.counter_names.is_empty(), "counter");
        flag(self.gauge && self.gauge_names.is_empty(), "gauge");
        flag(self.timer, "timer");
        flag(self.event, "event");
        parts
            .extend(self.counter_names.iter().map(|name| format!("counter.name={}", escape(name))));
        parts.extend(self.gauge_names.iter().map(|names| {
            let names: Vec<_> = names.iter().map(|name| escape(name)).collect();
            format!("gauge.name={}", names.join(","))
        }));
        parts.extend(self.source_ids.iter().map(|id| format!("source_id={}", escape(id))));
        parts.extend(self.shard_id.iter().map(|id| format!("shard_id={}", escape(id))));
        let name = self.deterministic_name.iter();
        parts.extend(name.map(|name| format!("deterministic_name={}", escape(name))));
        parts.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_names_win() {
        let query = Query {
            source_ids: vec!["a b".to_owned(), "c;d".to_owned()],
            counter_names: vec!["x&y".to_owned()],
            gauge_names: vec![vec!["cpu".to_owned(), "é".to_owned()]],
            shard_id: Some("s".to_owned()),
            deterministic_name: Some("n".to_owned()),
            ..Query::everything()
        };
        assert_eq!(
            query.encode(),
            "log&timer&event&counter.name=x%26y&gauge.name=cpu,%C3%A9\
             &source_id=a%20b&source_id=c%3Bd&shard_id=s&deterministic_name=n"
        );
        assert!(!Query { shard_id: Some("s".to_owned()), ..Query::default() }.has_type());
    }
}
