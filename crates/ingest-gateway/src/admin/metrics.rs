//! A report as metrics.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::exposition::{Families, Format, Labels};
use super::status::{LimitReport, LogReport, OutputReport, Report, RuleReport, SourceReport};

/// The metrics of a report; `resident` is the process's memory, where that is known.
pub(crate) fn render(
    report: Report,
    resident: Option<u64>,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("ingestry");
    registry.register_collector(Box::new(Scrape { report, resident }));
    let mut page = String::with_capacity(16 << 10);
    text::encode(&mut page, &registry)?;
    Ok(format.convert(page))
}

/// Bytes of memory that the process has, where the system says so.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[derive(Debug)]
struct Scrape {
    report: Report,
    resident: Option<u64>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        process(&mut families, &self.report, self.resident)?;
        sources(&mut families, &self.report.sources)?;
        templates(&mut families, &self.report.sources)?;
        rules(&mut families, &self.report.rules)?;
        limits(&mut families, &self.report.limits)?;
        log(&mut families, &self.report.log)?;
        outputs(&mut families, &self.report.outputs)
    }
}

fn process(f: &mut Families<'_>, report: &Report, resident: Option<u64>) -> fmt::Result {
    let build = vec![("version", Cow::from(&report.version))];
    f.gauge("build_info", "The version of the program; always 1.", [(build, 1_u64)])?;
    let uptime = one(report.uptime_seconds);
    f.gauge("uptime_seconds", "Time since the start of the process.", uptime)?;
    let ready = one(u64::from(report.ready));
    f.gauge("ready", "1 while the listeners are up and the log takes entries.", ready)?;
    let balanced = one(u64::from(report.balanced));
    f.gauge("balanced", "1 while every entry received is accounted for.", balanced)?;
    f.gauge("tags", "Tags that have a number.", one(report.tags))?;
    if let Some(resident) = resident {
        f.gauge("process_resident_memory_bytes", "Memory of the process.", one(resident))?;
    }
    Ok(())
}

fn sources(f: &mut Families<'_>, sources: &[SourceReport]) -> fmt::Result {
    let of = |value: fn(&SourceReport) -> u64| {
        sources.iter().map(move |source| (source_labels(source), value(source)))
    };
    f.counter("source_received_bytes", "Bytes read.", of(|s| s.received.bytes))?;
    f.counter("source_received_items", "Items found in them.", of(|s| s.received.items))?;
    f.counter("source_accepted_items", "Items given to the log.", of(|s| s.accepted.items))?;
    f.counter(
        "source_accepted_entries",
        "Entries made of the accepted items.",
        of(|s| s.accepted.entries),
    )?;
    let rejected = sources.iter().flat_map(|source| {
        source.rejected.iter().map(|(reason, items)| {
            let mut labels = source_labels(source);
            labels.push(("reason", Cow::from(*reason)));
            (labels, *items)
        })
    });
    f.counter("source_rejected_items", "Items refused, by reason.", rejected)?;
    f.gauge("source_open_connections", "Connections open now.", of(|s| s.connections.open))?;
    f.counter("source_accepted_connections", "Connections accepted.", of(|s| s.connections.total))?;
    f.counter(
        "source_aborted_connections",
        "Connections that did not end in order.",
        of(|s| s.connections.aborted),
    )?;
    f.counter(
        "source_refused_connections",
        "Connections that were not let in.",
        of(|s| s.connections.refused),
    )?;
    f.counter(
        "source_waits",
        "Times that reading waited for the budget or the log.",
        of(|s| s.waits),
    )?;
    f.counter(
        "source_rate_waits",
        "Times that reading waited because a connection sent more than it may.",
        of(|s| s.rate_waits),
    )?;
    f.counter("source_kept_rejects", "Refused items that were kept.", of(|s| s.kept_rejects))?;
    f.counter(
        "source_kernel_dropped_datagrams",
        "Datagrams that the kernel dropped before they could be read.",
        of(|s| s.kernel_drops),
    )
}

