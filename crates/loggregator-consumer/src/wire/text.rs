//! Texts that may not be.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::Slice;

/// A text of a message: UTF-8 as a rule, but old peers do not check (`loggregator.md` 1.8), so the
/// bytes are kept as they came.
#[derive(Clone, Copy)]
pub struct Text<B: Slice = Bytes>(B::Text);

impl<B: Slice> Text<B> {
    /// Of these bytes.
    pub fn new(bytes: B) -> Self {
        Self(bytes.into_text())
    }

    #[inline]
    pub(crate) const fn kept(&mut self) -> &mut B::Text {
        &mut self.0
    }

    /// The bytes.
    pub fn into_inner(self) -> B {
        B::of_text(self.0)
    }

    /// The bytes as they came.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The text, if it is one.
    pub fn to_str(&self) -> Option<&str> {
        str::from_utf8(self.as_bytes()).ok()
    }

    /// The text, with replacement characters for what is not UTF-8.
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Whether it has no byte.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl<B: Slice> Default for Text<B> {
    #[inline]
    fn default() -> Self {
        Self(B::Text::default())
    }
}

impl From<&str> for Text<Bytes> {
    fn from(text: &str) -> Self {
        Self::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text<Bytes> {
    fn from(text: String) -> Self {
        Self::new(Bytes::from(text.into_bytes()))
    }
}

impl<'a> From<&'a str> for Text<&'a [u8]> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl<B: Slice> fmt::Debug for Text<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl<B: Slice> fmt::Display for Text<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_str_lossy(), f)
    }
}

impl<B: Slice, C: Slice> PartialEq<Text<C>> for Text<B> {
    fn eq(&self, other: &Text<C>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Slice> Eq for Text<B> {}

impl<B: Slice> PartialEq<str> for Text<B> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Slice> PartialEq<&str> for Text<B> {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Slice> Hash for Text<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}
