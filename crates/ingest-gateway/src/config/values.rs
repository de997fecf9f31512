//! Values of a parsed file, each read as what its key wants, or noted as an error.

use std::path::PathBuf;
use std::time::Duration;

use ingest_entry::TagName;
use toml::de::DeValue;

use super::addr::{ListenAddr, ListenAddrError};
use super::choice::{Choice, one_of};
use super::walk::Node;
use crate::suggest::nearest;
use crate::template::Template;
use crate::units::{
    SIZE_UNITS, TIME_UNITS, UnitError, format_duration, format_size, parse_duration, parse_size,
};

/// The most characters of a value that an error repeats.
const SHOWN: usize = 60;

/// Words that other programs have for `off`.
const OFFS: &[&str] =
    &["off", "never", "none", "no", "false", "disabled", "unlimited", "infinite", "forever"];

/// What other programs call the types of sources and destinations.
const KIND_SYNONYMS: &[(&str, &str)] = &[
    ("carbon", "graphite"),
    ("carbon-relay", "graphite"),
    ("plaintext", "graphite"),
    ("udp", "graphite-udp"),
    ("pickle", "graphite-pickle"),
    ("indexer", "gravwell"),
    ("indexers", "gravwell"),
    ("ingest", "gravwell"),
    ("websocket", "hydra"),
    ("cloudfoundry", "loggregator"),
    ("firehose", "loggregator"),
    ("file", "store"),
    ("disk", "store"),
    ("local", "store"),
];

/// What an error says about the names of tags.
const TAG: &str = "a tag name of letters, digits and # + - ? @ _, at most 4096 bytes";

/// A text in quotation marks, escaped, and cut when it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// Which sizes a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) least: u64,
    pub(crate) most: Option<u64>,
    pub(crate) example: &'static str,
}

impl Sizes {
    fn allowed(self) -> String {
        let Self { least, most, example } = self;
        match (least, most) {
            (0, None) => format!("a size with its unit such as \"{example}\""),
            (_, None) => {
                format!("a size of at least {}, such as \"{example}\"", format_size(least))
            }
            (_, Some(most)) => format!(
                "a size from {} to {}, such as \"{example}\"",
                format_size(least),
                format_size(most)
            ),
        }
    }
}

