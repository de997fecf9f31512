//! Everything that is counted, as one page.

mod log;
mod output;
mod source;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

pub use self::log::LogReport;
pub use self::output::{Lag, LinkReport, OutputReport};
pub use self::source::{Connections, Entries, Received, SourceReport, TemplateReport};
use super::view::View;
use crate::limits::Limit;
use crate::rules::Rule;

/// A moment of the gateway; its JSON is `/status`.
///
/// Counts of the log and of outputs are kept over restarts where their fields say so; all others
/// begin with the process.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of the program.
    pub version: String,
    /// Seconds since the start of the process.
    pub uptime_seconds: f64,
    /// Every listener is up and the log takes entries.
    pub ready: bool,
    /// All the accounts below hold.
    pub balanced: bool,
    /// Number of tags that have a number.
    pub tags: u64,
    /// The log.
    pub log: LogReport,
    /// The sources, in the order of the configuration.
    pub sources: Vec<SourceReport>,
    /// The outputs: the stores, the others, and those that left the configuration.
    pub outputs: Vec<OutputReport>,
    /// The rules, in the order of the configuration. What they leave out is in the accounts of the
    /// sources as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleReport>,
    /// The limits, in the order of the configuration. What they drop is in the accounts of the sources
    /// as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitReport>,
}

/// A rule, and what it did in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// `keep`, `drop` or `sample`.
    pub action: &'static str,
    /// Entries that it kept.
    pub kept: u64,
    /// Entries that it left out.
    pub dropped: u64,
}

impl RuleReport {
    fn new(rule: &Rule) -> Self {
        Self {
            name: rule.config.name.clone(),
            action: rule.config.action.as_str(),
            kept: rule.kept.get(),
            dropped: rule.dropped.get(),
        }
    }
}

/// A limit, and what it did in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimitReport {
    /// Its name.
    pub name: String,
    /// `block` or `drop`.
    pub on_limit: &'static str,
    /// Entries that it let pass.
    pub passed: u64,
    /// Entries that it dropped.
    pub dropped: u64,
    /// Times that reading waited for it.
    pub waits: u64,
}

impl LimitReport {
    fn new(limit: &Limit) -> Self {
        Self {
            name: limit.config.name.clone(),
            on_limit: limit.config.on_limit.as_str(),
            passed: limit.passed.get(),
            dropped: limit.dropped.get(),
            waits: limit.waits.get(),
        }
    }
}

impl Report {
    /// The report of this moment.
    #[must_use]
    pub fn new(view: &dyn View, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let status = view.status();
        let log = LogReport::new(&status.log);
        let sources: Vec<SourceReport> =
            view.sources().iter().map(|source| SourceReport::new(source)).collect();
        let mut outputs: Vec<OutputReport> =
            view.store_outputs().into_iter().map(|name| OutputReport::store(name, &log)).collect();
        outputs.extend(status.outputs.into_iter().map(|output| {
            let kind = if output.configured { view.output_type(&output.name) } else { "unknown" };
            let kind = kind.to_owned();
            let (targets, fates) =
                (view.output_targets(&output.name), view.output_fates(&output.name));
            OutputReport::new(output, kind, &targets, now).with_fates(fates)
        }));
        let balanced = log.balanced
            && sources.iter().all(|source| source.balanced)
            && outputs.iter().all(|output| output.balanced);
        Self {
            version: view.version().to_owned(),
            uptime_seconds: view.uptime().as_secs_f64(),
            ready: view.ready(),
            balanced,
            tags: status.tags,
            log,
            sources,
            outputs,
            rules: view.rules().iter().map(|rule| RuleReport::new(rule)).collect(),
            limits: view.limits().iter().map(|limit| LimitReport::new(limit)).collect(),
        }
    }
}

