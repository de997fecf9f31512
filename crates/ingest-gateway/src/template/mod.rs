//! Templates of names: a text with places that every item fills from what it brings, such as
//! `x-{path.0}` or `cf-{org}-{source_type|other}`.
//!
//! A [`Template`] is read once; [`Template::render`] writes into a buffer that is kept, so that an item
//! costs no allocation. What a name may hold is the caller's to say: tags here, others elsewhere. A
//! [`Maker`] gives the tags of one source their numbers, and bounds how many there can be.

mod field;
mod maker;

use std::fmt;

pub use self::field::{Field, Known};
pub use self::maker::{MAX_NAME, Maker, Tagger};

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A `{` without its `}`, or one inside another.
    #[error("a {{ without its }}")]
    Unclosed,
    /// A `}` without a `{` before it.
    #[error("a }} without a {{ before it")]
    Unopened,
    /// No place to fill: a plain name does the same.
    #[error("no place in braces")]
    NoField,
    /// Something in braces that no item of this kind brings.
    #[error("{{{found}}}, which items here do not bring")]
    UnknownField {
        /// What is between the braces.
        found: String,
    },
    /// A character that such a name cannot have, in the text around the places or in a default.
    #[error("the character {character:?}, which the name cannot have")]
    Character {
        /// The character.
        character: char,
    },
    /// `{field|}`: the default is nothing.
    #[error("an empty default")]
    EmptyDefault,
}

/// A text with places to fill. Two are equal when their texts are.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Place { field: Field, otherwise: Option<String> },
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Template {}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What an item brings.
pub trait Fields {
    /// Writes what the item has for a field, and says whether it has anything.
    fn write(&self, field: &Field, out: &mut Name<'_>) -> bool;
}

/// A name that is being written: what it cannot hold becomes `_`.
#[derive(Debug)]
pub struct Name<'a> {
    out: &'a mut String,
    allows: fn(char) -> bool,
    replaced: bool,
}

impl Name<'_> {
    /// Appends a text, and says whether that was anything.
    pub fn push(&mut self, text: &str) -> bool {
        let allows = self.allows;
        if text.chars().all(allows) {
            self.out.push_str(text);
        } else {
            self.replaced = true;
            self.out.extend(text.chars().map(|c| if allows(c) { c } else { '_' }));
        }
        !text.is_empty()
    }
}

/// What a template made of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendered {
    /// A name.
    Whole,
    /// A name, in which something that it cannot hold was replaced by `_`.
    Replaced,
    /// None: the item does not bring a field that has no default.
    Missing,
}

impl Template {
    /// Whether a text is meant as a template.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.contains(['{', '}'])
    }

    /// Reads a text. `known`: what items bring; `allows`: what the name may hold.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(
        text: &str,
        known: &[Known],
        allows: fn(char) -> bool,
    ) -> Result<Self, TemplateError> {
        let plain = |text: &str| match text.chars().find(|c| !allows(*c)) {
            Some(character) => Err(TemplateError::Character { character }),
            None => Ok(text.to_owned()),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (inside, after) = behind.split_once('}').ok_or(TemplateError::Unclosed)?;
            if inside.contains('{') {
                return Err(TemplateError::Unclosed);
            }
            if before.contains('}') {
                return Err(TemplateError::Unopened);
            }
            if !before.is_empty() {
                parts.push(Part::Text(plain(before)?));
            }
            let (name, otherwise) = match inside.split_once('|') {
                None => (inside, None),
                Some((_, "")) => return Err(TemplateError::EmptyDefault),
                Some((name, otherwise)) => (name, Some(plain(otherwise)?)),
            };
            let unknown = || TemplateError::UnknownField { found: name.to_owned() };
            let field = Field::of(name, known).ok_or_else(unknown)?;
            parts.push(Part::Place { field, otherwise });
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateError::Unopened);
        }
        if parts.is_empty() {
            return Err(TemplateError::NoField);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(plain(rest)?));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Writes the name of an item into `out`, which is emptied before.
    pub fn render(
        &self,
        item: &impl Fields,
        allows: fn(char) -> bool,
        out: &mut String,
    ) -> Rendered {
        out.clear();
        let mut name = Name { out, allows, replaced: false };
        for part in &self.parts {
            match part {
                Part::Text(text) => name.out.push_str(text),
                Part::Place { field, otherwise } => {
                    if item.write(field, &mut name) {
                        continue;
                    }
                    match otherwise {
                        Some(otherwise) => name.out.push_str(otherwise),
                        None => return Rendered::Missing,
                    }
                }
            }
        }
        if name.replaced { Rendered::Replaced } else { Rendered::Whole }
    }
}

#[cfg(test)]
mod tests {
    use ingest_entry::TagName;

    use super::*;

    struct Path(&'static str);

    impl Fields for Path {
        fn write(&self, field: &Field, out: &mut Name<'_>) -> bool {
            match field {
                Field::PathPart(at) => {
                    self.0.split('.').nth(*at).is_some_and(|part| out.push(part))
                }
                Field::Path => out.push(self.0),
                _ => false,
            }
        }
    }

    fn parse(text: &str) -> Result<Template, TemplateError> {
        Template::parse(text, &[Known::Path, Known::PathPart, Known::Tag], TagName::allows)
    }

    fn render(text: &str, path: &'static str) -> (Rendered, String) {
        let mut out = "left from before".to_owned();
        let rendered = parse(text).unwrap().render(&Path(path), TagName::allows, &mut out);
        (rendered, out)
    }

    #[test]
    fn places_are_filled() {
        let whole = |text, path| {
            let (rendered, name) = render(text, path);
            assert_eq!(rendered, Rendered::Whole);
            name
        };
        assert_eq!(whole("x-{path.0}", "a.b"), "x-a");
        assert_eq!(whole("{path.1}-{path.0}", "a.b"), "b-a");
        assert_eq!(whole("{path.3|other}x", "a.b"), "otherx");
        assert_eq!(whole("{path.1|other}", "a..b"), "other", "nothing is not a name");
        assert_eq!(render("{path}", "a.b"), (Rendered::Replaced, "a_b".to_owned()));
        assert_eq!(render("x-{path.0}", "a$ö/.b"), (Rendered::Replaced, "x-a_ö_".to_owned()));
        assert_eq!(render("{path.0}-{path.2}", "a.b").0, Rendered::Missing);
        assert_eq!(render("x{tag.host}", "a.b").0, Rendered::Missing);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let unknown = |found: &str| TemplateError::UnknownField { found: found.to_owned() };
        for (text, error) in [
            ("x{path", TemplateError::Unclosed),
            ("{a{path}", TemplateError::Unclosed),
            ("x}", TemplateError::Unopened),
            ("{path.0}}", TemplateError::Unopened),
            ("}{path.0}", TemplateError::Unopened),
            ("x", TemplateError::NoField),
            ("{}", unknown("")),
            ("{path.}", unknown("path.")),
            ("{path.x}", unknown("path.x")),
            ("{path.-1}", unknown("path.-1")),
            ("{path.100}", unknown("path.100")),
            ("{tag.}", unknown("tag.")),
            ("{app}", unknown("app")),
            ("{ path }", unknown(" path ")),
            ("{path.0|}", TemplateError::EmptyDefault),
            ("a b{path}", TemplateError::Character { character: ' ' }),
            ("{path|a.b}", TemplateError::Character { character: '.' }),
            ("{path}/", TemplateError::Character { character: '/' }),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
    }
}
