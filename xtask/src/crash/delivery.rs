//! What must be true of the destinations once everything has had the time to arrive. Knows what is
//! stored, what has arrived at which of them, how often something broke, and what the outputs' state
//! on the disk knew of it then.

use std::collections::BTreeMap;

use super::oracle::Violation;

/// What may be on its way over a connection when something breaks: as many entries as it sends
/// without an acknowledgement.
const WINDOW: u64 = 4_095;

/// An output, its places, and what happened to it while a directory was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// What is stored at each of its places: lines, in the order in which they were.
    pub(crate) places: Vec<Vec<u8>>,
    /// How often one of them was killed.
    pub(crate) kills: u32,
    /// Lines that had arrived when the gateway was killed and that the state it had kept did not
    /// know of, over all its kills.
    pub(crate) unkept: u64,
}

impl Output {
    /// How many copies beyond the first there may be of so many lines: those that had arrived and
    /// were not kept as confirmed, and those that were on their way.
    fn bound(&self, gateway_kills: u32, lines: u64) -> u64 {
        let window = WINDOW.min(lines);
        let links = self.places.len() as u64;
        self.unkept + (u64::from(gateway_kills) * links + u64::from(self.kills)) * window
    }

    /// How many different lines have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        let mut all: Vec<_> = self.places.iter().flat_map(|place| lines(place)).collect();
        all.sort_unstable();
        all.dedup();
        all.len() as u64
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

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Compares what each output got with what is stored, in the order of the log.
pub(crate) fn judge(stored: &[u8], outputs: &[Output], gateway_kills: u32) -> Arrival {
    let places: BTreeMap<&[u8], usize> = lines(stored).zip(0..).collect();
    let mut arrival = Arrival::default();
    for (number, output) in outputs.iter().enumerate() {
        arrival.add(number, output, &places, gateway_kills);
    }
    arrival
}

impl Arrival {
    fn add(
        &mut self,
        number: usize,
        output: &Output,
        stored: &BTreeMap<&[u8], usize>,
        gateway_kills: u32,
    ) {
        let mut counts: BTreeMap<&[u8], u64> = BTreeMap::new();
        for line in output.places.iter().flat_map(|place| lines(place)) {
            *counts.entry(line).or_default() += 1;
        }
        let text = |line: Option<&&[u8]>| {
            String::from_utf8_lossy(line.copied().unwrap_or_default()).trim_end().to_owned()
        };
        let missing: Vec<_> = stored.keys().filter(|line| !counts.contains_key(**line)).collect();
        self.missing += missing.len() as u64;
        if let Some(first) = missing.first() {
            let (lines, first) = (missing.len() as u64, text(Some(*first)));
            self.violations.push(Violation::Undelivered { output: number, lines, first });
        }
        let unknown: Vec<_> = counts.keys().filter(|line| !stored.contains_key(**line)).collect();
        if let Some(first) = unknown.first() {
            let (lines, first) = (unknown.len() as u64, text(Some(*first)));
            self.violations.push(Violation::NotStored { output: number, lines, first });
        }
        let copies: u64 = counts.values().map(|count| count - 1).sum();
        let most = counts.values().copied().max().unwrap_or(0);
        let allowed = output.bound(gateway_kills, stored.len() as u64);
        let times = 1 + u64::from(gateway_kills + output.kills);
        if copies > allowed || most > times {
            let output = number;
            self.violations.push(Violation::Copies { output, copies, allowed, most, times });
        }
        self.lines += counts.len() as u64;
        self.copies += copies;
        self.allowed += allowed;
        for (place, arrived) in output.places.iter().enumerate() {
            let order: Vec<_> = lines(arrived).filter_map(|line| stored.get(line)).collect();
            let found = if output.places.len() == 1 {
                // What was read of two connections at a time is mixed, and still each of them goes
                // on, or repeats, where all before it is there.
                overtaken(&order).map(|at| Violation::Overtaken { output: number, place, at })
            } else {
                let (runs, allowed) = (runs(&order) as u64, times);
                (runs > allowed).then_some(Violation::Mixed {
                    output: number,
                    place,
                    runs,
                    allowed,
                })
            };
            self.violations.extend(found);
        }
    }
}

/// Where a line came for the first time although one before it in the log had never come.
fn overtaken(order: &[&usize]) -> Option<usize> {
    let mut next = 0;
    for (at, &&line) in order.iter().enumerate() {
        if line > next {
            return Some(at + 1);
        }
        next = next.max(line + 1);
    }
    None
}

/// Of how many sequences in the order of the log this is a mixture, at least: as many as the longest
/// sequence against that order has lines.
fn runs(order: &[&usize]) -> usize {
    // The last line of each sequence so far, from the highest to the lowest.
    let mut lasts: Vec<usize> = Vec::new();
    for &&line in order {
        let at = lasts.partition_point(|last| *last > line);
        match lasts.get_mut(at) {
            Some(last) => *last = line,
            None => lasts.push(line),
        }
    }
    lasts.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(places: &[&str]) -> Output {
        let places = places.iter().map(|text| text.as_bytes().to_vec()).collect();
        Output { places, ..Output::default() }
    }

    #[test]
    fn everything_arrives_at_each_output() {
        let outputs = [output(&["a\nb\n"]), output(&["a\na\nb\n"])];
        let arrival = judge(b"a\nb\n", &outputs, 1);
        assert_eq!(arrival, Arrival { lines: 4, copies: 1, allowed: 4, ..Arrival::default() });
        let arrival = judge(b"a\nb\nc\n", &[output(&["a\nb\nc\n"]), output(&["a\n", "c\n"])], 1);
        let first = "b".to_owned();
        let expected = [Violation::Undelivered { output: 1, lines: 1, first }];
        assert_eq!((arrival.missing, &arrival.violations[..]), (1, &expected[..]));
    }

    #[test]
    fn nothing_arrives_that_is_not_stored() {
        let arrival = judge(b"a\n", &[output(&["a\nx\n"])], 1);
        let first = "x".to_owned();
        assert_eq!(arrival.violations, [Violation::NotStored { output: 0, lines: 1, first }]);
    }

    #[test]
    fn copies_have_a_bound() {
        let arrival = judge(b"a\n", &[output(&["a\na\n"])], 0);
        let copies = Violation::Copies { output: 0, copies: 1, allowed: 0, most: 2, times: 1 };
        assert_eq!(arrival.violations, [copies]);
        let arrival = judge(b"a\n", &[output(&["a\na\na\n"])], 1);
        assert!(matches!(arrival.violations[..], [Violation::Copies { most: 3, times: 2, .. }]));
        let broken = Output { kills: 3, unkept: 7, ..output(&["", ""]) };
        assert_eq!(broken.bound(2, 1 << 20), 7 + (2 * 2 + 3) * 4_095);
        assert_eq!(broken.bound(2, 100), 7 + 700);
        assert_eq!(output(&["a\nb\n", "b\n"]).arrived(), 2);
    }

    #[test]
    fn one_place_gets_first_copies_in_order() {
        let stored = b"a\nb\nc\nd\n";
        let violations = |text| judge(stored, &[output(&[text])], 9).violations;
        assert_eq!(violations("a\nb\na\nb\nc\nb\nd\n"), []);
        let overtaken = [Violation::Overtaken { output: 0, place: 0, at: 2 }];
        assert_eq!(violations("a\nc\nb\nd\n"), overtaken);
    }

    #[test]
    fn several_places_get_no_more_sequences_than_breaks() {
        let stored = b"a\nb\nc\nd\n";
        let violations = |kills| judge(stored, &[output(&["b\nd\na\nc\n", ""])], kills).violations;
        assert_eq!(violations(1), []);
        let mixed = [Violation::Mixed { output: 0, place: 0, runs: 2, allowed: 1 }];
        assert_eq!(violations(0), mixed);
        assert_eq!(runs(&[&3, &2, &1, &1, &5, &4]), 3);
    }
}
