//! What was sent and acknowledged, and what of it has arrived.

use super::Report;

/// The number of a burst.
pub(super) type Burst = usize;

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sources: Vec<String>,
    bursts: Vec<Sent>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    source: usize,
    lines: u64,
    acknowledged: bool,
}

/// What a destination stored of it.
#[derive(Debug)]
pub(super) struct Arrived {
    /// For each burst how many lines it has, and a bit for each of them.
    seen: Vec<(u64, Vec<u64>)>,
    lines: u64,
    copies: u64,
    /// The first line that nobody sent.
    invented: Option<String>,
}

impl Ledger {
    pub(super) fn add_source(&mut self, name: &str) {
        self.sources.push(name.to_owned());
    }

    /// Lines that are about to be sent.
    pub(super) fn begin(&mut self, source: usize, lines: u64) -> Burst {
        self.bursts.push(Sent { source, lines, acknowledged: false });
        self.bursts.len() - 1
    }

    /// All of them were acknowledged.
    pub(super) fn acknowledged(&mut self, burst: Burst) {
        if let Some(sent) = self.bursts.get_mut(burst) {
            sent.acknowledged = true;
        }
    }

    /// A destination with nothing in it.
    pub(super) fn nothing(&self) -> Arrived {
        let words = |sent: &Sent| usize::try_from(sent.lines.div_ceil(64)).unwrap_or(0);
        let seen = |sent: &Sent| (sent.lines, vec![0; words(sent)]);
        let seen = self.bursts.iter().map(seen).collect();
        Arrived { seen, lines: 0, copies: 0, invented: None }
    }

    /// Compares, when everything has had the time to arrive.
    pub(super) fn judge(&self, destinations: &[Arrived]) -> Report {
        let mut report = Report::default();
        for (number, name) in self.sources.iter().enumerate() {
            let own = || self.bursts.iter().filter(|sent| sent.source == number);
            let sent = own().map(|sent| sent.lines).sum();
            let acknowledged = own().filter(|sent| sent.acknowledged).map(|sent| sent.lines).sum();
            report.sent += sent;
            report.acknowledged += acknowledged;
            report.sources.push((name.clone(), acknowledged, sent));
        }
        let broken = &mut report.broken;
        for (number, arrived) in destinations.iter().enumerate() {
            report.arrived += arrived.lines;
            report.copies += arrived.copies;
            if let Some(line) = &arrived.invented {
                let text = || format!("destination {number} has {line:?}, which nobody sent");
                broken.get_or_insert_with(text);
            }
        }
        for (burst, sent) in self.bursts.iter().enumerate() {
            for line in 1..=sent.lines {
                let has = |arrived: &&Arrived| arrived.has(burst, line);
                let have = destinations.iter().filter(has).count();
                let name = self.sources.get(sent.source).map_or("", String::as_str);
                if have < destinations.len() && (sent.acknowledged || have > 0) {
                    broken.get_or_insert_with(|| {
                        let is =
                            if sent.acknowledged { "acknowledged" } else { "not acknowledged" };
                        let (line, all) = (text(burst, line), destinations.len());
                        format!("{line}, {is} by {name}, is at {have} of {all} destinations")
                    });
                }
            }
        }
        report
    }
}

impl Arrived {
    /// A stored line, with its end.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        let word = parse(line).and_then(|(burst, line)| {
            let (lines, words) = self.seen.get_mut(burst)?;
            let at = usize::try_from(line.checked_sub(1).filter(|_| line <= *lines)?).ok()?;
            Some((words.get_mut(at / 64)?, 1_u64 << (at % 64)))
        });
        match word {
            Some((word, bit)) => {
                self.copies += u64::from(*word & bit != 0);
                *word |= bit;
            }
            None => {
                let shown = || String::from_utf8_lossy(line).trim_end().to_owned();
                self.invented.get_or_insert_with(shown);
            }
        }
    }

    fn has(&self, burst: Burst, line: u64) -> bool {
        let at = usize::try_from(line - 1).unwrap_or(usize::MAX);
        let word = self.seen.get(burst).and_then(|(_, words)| words.get(at / 64));
        word.is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

/// A line as it is sent and stored, without its end.
pub(super) fn text(burst: Burst, line: u64) -> String {
    format!("soak.b{burst}.n{line} {line} {}", 1_700_000_000 + line)
}

/// The burst and the number of a line that is exactly as it was sent. With Hydra's protocol a
/// payload behind an id begins with the blank between them.
fn parse(line: &[u8]) -> Option<(Burst, u64)> {
    let whole = std::str::from_utf8(line).ok()?.trim_end();
    let whole = whole.strip_prefix(' ').unwrap_or(whole);
    let rest = whole.strip_prefix("soak.b")?;
    let (burst, rest) = rest.split_once(".n")?;
    let (number, _) = rest.split_once(' ')?;
    let (burst, number) = (burst.parse().ok()?, number.parse().ok()?);
    (whole == text(burst, number)).then_some((burst, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(ledger: &Ledger, lines: &[(Burst, u64)]) -> Arrived {
        let mut arrived = ledger.nothing();
        for (burst, line) in lines {
            arrived.add(format!("{}\n", text(*burst, *line)).as_bytes());
        }
        arrived
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.add_source("s");
        let burst = ledger.begin(0, 2);
        ledger.acknowledged(burst);
        ledger.begin(0, 70);
        ledger
    }

    #[test]
    fn everything_acknowledged_arrives_everywhere() {
        let ledger = ledger();
        let all = || stored(&ledger, &[(0, 2), (0, 1), (0, 1), (1, 70)]);
        let report = ledger.judge(&[all(), all()]);
        assert_eq!(report.broken, None);
        assert_eq!((report.sent, report.acknowledged), (72, 2));
        assert_eq!((report.arrived, report.copies), (8, 2));
        let broken = |lines: &[(Burst, u64)]| ledger.judge(&[all(), stored(&ledger, lines)]).broken;
        let lost = broken(&[(0, 1), (1, 70)]).unwrap();
        assert!(lost.starts_with("soak.b0.n2 2 1700000002, acknowledged by s"), "{lost}");
        let uneven = broken(&[(0, 1), (0, 2)]).unwrap();
        assert!(uneven.starts_with("soak.b1.n70 70 1700000070, not acknowledged by s"), "{uneven}");
    }

    #[test]
    fn nothing_is_invented() {
        let ledger = ledger();
        for line in ["soak.b0.n3 3 1700000003", "soak.b2.n1 1 1700000001", "soak.b0.n1 2 1", "x"] {
            let mut arrived = stored(&ledger, &[(0, 1), (0, 2)]);
            arrived.add(line.as_bytes());
            let broken = ledger.judge(&[arrived]).broken.unwrap();
            assert!(broken.contains(line) && broken.contains("nobody sent"), "{broken}");
        }
    }
}