fn templates(f: &mut Families<'_>, sources: &[SourceReport]) -> fmt::Result {
    let made: Vec<_> =
        sources.iter().filter_map(|source| Some((source, source.template.as_ref()?))).collect();
    if made.is_empty() {
        return Ok(());
    }
    let tags = made.iter().map(|(source, made)| (source_labels(source), made.tags));
    f.gauge("source_template_tags", "Tags that the template of the source made.", tags)?;
    let fates = made.iter().flat_map(|(source, made)| {
        let fates =
            [("replaced", made.replaced), ("missing", made.missing), ("too_many", made.too_many)];
        fates.map(|(fate, entries)| {
            let mut labels = source_labels(source);
            labels.push(("fate", Cow::from(fate)));
            (labels, entries)
        })
    });
    f.counter(
        "source_template_entries",
        "Entries with a character of their tag replaced, or with the plain tag.",
        fates,
    )
}

fn rules(f: &mut Families<'_>, rules: &[RuleReport]) -> fmt::Result {
    if rules.is_empty() {
        return Ok(());
    }
    let fates = rules.iter().flat_map(|rule| {
        let fate =
            |fate: &'static str| vec![("rule", Cow::from(&rule.name)), ("fate", Cow::from(fate))];
        [(fate("kept"), rule.kept), (fate("dropped"), rule.dropped)]
    });
    f.counter("rule_entries", "Entries that a rule has decided about, by their fate.", fates)
}

fn limits(f: &mut Families<'_>, limits: &[LimitReport]) -> fmt::Result {
    if limits.is_empty() {
        return Ok(());
    }
    let fates = limits.iter().flat_map(|limit| {
        let fate =
            |fate: &'static str| vec![("limit", Cow::from(&limit.name)), ("fate", Cow::from(fate))];
        [(fate("passed"), limit.passed), (fate("dropped"), limit.dropped)]
    });
    f.counter("limit_entries", "Entries that a limit has counted, by their fate.", fates)?;
    let waits = limits.iter().map(|limit| (vec![("limit", Cow::from(&limit.name))], limit.waits));
    f.counter("limit_waits", "Times that reading waited for a limit.", waits)
}

fn log(f: &mut Families<'_>, log: &LogReport) -> fmt::Result {
    let states = ["accepting", "full", "failed"];
    let health =
        states.map(|state| (vec![("state", Cow::from(state))], u64::from(log.health == state)));
    f.gauge("log_health", "1 for the state that the log is in.", health)?;
    let lifetime = [
        ("log_accepted_entries", "Entries accepted, in the directory's life.", log.accepted),
        ("log_void_entries", "LSNs never given, in the directory's life.", log.void),
        (
            "log_unwitnessed_entries",
            "LSNs not known to be acknowledged, in the directory's life.",
            log.unwitnessed,
        ),
        ("log_damaged_entries", "Entries that became unreadable, in its life.", log.damaged),
        ("log_expired_entries", "Entries removed by retention, in its life.", log.expired),
    ];
    let run = [
        ("log_written_groups", "Groups of records written.", log.groups),
        ("log_written_records", "Records written.", log.records),
        ("log_written_bytes", "Bytes written.", log.written_bytes),
        ("log_written_marks", "Marks written.", log.marks),
        ("log_syncs", "Syncs to disk.", log.syncs),
        ("log_created_segments", "Segments begun.", log.segments_created),
        ("log_abandoned_segments", "Segments given up after an error.", log.segments_abandoned),
        ("log_removed_segments", "Segments removed.", log.segments_removed),
        ("log_snapshots", "Snapshots written.", log.snapshots),
        ("log_snapshot_failures", "Snapshots that could not be written.", log.snapshot_failures),
        ("log_quarantined_bytes", "Damaged bytes put aside.", log.quarantined_bytes),
        ("log_full_episodes", "Times that the log became full.", log.full_episodes),
    ];
    for (name, help, value) in lifetime.into_iter().chain(run) {
        f.counter(name, help, one(value))?;
    }
    let dropped = [("newest", log.dropped_newest), ("oldest", log.dropped_oldest)];
    let dropped = dropped.map(|(which, entries)| (vec![("reason", Cow::from(which))], entries));
    f.counter("log_dropped_entries", "Entries dropped because the log was full.", dropped)?;
    f.counter("log_sync_seconds", "Time spent in syncs.", one(log.sync_seconds))?;
    let gauges = [
        ("log_oldest_lsn", "Oldest LSN that may still be there.", log.oldest_lsn),
        ("log_written_lsn", "Last written LSN.", log.written_lsn),
        ("log_synced_lsn", "Last durable LSN.", log.synced_lsn),
        ("log_segments", "Segments in the directory.", log.segments),
        ("log_used_bytes", "Bytes in the directory, without quarantine.", log.used_bytes),
        ("log_max_bytes", "The most bytes that the directory may hold.", log.max_bytes),
        ("log_min_free_bytes", "Bytes kept free on the file system.", log.min_free),
        ("log_memory_bytes", "The memory budget between sockets and disk.", log.memory),
        ("log_memory_available_bytes", "What is free of it.", log.memory_available),
    ];
    for (name, help, value) in gauges {
        f.gauge(name, help, one(value))?;
    }
    Ok(())
}

