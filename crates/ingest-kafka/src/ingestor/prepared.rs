//! From a request to a record.

use hydra_ws::{Dialect, Failure, Request};
use serde_json::Value;

use super::subject::Subject;
use super::{IngestorOptions, RecordFormat};

/// Bytes of the longest name of a topic.
const MAX_TOPIC: usize = 249;
/// Characters of a payload that an error repeats.
const SHOWN: usize = 1024;

/// A record to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) topic: String,
    pub(super) key: Option<String>,
    /// `None`: a tombstone, or what `avro` will be.
    pub(super) value: Option<Vec<u8>>,
    /// What a schema makes the value of.
    pub(super) avro: Option<Unencoded>,
}

/// What becomes Avro.
#[cfg_attr(not(feature = "avro"), allow(dead_code, reason = "only Avro has a schema"))]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unencoded {
    pub(super) subject: Subject,
    pub(super) tree: Value,
    /// It has a key and a value, both of which do.
    pub(super) both: bool,
}

/// A record.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) topic: String,
    pub(super) key: Option<Vec<u8>>,
    /// `None`: a tombstone.
    pub(super) value: Option<Vec<u8>>,
}

impl From<Prepared> for Ready {
    fn from(prepared: Prepared) -> Self {
        let Prepared { topic, key, value, .. } = prepared;
        Self { topic, key: key.map(String::into_bytes), value }
    }
}

impl Prepared {
    pub(super) fn new(
        request: &Request,
        options: &IngestorOptions,
        registry: bool,
    ) -> Result<Self, Failure> {
        let metadata = request.metadata();
        let said = Said {
            topic: metadata.get("hydra-kafka-topic"),
            key: metadata.get("hydra-record-key"),
            format: metadata.get("hydra-record-format"),
            schema: metadata.get("hydra-schema"),
            registry,
        };
        prepare(&said, request.payload(), options).map_err(Failure::invalid)
    }
}

/// What a request says beside its payload.
#[derive(Clone, Copy, Debug, Default)]
struct Said<'a> {
    topic: Option<&'a str>,
    key: Option<&'a str>,
    format: Option<&'a str>,
    schema: Option<&'a str>,
    /// There is a registry to ask.
    registry: bool,
}

/// What a payload is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Avro { both: bool },
}

fn format(said: &Said<'_>, options: &IngestorOptions) -> Result<Format, String> {
    let format = match said.format {
        None => match options.format {
            RecordFormat::Json => Format::Json,
            RecordFormat::Text => Format::Text,
            RecordFormat::Avro => Format::Avro { both: false },
        },
        Some(word) if word.eq_ignore_ascii_case("json") => Format::Json,
        Some(word) if word.eq_ignore_ascii_case("string") => Format::Text,
        Some(word) if word.eq_ignore_ascii_case("avro") => Format::Avro { both: false },
        Some(word) if word.eq_ignore_ascii_case("avro-key") && options.dialect == Dialect::Head => {
            Format::Avro { both: true }
        }
        Some(word) => return Err(format!("'{word}' is not a valid format.")),
    };
    if matches!(format, Format::Avro { .. }) && !said.registry {
        return Err(
            "The format avro needs a registry of schemas, and there is none here.".to_owned()
        );
    }
    Ok(format)
}

