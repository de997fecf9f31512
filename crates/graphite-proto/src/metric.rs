//! A metric, borrowed and owned.

use std::borrow::Cow;

use crate::tags::{self, TagError, Tagged, Tags};
use crate::{PathRule, Timestamp};

/// How the text of a value relates to its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// `-?(0|[1-9][0-9]{0,19})`: kept as it is.
    Integer,
    /// Not an integer, but already what the shortest writing of the float would be.
    Shortest,
    /// Something else, to be written anew.
    Other,
}

/// One received metric, borrowed from the input.
///
/// Cheap to copy. The [canonical form](Self::write_canonical) is the same whatever transport
/// brought the metric.
#[derive(Clone, Copy)]
pub struct MetricRef<'a> {
    pub(crate) path: &'a [u8],
    /// Set where the path is not UTF-8: the same path with U+FFFD for what is not.
    pub(crate) lossy: Option<&'a str>,
    pub(crate) value: f64,
    pub(crate) text: &'a [u8],
    pub(crate) form: Text,
    pub(crate) timestamp: Timestamp,
    /// The whole line, where it is the canonical form as it stands; else empty.
    pub(crate) verbatim: &'a [u8],
    pub(crate) tagged: bool,
    pub(crate) rule: PathRule,
}

impl<'a> MetricRef<'a> {
    /// A metric from its parts, with [`PathRule::Normalise`].
    ///
    /// The path is taken as it is: white space or LF in it make a canonical form that does not
    /// read back.
    #[must_use]
    pub fn new(path: &'a str, value: f64, timestamp: Timestamp) -> Self {
        Self {
            path: path.as_bytes(),
            lossy: None,
            value,
            text: &[],
            form: Text::Other,
            timestamp,
            verbatim: &[],
            tagged: tags::is_tagged(path),
            rule: PathRule::Normalise,
        }
    }

    /// The same metric with another rule for its canonical path.
    #[must_use]
    pub fn with_path_rule(mut self, rule: PathRule) -> Self {
        self.rule = rule;
        self.verbatim = &[];
        self
    }

    /// The path as received. Where the profile lets in bytes that are not UTF-8, those are shown
    /// as U+FFFD; [`path_bytes`](Self::path_bytes) has them as they were.
    #[must_use]
    pub fn path(&self) -> &'a str {
        match self.lossy {
            Some(text) => text,
            None => str::from_utf8(self.path).unwrap_or_default(),
        }
    }

    /// The bytes of the path as received. Costs nothing, while [`path`](Self::path) has to look
    /// whether they are UTF-8.
    #[must_use]
    pub fn path_bytes(&self) -> &'a [u8] {
        self.path
    }

    /// The value. NaN only from [`Profile::RelayNg`](crate::Profile::RelayNg).
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The text of the value as received, where it is a plain integer,
    /// `-?(0|[1-9][0-9]{0,19})`: exact beyond 2^53, where [`value`](Self::value) is rounded.
    #[must_use]
    pub fn integer(&self) -> Option<&'a str> {
        match self.form {
            Text::Integer => str::from_utf8(self.text).ok(),
            Text::Shortest | Text::Other => None,
        }
    }

    /// When it was measured, by its sender; or the present time where that sent −1.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Whether the path carries tags, in either form, valid or not.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.tagged
    }

    /// The name and its tags, `None` for a path without tags.
    ///
    /// # Errors
    /// [`TagError`] where the path has tags but breaks their rules.
    pub fn tagged(&self) -> Option<Result<Tagged<'a>, TagError>> {
        self.tagged.then(|| tags::parse(self.path()))
    }

    /// The tags in canonical order, without the name: none for a path without tags, nor for one
    /// that breaks their rules.
    #[must_use]
    pub fn tags(&self) -> Tags<'a> {
        match self.tagged() {
            Some(Ok(tagged)) => tagged.into_iter(),
            Some(Err(_)) | None => Tags::default(),
        }
    }

    /// The path as the canonical form has it.
    #[must_use]
    pub fn canonical_path(&self) -> Cow<'a, str> {
        match self.rule {
            PathRule::Raw => Cow::Borrowed(self.path()),
            PathRule::Sanitise => crate::sanitise(self.path()),
            PathRule::Normalise | PathRule::NormaliseOrReject => match self.tagged() {
                Some(Ok(tagged)) if self.lossy.is_none() => Cow::Owned(tagged.to_string()),
                _ => Cow::Borrowed(self.path()),
            },
        }
    }

    /// Copies the metric out of the input.
    #[must_use]
    pub fn to_metric(&self) -> Metric {
        Metric {
            path: self.path.into(),
            lossy: self.lossy.map(Into::into),
            value: self.value,
            text: self.text.into(),
            form: self.form,
            timestamp: self.timestamp,
            tagged: self.tagged,
            rule: self.rule,
        }
    }
}

