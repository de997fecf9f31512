//! Texts that may not be.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// A text of a message: UTF-8 as a rule, but old peers do not check (`loggregator.md` 1.8), so the
/// bytes are kept as they came.
#[derive(Clone, Copy, Default)]
pub struct Text<B = Bytes>(B);

impl<B> Text<B> {
    /// Of these bytes.
    pub const fn new(bytes: B) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn into_inner(self) -> B {
        self.0
    }
}

impl<B: AsRef<[u8]>> Text<B> {
    /// The bytes as they came.
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

impl From<&str> for Text<Bytes> {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text<Bytes> {
    fn from(text: String) -> Self {
        Self(Bytes::from(text.into_bytes()))
    }
}

impl<'a> From<&'a str> for Text<&'a [u8]> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Text<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl<B: AsRef<[u8]>> fmt::Display for Text<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_str_lossy(), f)
    }
}

impl<B: AsRef<[u8]>, C: AsRef<[u8]>> PartialEq<Text<C>> for Text<B> {
    fn eq(&self, other: &Text<C>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: AsRef<[u8]>> Eq for Text<B> {}

impl<B: AsRef<[u8]>> PartialEq<str> for Text<B> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: AsRef<[u8]>> PartialEq<&str> for Text<B> {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: AsRef<[u8]>> Hash for Text<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}
