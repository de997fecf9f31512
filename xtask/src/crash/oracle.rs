//! What must be true of everything that was sent, whenever the gateway was killed. Knows what was
//! sent, which ends of file were seen, and what is found: nothing about how the gateway works.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;

/// Invented lines that are shown; the others are counted.
const SHOWN: usize = 5;

/// A connection of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) round: u32,
    pub(crate) connection: u32,
}

/// Writes line `k` (from 1) of a connection, with its line feed.
pub(crate) fn write_line(id: Id, k: u64, out: &mut Vec<u8>) {
    let Id { round, connection } = id;
    let time = 1_700_000_000 + u64::from(round) * 1_000 + k % 1_000;
    // Writing to a vector cannot fail.
    let _ = writeln!(out, "crash.r{round}.c{connection}.n{k} {k} {time}");
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Lines that were handed to the system, the last ones perhaps in part.
    pub(crate) sent: u64,
    /// The client ended its side and saw the end of the other.
    pub(crate) complete: bool,
    /// For the report alone: that end came after the kill.
    pub(crate) after_kill: bool,
    /// The highest line that was reported as stored, one by one. 0: none.
    pub(crate) reported: u64,
    /// Lines found by an earlier check.
    pub(crate) found_before: u64,
    /// Its round ended with a power cut: of what nobody acknowledged the medium may have later lines
    /// and not earlier ones.
    pub(crate) cut: bool,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Lines are missing before others that are there, and no power was cut.
    Gap { id: Id, last: u64, missing: u64, first_missing: u64 },
    /// Lines are there more than once.
    Duplicate { id: Id, lines: u64, first: u64 },
    /// Lines come in another order than they were sent in.
    Disorder { id: Id, line: u64, behind: u64 },
    /// The end of file said that all is durable, and it is not.
    Incomplete { id: Id, sent: u64, found: u64, after_kill: bool },
    /// A report said that a line is on disk, and it is not.
    Unfounded { id: Id, reported: u64, found: u64 },
    /// What an earlier check found is gone.
    Vanished { id: Id, before: u64, found: u64 },
    /// Lines that nobody sent.
    Invented { lines: u64, shown: Vec<String> },
    /// Stored lines never came to an output.
    Undelivered { output: usize, lines: u64, first: String },
    /// Lines came to an output and are not stored: it was shown what could still be taken back.
    NotStored { output: usize, lines: u64, first: String },
    /// Lines came more often than the breaks can explain.
    Copies { output: usize, copies: u64, allowed: u64, most: u64, times: u64 },
    /// At the only place of an output a line came before one that is before it in the log.
    Overtaken { output: usize, place: usize, at: usize },
    /// At one of several places lines are less in order than the breaks can explain.
    Mixed { output: usize, place: usize, runs: u64, allowed: u64 },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { id, last, missing, first_missing } => write!(
                f,
                "{id}: expected no gap, found lines up to {last} with {missing} of them missing, \
                 the first is {first_missing}"
            ),
            Self::Duplicate { id, lines, first } => write!(
                f,
                "{id}: expected each line once, found {lines} of them more often, the first is \
                 {first}"
            ),
            Self::Disorder { id, line, behind } => {
                write!(f, "{id}: expected the order of sending, found line {line} after {behind}")
            }
            Self::Incomplete { id, sent, found, after_kill } => {
                let when = if *after_kill { "after" } else { "before" };
                write!(
                    f,
                    "{id}: expected all {sent} lines, because the client saw the end of file \
                     ({when} the kill); found the first {found}"
                )
            }
            Self::Unfounded { id, reported, found } => write!(
                f,
                "{id}: expected the first {reported} lines, because the last of them was reported \
                 to be on disk; found the first {found}"
            ),
            Self::Vanished { id, before, found } => write!(
                f,
                "{id}: expected the first {before} lines, which an earlier check found; found the \
                 first {found}"
            ),
            Self::Undelivered { output, lines, first } => write!(
                f,
                "output {output}: expected all that is stored, {lines} lines never came, the first \
                 is {first:?}"
            ),
            Self::NotStored { output, lines, first } => write!(
                f,
                "output {output}: expected only what is stored, got {lines} other lines, the first \
                 is {first:?}"
            ),
            Self::Copies { output, copies, allowed, most, times } => write!(
                f,
                "output {output}: expected {allowed} copies at most and none of a line more than \
                 {times} times, got {copies}, and one {most} times"
            ),
            Self::Overtaken { output, place, at } => write!(
                f,
                "output {output}, place {place}: expected first copies in the order of the log, \
                 found one before its turn as line {at} of the place"
            ),
            Self::Mixed { output, place, runs, allowed } => write!(
                f,
                "output {output}, place {place}: expected a mixture of at most {allowed} sequences \
                 in the order of the log, found one of {runs}"
            ),
            Self::Invented { lines, shown } => {
                write!(f, "expected only what was sent, found {lines} other lines: {shown:?}")
            }
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}, connection {}", self.round, self.connection)
    }
}

/// What a check came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<Violation>,
    /// For each connection, how many of its lines are there without a gap.
    pub(crate) found: BTreeMap<Id, u64>,
}

