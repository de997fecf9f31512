//! Names that are made of entries: `metrics-{tag}`, `{value:host|none}`, `{source}`.

use std::fmt;
use std::str::FromStr;

use ingest_entry::{EntryRef, ValueRef};

/// A text with places for what an entry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place { field: Field, otherwise: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Tag,
    Source,
    Value(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// A brace without its other one.
    #[error("a brace without its other one")]
    Brace,
    /// What is between braces is not known.
    #[error("{{{0}}} is not known")]
    Unknown(String),
    /// `{tag|}`: the default is nothing.
    #[error("an empty default")]
    EmptyDefault,
}

impl Template {
    /// Whether it is the same for every entry.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// What it is without an entry: its texts.
    #[must_use]
    pub fn texts(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Place { otherwise, .. } => otherwise.clone(),
        };
        self.parts.iter().filter_map(text).collect()
    }

    /// What it is for an entry with this tag, behind what is in `out`. What is not there, or empty,
    /// leaves its default, or nothing.
    pub fn write(&self, tag: &str, entry: &EntryRef<'_>, out: &mut String) {
        for part in &self.parts {
            let (field, otherwise) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Place { field, otherwise } => (field, otherwise),
            };
            let before = out.len();
            match field {
                Field::Tag => out.push_str(tag),
                Field::Source => write_source(entry, out),
                Field::Value(name) => {
                    if let Some(value) = entry.values.find(name) {
                        write_value(value, out);
                    }
                }
            }
            if out.len() == before {
                out.push_str(otherwise.as_deref().unwrap_or_default());
            }
        }
    }
}

fn write_source(entry: &EntryRef<'_>, out: &mut String) {
    use std::fmt::Write as _;
    if let Some(ip) = entry.src.to_ip().filter(|_| !entry.src.is_none()) {
        // Writing into a text does not fail.
        let _ = write!(out, "{}", ip.to_canonical());
    }
}

/// A value as text.
pub(crate) fn write_value(value: ValueRef<'_>, out: &mut String) {
    use std::fmt::Write as _;
    // Writing into a text does not fail.
    let _ = match value {
        ValueRef::Bytes(bytes) | ValueRef::Text(bytes) => {
            out.push_str(&String::from_utf8_lossy(bytes));
            Ok(())
        }
        ValueRef::Bool(it) => write!(out, "{it}"),
        ValueRef::U8(it) => write!(out, "{it}"),
        ValueRef::I8(it) => write!(out, "{it}"),
        ValueRef::I16(it) => write!(out, "{it}"),
        ValueRef::U16(it) => write!(out, "{it}"),
        ValueRef::I32(it) => write!(out, "{it}"),
        ValueRef::U32(it) => write!(out, "{it}"),
        ValueRef::I64(it) | ValueRef::Duration(it) => write!(out, "{it}"),
        ValueRef::U64(it) => write!(out, "{it}"),
        ValueRef::F32(it) => write!(out, "{it}"),
        ValueRef::F64(it) => write!(out, "{it}"),
        ValueRef::Ip(it) => write!(out, "{it}"),
        ValueRef::Timestamp(it) => write!(out, "{}", it.to_rfc3339()),
        ValueRef::Mac(it) => it.as_bytes().iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        // A kind that is not known here.
        _ => Ok(()),
    };
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (fixed, behind) = match rest.split_once('{') {
                Some((fixed, behind)) => (fixed, Some(behind)),
                None => (rest, None),
            };
            if fixed.contains('}') {
                return Err(TemplateError::Brace);
            }
            if !fixed.is_empty() {
                parts.push(Part::Text(fixed.to_owned()));
            }
            let Some(behind) = behind else { break };
            let (name, behind) = behind.split_once('}').ok_or(TemplateError::Brace)?;
            let (name, otherwise) = match name.split_once('|') {
                None => (name, None),
                Some((_, "")) => return Err(TemplateError::EmptyDefault),
                Some((name, otherwise)) => (name, Some(otherwise.to_owned())),
            };
            let field = match name.split_once(':') {
                None if name == "tag" => Field::Tag,
                None if name == "source" => Field::Source,
                Some(("value", name)) if !name.is_empty() => Field::Value(name.to_owned()),
                _ => return Err(TemplateError::Unknown(name.to_owned())),
            };
            parts.push(Part::Place { field, otherwise });
            rest = behind;
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::{Source, TagId, Timestamp, Values};

    #[test]
    fn templates_are_filled_in() {
        let mut values = Values::new();
        values.add("host", "web1").unwrap();
        values.add("n", 7_u64).unwrap();
        values.add("empty", "").unwrap();
        let src = Source::from_ip("10.0.0.1".parse().unwrap());
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, src, TagId(1), b"");
        let entry = EntryRef { values: values.as_ref(), ..entry };
        let filled = |text: &str| {
            let template: Template = text.parse().unwrap();
            let mut out = String::from("<");
            template.write("app", &entry, &mut out);
            out
        };
        assert_eq!(filled("metrics"), "<metrics");
        assert_eq!(filled("m-{tag}.x"), "<m-app.x");
        assert_eq!(filled("{value:host}{value:no}-{value:n}"), "<web1-7");
        assert_eq!(filled("{value:no|none}{value:empty|-}{value:n|8}"), "<none-7");
        assert_eq!(filled("{source}"), "<10.0.0.1");
        let mut out = String::new();
        let nowhere = EntryRef { src: Source::NONE, ..entry };
        "{source|-}".parse::<Template>().unwrap().write("app", &nowhere, &mut out);
        assert_eq!(out, "-");
        assert!("a".parse::<Template>().unwrap().is_fixed());
        let template: Template = "a{tag}b{value:x|c}".parse().unwrap();
        assert!(!template.is_fixed());
        assert_eq!(
            (template.to_string().as_str(), template.texts().as_str()),
            ("a{tag}b{value:x|c}", "abc")
        );
    }

    #[test]
    fn what_is_no_template() {
        let error = |text: &str| text.parse::<Template>().unwrap_err();
        assert_eq!(error(""), TemplateError::Empty);
        assert_eq!(error("a{tag"), TemplateError::Brace);
        assert_eq!(error("a}"), TemplateError::Brace);
        assert_eq!(error("{tags}"), TemplateError::Unknown("tags".to_owned()));
        assert_eq!(error("{value:}"), TemplateError::Unknown("value:".to_owned()));
        assert_eq!(error("{tag|}"), TemplateError::EmptyDefault);
        assert_eq!(error("{}").to_string(), "{} is not known");
    }
}