/// Exact enough: of more than 104 days, single nanoseconds are lost.
fn seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admin::testing::{FakeView, output};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_fresh_gateway_adds_up() {
        let view = FakeView::new();
        let report = Report::new(&view, at(1_000));
        assert!(report.balanced && report.ready, "{report:#?}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["balanced"], true);
        assert_eq!(json["version"], "1.2.3");
        assert_eq!(json["uptime_seconds"], 61.5);
        assert_eq!(json["log"]["id"].as_str().unwrap().len(), 32);
        assert_eq!(json["log"]["health"], "accepting");
        assert_eq!(json["log"]["synced_lsn"], 100);
        assert_eq!(json["log"]["sync_seconds"], 1.5);
        assert_eq!(json["sources"][0]["type"], "graphite");
        assert_eq!(json["sources"][0]["received"]["items"], 12);
        assert_eq!(
            json["sources"][0]["rejected"],
            serde_json::json!({ "bad-number": 2, "too-long": 0 })
        );
        assert_eq!(json["sources"][0]["connections"]["open"], 1);
        let store = &json["outputs"][0];
        assert_eq!((&store["name"], &store["type"]), (&"store".into(), &"store".into()));
        assert_eq!((&store["accepted"], &store["confirmed"]), (&97.into(), &97.into()));
        assert_eq!(store["lag"], serde_json::json!({ "entries": 0, "bytes": 0, "seconds": 0.0 }));
    }

    #[test]
    fn each_account_is_checked() {
        let mut view = FakeView::new();
        view.status.log.accepted -= 1;
        let report = Report::new(&view, at(0));
        assert!(!report.balanced && !report.log.balanced && !report.outputs[0].balanced);

        let mut view = FakeView::new();
        view.status.log.void = 1_000;
        assert!(!Report::new(&view, at(0)).balanced);

        let view = FakeView::new();
        let mut batch = crate::counters::Totals::new(2);
        batch.received_items = 1;
        view.sources[0].add(&batch);
        let report = Report::new(&view, at(0));
        assert!(!report.balanced && !report.sources[0].balanced && report.log.balanced);

        let mut view = FakeView::new();
        let mut owing = output("out", 10);
        owing.queued -= 1;
        view.status.outputs.push(owing);
        let report = Report::new(&view, at(0));
        assert!(!report.balanced && !report.outputs[1].balanced);
        assert_eq!(serde_json::to_value(&report).unwrap()["balanced"], false);
    }

    #[test]
    fn lag_is_known_zero_or_unknown() {
        let lag = |queued: u64, oldest: Option<i64>| {
            let mut view = FakeView::new();
            let mut output = output("out", queued);
            output.oldest_arrival = oldest;
            view.status.outputs.push(output);
            let report = Report::new(&view, at(100));
            assert!(report.balanced);
            report.outputs[1].lag.seconds
        };
        assert_eq!(lag(0, None), Some(0.0));
        assert_eq!(lag(0, Some(5)), Some(0.0));
        assert_eq!(lag(3, Some(90_000_000_000)), Some(10.0));
        assert_eq!(lag(3, None), None);
        assert_eq!(lag(3, Some(101_000_000_000)), Some(0.0), "a clock that was set back");
    }

    #[test]
    fn links_say_what_is_wrong_with_them() {
        let mut view = FakeView::new();
        let mut stuck = output("here", 3);
        let mut link = ingest_mux::LinkState::default();
        link.phase = ingest_mux::LinkPhase::Stuck;
        link.trouble = Some(ingest_mux::Trouble::WrongSecret);
        (link.attempts, link.confirmed) = (4, 9);
        stuck.links = vec![link];
        view.status.outputs.push(stuck);
        let json = serde_json::to_value(Report::new(&view, at(0))).unwrap();
        let expected = serde_json::json!([{
            "state": "stuck", "trouble": "wrong-secret", "confirmed": 9, "attempts": 4,
            "last_error": null
        }]);
        assert_eq!(json["outputs"][1]["links"], expected);
    }

    #[test]
    fn types_of_outputs_come_from_the_configuration() {
        let mut view = FakeView::new();
        view.status.outputs.push(output("here", 0));
        let mut gone = output("store", 4);
        gone.configured = false;
        view.status.outputs.push(gone);
        let report = Report::new(&view, at(0));
        let rows: Vec<(&str, &str, bool)> = report
            .outputs
            .iter()
            .map(|row| (row.name.as_str(), row.kind.as_str(), row.configured))
            .collect();
        let expected =
            [("store", "store", true), ("here", "injected", true), ("store", "unknown", false)];
        assert_eq!(rows, expected);
    }
}
