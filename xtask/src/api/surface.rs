//! What a crate shows: its public items by the path that its users write, out of rustdoc's JSON.
//!
//! Of that format only what is needed is read, and by name, so that most changes of it do no harm.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// A crate's documentation.
pub(super) struct Surface {
    index: Map<String, Value>,
    paths: Map<String, Value>,
    crates: Map<String, Value>,
    root: String,
}

/// Something public.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) id: &'a str,
    /// `struct`, `function`, …
    pub(super) kind: &'a str,
    pub(super) inner: &'a Value,
    pub(super) value: &'a Value,
}

impl<'a> Item<'a> {
    pub(super) fn docs(&self) -> &'a str {
        self.value.get("docs").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &'a str {
        self.value.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    fn is_public(&self) -> bool {
        let seen = self.value.get("visibility").and_then(Value::as_str);
        matches!(seen, Some("public" | "default"))
    }

    /// The text of its attributes.
    pub(super) fn has_attribute(&self, name: &str) -> bool {
        self.value.get("attrs").is_some_and(|attrs| attrs.to_string().contains(name))
    }
}

/// A public item and its path. What belongs to a type or trait has that as its `owner`.
#[derive(Debug, Clone)]
pub(super) struct Public<'a> {
    /// `Connector::connect`, without the crate.
    pub(super) path: String,
    /// `Connector`.
    pub(super) owner: String,
    pub(super) item: Item<'a>,
    /// For what is re-exported from another crate: its path there.
    pub(super) foreign: Option<String>,
}

/// Ids are numbers in one place and texts in another.
pub(super) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn ids(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(id_of).collect()
}

impl Surface {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Value::Object(mut top) = serde_json::from_str(text)? else {
            anyhow::bail!("rustdoc's JSON is no object");
        };
        let mut table = |name: &str| match top.remove(name) {
            Some(Value::Object(table)) => Ok(table),
            _ => Err(anyhow::anyhow!("rustdoc's JSON has no `{name}`")),
        };
        let (index, paths, crates) = (table("index")?, table("paths")?, table("external_crates")?);
        let root = top.get("root").and_then(id_of).context("rustdoc's JSON has no `root`")?;
        Ok(Self { index, paths, crates, root })
    }

    pub(super) fn item(&self, id: &str) -> Option<Item<'_>> {
        let (id, value) = self.index.get_key_value(id)?;
        let (kind, inner) = value.get("inner")?.as_object()?.iter().next()?;
        Some(Item { id, kind, inner, value })
    }

    /// The crate that an item is from, and the crate and name as one writes them; `None` for one of this
    /// crate.
    pub(super) fn foreign(&self, id: &str) -> Option<(String, String)> {
        let entry = self.paths.get(id)?;
        let number = entry.get("crate_id").and_then(Value::as_u64).filter(|number| *number != 0)?;
        let name = self.crates.get(&number.to_string())?.get("name")?.as_str()?.to_owned();
        let last = entry.get("path")?.as_array()?.last()?.as_str()?;
        // The half of serde in which its traits are is nobody's dependency.
        let seen = if name == "serde_core" { "serde" } else { &name };
        let path = format!("{seen}::{last}");
        Some((name, path))
    }

    /// All public items, each by its shortest path.
    pub(super) fn public(&self) -> Vec<Public<'_>> {
        let (todo, seen, found) = (VecDeque::new(), BTreeSet::new(), Vec::new());
        let mut walk = Walk { surface: self, todo, seen, found };
        walk.todo.push_back((self.root.clone(), String::new()));
        while let Some((id, path)) = walk.todo.pop_front() {
            walk.module(&id, &path);
        }
        walk.found
    }

    /// Fields, variants, and what the impls and a trait have.
    fn parts<'a>(&'a self, item: &Item<'a>) -> Vec<Item<'a>> {
        let inner = item.inner;
        let fields = |kind: Option<&Value>| -> Vec<String> {
            let Some(kind) = kind else { return Vec::new() };
            let named =
                ids(kind.pointer("/plain/fields").or_else(|| kind.pointer("/struct/fields")));
            [named, ids(kind.get("tuple"))].concat()
        };
        let mut children = fields(inner.get("kind"));
        children.extend(ids(inner.get("items")));
        for variant in ids(inner.get("variants")) {
            if let Some(variant) = self.item(&variant) {
                children.extend(fields(variant.inner.get("kind")));
            }
            children.push(variant);
        }
        let mut parts: Vec<_> = children.iter().filter_map(|id| self.item(id)).collect();
        parts.retain(Item::is_public);
        for part in ids(inner.get("impls")).iter().filter_map(|id| self.item(id)) {
            let is_ours = part.inner.get("blanket_impl").is_none_or(Value::is_null);
            let of_trait = part.inner.get("trait").is_some_and(|of| !of.is_null());
            if is_ours {
                parts.push(part);
            }
            if is_ours && !of_trait {
                let inside = ids(part.inner.get("items"));
                let inside = inside.iter().filter_map(|id| self.item(id)).filter(Item::is_public);
                parts.extend(inside.collect::<Vec<_>>());
            }
        }
        parts
    }

    /// Each path of another crate below a value, and the crates. Those of the language are left out.
    pub(super) fn mentions(&self, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|one| self.mentions(one, found)),
            Value::Object(object) => {
                let id = object.get("id").filter(|_| object.contains_key("path")).and_then(id_of);
                if let Some((name, path)) = id.and_then(|id| self.foreign(&id))
                    && !["std", "core", "alloc", "proc_macro"].contains(&name.as_str())
                {
                    found.insert(path, name);
                }
                object.values().for_each(|one| self.mentions(one, found));
            }
            _ => {}
        }
    }
}