impl PartialEq for MetricRef<'_> {
    /// Same path bytes, bits of the value, integer text, timestamp and rule.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
            && self.value.to_bits() == other.value.to_bits()
            && self.integer() == other.integer()
            && self.timestamp == other.timestamp
            && self.rule == other.rule
    }
}

impl std::fmt::Debug for MetricRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricRef")
            .field("path", &self.path())
            .field("value", &self.value)
            .field("integer", &self.integer())
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// One received metric, owned. [`as_ref`](Self::as_ref) lends it with all that can be asked of it.
#[derive(Clone)]
pub struct Metric {
    path: Box<[u8]>,
    lossy: Option<Box<str>>,
    value: f64,
    text: Box<[u8]>,
    form: Text,
    timestamp: Timestamp,
    tagged: bool,
    rule: PathRule,
}

impl Metric {
    /// A metric from its parts, as [`MetricRef::new`].
    #[must_use]
    pub fn new(path: &str, value: f64, timestamp: Timestamp) -> Self {
        MetricRef::new(path, value, timestamp).to_metric()
    }

    /// The borrowed twin.
    #[must_use]
    pub fn as_ref(&self) -> MetricRef<'_> {
        MetricRef {
            path: &self.path,
            lossy: self.lossy.as_deref(),
            value: self.value,
            text: &self.text,
            form: self.form,
            timestamp: self.timestamp,
            verbatim: &[],
            tagged: self.tagged,
            rule: self.rule,
        }
    }

    /// As [`MetricRef::path`].
    #[must_use]
    pub fn path(&self) -> &str {
        self.as_ref().path()
    }

    /// As [`MetricRef::value`].
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// As [`MetricRef::timestamp`].
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

impl PartialEq for Metric {
    /// As the borrowed twins compare.
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl From<MetricRef<'_>> for Metric {
    fn from(metric: MetricRef<'_>) -> Self {
        metric.to_metric()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_in_canonical_order() {
        let metric = MetricRef::new("cpu;b=2;a=1;b=3", 1.0, Timestamp::default());
        let tags: Vec<_> = metric.tags().map(|(tag, value)| format!("{tag}:{value}")).collect();
        assert_eq!(tags, ["a:1", "b:3"]);
        assert_eq!(metric.canonical_path(), "cpu;a=1;b=3");
        assert_eq!(metric.path(), "cpu;b=2;a=1;b=3");
    }

    #[test]
    fn broken_tags_leave_the_path_alone() {
        let metric = MetricRef::new("cpu;b", 1.0, Timestamp::default());
        assert_eq!(metric.tags().count(), 0);
        assert!(metric.is_tagged());
        assert_eq!(metric.tagged(), Some(Err(TagError::MissingValue)));
        assert_eq!(metric.canonical_path(), "cpu;b");
    }

    #[test]
    fn rules_decide_the_canonical_path() {
        let metric = MetricRef::new("a/b;y=1;x=2", 1.0, Timestamp::default());
        assert_eq!(metric.with_path_rule(PathRule::Raw).canonical_path(), "a/b;y=1;x=2");
        assert_eq!(metric.with_path_rule(PathRule::Sanitise).canonical_path(), "a_b;y=1;x=2");
    }

    #[test]
    fn the_owned_twin_is_equal() {
        let metric = MetricRef::new("a.b", -0.0, Timestamp::new(1, 2));
        let owned = metric.to_metric();
        assert_eq!(owned.as_ref(), metric);
        assert_eq!(owned, Metric::new("a.b", -0.0, Timestamp::new(1, 2)));
        assert_ne!(owned, Metric::new("a.b", 0.0, Timestamp::new(1, 2)));
        assert_eq!(format!("{owned:?}"), format!("{metric:?}"));
    }
}