/// Compares what is found (a line an entry, in the order of the log) with what was sent.
pub(crate) fn judge(accounts: &BTreeMap<Id, Account>, found: &[u8]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut order: BTreeMap<Id, Vec<u64>> = BTreeMap::new();
    let (mut invented, mut shown) = (0, Vec::new());
    for line in found.split_inclusive(|byte| *byte == b'\n') {
        match parse(line).filter(|(id, k)| accounts.get(id).is_some_and(|a| *k <= a.sent)) {
            Some((id, k)) => order.entry(id).or_default().push(k),
            None => {
                invented += 1;
                if shown.len() < SHOWN {
                    shown.push(String::from_utf8_lossy(line).trim_end().to_owned());
                }
            }
        }
    }
    for (id, account) in accounts {
        let lines = order.get(id).map_or(&[][..], Vec::as_slice);
        let prefix = connection(*id, account, lines, &mut verdict.violations);
        verdict.found.insert(*id, prefix);
    }
    if invented > 0 {
        verdict.violations.push(Violation::Invented { lines: invented, shown });
    }
    verdict
}

/// The line's connection and number, if it is one that this program could have sent.
fn parse(line: &[u8]) -> Option<(Id, u64)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut parts = text.split(' ').next()?.strip_prefix("crash.r")?.split('.');
    let round = parts.next()?.parse().ok()?;
    let connection = parts.next()?.strip_prefix('c')?.parse().ok()?;
    let k = parts.next()?.strip_prefix('n')?.parse().ok().filter(|k| *k > 0)?;
    let id = Id { round, connection };
    let mut sent = Vec::with_capacity(64);
    write_line(id, k, &mut sent);
    (sent == line).then_some((id, k))
}

