//! What a run has really met: a run in which nothing happened proves nothing.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::client::End;
use super::plan::{self, Aim, Policy};
use super::round::{Done, Traces};

/// What counts as just before the kill.
const JUST_BEFORE: Duration = Duration::from_millis(20);
/// From this many rounds on, everything has to have happened.
pub(crate) const ENOUGH: u32 = 50;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) rounds: u32,
    in_flight: u32,
    start_ups: u32,
    recoveries: u32,
    aimed: u32,
    rotated: u32,
    rotating: u32,
    cursors: u32,
    /// Of rounds in which a kill was a power cut.
    cuts: u32,
    unsynced: u32,
    names: u32,
    half_cursors: u32,
    connections: u64,
    complete: u64,
    sent: u64,
    pub(crate) found: u64,
    leased: u32,
    place_kills: u32,
    place_stalls: u32,
    /// Directories that were left with everything delivered, by policy.
    shared: u32,
    failed_over: u32,
    replicated: u32,
    delivered: u64,
    copies: u64,
    allowed: u64,
}

impl Coverage {
    /// Takes a round into account. `killed_before`: its directory was.
    pub(crate) fn add(
        &mut self,
        plan: &plan::Round,
        done: &Done,
        traces: &Traces,
        killed_before: bool,
    ) {
        let cut = matches!(plan.aim, Aim::StartUp(_)) && !done.ready;
        let complete = |end: &End| matches!(end, End::EndOfFile(_));
        let before = |end: &End| matches!(end, End::EndOfFile(at) if *at <= done.killed);
        let is_aimed = matches!(plan.aim, Aim::EndOfFile { count, .. }
            if done.outcomes.iter().filter(|one| before(&one.end)).count() as u32 >= count);
        let just_before = |time: SystemTime| {
            done.killed_at.duration_since(time).is_ok_and(|age| age <= JUST_BEFORE)
        };
        let rotation = traces.rotation.filter(|_| done.ready);
        self.rounds += 1;
        self.in_flight += u32::from(done.outcomes.iter().any(|o| o.sent > 0 && !before(&o.end)));
        self.start_ups += u32::from(cut);
        self.recoveries += u32::from(cut && killed_before);
        self.aimed += u32::from(is_aimed);
        self.rotated += u32::from(rotation.is_some());
        self.rotating += u32::from(rotation.is_some_and(just_before));
        self.cursors += u32::from(traces.cursors.is_some_and(just_before));
        if let Some(unsynced) = done.unsynced {
            self.cuts += 1;
            self.unsynced += u32::from(done.ready && unsynced.others > 0);
            self.names += u32::from(unsynced.names > 0);
            self.half_cursors += u32::from(unsynced.cursors > 0);
        }
        let sends = done.outcomes.iter().any(|one| one.sent > 0);
        self.leased += u32::from(sends && done.harm.stalled_at_the_end > 0);
        self.place_kills += done.harm.kills;
        self.place_stalls += done.harm.stalls;
        self.connections += done.outcomes.len() as u64;
        self.complete += done.outcomes.iter().filter(|one| complete(&one.end)).count() as u64;
        self.sent += done.outcomes.iter().map(|one| one.sent).sum::<u64>();
    }

    /// Takes a directory into account that was left with everything delivered.
    pub(crate) fn settled(&mut self, policy: Policy, lines: u64, copies: u64, allowed: u64) {
        match policy {
            Policy::Share => self.shared += 1,
            Policy::FailOver => self.failed_over += 1,
            Policy::Replicate => self.replicated += 1,
        }
        self.delivered += lines;
        self.copies += copies;
        self.allowed += allowed;
    }

    fn numbers(&self) -> Vec<(&'static str, u64)> {
        let mut numbers = vec![
            ("rounds", self.rounds.into()),
            ("kills with lines of an incomplete connection in flight", self.in_flight.into()),
            ("kills during start-up", self.start_ups.into()),
            ("  of these on a directory that a kill had left", self.recoveries.into()),
            ("kills aimed at an end of file", self.aimed.into()),
            ("rounds in which segments rotated", self.rotated.into()),
            ("  kills within 20 ms of a rotation", self.rotating.into()),
            ("kills within 20 ms of a write of the cursor files", self.cursors.into()),
            ("connections", self.connections),
            ("  of these complete", self.complete),
            ("lines sent", self.sent),
            ("lines found", self.found),
            ("kills with leases at a stalled destination", self.leased.into()),
            ("destinations killed", self.place_kills.into()),
            ("destinations stalled", self.place_stalls.into()),
            ("directories delivered whole, destinations sharing", self.shared.into()),
            (
                "directories delivered whole, one destination after the other",
                self.failed_over.into(),
            ),
            ("directories delivered whole, to each destination", self.replicated.into()),
            ("lines delivered, for each output", self.delivered),
            ("  copies beyond the first", self.copies),
            ("  copies that the breaks allow", self.allowed),
        ];
        if self.cuts > 0 {
            numbers.extend([
                ("power cuts", self.cuts.into()),
                ("  that took records which were written and not synced", self.unsynced.into()),
                ("  that took names", self.names.into()),
                ("  in the middle of a write of a cursor file", self.half_cursors.into()),
            ]);
        }
        numbers
    }

