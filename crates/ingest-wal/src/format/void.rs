//! LSNs that hold no entry, and the record that names them at the start of an epoch.

use std::ops::Range;

use super::bytes::Input;
use crate::Lsn;

/// Why an LSN holds no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MissingCause {
    /// Never given: numbering went on above it after an unclean end.
    Void,
    /// Above all that was witnessed as durable: torn and never acknowledged, or damaged in the
    /// very last group of an unclean end. Counted apart; neither called loss nor no loss.
    Unwitnessed,
    /// Was durable and cannot be read any more.
    Damaged,
    /// Was durable and was given up for newer entries, because the log was full, before every
    /// consumer had passed it.
    Dropped,
}

impl MissingCause {
    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Unwitnessed => "unwitnessed",
            Self::Damaged => "damaged",
            Self::Dropped => "dropped",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Void => 0,
            Self::Unwitnessed => 1,
            Self::Damaged => 2,
            Self::Dropped => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Void),
            1 => Some(Self::Unwitnessed),
            2 => Some(Self::Damaged),
            3 => Some(Self::Dropped),
            _ => None,
        }
    }
}

/// A range of LSNs that hold no entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Missing {
    /// First to one after the last.
    pub range: Range<Lsn>,
    /// Why.
    pub cause: MissingCause,
}

impl Missing {
    const LEN: usize = 24;

    /// How many LSNs.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.range.start.to_le_bytes());
        out.extend_from_slice(&self.range.end.to_le_bytes());
        out.extend_from_slice(&[self.cause.code(), 0, 0, 0, 0, 0, 0, 0]);
    }

    /// Writes a list: u32 count, then 24 bytes each.
    pub(crate) fn put_list(list: &[Self], out: &mut Vec<u8>) {
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        list.iter().take(count as usize).for_each(|missing| missing.put(out));
    }

    pub(crate) fn take_list(input: &mut Input<'_>) -> Option<Vec<Self>> {
        let count = input.u32()? as usize;
        let mut list = Vec::with_capacity(count.min(input.remaining() / Self::LEN));
        for _ in 0..count {
            let range = input.u64()?..input.u64()?;
            let cause = MissingCause::from_code(input.u8()?)?;
            input.take(7)?;
            if range.end < range.start {
                return None;
            }
            list.push(Self { range, cause });
        }
        Some(list)
    }
}

/// Body of a void record: totals of the directory's life, then the ranges of this opening.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct VoidBody {
    pub(crate) void_total: u64,
    pub(crate) unwitnessed_total: u64,
    pub(crate) damaged_total: u64,
    pub(crate) missing: Vec<Missing>,
}

impl VoidBody {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.void_total.to_le_bytes());
        out.extend_from_slice(&self.unwitnessed_total.to_le_bytes());
        out.extend_from_slice(&self.damaged_total.to_le_bytes());
        Missing::put_list(&self.missing, &mut out);
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut input = Input::new(body);
        Some(Self {
            void_total: input.u64()?,
            unwitnessed_total: input.u64()?,
            damaged_total: input.u64()?,
            missing: Missing::take_list(&mut input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn void_body_round_trips_and_cuts_are_seen() {
        let body = VoidBody {
            void_total: 9,
            unwitnessed_total: 2,
            damaged_total: 3,
            missing: vec![
                Missing { range: 5..7, cause: MissingCause::Unwitnessed },
                Missing { range: 7..1 << 20, cause: MissingCause::Void },
            ],
        };
        let bytes = body.encode();
        assert_eq!(VoidBody::decode(&bytes), Some(body));
        for cut in 0..bytes.len() {
            assert_eq!(VoidBody::decode(&bytes[..cut]), None);
        }
    }
}