/// Checks the numbers of one connection's lines, and says how many are there without a gap.
fn connection(id: Id, account: &Account, lines: &[u64], violations: &mut Vec<Violation>) -> u64 {
    let mut once = BTreeSet::new();
    let again: BTreeSet<u64> = lines.iter().copied().filter(|k| !once.insert(*k)).collect();
    if let Some(&first) = again.first() {
        violations.push(Violation::Duplicate { id, lines: again.len() as u64, first });
    }
    let prefix = (1..).zip(&once).take_while(|(expected, k)| expected == *k).count() as u64;
    let last = once.last().copied().unwrap_or(0);
    if last > prefix && !account.cut {
        let missing = last - once.len() as u64;
        violations.push(Violation::Gap { id, last, missing, first_missing: prefix + 1 });
    }
    if again.is_empty()
        && let Some((behind, line)) = lines.iter().zip(lines.iter().skip(1)).find(|(a, b)| a > b)
    {
        violations.push(Violation::Disorder { id, line: *line, behind: *behind });
    }
    let Account { sent, complete, after_kill, reported, found_before, cut: _ } = *account;
    if complete && prefix < sent {
        violations.push(Violation::Incomplete { id, sent, found: prefix, after_kill });
    }
    if prefix < reported {
        violations.push(Violation::Unfounded { id, reported, found: prefix });
    }
    if prefix < found_before {
        violations.push(Violation::Vanished { id, before: found_before, found: prefix });
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Id = Id { round: 3, connection: 1 };
    const TWO: Id = Id { round: 3, connection: 2 };

    fn text(lines: &[(Id, u64)]) -> Vec<u8> {
        let mut text = Vec::new();
        for (id, k) in lines {
            write_line(*id, *k, &mut text);
        }
        text
    }

    fn of(id: Id, lines: &[u64]) -> Vec<u8> {
        text(&lines.iter().map(|k| (id, *k)).collect::<Vec<_>>())
    }

    fn sent(sent: u64) -> Account {
        Account { sent, ..Account::default() }
    }

    fn complete(sent: u64) -> Account {
        Account { sent, complete: true, ..Account::default() }
    }

    fn judged(account: Account, found: &[u8]) -> (u64, Vec<Violation>) {
        let verdict = judge(&BTreeMap::from([(ONE, account)]), found);
        (verdict.found[&ONE], verdict.violations)
    }

    #[test]
    fn lines_are_what_the_protocol_reads() {
        assert_eq!(of(ONE, &[1_234]), b"crash.r3.c1.n1234 1234 1700003234\n");
        assert_eq!(parse(&of(TWO, &[7])), Some((TWO, 7)));
    }

    #[test]
    fn prefixes_are_fine() {
        assert_eq!(judged(sent(5), b""), (0, vec![]));
        assert_eq!(judged(sent(5), &of(ONE, &[1, 2, 3])), (3, vec![]));
        assert_eq!(judged(complete(3), &of(ONE, &[1, 2, 3])), (3, vec![]));
        assert_eq!(judged(complete(0), b""), (0, vec![]));
        let both = BTreeMap::from([(ONE, complete(2)), (TWO, sent(9))]);
        let verdict = judge(&both, &text(&[(ONE, 1), (TWO, 1), (TWO, 2), (ONE, 2)]));
        assert_eq!(verdict.violations, []);
        assert_eq!(verdict.found, BTreeMap::from([(ONE, 2), (TWO, 2)]));
    }

    #[test]
    fn gaps_are_found() {
        let gap = Violation::Gap { id: ONE, last: 5, missing: 2, first_missing: 2 };
        assert_eq!(judged(sent(5), &of(ONE, &[1, 4, 5])), (1, vec![gap]));
        let gap = Violation::Gap { id: ONE, last: 2, missing: 1, first_missing: 1 };
        assert_eq!(judged(sent(5), &of(ONE, &[2])), (0, vec![gap]));
    }

    #[test]
    fn a_power_cut_leaves_gaps_behind_what_was_acknowledged_only() {
        let cut = Account { cut: true, ..sent(5) };
        assert_eq!(judged(cut, &of(ONE, &[1, 4, 5])), (1, vec![]));
        let reported = Account { reported: 2, ..cut };
        let unfounded = Violation::Unfounded { id: ONE, reported: 2, found: 1 };
        assert_eq!(judged(reported, &of(ONE, &[1, 4, 5])), (1, vec![unfounded]));
        let complete = Account { complete: true, ..cut };
        let incomplete = Violation::Incomplete { id: ONE, sent: 5, found: 1, after_kill: false };
        assert_eq!(judged(complete, &of(ONE, &[1, 4, 5])), (1, vec![incomplete]));
        let seen = Account { found_before: 2, ..cut };
        let vanished = Violation::Vanished { id: ONE, before: 2, found: 1 };
        assert_eq!(judged(seen, &of(ONE, &[1, 4, 5])), (1, vec![vanished]));
    }

    #[test]
    fn duplicates_are_found() {
        let twice = Violation::Duplicate { id: ONE, lines: 1, first: 2 };
        assert_eq!(judged(sent(5), &of(ONE, &[1, 2, 3, 2])), (3, vec![twice.clone()]));
        assert_eq!(judged(complete(3), &of(ONE, &[1, 2, 2, 2, 3])), (3, vec![twice]));
    }

    #[test]
    fn disorder_is_found() {
        let disorder = Violation::Disorder { id: ONE, line: 2, behind: 3 };
        assert_eq!(judged(complete(3), &of(ONE, &[1, 3, 2])), (3, vec![disorder]));
    }

    #[test]
    fn complete_connections_that_are_not_are_found() {
        let incomplete =
            |found| vec![Violation::Incomplete { id: ONE, sent: 3, found, after_kill: false }];
        assert_eq!(judged(complete(3), &of(ONE, &[1, 2])), (2, incomplete(2)));
        assert_eq!(judged(complete(3), b""), (0, incomplete(0)));
    }

    #[test]
    fn reports_without_a_line_are_found() {
        let told = Account { reported: 2, ..sent(3) };
        let unfounded = Violation::Unfounded { id: ONE, reported: 2, found: 1 };
        assert_eq!(judged(told, &of(ONE, &[1])), (1, vec![unfounded]));
        assert_eq!(judged(told, &of(ONE, &[1, 2])), (2, vec![]));
        assert_eq!(judged(told, &of(ONE, &[1, 2, 3])), (3, vec![]));
    }

    #[test]
    fn what_vanished_is_found() {
        let before = Account { found_before: 2, ..sent(3) };
        let vanished = Violation::Vanished { id: ONE, before: 2, found: 1 };
        assert_eq!(judged(before, &of(ONE, &[1])), (1, vec![vanished]));
        assert_eq!(judged(before, &of(ONE, &[1, 2])), (2, vec![]));
    }

    #[test]
    fn inventions_are_found() {
        for line in [
            "crash.r3.c1.n4 4 1700003004\n",
            "crash.r3.c1.n0 0 1700003000\n",
            "crash.r3.c9.n1 1 1700003001\n",
            "crash.r4.c1.n1 1 1700004001\n",
            "crash.r3.c1.n1 2 1700003001\n",
            "crash.r3.c1.n1 1 1700003\n",
            "crash.r3.c1.n01 1 1700003001\n",
            "crash.r3.c1.n1 1 1700003001",
            "crash.r3.c1.n1.x 1 1700003001\n",
            "other 1 1\n",
            "\n",
        ] {
            let shown = vec![line.trim_end().to_owned()];
            let (found, violations) = judged(sent(3), line.as_bytes());
            assert_eq!((found, violations), (0, vec![Violation::Invented { lines: 1, shown }]));
        }
        let (_, violations) = judged(sent(3), &b"x 1 1\n".repeat(9));
        assert_eq!(violations, [Violation::Invented { lines: 9, shown: vec!["x 1 1".into(); 5] }]);
    }

    #[test]
    fn reports_say_where_what_was_expected_and_what_was_found() {
        let (_, violations) = judged(complete(3), &of(ONE, &[1, 3]));
        let text: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "round 3, connection 1: expected no gap, found lines up to 3 with 1 of them \
                 missing, the first is 2",
                "round 3, connection 1: expected all 3 lines, because the client saw the end of \
                 file (before the kill); found the first 1",
            ]
        );
    }
}