fn outputs(f: &mut Families<'_>, outputs: &[OutputReport]) -> fmt::Result {
    let of = |value: fn(&OutputReport) -> u64| {
        outputs.iter().map(move |output| (output_labels(output), value(output)))
    };
    f.counter("output_accepted_entries", "Entries accepted for it.", of(|o| o.accepted))?;
    f.counter("output_confirmed_entries", "Entries that it has.", of(|o| o.confirmed))?;
    f.counter("output_filtered_entries", "Entries not meant for it.", of(|o| o.filtered))?;
    let lost = outputs.iter().flat_map(|output| {
        output.lost.iter().map(|(reason, entries)| {
            let mut labels = output_labels(output);
            labels.push(("reason", Cow::from(reason)));
            (labels, *entries)
        })
    });
    f.counter("output_lost_entries", "Entries that it will never get, by reason.", lost)?;
    let fates = outputs.iter().flat_map(|output| {
        output.fates.iter().map(|(fate, entries)| {
            let mut labels = output_labels(output);
            labels.push(("fate", Cow::from(*fate)));
            (labels, *entries)
        })
    });
    f.counter("output_handled_entries", "What it did with entries, by fate.", fates)?;
    f.counter("output_resent_entries", "Entries sent again after a break.", of(|o| o.resent))?;
    f.gauge("output_queued_entries", "Entries still owed.", of(|o| o.queued))?;
    f.gauge("output_queued_bytes", "Bytes of these in the log, about.", of(|o| o.lag.bytes))?;
    f.gauge("output_leased_entries", "Queued entries that links hold.", of(|o| o.leased))?;
    let lag = outputs
        .iter()
        .filter_map(|output| output.lag.seconds.map(|lag| (output_labels(output), lag)));
    f.gauge("output_lag_seconds", "Age of the oldest entry still owed, if known.", lag)?;
    let links = || {
        outputs.iter().flat_map(|output| {
            output.links.iter().enumerate().map(|(number, link)| {
                let mut labels = output_labels(output);
                labels.push(("link", Cow::from(number.to_string())));
                (labels, link)
            })
        })
    };
    let up = links().map(|(labels, link)| (labels, u64::from(link.state == "up")));
    f.gauge("output_link_up", "1 while the link is up.", up)?;
    let stuck = links().map(|(labels, link)| (labels, u64::from(link.state == "stuck")));
    f.gauge("output_link_stuck", "1 while somebody has to mend something.", stuck)?;
    let confirmed = links().map(|(labels, link)| (labels, link.confirmed));
    f.counter("output_link_confirmed_entries", "Entries confirmed over it.", confirmed)?;
    let attempts = links().map(|(labels, link)| (labels, link.attempts));
    f.counter("output_link_attempts", "Attempts to make the link.", attempts)
}

fn source_labels(source: &SourceReport) -> Labels<'_> {
    vec![("source", Cow::from(&source.name)), ("type", Cow::from(source.kind))]
}

/// With the type, because an output that left the configuration can have the name of a new one.
fn output_labels(output: &OutputReport) -> Labels<'_> {
    vec![("destination", Cow::from(&output.name)), ("type", Cow::from(&output.kind))]
}

