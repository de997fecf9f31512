//! `[[tests]]`: samples, and what is to become of them.

use ingest_entry::TagName;

use super::LoggregatorReads;
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
    /// The routing key of the message (`amqp`).
    pub key: Option<String>,
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
    /// Lines, each an item, put into the protocol's form: for a source that connects, the body of a
    /// message (`amqp`), or an envelope as JSON in each (`loggregator`).
    Lines(String),
    /// Bytes as they come over the connection, in the datagram, or in a message.
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
        let key = read_key(&mut table, kind);
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
                key,
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
    if matches!(source.kind, SourceKind::Kafka(_)) {
        let found = format!("{}, of type \"{}\"", node.found(), source.kind.type_name());
        node.wrong(found, "a source of another type: of this one there are no samples", None);
        return None;
    }
    Some(source)
}

/// How a sample's bytes are written: the key, what is allowed, and what reads it.
type Form = (&'static str, &'static str, fn(&str) -> Option<Vec<u8>>);

const FORMS: [Form; 2] = [
    ("hex", "pairs of hexadecimal digits, white space between them", from_hex),
    (
        "base64",
        "base64 (RFC 4648, either alphabet), white space between its characters",
        from_base64,
    ),
];

fn read_sample(table: &mut Table<'_>, kind: Option<&SourceKind>) -> Option<Sample> {
    let lines = table.key("lines");
    let mut written: Vec<_> =
        FORMS.iter().filter_map(|form| Some((table.key(form.0)?, form))).collect();
    let others = written.iter().skip(usize::from(lines.is_none()));
    for (node, _) in others {
        node.wrong(node.found(), "one of the three: lines, hex or base64", None);
    }
    if lines.is_none() && !written.is_empty() {
        let (node, &(_, allowed, read)) = written.swap_remove(0);
        if let Some(instead) = kind.and_then(lines_instead) {
            node.at_key("bytes of a connection".to_owned(), instead);
        }
        let bytes = read(node.string(allowed)?);
        if bytes.is_none() {
            node.wrong(node.found(), allowed, None);
        }
        return bytes.map(Sample::Bytes);
    }
    let allowed =
        "text, a line for each item, or \"hex\" or \"base64\" with the bytes of a connection";
    let node = match lines {
        Some(node) => node,
        None => table.required("lines", allowed)?,
    };
    let text = node.string(allowed)?;
    if text.trim().is_empty() {
        node.wrong(node.found(), allowed, None);
        return None;
    }
    if let Some(SourceKind::Loggregator(source)) = kind
        && source.reads != LoggregatorReads::Gateway
    {
        let instead = "\"hex\" or \"base64\": a message in its binary form";
        node.at_key("text".to_owned(), instead);
    }
    Some(Sample::Lines(text.to_owned()))
}

/// Why a source of this kind has no samples of bytes.
fn lines_instead(kind: &SourceKind) -> Option<&'static str> {
    match kind {
        SourceKind::Gravwell(_) | SourceKind::Hydra(_) => {
            Some("\"lines\": it begins with a handshake")
        }
        SourceKind::Loggregator(source) if source.reads == LoggregatorReads::Gateway => {
            Some("\"lines\": an envelope as JSON in each")
        }
        _ => None,
    }
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

/// Either alphabet, with or without padding; bits that are left over are 0.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let padded = padding == 0 || padding <= 2 && text.len().is_multiple_of(4);
    if !padded || digits.is_empty() || digits.len() % 4 == 1 {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(bytes)
}

fn read_key(table: &mut Table<'_>, kind: Option<&SourceKind>) -> Option<String> {
    let node = table.key("key")?;
    if !matches!(kind, None | Some(SourceKind::Amqp(_))) {
        node.wrong(node.found(), "a source of type \"amqp\", whose messages have keys", None);
        return None;
    }
    Some(node.string("a string")?.to_owned())
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

#[cfg(test)]
mod bytes {
    use super::*;

    #[test]
    fn bytes_are_read_from_digits_and_base64() {
        let found = |text| from_base64(text).map(|bytes| String::from_utf8(bytes).unwrap());
        // RFC 4648, 10.
        for (bytes, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(found(text).as_deref(), Some(bytes));
            assert_eq!(found(text.trim_end_matches('=')).as_deref(), Some(bytes));
        }
        assert_eq!(found("Zm 9v\nYm Fy").as_deref(), Some("foobar"));
        assert_eq!(
            (from_base64("-_8"), from_base64("+/8=")),
            (Some(vec![0xfb, 0xff]), Some(vec![0xfb, 0xff]))
        );
        for bad in ["", "=", "Z", "Zg=", "Zg===", "Zh==", "Zm9v=", "Zm9vY", "Zm!v", "Zg==Zg=="] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
        assert_eq!(from_hex("0f F0\n10"), Some(vec![0x0f, 0xf0, 0x10]));
        assert_eq!((from_hex("0"), from_hex(""), from_hex("0g")), (None, None, None));
    }
}
