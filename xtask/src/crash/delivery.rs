//! What must be true of the destinations once everything has had the time to arrive. Knows what is
//! stored, what has arrived, and how often something broke.

use std::collections::{BTreeMap, BTreeSet};

use super::oracle::Violation;

/// What may be under way over one link of the program when something breaks: four leases of 4,096
/// entries.
const WINDOW: u64 = 4 * 4_096;
/// What may have been confirmed since the outputs' state was kept: as many, or what a second brings,
/// whichever is first.
const UNKEPT: u64 = 64 * 1_024;

/// How often something broke while a directory was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Breaks {
    /// The gateway was killed.
    pub(crate) gateway: u32,
    /// A destination was killed.
    pub(crate) links: u32,
}

impl Breaks {
    /// How many copies beyond the first there may be, at an output with so many links, of so many
    /// lines: a break repeats none of them twice.
    pub(crate) fn bound(self, links: u32, lines: u64) -> u64 {
        let of_kill = (u64::from(links) * WINDOW + UNKEPT).min(lines);
        u64::from(self.gateway) * of_kill + u64::from(self.links) * WINDOW.min(lines)
    }
}

/// What a check came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) violations: Vec<Violation>,
    /// Lines that arrived, each once for each output.
    pub(crate) lines: u64,
    /// Copies beyond the first.
    pub(crate) copies: u64,
    /// Copies that the breaks allow.
    pub(crate) allowed: u64,
    /// Stored lines that an output has not got.
    pub(crate) missing: u64,
}

/// Compares what each output got with what is stored.
pub(crate) fn judge(stored: &[u8], outputs: &[Vec<u8>], breaks: Breaks, links: u32) -> Arrival {
    let lines = |text| -> Vec<&[u8]> { <[u8]>::split_inclusive(text, |b| *b == b'\n').collect() };
    let stored: BTreeSet<&[u8]> = lines(stored).into_iter().collect();
    let mut arrival = Arrival::default();
    for (output, arrived) in outputs.iter().enumerate() {
        let mut counts: BTreeMap<&[u8], u64> = BTreeMap::new();
        for line in lines(arrived) {
            *counts.entry(line).or_default() += 1;
        }
        let text = |line: Option<&&[u8]>| {
            String::from_utf8_lossy(line.copied().unwrap_or_default()).trim_end().to_owned()
        };
        let missing: Vec<_> = stored.iter().filter(|line| !counts.contains_key(**line)).collect();
        arrival.missing += missing.len() as u64;
        if let Some(first) = missing.first() {
            let (lines, first) = (missing.len() as u64, text(Some(*first)));
            arrival.violations.push(Violation::Undelivered { output, lines, first });
        }
        let unknown: Vec<_> = counts.keys().filter(|line| !stored.contains(**line)).collect();
        if let Some(first) = unknown.first() {
            let (lines, first) = (unknown.len() as u64, text(Some(*first)));
            arrival.violations.push(Violation::NotStored { output, lines, first });
        }
        let copies: u64 = counts.values().map(|count| count - 1).sum();
        let most = counts.values().copied().max().unwrap_or(0);
        let allowed = breaks.bound(links, stored.len() as u64);
        let times = 1 + u64::from(breaks.gateway + breaks.links);
        if copies > allowed || most > times {
            arrival.violations.push(Violation::Copies { output, copies, allowed, most, times });
        }
        arrival.lines += counts.len() as u64;
        arrival.copies += copies;
        arrival.allowed += allowed;
    }
    arrival
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONCE: Breaks = Breaks { gateway: 1, links: 0 };

    fn outputs(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn everything_arrives_at_each_output() {
        let arrival = judge(b"a\nb\n", &outputs(&["a\nb\n", "b\na\na\n"]), ONCE, 1);
        assert_eq!(arrival, Arrival { lines: 4, copies: 1, allowed: 4, ..Arrival::default() });
        let arrival = judge(b"a\nb\nc\n", &outputs(&["a\nb\nc\n", "b\n"]), ONCE, 1);
        let first = "a".to_owned();
        let expected = [Violation::Undelivered { output: 1, lines: 2, first }];
        assert_eq!((arrival.missing, &arrival.violations[..]), (2, &expected[..]));
    }

    #[test]
    fn nothing_arrives_that_is_not_stored() {
        let arrival = judge(b"a\n", &outputs(&["a\nx\n"]), ONCE, 1);
        let first = "x".to_owned();
        assert_eq!(arrival.violations, [Violation::NotStored { output: 0, lines: 1, first }]);
    }

    #[test]
    fn copies_have_a_bound() {
        let none = Breaks::default();
        let arrival = judge(b"a\n", &outputs(&["a\na\n"]), none, 1);
        let copies = Violation::Copies { output: 0, copies: 1, allowed: 0, most: 2, times: 1 };
        assert_eq!(arrival.violations, [copies]);
        let arrival = judge(b"a\n", &outputs(&["a\na\na\n"]), ONCE, 1);
        assert!(matches!(arrival.violations[..], [Violation::Copies { most: 3, times: 2, .. }]));
        let breaks = Breaks { gateway: 2, links: 3 };
        assert_eq!(breaks.bound(2, 1 << 20), 2 * (32_768 + 65_536) + 3 * 16_384);
        assert_eq!(breaks.bound(2, 100), 500);
    }
}
