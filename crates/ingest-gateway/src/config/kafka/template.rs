//! Names that are made of entries: `metrics-{tag}`, `{value:host}`.

use std::fmt;
use std::str::FromStr;

use ingest_entry::{ValueRef, ValuesRef};

/// A text with places for what an entry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Tag,
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
}

impl Template {
    /// Whether it is the same for every entry.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether it asks for the tag.
    #[must_use]
    pub fn has_tag(&self) -> bool {
        self.parts.contains(&Part::Tag)
    }

    /// What it is for an entry with this tag and these values, behind what is in `out`. A value that
    /// is not there leaves nothing.
    pub fn write(&self, tag: &str, values: ValuesRef<'_>, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Tag => out.push_str(tag),
                Part::Value(name) => {
                    if let Some(value) = values.find(name) {
                        write_value(value, out);
                    }
                }
            }
        }
    }
}

fn write_value(value: ValueRef<'_>, out: &mut String) {
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
            parts.push(match name.split_once(':') {
                None if name == "tag" => Part::Tag,
                Some(("value", name)) if !name.is_empty() => Part::Value(name.to_owned()),
                _ => return Err(TemplateError::Unknown(name.to_owned())),
            });
            rest = behind;
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::Values;

    #[test]
    fn templates_are_filled_in() {
        let mut values = Values::new();
        values.add("host", "web1").unwrap();
        values.add("n", 7_u64).unwrap();
        let filled = |text: &str| {
            let template: Template = text.parse().unwrap();
            let mut out = String::from("<");
            template.write("app", values.as_ref(), &mut out);
            out
        };
        assert_eq!(filled("metrics"), "<metrics");
        assert_eq!(filled("m-{tag}.x"), "<m-app.x");
        assert_eq!(filled("{value:host}{value:no}-{value:n}"), "<web1-7");
        assert!("a".parse::<Template>().unwrap().is_fixed());
        let template: Template = "a{tag}".parse().unwrap();
        assert!(!template.is_fixed() && template.has_tag());
        assert_eq!(template.to_string(), "a{tag}");
    }

    #[test]
    fn what_is_no_template() {
        let error = |text: &str| text.parse::<Template>().unwrap_err();
        assert_eq!(error(""), TemplateError::Empty);
        assert_eq!(error("a{tag"), TemplateError::Brace);
        assert_eq!(error("a}"), TemplateError::Brace);
        assert_eq!(error("{tags}"), TemplateError::Unknown("tags".to_owned()));
        assert_eq!(error("{value:}"), TemplateError::Unknown("value:".to_owned()));
        assert_eq!(error("{}").to_string(), "{} is not known");
    }
}
