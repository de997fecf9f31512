//! `[[tests]]`: samples, and what is to become of them.

use ingest_entry::TagName;

use super::model::{SourceConfig, SourceKind};
use super::patterns;
use super::walk::{Node, Table};

const LIST: &str =
    "an array of tables such as { tag = \"app\", data = \"a 1 2\", to = [\"store\"] }";
const TO: &str = "an array of names of destinations such as [\"store\"]";

/// A sample, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestConfig {
    /// What it is called.
    pub name: String,
    /// The source that gets the sample.
    pub source: String,
    /// The sample.
    pub sample: Sample,
    /// The tag that an ingester sends it under (`gravwell`).
    pub tag: Option<TagName>,
    /// Fields of the handshake (`hydra`).
    pub headers: Vec<(String, String)>,
    /// The entries that it becomes, in their order.
    pub entries: Vec<ExpectedEntry>,
    /// How many items are refused, by reason.
    pub rejected: Vec<(String, u64)>,
}

/// What a source gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sample {
    /// Lines, each an item, put into the protocol's form.
    Lines(String),
    /// Bytes as they come over the connection, or in the datagram.
    Bytes(Vec<u8>),
}

/// An entry that a sample is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedEntry {
    /// Its tag.
    pub tag: String,
    /// Its data.
    pub data: String,
    /// The destinations that the routes send it to. `None`: whatever they are.
    pub to: Option<Vec<String>>,
}

/// Reads the tests of a configuration with these sources and destinations.
pub(super) fn read(
    node: &Node<'_>,
    sources: &[SourceConfig],
    destinations: Option<&[String]>,
) -> Vec<TestConfig> {
    let mut tests: Vec<TestConfig> = Vec::new();
    let tables = node.array("an array of tables, each written as [[tests]]").unwrap_or_default();
    for (index, element) in tables.into_iter().enumerate() {
        let Some(mut table) = element.table() else { continue };
        let taken = |name: &str| tests.iter().any(|test| test.name == name);
        let name = patterns::own_name(&mut table, taken);
        let source = read_source(&mut table, sources);
        let kind = source.map(|source| &source.kind);
        let sample = read_sample(&mut table, kind);
        let tag = read_tag(&mut table, kind);
        let headers = read_headers(&mut table, kind);
        let entries = table.key("entries").map(|node| read_entries(&node, destinations));
        let rejected = table.sub_table("rejected").map(read_counts);
        if entries.is_none() && rejected.is_none() {
            table.required("entries", LIST);
        }
        table.finish(&[]);
        if let (Some(source), Some(sample)) = (source, sample) {
            tests.push(TestConfig {
                name: name.unwrap_or_else(|| format!("test {}", index + 1)),
                source: source.name.clone(),
                sample,
                tag,
                headers,
                entries: entries.unwrap_or_default(),
                rejected: rejected.unwrap_or_default(),
            });
        }
    }
    tests
}

fn read_source<'s>(table: &mut Table<'_>, sources: &'s [SourceConfig]) -> Option<&'s SourceConfig> {
    let node = table.required("source", "the name of a source")?;
    let name = node.string("the name of a source")?;
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    if !patterns::is_known(name, &node, &names, "source") {
        return None;
    }
    let source = sources.iter().find(|source| source.name == name)?;
    if matches!(source.kind, SourceKind::Amqp(_) | SourceKind::Loggregator(_)) {
        let found = format!("{}, of type \"{}\"", node.found(), source.kind.type_name());
        node.wrong(found, "a source that listens: this one connects to a server", None);
        return None;
    }
    Some(source)
}

fn read_sample(table: &mut Table<'_>, kind: Option<&SourceKind>) -> Option<Sample> {
    let hex = table.key("hex");
    if let Some(node) = &hex
        && matches!(kind, Some(SourceKind::Gravwell(_) | SourceKind::Hydra(_)))
    {
        node.at_key("bytes of a connection".to_owned(), "\"lines\": it begins with a handshake");
    }
    if let Some(node) = hex {
        if let Some(lines) = table.key("lines") {
            lines.wrong(lines.found(), "one of the two: lines or hex", None);
        }
        let allowed = "pairs of hexadecimal digits, white space between them";
        let bytes = from_hex(node.string(allowed)?);
        if bytes.is_none() {
            node.wrong(node.found(), allowed, None);
        }
        return bytes.map(Sample::Bytes);
    }
    let allowed = "text, a line for each item, or \"hex\" with the bytes of a connection";
    let node = table.required("lines", allowed)?;
    let text = node.string(allowed)?;
    if text.trim().is_empty() {
        node.wrong(node.found(), allowed, None);
        return None;
    }
    Some(Sample::Lines(text.to_owned()))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|c| !c.is_whitespace());
    let digits: Option<Vec<u8>> =
        digits.map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| !digits.is_empty())?;
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

fn read_tag(table: &mut Table<'_>, kind: Option<&SourceKind>) -> Option<TagName> {
    let node = table.key("tag")?;
    if !matches!(kind, None | Some(SourceKind::Gravwell(_))) {
        node.wrong(node.found(), "a source of type \"gravwell\", whose clients name tags", None);
        return None;
    }
    node.tag()
}

fn read_headers(table: &mut Table<'_>, kind: Option<&SourceKind>) -> Vec<(String, String)> {
    let Some(headers) = table.sub_table("headers") else { return Vec::new() };
    if !matches!(kind, None | Some(SourceKind::Hydra(_))) {
        let allowed = "a source of type \"hydra\", whose clients send fields";
        headers.node.at_key("fields".to_owned(), allowed);
    }
    let entries = headers.entries().into_iter();
    entries
        .filter_map(|(name, node)| Some((name.to_owned(), node.string("a string")?.to_owned())))
        .collect()
}

fn read_entries(node: &Node<'_>, destinations: Option<&[String]>) -> Vec<ExpectedEntry> {
    let mut entries = Vec::new();
    for element in node.array(LIST).unwrap_or_default() {
        let Some(mut table) = element.table() else { continue };
        let mut text = |name| {
            let node = table.required(name, "a string")?;
            Some(node.string("a string")?.to_owned())
        };
        let (tag, data) = (text("tag"), text("data"));
        let to = table.key("to").and_then(|node| {
            // Nowhere is an answer, too.
            match node.array(TO)?.is_empty() {
                true => Some(Vec::new()),
                false => node.strings(TO).map(|texts| match destinations {
                    Some(names) => patterns::known(Some(texts), names, "destination"),
                    None => texts.into_iter().map(|(text, _)| text).collect(),
                }),
            }
        });
        table.finish(&[]);
        if let (Some(tag), Some(data)) = (tag, data) {
            entries.push(ExpectedEntry { tag, data, to });
        }
    }
    entries
}

fn read_counts(table: Table<'_>) -> Vec<(String, u64)> {
    let entries = table.entries().into_iter();
    let count = |(reason, node): (&str, Node<'_>)| {
        Some((reason.to_owned(), node.count(1, 1_000_000)? as u64))
    };
    entries.filter_map(count).collect()
}
