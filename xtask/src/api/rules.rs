//! What the API guidelines ask for and no lint checks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::surface::{Item, Public, Surface, id_of};

/// The types that show another crate's, with what they show.
pub(super) fn leaks(surface: &Surface) -> BTreeMap<String, BTreeSet<String>> {
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for public in surface.public() {
        let mut found = BTreeMap::new();
        if let Some(path) = &public.foreign {
            found.insert(path.clone(), String::new());
        } else if let Some(part) = shown(&public.item) {
            surface.mentions(&part, &mut found);
        }
        if !found.is_empty() {
            rows.entry(public.owner.clone()).or_default().extend(found.into_keys());
        }
    }
    rows
}

/// The part of an item that its users see.
fn shown(item: &Item<'_>) -> Option<Value> {
    let pick = |names: &[&str]| {
        let part = |name: &&str| item.inner.get(*name).cloned().unwrap_or_default();
        Some(Value::Array(names.iter().map(part).collect()))
    };
    match item.kind {
        "function" => pick(&["sig", "generics"]),
        "impl" => (!synthetic(item)).then(|| pick(&["generics", "trait", "for"])).flatten(),
        "struct" | "enum" | "union" => pick(&["generics"]),
        "trait" => pick(&["generics", "bounds"]),
        "assoc_type" => pick(&["generics", "bounds", "type"]),
        "constant" | "assoc_const" | "type_alias" => pick(&["type", "generics"]),
        "struct_field" | "static" => Some(item.inner.clone()),
        _ => None,
    }
}

fn synthetic(item: &Item<'_>) -> bool {
    item.inner.get("is_synthetic").and_then(Value::as_bool) == Some(true)
}