fn prepare(said: &Said<'_>, payload: &[u8], options: &IngestorOptions) -> Result<Prepared, String> {
    let topic = said.topic.ok_or("No kafka topic present in the request.")?;
    check_topic(topic)?;
    let topic = topic.to_owned();
    if payload.is_empty() {
        let key = said.key.ok_or("A key is required for deletes.")?.to_owned();
        return Ok(Prepared { topic, key: Some(key), value: None, avro: None });
    }
    let template = said.key.and_then(Template::read);
    let read = || serde_json::from_slice::<Value>(payload);
    let (value, tree, avro) = match format(said, options)? {
        Format::Json => {
            let tree = read().map_err(|error| error.to_string())?;
            let rewrite = options.dialect == Dialect::Head;
            let value = if rewrite { without_blanks(payload) } else { payload.to_vec() };
            (Some(value), Some(tree), None)
        }
        Format::Text => {
            let text = String::from_utf8_lossy(payload).into_owned();
            let tree = template.as_ref().and_then(|_| serde_json::from_str(&text).ok());
            (Some(text.into_bytes()), tree, None)
        }
        Format::Avro { both } => {
            let subject = Subject::read(said.schema.unwrap_or(&topic))?;
            let no_json = |why: &str| {
                let shown: String = String::from_utf8_lossy(payload).chars().take(SHOWN).collect();
                format!("Failed to parse as Json: {shown}\n\n{why}")
            };
            let tree = read().map_err(|error| no_json(&error.to_string()))?;
            if !tree.is_object() {
                return Err(no_json("it is no object"));
            }
            (None, None, Some(Unencoded { subject, tree, both }))
        }
    };
    let tree = tree.as_ref().or_else(|| avro.as_ref().map(|avro| &avro.tree));
    let key = match (template, tree) {
        // What is not there leaves the template as it is.
        (Some(template), Some(tree)) => template.of(tree).or_else(|| said.key.map(str::to_owned)),
        _ => said.key.map(str::to_owned),
    };
    Ok(Prepared { topic, key, value, avro })
}

/// JSON without the blanks between its parts, which are in the order in which they came.
fn without_blanks(json: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escaped) = (false, false);
    let stays = |byte: &u8| {
        let stays = quoted || !byte.is_ascii_whitespace();
        if *byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && *byte == b'\\' && !escaped;
        stays
    };
    json.iter().copied().filter(stays).collect()
}

/// What brokers take for a name.
fn check_topic(topic: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if topic.is_empty()
        || topic.len() > MAX_TOPIC
        || matches!(topic, "." | "..")
        || !topic.bytes().all(legal)
    {
        return Err(format!(
            "hydra-kafka-topic: '{}' is no name of a topic: 1 to {MAX_TOPIC} letters, digits, \
             ., _ and -.",
            topic.chars().take(MAX_TOPIC).collect::<String>()
        ));
    }
    Ok(())
}

/// A key that is taken from the payload: `{$.field}`, or `{$.field.field}`.
#[derive(Debug)]
struct Template<'a>(&'a str);

impl<'a> Template<'a> {
    fn read(key: &'a str) -> Option<Self> {
        let path = key.trim().strip_prefix("{$.")?.strip_suffix('}')?;
        (!path.is_empty()).then_some(Self(path))
    }

