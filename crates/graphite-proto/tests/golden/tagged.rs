//! `tagged_names.jsonl`: names and what carbon and go-carbon make of them.

use std::collections::BTreeMap;

use graphite_proto::tags;
use serde_json::Value;

use crate::vectors::{Report, Row, bytes, same};

pub(crate) fn check(row: &Row, report: &mut Report) {
    let input = bytes(row, "input_hex").unwrap();
    let Ok(input) = String::from_utf8(input) else {
        return report.count("names", "not UTF-8");
    };
    match row.get("carbon") {
        Some(theirs) => report.check(row, "carbon", carbon(&input, theirs)),
        None => report.count("carbon", "absent"),
    }
    match row.get("go_carbon") {
        Some(theirs) if same_rule(&input) => {
            report.check(row, "go_carbon", go_carbon(&input, theirs));
        }
        Some(_) => report.count("go_carbon", "not the same rule (graphite.md 3.2)"),
        None => report.count("go_carbon", "absent"),
    }
}

fn carbon(input: &str, theirs: &Value) -> Result<(), String> {
    if theirs.get("error").is_some() {
        return match tags::parse(input) {
            Err(_) => Ok(()),
            Ok(tagged) => Err(format!("carbon refuses, ours is {tagged}")),
        };
    }
    let tagged = tags::parse(input).map_err(|error| error.to_string())?;
    if let Some(path) = theirs.get("path").and_then(Value::as_str) {
        same("path", &tagged.to_string().as_str(), &path)?;
        let mut written = Vec::new();
        tagged.write_canonical(&mut written);
        same("written", &String::from_utf8(written).unwrap().as_str(), &path)?;
    }
    if let Some(metric) = theirs.get("metric").and_then(Value::as_str) {
        same("metric", &tagged.metric(), &metric)?;
    }
    if let Some(expected) = theirs.get("tags").and_then(Value::as_object) {
        let mut ours: BTreeMap<&str, &str> = tagged.iter().collect();
        ours.insert("name", tagged.name());
        let expected: BTreeMap<&str, &str> =
            expected.iter().map(|(tag, value)| (tag.as_str(), value.as_str().unwrap())).collect();
        same("tags", &ours, &expected)?;
    }
    Ok(())
}

/// Whether go-carbon has the same rule for such a name (`graphite.md` 3.2): it knows no
/// OpenMetrics form, leaves `~` and a tag called `name` alone, and checks less.
fn same_rule(input: &str) -> bool {
    let openmetrics = input.ends_with("\"}") && input.contains('{');
    let checked_less = input.split(';').skip(1).any(|segment| {
        segment.split_once('=').is_some_and(|(tag, value)| {
            tag == "name" || tag.contains(['!', '^']) || value.is_empty() || value.starts_with('~')
        })
    });
    !openmetrics && !checked_less && !input.starts_with('~') && !input.is_empty()
}

fn go_carbon(input: &str, theirs: &Value) -> Result<(), String> {
    let ours = tags::normalise(input);
    match theirs.get("path").and_then(Value::as_str) {
        Some(path) => same("path", &ours.as_deref().ok(), &Some(path)),
        None if ours.is_err() => Ok(()),
        None => Err(format!("go-carbon refuses, ours is {ours:?}")),
    }
}