/// What is wrong with the public items, by the path of each.
pub(super) fn faults(surface: &Surface) -> Vec<(String, String)> {
    let public = surface.public();
    let traits = implemented(&public);
    let has = |id: &str, name: &str| traits.get(id).is_some_and(|list| list.contains(name));
    let functions = public.iter().filter(|public| public.item.kind == "function");
    let failures: BTreeSet<_> = functions.flat_map(|public| errors(&public.item)).collect();
    let mut found = Vec::new();
    let mut fault = |path: &str, text: &str| found.push((path.to_owned(), text.to_owned()));
    for Public { path, item, foreign, .. } in &public {
        if foreign.is_some() {
            continue;
        }
        match item.kind {
            "struct" | "enum" | "union" => {
                if !has(item.id, "Debug") {
                    fault(path, "is not Debug");
                }
                for name in ["Send", "Sync"] {
                    if has(item.id, &format!("!{name}")) {
                        fault(path, &format!("is not {name}"));
                    }
                }
                if path.ends_with("Error") && !has(item.id, "Error") {
                    fault(path, "is no std::error::Error");
                }
                let is_failed_with = || failures.contains(item.id) && has(item.id, "Error");
                if !path.ends_with("Error") && is_failed_with() {
                    fault(path, "is an error by another name");
                }
                if item.kind == "enum" && path.ends_with("Error") && !grows(item) {
                    fault(path, "is an error that cannot get another variant");
                }
            }
            "function" => {
                if item.name().starts_with("get_") && item.name() != "get_mut" {
                    fault(path, "says `get`, which a getter does not");
                }
                let is_async = item.inner.pointer("/header/is_async").and_then(Value::as_bool);
                if (is_async == Some(true) || is_future(item))
                    && !item.docs().contains("# Cancel safety")
                {
                    fault(path, "does not say `# Cancel safety`");
                }
                for error in errors(item) {
                    let ours = surface.foreign(&error).is_none() && surface.item(&error).is_some();
                    if ours && !has(&error, "Error") && !item.name().starts_with("try_") {
                        fault(path, "fails with something that is no std::error::Error");
                    }
                }
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether an enum can get another variant without breaking its users.
fn grows(item: &Item<'_>) -> bool {
    item.has_attribute("non_exhaustive")
}

/// The names of the traits that each type has; `!Send` for one that it has not.
fn implemented<'a>(public: &[Public<'a>]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Public { item, .. } in public.iter().filter(|public| public.item.kind == "impl") {
        let owner = item.inner.pointer("/for/resolved_path/id").and_then(id_of);
        let path = item.inner.pointer("/trait/path").and_then(Value::as_str);
        let (Some(owner), Some(path)) = (owner, path) else { continue };
        let name = path.rsplit("::").next().unwrap_or(path);
        let negative = ["is_negative", "negative"]
            .iter()
            .any(|key| item.inner.get(*key).and_then(Value::as_bool) == Some(true));
        let mark = if negative { "!" } else { "" };
        found.entry(owner).or_default().insert(format!("{mark}{name}"));
    }
    found
}

/// Whether a function gives `impl Future`.
fn is_future(item: &Item<'_>) -> bool {
    let output = item.inner.pointer("/sig/output/impl_trait");
    output.is_some_and(|output| {
        let first = output.pointer("/0/trait_bound/trait/path").and_then(Value::as_str);
        first.is_some_and(|path| path.ends_with("Future"))
    })
}

/// The ids of what a function fails with.
fn errors(item: &Item<'_>) -> Vec<String> {
    let path = item.inner.pointer("/sig/output/resolved_path");
    let is_result = path.and_then(|path| path.get("path")).and_then(Value::as_str);
    if !is_result.is_some_and(|path| path == "Result" || path.ends_with("::Result")) {
        return Vec::new();
    }
    let error = path.and_then(|path| path.pointer("/args/angle_bracketed/args/1/type"));
    error.and_then(|error| error.pointer("/resolved_path/id")).and_then(id_of).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(id: u64, name: &str, kind: &str, inner: &Value) -> (String, Value) {
        let value = json!({
            "id": id, "crate_id": 0, "name": name, "visibility": "public", "docs": "", "attrs": [],
            "inner": { kind: inner },
        });
        (id.to_string(), value)
    }

    fn path(name: &str, id: u64) -> Value {
        json!({ "path": name, "id": id, "args": null })
    }

    fn resolved(name: &str, id: u64) -> Value {
        json!({ "resolved_path": path(name, id) })
    }

    /// A crate with `Shown { field: Foreign }`, `async fn Shown::run`, `BadError`, the error `Bad`,
    /// `get_it` and a re-export.
    fn surface() -> Surface {
        let fails = |with: &str, id: u64| {
            json!({ "resolved_path": { "path": "Result", "id": 90, "args": {
            "angle_bracketed": { "args": [{ "type": { "tuple": [] } }, { "type": resolved(with, id) }] }
        } } })
        };
        let imp = |of: &str, id: u64, to: u64, negative: bool| {
            json!({ "items": [], "trait": path(of, id), "for": resolved("It", to), "is_synthetic": negative,
                    "is_negative": negative, "blanket_impl": null, "generics": {} })
        };
        let index: serde_json::Map<String, Value> = [
            item(0, "lib", "module", &json!({ "items": [1, 2, 5, 9, 12, 15] })),
            item(1, "inner", "use", &json!({ "id": 8, "name": "", "is_glob": true })),
            item(8, "inner", "module", &json!({ "items": [3] })),
            item(2, "Other", "use", &json!({ "id": 50, "name": "Other", "is_glob": false })),
            item(3, "Shown", "struct", &json!({ "kind": { "plain": { "fields": [4] } }, "generics": {},
                                               "impls": [6, 7, 10] })),
            item(4, "field", "struct_field", &resolved("Foreign", 51)),
            item(5, "BadError", "enum", &json!({ "variants": [], "impls": [], "generics": {} })),
            item(12, "Bad", "struct", &json!({ "kind": "unit", "impls": [13, 14], "generics": {} })),
            item(13, "", "impl", &imp("core::error::Error", 93, 12, false)),
            item(14, "", "impl", &imp("std::fmt::Debug", 92, 12, false)),
            item(15, "get_it", "function", &json!({ "sig": { "output": fails("Bad", 12) }, "generics": {} })),
            item(6, "", "impl", &json!({ "items": [11], "trait": null, "blanket_impl": null })),
            item(7, "", "impl", &imp("Send", 91, 3, true)),
            item(10, "", "impl", &imp("std::fmt::Debug", 92, 3, false)),
            item(11, "run", "function", &json!({ "header": { "is_async": true },
                                                "sig": { "inputs": [], "output": fails("BadError", 5) }, "generics": {} })),
            item(9, "hidden", "function", &json!({})),
        ]
        .into_iter()
        .collect();
        let of = |number: u64, path: &[&str]| json!({ "crate_id": number, "path": path, "kind": "struct" });
        let text = json!({
            "root": 0, "index": index,
            "paths": { "50": of(1, &["other", "Other"]), "51": of(1, &["other", "Foreign"]),
                       "90": of(2, &["core", "Result"]), "91": of(2, &["core", "Send"]),
                       "92": of(2, &["core", "Debug"]), "5": of(0, &["lib", "BadError"]) },
            "external_crates": { "1": { "name": "other" }, "2": { "name": "core" } },
        });
        Surface::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn leaks_are_found() {
        let found = leaks(&surface());
        let shown: Vec<_> =
            found.iter().map(|(owner, list)| (owner.as_str(), list.len())).collect();
        assert_eq!(shown, [("Other", 1), ("Shown", 1)]);
        assert!(found["Shown"].contains("other::Foreign"));
    }

    #[test]
    fn faults_are_found() {
        let found = faults(&surface());
        let texts: Vec<_> = found.iter().map(|(path, text)| format!("{path} {text}")).collect();
        let expected = [
            "Bad is an error by another name",
            "BadError is an error that cannot get another variant",
            "BadError is no std::error::Error",
            "BadError is not Debug",
            "Shown is not Send",
            "Shown::run does not say `# Cancel safety`",
            "Shown::run fails with something that is no std::error::Error",
            "get_it says `get`, which a getter does not",
        ];
        assert_eq!(texts, expected);
    }
}
