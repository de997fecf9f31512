//! What stands on the pickle machine's stack.

/// Where a string's bytes are, and what kind of string it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) length: u32,
}

/// Which buffer a [`Span`] lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The frame itself.
    Frame,
    /// The machine's own buffer, for what had escapes to undo.
    Own,
}

/// Kinds of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Characters; checked to be UTF-8.
    Unicode,
    /// A `str` of Python 2: bytes that stand for characters.
    Str,
    /// `bytes` of Python 3.
    Bytes,
    /// The digits of an integer beyond 64 bits; always the machine's own.
    Digits,
}

/// A value. `at` is where its first opcode stands in the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    None {
        at: u32,
    },
    Bool {
        at: u32,
        value: bool,
    },
    Int {
        at: u32,
        value: i64,
    },
    Float {
        at: u32,
        value: f64,
    },
    String {
        at: u32,
        kind: Kind,
        origin: Origin,
        span: Span,
    },
    /// A list or a tuple: its place among the containers.
    Container {
        at: u32,
        index: u32,
    },
}

impl Value {
    #[inline]
    pub(super) fn at(self) -> u32 {
        match self {
            Self::None { at }
            | Self::Bool { at, .. }
            | Self::Int { at, .. }
            | Self::Float { at, .. }
            | Self::String { at, .. }
            | Self::Container { at, .. } => at,
        }
    }

    /// The same value, met again at another place.
    pub(super) fn moved(mut self, to: u32) -> Self {
        match &mut self {
            Self::None { at }
            | Self::Bool { at, .. }
            | Self::Int { at, .. }
            | Self::Float { at, .. }
            | Self::String { at, .. }
            | Self::Container { at, .. } => *at = to,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Value>(), 16);
    }
}