/// From module to module.
struct Walk<'a> {
    surface: &'a Surface,
    /// Modules, by id and path, that are still to be looked at.
    todo: VecDeque<(String, String)>,
    seen: BTreeSet<String>,
    found: Vec<Public<'a>>,
}

impl<'a> Walk<'a> {
    fn module(&mut self, id: &str, path: &str) {
        let Some(module) = self.surface.item(id).filter(|_| self.seen.insert(id.to_owned())) else {
            return;
        };
        for child in ids(module.inner.get("items")) {
            let Some(item) = self.surface.item(&child).filter(Item::is_public) else { continue };
            if item.kind == "use" {
                self.used(&item, path);
            } else {
                self.add(&item, &joined(path, item.name()));
            }
        }
    }

    fn used(&mut self, item: &Item<'a>, path: &str) {
        let Some(target) = item.inner.get("id").and_then(id_of) else { return };
        if item.inner.get("is_glob").and_then(Value::as_bool) == Some(true) {
            self.todo.push_back((target, path.to_owned()));
            return;
        }
        let name = item.inner.get("name").and_then(Value::as_str).unwrap_or_default();
        let path = joined(path, name);
        if let Some((_, foreign)) = self.surface.foreign(&target) {
            let (owner, foreign) = (path.clone(), Some(foreign));
            self.found.push(Public { owner, path, item: *item, foreign });
        } else if let Some(item) = self.surface.item(&target) {
            self.add(&item, &path);
        }
    }

    fn add(&mut self, item: &Item<'a>, path: &str) {
        if item.kind == "module" {
            self.todo.push_back((item.id.to_owned(), path.to_owned()));
            return;
        }
        if !self.seen.insert(item.id.to_owned()) {
            return;
        }
        let owner = || path.to_owned();
        self.found.push(Public { path: owner(), owner: owner(), item: *item, foreign: None });
        for part in self.surface.parts(item) {
            let path = joined(path, part.name());
            self.found.push(Public { path, owner: owner(), item: part, foreign: None });
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}
