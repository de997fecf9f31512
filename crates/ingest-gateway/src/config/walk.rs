//! A parsed file, walked with a finger on the text: every value knows its key and its place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::{Fault, Findings};
use super::synonyms::synonym;
use super::values::quoted;
use crate::suggest::nearest;

/// A value of the file with its full key and its places.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) findings: &'a Findings,
    /// The full key: `sources.graphite.listen`.
    pub(crate) path: String,
    /// Where its key stands; in an array, where it stands itself.
    pub(crate) key_at: usize,
    /// Where it stands.
    pub(crate) at: usize,
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Node<'a> {
    /// Notes that the value is wrong.
    pub(crate) fn wrong(
        &self,
        found: impl Into<String>,
        allowed: impl Into<String>,
        meant: Option<String>,
    ) {
        self.note(self.at, &self.path, found.into(), allowed.into(), meant, false);
    }

    /// Notes that something the value names does not exist anywhere in the file.
    pub(crate) fn dangling(&self, found: String, allowed: String, meant: Option<String>) {
        self.note(self.at, &self.path, found, allowed, meant, true);
    }

    /// Notes that the name of the key is wrong.
    pub(crate) fn at_key(&self, found: String, allowed: &str) {
        self.note(self.key_at, &self.path, found, allowed.to_owned(), None, false);
    }

    /// Notes that the address is taken; `key` is the one that would have to change.
    pub(crate) fn address_taken(&self, key: &str, found: String) {
        let allowed = "an address of its own".to_owned();
        let at = if matches!(self.value, DeValue::Table(_)) { self.key_at } else { self.at };
        self.note(at, key, found, allowed, None, false);
    }

    fn note(
        &self,
        at: usize,
        key: &str,
        found: String,
        allowed: String,
        meant: Option<String>,
        absence: bool,
    ) {
        let key = Some(key.to_owned());
        let fault = Fault { at, key, found, allowed, meant, absence, syntax: false };
        self.findings.fault(fault);
    }

    /// Notes a warning about the value.
    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.findings.warn(self.at, self.path.clone(), message);
    }

    /// Whether the value is a table.
    pub(crate) const fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// The value as a table, or an error.
    pub(crate) fn table(self) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(table) => {
                Some(Table { node: self, table, known: Vec::new(), refused: Vec::new() })
            }
            _ => {
                self.wrong(self.found(), "a table", None);
                None
            }
        }
    }

    /// The elements of the value as an array, or an error that says what is `allowed`.
    pub(crate) fn array(&self, allowed: &str) -> Option<Vec<Self>> {
        let DeValue::Array(array) = self.value else {
            self.wrong(self.found(), allowed, None);
            return None;
        };
        let element = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| Node {
            findings: self.findings,
            path: format!("{}[{index}]", self.path),
            key_at: value.span().start,
            at: value.span().start,
            value: value.get_ref(),
        };
        Some(array.iter().enumerate().map(element).collect())
    }
}

/// A table of the file, whose keys are taken out one by one. What is left over at
/// [`finish`](Self::finish) is unknown.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) node: Node<'a>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(crate) fn root(value: &'a DeValue<'a>, findings: &'a Findings) -> Option<Self> {
        Node { findings, path: String::new(), key_at: 0, at: 0, value }.table()
    }

    /// The value of a key that may be there.
    pub(crate) fn key(&mut self, name: &'static str) -> Option<Node<'a>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.table.get_key_value(name).map(|(key, value)| self.child(key, value))
    }

    /// The table of a key that may be there.
    pub(crate) fn sub_table(&mut self, name: &'static str) -> Option<Self> {
        self.key(name).and_then(Node::table)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&mut self, name: &'static str, allowed: &str) -> Option<Node<'a>> {
        let found = self.key(name);
        if found.is_none() {
            let node = &self.node;
            let absent = format!("no key \"{name}\"");
            node.note(node.key_at, &join(&node.path, name), absent, allowed.to_owned(), None, true);
        }
        found
    }

    /// Notes the keys that were probably meant to be `name`, when that is not there and nothing
    /// can be said about the others without it.
    pub(crate) fn finish_without(self, name: &'static str) {
        let entries = self.entries();
        // `[sources.web.eu]` is no source of the name web.eu.
        let dotted = |(key, node): &(&str, Node<'_>)| {
            matches!(node.value, DeValue::Table(_)) && !matches!(*key, "tls" | "tags")
        };
        if let (Some((key, node)), true) = (entries.first(), entries.iter().all(dotted)) {
            let found = format!("a table {} inside it", quoted(key));
            node.at_key(found, "a name of letters, digits, - and _: a dot begins a table inside");
        }
        for (key, node) in entries {
            if key != name && nearest(key, [name]).is_some() {
                let (found, meant) = ("unknown key".to_owned(), Some(name.to_owned()));
                node.note(node.key_at, &node.path, found, name.to_owned(), meant, false);
            }
        }
    }

    /// The value of a key that is refused with an error of its own, and not listed as allowed.
    pub(crate) fn refused(&mut self, name: &'static str) -> Option<Node<'a>> {
        let found = self.table.get_key_value(name).map(|(key, value)| self.child(key, value));
        if found.is_some() {
            self.refused.push(name);
        }
        found
    }

    /// Every key with its value, in the order of the file.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), self.child(key, value)))
            .collect();
        entries.sort_by_key(|(_, node)| node.key_at);
        entries
    }

    fn child(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Node<'a> {
        Node {
            findings: self.node.findings,
            path: join(&self.node.path, key.get_ref()),
            key_at: key.span().start,
            at: value.span().start,
            value: value.get_ref(),
        }
    }

    /// Notes every key that nobody asked for. `homes` are full keys that such a one may belong to
    /// when nothing near it is known here.
    pub(crate) fn finish(self, homes: &[&'static str]) {
        for (name, node) in self.entries() {
            if self.known.contains(&name) || self.refused.contains(&name) {
                continue;
            }
            let here = synonym(name, &self.known)
                .or_else(|| nearest(name, self.known.iter().copied()))
                .map(str::to_owned);
            let elsewhere = || {
                let last = |home: &&'static str| home.rsplit('.').next().unwrap_or_default();
                let lasts: Vec<&str> = homes.iter().map(last).collect();
                let name = synonym(name, &lasts).unwrap_or(name);
                homes.iter().find(|home| last(home) == name).copied()
            };
            let meant = here.or_else(|| elsewhere().map(str::to_owned));
            let allowed = self.known.join(", ");
            node.note(node.key_at, &node.path, "unknown key".to_owned(), allowed, meant, false);
        }
    }
}

/// A key below a table: `table.key`, quoted where TOML wants quotes.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let key = if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("\"{}\"", key.chars().take(64).flat_map(char::escape_debug).collect::<String>())
    };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_toml_wants_it() {
        assert_eq!(join("", "a-b_1"), "a-b_1");
        assert_eq!(join("a", "b c"), "a.\"b c\"");
        assert_eq!(join("a", ""), "a.\"\"");
        assert_eq!(join("a", "b\n"), "a.\"b\\n\"");
    }
}
