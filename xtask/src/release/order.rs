//! The order in which crates can be published: each after what it needs.

use std::collections::BTreeSet;

use super::Verdict;
use crate::tidy::metadata::{Dependency, Metadata, Package};

/// The published packages, each behind those that it needs; what is in a circle is a fault.
pub(super) fn order(metadata: &Metadata, verdict: &mut Verdict) -> Vec<String> {
    let mut waiting: Vec<&Package> = metadata.published().collect();
    waiting.sort_by_key(|package| &package.name);
    let names: BTreeSet<&str> = waiting.iter().map(|package| package.name.as_str()).collect();
    let mut order: Vec<String> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|package| {
            let mut needs = package.dependencies.iter().filter(|dependency| counts(dependency));
            needs.all(|need| !names.contains(need.name.as_str()) || order.contains(&need.name))
        });
        let Some(ready) = ready else {
            let circle: Vec<&str> = waiting.iter().map(|package| package.name.as_str()).collect();
            verdict.fault(format!("none of {} can be published first", circle.join(", ")));
            break;
        };
        order.push(waiting.remove(ready).name.clone());
    }
    order
}

/// Whether a registry asks for it: what tests need by its path alone is left out of a package.
fn counts(dependency: &Dependency) -> bool {
    dependency.path.is_some() && !(dependency.is_dev() && dependency.req == "*")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{metadata, need};
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let mut verdict = Verdict::default();
        assert_eq!(order(&metadata(|_| {}), &mut verdict), ["a", "b"]);
        assert!(verdict.faults.is_empty());
    }

    #[test]
    fn a_circle_is_a_fault() {
        for (req, faults) in [("^1.2.3", 1), ("*", 0)] {
            let mut verdict = Verdict::default();
            let circle = metadata(|value| {
                value["packages"][1]["dependencies"] =
                    serde_json::json!([need("b", req, Some("dev"))]);
            });
            let found = order(&circle, &mut verdict);
            assert_eq!((verdict.faults.len(), found.len()), (faults, 2 * (1 - faults)), "{req}");
        }
    }
}
