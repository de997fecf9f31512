//! How the first bytes of an input decide what is done with the rest.

/// The bytes of an input that decide: two of flags, two that begin a sequence of choices.
pub(crate) const HEAD: usize = 4;

/// A head and what is behind it; `None` for an input that is too short.
pub(crate) fn split(input: &[u8]) -> Option<([u8; 2], Choices, &[u8])> {
    let (&[a, b, c, d], rest) = input.split_first_chunk::<HEAD>()?;
    Some(([a, b], Choices(u32::from_le_bytes([c, d, 0x5B, 0xC9]) | 1), rest))
}

/// A sequence of choices: the same for the same head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choices(u32);

impl Choices {
    /// The next one, below `bound`.
    pub(crate) fn next(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % bound
    }

    /// Cuts bytes into pieces, short ones more often; a seed of 0 makes them single bytes.
    pub(crate) fn piece(&mut self, left: usize) -> usize {
        let wish = match self.next(8) {
            0..=2 => 1 + self.next(4),
            3..=5 => 1 + self.next(64),
            6 => 1 + self.next(1024),
            _ => left,
        };
        wish.min(left)
    }
}
