//! What can be wrong with JSON.

/// Why a text is not the JSON of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (byte {at})")]
pub struct JsonError {
    /// Where it was noticed, counted from the start of the text.
    pub at: usize,
    /// What is wrong.
    pub fault: JsonFault,
}

impl JsonError {
    /// Whether what follows in the same text can still be told apart.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        !matches!(self.fault, JsonFault::Syntax(_) | JsonFault::TooDeep | JsonFault::NotUtf8)
    }
}

/// What is wrong with the JSON of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// Not JSON.
    #[error("not JSON: {0} expected")]
    Syntax(&'static str),
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// More than [`JsonFault::MAX_DEPTH`] levels.
    #[error("more than {} levels deep", Self::MAX_DEPTH)]
    TooDeep,
    /// A value of another type.
    #[error("{0} expected")]
    Type(&'static str),
    /// A number that does not fit.
    #[error("a number out of range")]
    Range,
    /// Not base64.
    #[error("not base64")]
    Base64,
    /// Half of a surrogate pair.
    #[error("half of a surrogate pair")]
    Surrogate,
    /// A name that the enumeration has not.
    #[error("an unknown name")]
    UnknownName,
    /// Two of those of which there can be one.
    #[error("two of {0}")]
    TwoOf(&'static str),
}

impl JsonFault {
    /// How many arrays and objects may be inside each other.
    pub const MAX_DEPTH: usize = 64;
}
