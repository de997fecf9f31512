//! How big a pickle may get.

/// Limits of a pickle decoder, each with a documented default. Start from [`Limits::default`] and
/// change fields.
///
/// A pickle beyond one of them is refused whole, and costs nothing but itself; only a frame beyond
/// [`max_frame`](Self::max_frame) costs its connection. No limit makes anything be allocated: what
/// is held grows with the bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a frame, the length before it not counted. Default 1,048,576, which is carbon's.
    /// Lengths are 32 bits, and 64 MiB (go-carbon's) are as much as is sensible.
    pub max_frame: usize,
    /// Elements of the outer list. Default 65,536; real senders write 500 at most.
    pub max_points: usize,
    /// Values and marks on the stack. Default 65,792: one large tuple and what surrounds it.
    pub max_stack: usize,
    /// Values in containers and the containers together. Default 524,288: eight for each point.
    pub max_items: usize,
    /// Entries of the memo. Default 262,144: four for each point.
    pub max_memo: usize,
    /// The largest index of the memo. Default 1,048,576.
    pub max_memo_index: u32,
    /// Containers in containers. Default 8; real data needs 3.
    pub max_depth: u8,
    /// How many times the frame's own bytes all paths together may have. Default 16; more than 1
    /// needs shared paths.
    pub max_expansion: usize,
    /// Digits of an integer that is written as text. Default 40.
    pub max_digits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 1 << 20,
            max_points: 1 << 16,
            max_stack: (1 << 16) + 256,
            max_items: 1 << 19,
            max_memo: 1 << 18,
            max_memo_index: 1 << 20,
            max_depth: 8,
            max_expansion: 16,
            max_digits: 40,
        }
    }
}
