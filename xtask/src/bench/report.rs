//! What is printed and written of the outcomes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::{Figure, Verdict};
pub(crate) use super::document::number;
use super::document::{Figures, Height};
use super::rounds::{Judged, Outcome};

/// Whether no floor was missed.
pub(crate) fn fine(outcomes: &[Outcome]) -> bool {
    let mut judged = outcomes.iter().flat_map(|outcome| &outcome.judged);
    judged.all(|judged| judged.verdict != Verdict::Missed)
}

/// For people: the figures, then the verdicts.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let width = outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0);
    for outcome in outcomes {
        let lowest = outcome.runs.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = outcome.runs.iter().copied().fold(0.0, f64::max);
        let range = format!("[{} .. {}]", number(lowest), number(highest));
        let value = number(outcome.value);
        let _ = write!(text, "  {:width$}  {value:>7} {} {range}", outcome.name, outcome.unit);
        if !outcome.cpu.is_empty() {
            let of = |(side, cpu): (&&str, &f64)| format!("{side} {cpu:.3}");
            let cpu: Vec<_> = outcome.cpu.iter().map(of).collect();
            let _ = write!(text, "; CPU s/1M: {}", cpu.join(", "));
        }
        let _ = write!(text, "; {:.1} MiB", outcome.rss_mib);
        for (name, value) in &outcome.more {
            let _ = write!(text, "; {name} {}", number(*value));
        }
        for (name, value) in &outcome.sums {
            let _ = write!(text, "; {name} {} in all", number(*value));
        }
        for (name, value) in &outcome.beside {
            let _ = write!(text, "; {name} {}", number(*value));
        }
        text.push('\n');
    }
    for outcome in outcomes {
        for judged in &outcome.judged {
            let verdict = match judged.verdict {
                Verdict::Goal => "goal  ",
                Verdict::Floor => "floor ",
                Verdict::Missed => "MISSED",
            };
            let (figure, bar) = (figure(outcome, judged), judged.bar);
            let (got, floor, goal) = (judged.got, bar.floor, bar.goal);
            let least = if bar.rising { "at least" } else { "at most" };
            let _ = writeln!(
                text,
                "  {verdict} {:width$}  {figure}: {}, {least} {} / {}",
                outcome.name,
                number(got),
                number(floor),
                number(goal)
            );
        }
    }
    text
}

fn figure(outcome: &Outcome, judged: &Judged) -> String {
    match judged.bar.figure {
        Figure::Value => outcome.unit.to_owned(),
        Figure::Cpu(side) => format!("CPU s/1M {side}"),
        Figure::Rss => "peak MiB".to_owned(),
        Figure::More(name) | Figure::Sum(name) => name.to_owned(),
        Figure::Share(other) => format!("share of {other}"),
    }
}

/// For programs: one object.
pub(crate) fn json(outcome: &Outcome) -> Value {
    let mut cpu = outcome.cpu.clone();
    // By the side's name, and by its part.
    let part = |side: &str| outcome.cpu.get(side).copied();
    cpu.extend(part(outcome.us).map(|value| ("us", value)));
    cpu.extend(outcome.peer.and_then(part).map(|value| ("peer", value)));
    let judged = outcome.judged.iter().map(|judged| {
        json!({
            "figure": figure(outcome, judged),
            "got": judged.got,
            "better": if judged.bar.rising { "more" } else { "less" },
            "floor": judged.bar.floor,
            "goal": judged.bar.goal,
            "verdict": match judged.verdict {
                Verdict::Goal => "goal",
                Verdict::Floor => "floor",
                Verdict::Missed => "missed",
            },
        })
    });
    json!({
        "name": outcome.name,
        "unit": outcome.unit,
        "value": outcome.value,
        "runs": outcome.runs,
        "cpu_s_per_million": cpu,
        "rss_mib": outcome.rss_mib,
        "more": outcome.more,
        "sums": outcome.sums,
        "beside": outcome.beside,
        "bars": judged.collect::<Vec<_>>(),
    })
}

/// For the page.
pub(crate) fn kept(outcome: &Outcome) -> Figures {
    let named = |map: &BTreeMap<&'static str, f64>| {
        map.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    };
    let height = |judged: &Judged| Height {
        figure: figure(outcome, judged),
        got: Some(judged.got).filter(|got| got.is_finite()),
        rising: judged.bar.rising,
        floor: judged.bar.floor,
        goal: judged.bar.goal,
    };
    Figures {
        name: outcome.name.to_owned(),
        unit: outcome.unit.to_owned(),
        side: outcome.us.to_owned(),
        value: outcome.value,
        runs: outcome.runs.clone(),
        cpu_s_per_million: named(&outcome.cpu),
        rss_mib: outcome.rss_mib,
        more: named(&outcome.more),
        sums: named(&outcome.sums),
        beside: named(&outcome.beside),
        bars: outcome.judged.iter().map(height).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Bar;

    fn outcome(verdict: Verdict) -> Outcome {
        let bar = Bar::at_least(Figure::Share("raw-tcp"), 0.4, 0.6);
        Outcome {
            name: "wire/256B",
            unit: "entries/s",
            us: "client",
            peer: Some("server"),
            runs: vec![1e6, 3e6],
            value: 2e6,
            cpu: [("client", 0.1), ("server", 0.05)].into(),
            rss_mib: 5.0,
            more: [("lone ms", 0.2)].into(),
            sums: BTreeMap::new(),
            beside: [("raw-tcp", 4e6)].into(),
            judged: vec![Judged { bar, got: 0.5, verdict }],
        }
    }

    #[test]
    fn an_object_a_case() {
        let object = json(&outcome(Verdict::Floor));
        assert_eq!(object["cpu_s_per_million"]["us"], 0.1);
        assert_eq!(object["cpu_s_per_million"]["peer"], 0.05);
        assert_eq!(object["beside"]["raw-tcp"], 4e6);
        assert_eq!(object["bars"][0]["verdict"], "floor");
        assert_eq!(object["runs"], json!([1e6, 3e6]));
    }

    #[test]
    fn what_is_kept_is_what_was_measured() {
        let kept = kept(&outcome(Verdict::Floor));
        let object = serde_json::to_value(&kept).unwrap();
        assert_eq!(object["cpu_s_per_million"], json!({"client": 0.1, "server": 0.05}));
        assert_eq!((kept.side.as_str(), kept.value), ("client", 2e6));
        let bar = json!({
            "figure": "share of raw-tcp", "got": 0.5, "rising": true, "floor": 0.4, "goal": 0.6
        });
        assert_eq!(object["bars"], json!([bar]));
        assert_eq!(serde_json::from_value::<Figures>(object).unwrap(), kept);
    }

    #[test]
    fn a_missed_floor_is_seen() {
        assert!(fine(&[outcome(Verdict::Goal), outcome(Verdict::Floor)]));
        let missed = [outcome(Verdict::Goal), outcome(Verdict::Missed)];
        assert!(!fine(&missed));
        let table = table(&missed);
        assert!(table.contains("MISSED wire/256B  share of raw-tcp: 0.500"), "{table}");
        assert!(table.contains("2.00 M entries/s [1.00 M .. 3.00 M]"), "{table}");
    }
}
