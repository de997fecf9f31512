//! Tag names with an optional trailing `*`, as routes and searches take them.

use std::fmt;
use std::str::FromStr;

use ingest_entry::TagName;

/// A tag name, or with a trailing `*` the start of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagPattern {
    start: String,
    open: bool,
}

/// Why a text is not a pattern of tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found \"{found}\"; allowed: {}", TagPattern::ALLOWED)]
pub struct TagPatternError {
    found: String,
}

impl TagPattern {
    pub(crate) const ALLOWED: &'static str =
        "a tag name of letters, digits and # + - ? @ _, a trailing * for any ending";

    /// Whether it covers the tag.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        if self.open { tag.starts_with(&self.start) } else { tag == self.start }
    }

    /// The one tag that it names, or `None` when it ends in `*`.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        (!self.open).then_some(&*self.start)
    }

    /// What every tag that it covers begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.start
    }
}

impl FromStr for TagPattern {
    type Err = TagPatternError;

    fn from_str(text: &str) -> Result<Self, TagPatternError> {
        let (start, open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        if TagName::check(start).is_ok() || (open && start.is_empty()) {
            Ok(Self { start: start.to_owned(), open })
        } else {
            let found = text.chars().take(64).flat_map(char::escape_debug).collect();
            Err(TagPatternError { found })
        }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.start, if self.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        let pattern = |text: &str| text.parse::<TagPattern>().unwrap();
        assert!(pattern("app-*").matches("app-1"));
        assert!(pattern("app-*").matches("app-"));
        assert!(!pattern("app-*").matches("app"));
        assert!(pattern("*").matches("anything"));
        assert!(pattern("graphite").matches("graphite"));
        assert!(!pattern("graphite").matches("graphite2"));
        assert_eq!(pattern("app-*").exact(), None);
        assert_eq!(pattern("app").exact(), Some("app"));
        assert_eq!(pattern("app-*").to_string(), "app-*");
    }

    #[test]
    fn a_star_stands_at_the_end_only() {
        for text in ["", "*a", "a*b", "a**", "a b", "a.b*"] {
            assert!(text.parse::<TagPattern>().is_err(), "{text:?}");
        }
    }
}
