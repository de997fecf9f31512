//! What a server owes: acknowledgements in the order of arrival, each once.

use std::collections::VecDeque;

use super::magic;

/// How far a server's entries have been handed out. Confirming one confirms all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(pub(crate) u64);

impl Receipt {
    /// How many entries the connection had handed out by then: receipts can be kept as numbers.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }

    /// The receipt for so many entries of the connection.
    #[must_use]
    pub const fn from_count(count: u64) -> Self {
        Self(count)
    }
}

#[derive(Debug)]
enum Run {
    /// Entries with ids that count up.
    Ids { first: u64, count: u64 },
    /// Entries that are not acknowledged one by one: id 0, or of a ditto block.
    Silent { count: u64 },
    /// The end of a ditto block, behind so many entries of the connection.
    DittoEnd { at: u64, failed: bool },
}

#[derive(Debug, Default)]
pub(crate) struct Acks {
    runs: VecDeque<Run>,
    received: u64,
    confirmed: u64,
}

impl Acks {
    /// Notes an entry; id 0 is not acknowledged.
    #[inline]
    pub(crate) fn entry(&mut self, id: u64) {
        self.received += 1;
        if id == 0 {
            return self.silent();
        }
        if let Some(Run::Ids { first, count }) = self.runs.back_mut()
            && first.wrapping_add(*count) == id
        {
            *count += 1;
            return;
        }
        self.runs.push_back(Run::Ids { first: id, count: 1 });
    }

    /// Notes an entry of a ditto block.
    #[inline]
    pub(crate) fn ditto_entry(&mut self) {
        self.received += 1;
        self.silent();
    }

    fn silent(&mut self) {
        if let Some(Run::Silent { count }) = self.runs.back_mut() {
            *count += 1;
        } else {
            self.runs.push_back(Run::Silent { count: 1 });
        }
    }

    pub(crate) fn ditto_end(&mut self, failed: bool) {
        self.runs.push_back(Run::DittoEnd { at: self.received, failed });
    }

    /// Marks the complete ditto block that holds this receipt as failed: whether there is one.
    pub(crate) fn fail_ditto(&mut self, receipt: Receipt) -> bool {
        for run in &mut self.runs {
            if let Run::DittoEnd { at, failed } = run
                && *at >= receipt.0
            {
                *failed = true;
                return true;
            }
        }
        false
    }

    pub(crate) const fn received(&self) -> Receipt {
        Receipt(self.received)
    }

    #[inline]
    pub(crate) const fn unconfirmed(&self) -> u64 {
        self.received - self.confirmed
    }

    /// Writes the acknowledgements up to a receipt: whether there were any.
    pub(crate) fn confirm(&mut self, through: Receipt, out: &mut Vec<u8>) -> bool {
        let through = through.0.min(self.received);
        let before = out.len();
        while let Some(run) = self.runs.front_mut() {
            let room = through.saturating_sub(self.confirmed);
            match run {
                Run::DittoEnd { at, failed } => {
                    if *at > through {
                        break;
                    }
                    out.extend_from_slice(&magic::CONFIRM_DITTO_BLOCK.to_le_bytes());
                    out.extend_from_slice(&u64::from(*failed).to_le_bytes());
                    self.runs.pop_front();
                }
                _ if room == 0 => break,
                Run::Silent { count } => {
                    let now = room.min(*count);
                    *count -= now;
                    self.confirmed += now;
                    if *count == 0 {
                        self.runs.pop_front();
                    }
                }
                Run::Ids { first, count } => {
                    let now = room.min(*count);
                    out.reserve(12 * now as usize);
                    for n in 0..now {
                        let mut ack = [0; 12];
                        let (word, id) = ack.split_at_mut(4);
                        word.copy_from_slice(&magic::CONFIRM_ENTRY.to_le_bytes());
                        id.copy_from_slice(&first.wrapping_add(n).to_le_bytes());
                        out.extend_from_slice(&ack);
                    }
                    *first = first.wrapping_add(now);
                    *count -= now;
                    self.confirmed += now;
                    if *count == 0 {
                        self.runs.pop_front();
                    }
                }
            }
        }
        out.len() > before
    }

    pub(crate) fn relax(&mut self) {
        if self.runs.is_empty() {
            self.runs.shrink_to(4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(out: &mut Vec<u8>) -> Vec<u64> {
        let ids = out.chunks(12).map(|c| u64::from_le_bytes(c[4..].try_into().unwrap())).collect();
        out.clear();
        ids
    }

    #[test]
    fn in_order_and_each_once() {
        let (mut acks, mut out) = (Acks::default(), Vec::new());
        for id in [5, 6, 7, 7, 0, 1, u64::MAX, 0] {
            acks.entry(id);
        }
        assert!(acks.confirm(Receipt(2), &mut out));
        assert_eq!(acked(&mut out), [5, 6]);
        assert!(!acks.confirm(Receipt(1), &mut out));
        acks.confirm(Receipt(5), &mut out);
        assert_eq!(acked(&mut out), [7, 7]);
        acks.confirm(Receipt(100), &mut out);
        assert_eq!(acked(&mut out), [1, u64::MAX]);
        assert_eq!((acks.unconfirmed(), acks.received()), (0, Receipt(8)));
    }

    #[test]
    fn a_ditto_block_is_answered_in_its_place() {
        let (mut acks, mut out) = (Acks::default(), Vec::new());
        acks.entry(1);
        acks.ditto_entry();
        acks.ditto_entry();
        acks.ditto_end(false);
        acks.entry(4);
        assert!(!acks.fail_ditto(Receipt(4)));
        assert!(acks.fail_ditto(Receipt(2)));
        acks.confirm(Receipt(2), &mut out);
        assert_eq!(acked(&mut out), [1]);
        acks.confirm(Receipt(4), &mut out);
        assert_eq!(out[..4], magic::CONFIRM_DITTO_BLOCK.to_le_bytes());
        assert_eq!(acked(&mut out), [1, 4]);
    }
}