impl Node<'_> {
    /// What stands there, for an error: the type, and short values themselves.
    pub(crate) fn found(&self) -> String {
        match self.value {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => format!("integer {}", cut(&number.to_string())),
            DeValue::Float(number) => format!("float {}", cut(number.as_str())),
            DeValue::Boolean(value) => format!("boolean {value}"),
            DeValue::Datetime(_) => "date".to_owned(),
            DeValue::Array(_) => "array".to_owned(),
            DeValue::Table(_) => "table".to_owned(),
        }
    }

    /// As [`found`](Self::found) where a quantity with its unit was wanted.
    fn found_without_unit(&self) -> String {
        match self.value {
            DeValue::Integer(_) | DeValue::Float(_) => format!("{} (no unit)", self.found()),
            _ => self.found(),
        }
    }

    /// Any string.
    pub(crate) fn string(&self, allowed: &str) -> Option<&str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong(self.found(), allowed, None);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(text) if matches!(text.as_ref(), "true" | "false") => {
                self.wrong(self.found(), "true or false, without quotation marks", None);
                None
            }
            _ => {
                self.wrong(self.found(), "true or false", None);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(crate) fn count(&self, least: u64, most: u64) -> Option<usize> {
        if let DeValue::Integer(number) = self.value
            && let Ok(value) = u64::from_str_radix(number.as_str(), number.radix())
            && (least..=most).contains(&value)
        {
            return usize::try_from(value).ok();
        }
        let mut allowed = if least == most {
            format!("{least} and nothing else")
        } else {
            format!("a whole number from {least} to {most}")
        };
        if let DeValue::String(text) = self.value
            && text.parse::<u64>().is_ok()
        {
            allowed.push_str(", without quotation marks");
        }
        self.wrong(self.found(), allowed, None);
        None
    }

    /// A size with its unit, in bytes.
    pub(crate) fn size(&self, sizes: Sizes) -> Option<u64> {
        let (result, text) = match self.value {
            DeValue::String(text) => (parse_size(text), text.as_ref()),
            DeValue::Integer(number) if number.as_str() == "0" => (Ok(0), "0"),
            _ => {
                self.wrong(self.found_without_unit(), sizes.allowed(), None);
                return None;
            }
        };
        let size = self.quantity(result, text, &sizes.allowed(), SIZE_UNITS)?;
        if size < sizes.least || sizes.most.is_some_and(|most| size > most) {
            self.wrong(self.found(), sizes.allowed(), None);
            return None;
        }
        Some(size)
    }

    /// A length of time with its unit that is not below `least`, or `"off"`.
    pub(crate) fn time_or_off(&self, least: Duration, example: &str) -> Option<Option<Duration>> {
        let least_text = format_duration(least);
        let allowed = format!("a time of at least {least_text}, such as \"{example}\", or \"off\"");
        let DeValue::String(text) = self.value else {
            let off = matches!(self.value, DeValue::Boolean(false));
            self.wrong(self.found_without_unit(), allowed, off.then(|| "off".to_owned()));
            return None;
        };
        if text == "off" {
            return Some(None);
        }
        if OFFS.contains(&text.to_ascii_lowercase().as_str()) {
            self.wrong(self.found(), allowed, Some("off".to_owned()));
            return None;
        }
        let time = self.quantity(parse_duration(text), text, &allowed, TIME_UNITS)?;
        if time < least {
            self.wrong(self.found(), allowed, None);
            return None;
        }
        Some(Some(time))
    }

    fn quantity<T>(
        &self,
        read: Result<T, UnitError>,
        text: &str,
        allowed: &str,
        units: &str,
    ) -> Option<T> {
        let error = match read {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let meant = match &error {
            UnitError::UnknownUnit { unit, meant: Some(meant) } => {
                Some(text.replacen(unit.as_str(), meant, 1))
            }
            _ => None,
        };
        let reason = match &error {
            UnitError::UnknownUnit { unit, .. } if unit.starts_with([',', '_']) => {
                "digits are not grouped, and a fraction begins with a point".to_owned()
            }
            UnitError::UnknownUnit { unit, .. } => {
                format!("unknown unit {}; there are {units}", quoted(unit))
            }
            other => other.to_string(),
        };
        self.wrong(format!("{} ({reason})", self.found()), allowed, meant);
        None
    }

    /// One of a few words.
    pub(crate) fn choice<C: Choice>(&self) -> Option<C> {
        let allowed = one_of(C::words());
        let text = self.string(&allowed)?;
        let value = C::from_word(text);
        if value.is_none() {
            self.wrong(self.found(), allowed, nearest(text, C::words()).map(str::to_owned));
        }
        value
    }

    /// One of a few types.
    pub(crate) fn kind(&self, here: &'static [&'static str]) -> Option<&'static str> {
        let allowed = one_of(here.iter().copied());
        let text = self.string(&allowed)?;
        if let Some(kind) = here.iter().find(|kind| **kind == text) {
            return Some(kind);
        }
        let same = KIND_SYNONYMS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        let same = same.filter(|kind| here.contains(kind));
        let meant = same.or_else(|| nearest(text, here.iter().copied())).map(str::to_owned);
        self.wrong(format!("unknown type {}", self.found()), allowed, meant);
        None
    }

    /// An address to listen on.
    pub(crate) fn address(&self) -> Option<ListenAddr> {
        let text = self.string(ListenAddr::ALLOWED)?;
        text.parse()
            .map_err(|error: ListenAddrError| {
                let reason = error.reason.map(|r| format!(" ({r})")).unwrap_or_default();
                self.wrong(format!("{}{reason}", self.found()), ListenAddr::ALLOWED, None);
            })
            .ok()
    }

    /// The name of a tag.
    pub(crate) fn tag(&self) -> Option<TagName> {
        let text = self.string(TAG)?;
        match TagName::check(text).and_then(|()| TagName::new(text)) {
            Ok(tag) => Some(tag),
            Err(_) => {
                self.wrong(self.found(), TAG, None);
                None
            }
        }
    }

    /// The text, if it is meant as a template.
    pub(crate) fn template_text(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) if Template::is_one(text) => Some(text.clone().into_owned()),
            _ => None,
        }
    }

    /// A path in the file system.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let allowed = "a path, not empty";
        let text = self.string(allowed)?;
        if text.is_empty() || text.contains('\0') {
            self.wrong(self.found(), allowed, None);
            return None;
        }
        if text == "~" || text.starts_with("~/") {
            self.warn("\"~\" is taken as it stands, not as a home directory");
        }
        Some(PathBuf::from(text))
    }

    /// Strings, at least one, each with its node.
    pub(crate) fn strings(&self, allowed: &str) -> Option<Vec<(String, Self)>> {
        let elements = self.array(allowed)?;
        if elements.is_empty() {
            self.wrong("an empty array", allowed, None);
            return None;
        }
        let mut texts = Vec::with_capacity(elements.len());
        let mut complete = true;
        for element in elements {
            match element.string("a string").map(str::to_owned) {
                Some(text) => texts.push((text, element)),
                None => complete = false,
            }
        }
        complete.then_some(texts)
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.len() > shown.len() {
        shown.push('…');
    }
    shown
}

/// Puts a value into its place, if there is one.
pub(crate) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