    /// What never happened, though there were rounds enough for everything.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let zero = self.numbers().into_iter().filter(|(_, count)| *count == 0);
        if self.rounds < ENOUGH { Vec::new() } else { zero.map(|(name, _)| name.trim()).collect() }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.numbers() {
            writeln!(f, "{count:>10}  {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Instant;

    use super::super::client::Outcome;
    use super::super::fleet::Harm;
    use super::super::program::Unsynced;
    use super::*;

    fn plan(aim: Aim) -> plan::Round {
        let (number, chance, fresh, max_bytes) = (1, 0, true, None);
        let spread = plan::Spread { places: 1, policy: Policy::Share };
        let (clients, acts) = (Vec::new(), Vec::new());
        plan::Round { number, chance, fresh, max_bytes, aim, clients, spread, acts }
    }

    #[test]
    fn what_happened_is_counted() {
        let (killed, killed_at) = (Instant::now(), SystemTime::now());
        let outcome = |connection, sent, end| Outcome { connection, sent, reported: 0, end };
        let broken = || End::Broken(killed, io::ErrorKind::ConnectionReset.into());
        let after = killed + Duration::from_millis(1);
        let mut done = Done {
            killed,
            killed_at,
            ready: true,
            ended_by_itself: None,
            unsynced: None,
            outcomes: vec![
                outcome(1, 4, End::EndOfFile(killed)),
                outcome(2, 3, broken()),
                outcome(3, 2, End::EndOfFile(after)),
            ],
            harm: Harm { kills: 2, stalls: 1, stalled_at_the_end: 1, ..Harm::default() },
        };
        let traces = Traces {
            rotation: Some(killed_at - Duration::from_millis(15)),
            cursors: Some(killed_at - Duration::from_millis(25)),
        };
        let mut coverage = Coverage::default();
        let aim = Aim::EndOfFile { count: 1, latest: Duration::from_secs(1) };
        coverage.add(&plan(aim), &done, &traces, true);
        let expected = Coverage {
            rounds: 1,
            in_flight: 1,
            aimed: 1,
            rotated: 1,
            rotating: 1,
            connections: 3,
            complete: 2,
            sent: 9,
            leased: 1,
            place_kills: 2,
            place_stalls: 1,
            ..Coverage::default()
        };
        assert_eq!(coverage, expected);

        (done.ready, done.outcomes, done.harm) = (false, Vec::new(), Harm::default());
        coverage.add(&plan(Aim::StartUp(1)), &done, &traces, true);
        coverage.add(&plan(Aim::StartUp(1)), &done, &traces, false);
        let expected = Coverage { rounds: 3, start_ups: 2, recoveries: 1, ..expected };
        assert_eq!(coverage, expected);

        // In a start-up what is not synced are no records.
        let unsynced = Unsynced { cursors: 0, others: 2, names: 1 };
        done.unsynced = Some(unsynced);
        coverage.add(&plan(Aim::StartUp(1)), &done, &traces, false);
        (done.ready, done.unsynced) = (true, Some(Unsynced { cursors: 3, ..unsynced }));
        coverage.add(&plan(Aim::Instant(Duration::ZERO)), &done, &Traces::default(), false);
        let counted = (coverage.cuts, coverage.unsynced, coverage.names, coverage.half_cursors);
        assert_eq!(counted, (2, 1, 2, 1));
    }

    #[test]
    fn a_long_run_without_something_is_no_proof() {
        let mut coverage = Coverage { rounds: ENOUGH - 1, ..Coverage::default() };
        assert_eq!(coverage.missing(), [""; 0]);
        coverage.rounds = ENOUGH;
        assert_eq!(coverage.missing().len(), 20);
        coverage.rotating = 1;
        assert_eq!(coverage.missing().len(), 19);
        assert!(!coverage.missing().contains(&"kills within 20 ms of a rotation"));
        coverage.cuts = 1;
        assert_eq!(coverage.missing().len(), 22);
    }
}
