//! Whose rules apply, and the limits.

/// Whose reading of the protocol the decoder follows.
///
/// The programs disagree about separators, numbers and names (`graphite.md` sections 2 and 3). A
/// profile accepts the lines that its program accepts and reads the same points out of them. Where
/// the program would close the connection or lose the rest of a datagram, one line is refused and
/// the next one is read as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// What all programs agree on, and the safer side of what they do not: ASCII white space
    /// separates, decimal numbers only, UTF-8 only, no control characters in paths.
    #[default]
    Default,
    /// carbon on Python 3: Unicode white space separates, Unicode digits count, NaN is dropped,
    /// what overflows is infinite. Datagrams end lines wherever Python's `splitlines` does.
    Carbon,
    /// go-carbon: exactly one space separates, paths may be any bytes, hexadecimal floats count.
    GoCarbon,
    /// carbon-relay-ng: Unicode white space separates, names are validated, timestamps wrap at
    /// 2^32, NaN is passed on.
    RelayNg {
        /// Validate untagged names as its level *strict* does (`[A-Za-z0-9_.-]`, no `..`) instead
        /// of *medium* (ASCII without NUL).
        strict: bool,
    },
}

/// What is done with infinite values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Infinite {
    /// They are values like others.
    #[default]
    Accept,
    /// Their line is refused with [`RejectReason::Infinite`](crate::RejectReason::Infinite).
    Drop,
}

/// What becomes of a path in the canonical form of a metric (`graphite.md` 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PathRule {
    /// Tagged names are normalised ([`tags`](crate::tags)), and kept as received when they do not
    /// parse. Untagged names are kept.
    #[default]
    Normalise,
    /// As above, but a tagged name that does not parse refuses its line with
    /// [`RejectReason::BadTags`](crate::RejectReason::BadTags).
    NormaliseOrReject,
    /// Every path is kept as received.
    Raw,
    /// Every path goes through [`sanitise()`](crate::sanitise()); tags are not normalised.
    Sanitise,
}

/// How a decoder reads lines. Start from [`Options::new`] or [`Options::default`] and change
/// fields.
///
/// ```
/// use graphite_proto::{Options, Profile};
/// let mut options = Options::new(Profile::Carbon);
/// options.max_line = 4096;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whose rules apply.
    pub profile: Profile,
    /// The longest line accepted, in bytes without its LF (a CR counts). A longer one is skipped
    /// up to its LF and refused once. Also bounds what a decoder buffers.
    ///
    /// Default 16,384 (carbon's limit); 1,048,576 for [`Profile::GoCarbon`], which has none of its
    /// own; 65,535 for [`Profile::RelayNg`]. In a datagram [`Profile::Carbon`] knows no limit.
    pub max_line: usize,
    /// The longest path accepted, in bytes. Default 8,192; no limit but the line's for the other
    /// profiles.
    pub max_path: usize,
    /// Keep fractions of seconds, down to nanoseconds. Default `false`: they are cut off toward
    /// zero; `true` for [`Profile::Carbon`]. Never kept by [`Profile::GoCarbon`] and
    /// [`Profile::RelayNg`], which have none.
    pub fraction: bool,
    /// Infinite values. Default [`Infinite::Accept`].
    pub infinite: Infinite,
    /// The last second accepted. Default 253,402,300,799 (the end of the year 9999);
    /// `i64::MAX` for the other profiles.
    pub max_timestamp: i64,
    /// What the canonical form does with paths. Default [`PathRule::Normalise`].
    pub paths: PathRule,
}

impl Options {
    /// The defaults of a profile.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        let ours = matches!(profile, Profile::Default);
        Self {
            profile,
            max_line: match profile {
                Profile::Default | Profile::Carbon => 16_384,
                Profile::GoCarbon => 1 << 20,
                Profile::RelayNg { .. } => 65_535,
            },
            max_path: if ours { 8_192 } else { usize::MAX },
            fraction: matches!(profile, Profile::Carbon),
            infinite: Infinite::Accept,
            max_timestamp: if ours { 253_402_300_799 } else { i64::MAX },
            paths: PathRule::Normalise,
        }
    }

    /// Whether lines may hold bytes that are not UTF-8.
    pub(crate) const fn any_bytes(&self) -> bool {
        matches!(self.profile, Profile::GoCarbon | Profile::RelayNg { .. })
    }
}

impl Default for Options {
    /// [`Profile::Default`] with its defaults.
    fn default() -> Self {
        Self::new(Profile::Default)
    }
}