fn one<V>(value: V) -> [(Labels<'static>, V); 1] {
    [(Vec::new(), value)]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use ingest_mux::LinkState;

    use super::*;
    use crate::admin::testing::{FakeView, output, source};

    fn busy() -> Report {
        let mut view = FakeView::new();
        view.sources.push(Arc::new(source("b \"quoted\" \\ name")));
        let mut out = output("indexers", 7);
        out.links = vec![LinkState::default(), LinkState::default()];
        out.lost.insert("expired".to_owned(), 0);
        view.status.outputs.push(out);
        let mut gone = output("store", 0);
        gone.configured = false;
        view.status.outputs.push(gone);
        Report::new(&view, UNIX_EPOCH)
    }

    #[derive(Debug, Default)]
    struct Page {
        /// Family, to type and samples.
        families: BTreeMap<String, (String, Vec<String>)>,
        samples: BTreeMap<String, f64>,
    }

    /// Reads a page line by line and insists on its order: help, type, the samples of that family.
    fn parse(text: &str, format: Format) -> Page {
        let mut page = Page::default();
        let mut family = String::new();
        let mut helped = String::new();
        let mut ended = false;
        for line in text.lines() {
            assert!(!ended, "{line}");
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, helped);
                assert!(["counter", "gauge"].contains(&kind), "{line}");
                family = name.to_owned();
                let entry = (kind.to_owned(), Vec::new());
                assert!(page.families.insert(family.clone(), entry).is_none(), "{line}");
            } else if line == "# EOF" {
                ended = true;
            } else {
                let (key, value) = line.rsplit_once(' ').unwrap();
                let name = key.split('{').next().unwrap();
                let (kind, samples) = page.families.get_mut(&family).unwrap();
                match (kind.as_str(), format) {
                    ("counter", Format::OpenMetrics) => {
                        assert_eq!(name, format!("{family}_total"));
                    }
                    _ => assert_eq!(name, family),
                }
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                samples.push(name.to_owned());
                let old = page.samples.insert(key.to_owned(), value.parse().unwrap());
                assert!(old.is_none(), "twice: {key}");
            }
        }
        assert_eq!(ended, format == Format::OpenMetrics);
        page
    }

    #[test]
    fn names_are_well_formed_and_samples_unique() {
        for format in [Format::OpenMetrics, Format::Text] {
            let page = parse(&render(busy(), Some(1), format).unwrap(), format);
            for (family, (_, samples)) in &page.families {
                let rest = family.strip_prefix("ingestry_").unwrap();
                assert!(rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{family}");
                let words: Vec<&str> = rest.split('_').collect();
                let distinct: BTreeSet<&&str> = words.iter().collect();
                assert_eq!(words.len(), distinct.len(), "a word twice: {family}");
                assert!(!samples.is_empty(), "{family}");
            }
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_report() {
        let text = render(busy(), Some(4096), Format::OpenMetrics).unwrap();
        let page = parse(&text, Format::OpenMetrics);
        let value =
            |key: &str| *page.samples.get(key).unwrap_or_else(|| panic!("no {key} in\n{text}"));
        assert_eq!(value("ingestry_build_info{version=\"1.2.3\"}"), 1.0);
        assert_eq!(value("ingestry_uptime_seconds"), 61.5);
        assert_eq!(value("ingestry_balanced"), 1.0);
        assert_eq!(value("ingestry_process_resident_memory_bytes"), 4096.0);
        let graphite = "source=\"graphite\",type=\"graphite\"";
        assert_eq!(value(&format!("ingestry_source_received_items_total{{{graphite}}}")), 12.0);
        let rejected =
            format!("ingestry_source_rejected_items_total{{{graphite},reason=\"bad-number\"}}");
        assert_eq!(value(&rejected), 2.0);
        assert_eq!(value("ingestry_log_accepted_entries_total"), 97.0);
        assert_eq!(value("ingestry_log_sync_seconds_total"), 1.5);
        assert_eq!(value("ingestry_log_health{state=\"accepting\"}"), 1.0);
        assert_eq!(value("ingestry_log_health{state=\"full\"}"), 0.0);
        let store = "destination=\"store\",type=\"store\"";
        assert_eq!(value(&format!("ingestry_output_confirmed_entries_total{{{store}}}")), 97.0);
        let indexers = "destination=\"indexers\",type=\"injected\"";
        assert_eq!(value(&format!("ingestry_output_queued_entries{{{indexers}}}")), 7.0);
        let lost = format!("ingestry_output_lost_entries_total{{{indexers},reason=\"too-large\"}}");
        assert_eq!(value(&lost), 2.0);
        assert_eq!(value(&format!("ingestry_output_link_up{{{indexers},link=\"1\"}}")), 0.0);
        let unknown = format!("ingestry_output_lag_seconds{{{indexers}}}");
        assert!(!page.samples.contains_key(&unknown));
        assert!(text.contains(r#"source="b \"quoted\" \\ name""#));
    }

    #[test]
    fn memory_is_left_out_where_it_is_not_known() {
        let text = render(busy(), None, Format::Text).unwrap();
        assert!(!text.contains("resident"));
        if cfg!(target_os = "linux") {
            assert!(resident_bytes().unwrap() > 100_000);
        }
    }
}