    /// The field's text, without quotation marks.
    fn of(&self, tree: &Value) -> Option<String> {
        // A field may have a dot in its name.
        let whole = tree.get(self.0);
        let found = whole.or_else(|| self.0.split('.').try_fold(tree, |at, name| at.get(name)))?;
        Some(match found {
            Value::String(text) => text.replace('"', ""),
            other => other.to_string().replace('"', ""),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(
        key: Option<&str>,
        format: Option<&str>,
        payload: &str,
    ) -> Result<Prepared, String> {
        let said = Said { topic: Some("t"), key, format, ..Said::default() };
        prepare(&said, payload.as_bytes(), &IngestorOptions::default())
    }

    fn key(key: &str, payload: &str) -> Option<String> {
        prepared(Some(key), Some("json"), payload).unwrap().key
    }

    #[test]
    fn formats() {
        let value = |format, payload| prepared(None, format, payload).map(|it| it.value.unwrap());
        assert_eq!(value(None, " {\"a\": 1}").unwrap(), b" {\"a\": 1}", "as it came");
        assert_eq!(value(Some("JSON"), "7").unwrap(), b"7");
        assert_eq!(value(Some("String"), "not json").unwrap(), b"not json");
        assert!(value(Some("json"), "not json").unwrap_err().contains("line 1"));
        assert_eq!(value(Some("xml"), "1").unwrap_err(), "'xml' is not a valid format.");
        assert!(value(Some("avro"), "1").unwrap_err().contains("registry"));
        let rewrite = IngestorOptions { dialect: Dialect::Head, ..IngestorOptions::default() };
        let said = Said { topic: Some("t"), ..Said::default() };
        let written = prepare(&said, br#" {"b": 1, "a \" \\":[ ], "c": " "}"#, &rewrite).unwrap();
        assert_eq!(written.value.unwrap(), br#"{"b":1,"a \" \\":[],"c":" "}"#);
    }

    #[test]
    fn keys() {
        assert_eq!(prepared(None, None, "1").unwrap().key, None);
        assert_eq!(key("k", r#"{"k":1}"#).as_deref(), Some("k"));
        assert_eq!(key("{$.id}", r#"{"id":"x\"y"}"#).as_deref(), Some("xy"));
        assert_eq!(key("{$.id}", r#"{"id":7}"#).as_deref(), Some("7"));
        assert_eq!(key("{$.a.b}", r#"{"a":{"b":true}}"#).as_deref(), Some("true"));
        assert_eq!(key("{$.a.b}", r#"{"a.b":"dot"}"#).as_deref(), Some("dot"));
        assert_eq!(key("{$.a}", r#"{"a":{"b":"c"}}"#).as_deref(), Some("{b:c}"));
        assert_eq!(key("{$.no}", r#"{"a":1}"#).as_deref(), Some("{$.no}"), "itself");
        assert_eq!(key("{$.}", "{}").as_deref(), Some("{$.}"));
        let text = prepared(Some("{$.a}"), Some("string"), r#"{"a":"b"}"#).unwrap();
        assert_eq!(text.key.as_deref(), Some("b"));
        let text = prepared(Some("{$.a}"), Some("string"), "a").unwrap();
        assert_eq!(text.key.as_deref(), Some("{$.a}"));
    }

    #[test]
    fn avro_waits_for_its_schema() {
        let head = IngestorOptions { dialect: Dialect::Head, ..IngestorOptions::default() };
        let said = Said { topic: Some("t"), registry: true, ..Said::default() };
        let avro = Said { format: Some("Avro"), key: Some("{$.id}"), ..said };
        let made = prepare(&avro, br#"{"id":1}"#, &IngestorOptions::default()).unwrap();
        assert_eq!((made.key.as_deref(), made.value), (Some("1"), None));
        let unencoded = made.avro.unwrap();
        assert_eq!((unencoded.subject.value().as_str(), unencoded.both), ("t-value", false));
        let both = Said { format: Some("avro-key"), schema: Some("registry:s#3"), ..said };
        assert_eq!(
            prepare(&both, b"{}", &IngestorOptions::default()).unwrap_err(),
            "'avro-key' is not a valid format."
        );
        let unencoded = prepare(&both, b"{}", &head).unwrap().avro.unwrap();
        assert_eq!((unencoded.subject.key().as_str(), unencoded.both), ("s-key", true));
        let of = |payload: &str| prepare(&avro, payload.as_bytes(), &head).unwrap_err();
        assert!(of("x").starts_with("Failed to parse as Json: x\n\nexpected"), "{}", of("x"));
        assert_eq!(of("7"), "Failed to parse as Json: 7\n\nit is no object");
        let bad = Said { schema: Some("classpath:s.avsc"), ..avro };
        assert!(prepare(&bad, b"{}", &head).unwrap_err().contains("classpath"));
        let default = IngestorOptions { format: RecordFormat::Avro, ..head };
        assert!(prepare(&said, b"{}", &default).unwrap().avro.is_some());
    }

    #[test]
    fn an_empty_payload_deletes() {
        let deleted = prepared(Some("k"), Some("json"), "").unwrap();
        assert_eq!((deleted.key.as_deref(), deleted.value), (Some("k"), None));
        assert_eq!(prepared(None, None, "").unwrap_err(), "A key is required for deletes.");
    }

    #[test]
    fn topics_are_checked_here() {
        for topic in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            let said = Said { topic: Some(topic), ..Said::default() };
            let refused = prepare(&said, b"1", &IngestorOptions::default()).unwrap_err();
            assert!(refused.contains("is no name of a topic"), "{refused}");
        }
        assert!(check_topic("test-topic_1.A").is_ok());
        assert!(prepare(&Said::default(), b"1", &IngestorOptions::default()).is_err());
    }
}
