//! [`TagPattern`]: the name of a tag, or the beginning of one.

use core::fmt;
use core::str::FromStr;

use crate::tag::{TagName, TagNameError};

/// A tag's name, or with a trailing `*` what names begin with: what routes and searches ask for.
///
/// ```
/// use ingest_entry::TagPattern;
///
/// let pattern: TagPattern = "app-*".parse()?;
/// assert!(pattern.matches("app-7"));
/// assert!(!pattern.matches("application"));
/// # Ok::<(), ingest_entry::TagPatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagPattern {
    start: String,
    open: bool,
}

/// A text that no tag's name can match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{text:?} is no tag name, with or without a trailing *: {error}")]
pub struct TagPatternError {
    /// What was found.
    pub text: String,
    /// The rule that it breaks.
    pub error: TagNameError,
}

impl TagPattern {
    /// Whether the name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.start) } else { name == self.start }
    }

    /// The one name that it matches, or `None` when it ends in `*`.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        (!self.open).then_some(&*self.start)
    }

    /// What every name that it matches begins with.
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
        match TagName::check(start) {
            Err(error) if !(open && start.is_empty()) => {
                Err(TagPatternError { text: text.to_owned(), error })
            }
            _ => Ok(Self { start: start.to_owned(), open }),
        }
    }
}

impl From<&TagName> for TagPattern {
    fn from(name: &TagName) -> Self {
        Self { start: name.as_str().to_owned(), open: false }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.start)?;
        f.write_str(if self.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        let pattern = |text: &str| text.parse::<TagPattern>().unwrap();
        assert!(pattern("app-*").matches("app-1") && pattern("app-*").matches("app-"));
        assert!(!pattern("app-*").matches("app") && pattern("*").matches("anything"));
        assert!(pattern("app").matches("app") && !pattern("app").matches("app2"));
        assert_eq!(pattern("app-*").to_string(), "app-*");
        assert_eq!(TagPattern::from(&TagName::new("x").unwrap()), pattern("x"));
        assert_eq!((pattern("app-*").exact(), pattern("app").exact()), (None, Some("app")));
        assert_eq!(pattern("app-*").prefix(), "app-");
    }

    #[test]
    fn a_star_stands_at_the_end_only() {
        for text in ["", "*a", "a*b", "a**", "a b", "a.b*"] {
            assert_eq!(text.parse::<TagPattern>().unwrap_err().text, text);
        }
    }
}
