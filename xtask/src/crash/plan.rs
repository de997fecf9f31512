//! What happens in each round, decided by the seed alone.

use std::time::Duration;

/// Connections of a client that fit into one round.
const MOST_CONNECTIONS: u32 = 100;
/// Lines of one client in one round, and in a directory with a limit.
const MOST_LINES: u64 = 10_000;
const MOST_LINES_LIMITED: u64 = 3_000;
/// What a line takes in the log, with a share of its record's header: more than it really does.
const STORED_LINE: u64 = 128;

const MIB: u64 = 1024 * 1024;

/// SplitMix64: small, and good enough to choose sizes and pauses.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.within(1, n) == 1
    }

    /// Every magnitude up to 2^`bits` is as likely as any other.
    fn of_any_size(&mut self, bits: u64) -> u64 {
        let most = 1 << self.within(0, bits);
        self.within(1, most)
    }

    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.within(low * 1000, high * 1000))
    }
}

/// When the gateway is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// While it starts: after this many thousandths of the time that a start takes.
    StartUp(u32),
    /// This long after the clients began.
    Instant(Duration),
    /// As soon as some client has seen that many ends of file, or at the end of the plan.
    EndOfFile { count: u32, latest: Duration },
    /// As soon as the outputs' state is being written, or was, or at the end of the plan.
    Cursors { latest: Duration },
    /// As soon as that many segments were begun, or at the end of the plan. A power cut: while the
    /// last of them has a name that no sync covers.
    Rotation { count: u32, latest: Duration },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Burst {
    /// The silence before it.
    pub(crate) pause: Duration,
    pub(crate) lines: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Unique in its round: the `c` of its lines.
    pub(crate) number: u32,
    pub(crate) bursts: Vec<Burst>,
}

/// How the destinations of a directory get its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    /// Each entry goes to one of them.
    Share,
    /// All go to the first that is up.
    FailOver,
    /// All go to each.
    Replicate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) places: u32,
    pub(crate) policy: Policy,
}

/// What is done to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Kill,
    /// It stays, and does nothing any more.
    Stall,
    /// It goes on, or is started again.
    Wake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    /// Since the clients began.
    pub(crate) after: Duration,
    pub(crate) place: u32,
    pub(crate) deed: Deed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) number: u32,
    /// Decides what a power layer lets through early.
    pub(crate) chance: u64,
    /// Whether it starts with a new directory instead of the one that the last round left.
    pub(crate) fresh: bool,
    /// `log.max_bytes` of its directory; `None` is the default.
    pub(crate) max_bytes: Option<u64>,
    pub(crate) aim: Aim,
    /// The connections of each client, one after the other.
    pub(crate) clients: Vec<Vec<Connection>>,
    /// The destinations of its directory.
    pub(crate) spread: Spread,
    /// What happens to them, in the order of time.
    pub(crate) acts: Vec<Act>,
}

/// What a run is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Focus {
    /// Everything in turn.
    #[default]
    All,
    /// Links that break with leases in their hands, before the outputs' state is kept.
    Links,
    /// Records on their way to the disk, while destinations take all they can get.
    Tail,
}

/// Makes the rounds, one after the other.
#[derive(Debug)]
pub(crate) struct Planner {
    focus: Focus,
    rng: Rng,
    /// For the destinations.
    others: Rng,
    spread: Spread,
    rounds: u32,
    max_bytes: Option<u64>,
    /// Lines that the rounds so far may have put into the directory.
    lines: u64,
}

impl Planner {
    pub(crate) const fn new(seed: u64, focus: Focus) -> Self {
        let spread = Spread { places: 1, policy: Policy::Share };
        let (rng, others) = (Rng::new(seed), Rng::new(!seed));
        Self { focus, rng, others, spread, rounds: 0, max_bytes: None, lines: 0 }
    }

    pub(crate) fn round(&mut self) -> Round {
        self.rounds += 1;
        let length = if self.rng.one_in(8) {
            // Long enough for the outputs' state to be written, which happens each second.
            self.rng.millis(900, 1_400)
        } else {
            self.rng.millis(150, 500)
        };
        let kind = self.rng.within(0, 12);
        // The state is written each second, if there is news.
        let length = if kind == 12 { self.rng.millis(1_100, 1_400) } else { length };
        let aim = match kind {
            0..=2 => Aim::StartUp(self.rng.within(0, 999) as u32),
            12 => Aim::Cursors { latest: length },
            3..=4 => Aim::EndOfFile { count: self.rng.within(1, 12) as u32, latest: length },
            5..=6 => Aim::Rotation { count: self.rng.within(1, 3) as u32, latest: length },
            _ => Aim::Instant(length.mul_f64(self.rng.within(0, 1_000_000) as f64 / 1e6)),
        };
        // What a broken link held shows once the outputs' state was kept after it.
        let broken = match self.focus {
            Focus::Links => true,
            Focus::Tail => false,
            Focus::All => matches!(aim, Aim::Instant(_)) && self.others.one_in(3),
        };
        let length = match self.focus {
            _ if broken => self.others.millis(1_900, 2_300),
            Focus::Tail => self.others.millis(100, 400),
            _ => length,
        };
        let is_steady = broken || self.focus == Focus::Tail;
        let aim = if is_steady { Aim::Instant(length) } else { aim };
        // What a start has to recover is the point of cutting it short.
        let one_in = if matches!(aim, Aim::StartUp(_)) { 6 } else { 3 };
        let mut fresh = self.rounds == 1 || self.rng.one_in(one_in);
        if fresh {
            self.max_bytes = match self.rng.within(0, 5) {
                0 => None,
                1..=3 => Some(4 * MIB),
                _ => Some(16 * MIB),
            };
        }
        let clients = match aim {
            Aim::StartUp(_) => Vec::new(),
            _ => self.clients(length, is_steady),
        };
        let connections = clients.iter().flatten();
        let lines: u64 = connections.flat_map(|one| &one.bursts).map(|burst| burst.lines).sum();
        fresh |= !self.has_room_for(lines);
        if fresh {
            self.lines = 0;
            self.spread = self.spread();
        }
        let acts = match self.focus {
            Focus::Tail => Vec::new(),
            _ => self.acts(length, &aim, broken),
        };
        let spread = self.spread;
        self.lines += lines;
        let (number, chance, max_bytes) = (self.rounds, self.rng.next(), self.max_bytes);
        Round { number, chance, fresh, max_bytes, aim, clients, spread, acts }
    }

    fn spread(&mut self) -> Spread {
        let policies = [Policy::Share, Policy::FailOver, Policy::Replicate];
        let policy = policies.get(self.others.within(0, 2) as usize).copied();
        let places = self.others.within(1, 3) as u32;
        Spread { places, policy: policy.unwrap_or(Policy::Share) }
    }

    /// Each destination has its troubles; some rounds are quiet.
    fn acts(&mut self, length: Duration, aim: &Aim, broken: bool) -> Vec<Act> {
        if matches!(aim, Aim::StartUp(_)) {
            return Vec::new();
        }
        if broken {
            return self.breaking();
        }
        let count = self.others.within(0, 2 * u64::from(self.spread.places));
        let millis = length.as_millis() as u64;
        let mut acts: Vec<_> = (0..count)
            .map(|_| Act {
                after: self.others.millis(0, millis),
                place: self.others.within(0, u64::from(self.spread.places) - 1) as u32,
                deed: match self.others.within(0, 5) {
                    0 => Deed::Kill,
                    1..=2 => Deed::Stall,
                    _ => Deed::Wake,
                },
            })
            .collect();
        acts.sort_by_key(|act| act.after);
        acts
    }

    /// A destination takes leases, does nothing with them, and dies; soon there is another one. A
    /// gateway on a busy machine needs some time until it sends anything.
    fn breaking(&mut self) -> Vec<Act> {
        let place = match self.spread.policy {
            // The one that all go to.
            Policy::FailOver => 0,
            _ => self.others.within(0, u64::from(self.spread.places) - 1) as u32,
        };
        let act = |after, deed| Act { after, place, deed };
        let stall = self.others.millis(20, 600);
        let kill = stall + self.others.millis(20, 120);
        let wake = kill + self.others.millis(10, 60);
        vec![act(stall, Deed::Stall), act(kill, Deed::Kill), act(wake, Deed::Wake)]
    }

    /// Nothing may expire: half of the limit is not enough for the log to remove history.
    fn has_room_for(&self, lines: u64) -> bool {
        self.max_bytes.is_none_or(|limit| (self.lines + lines) * STORED_LINE <= limit / 2)
    }

    /// `is_steady`: lines come at any time of the round, in small numbers.
    fn clients(&mut self, length: Duration, is_steady: bool) -> Vec<Vec<Connection>> {
        let mut number = 0;
        let count = self.rng.within(2, 5);
        (0..count).map(|_| self.client(length, is_steady, &mut number)).collect()
    }

    /// Connections until the pauses between their bursts fill the round.
    fn client(&mut self, length: Duration, is_steady: bool, number: &mut u32) -> Vec<Connection> {
        let mut connections = Vec::new();
        let most = if self.max_bytes.is_some() { MOST_LINES_LIMITED } else { MOST_LINES };
        let (mut filled, mut left) = (Duration::ZERO, most);
        // Some send without a pause worth speaking of, most do not.
        let longest = if self.rng.one_in(4) && !is_steady { 2 } else { 40 };
        while filled < length && left > 0 && (connections.len() as u32) < MOST_CONNECTIONS {
            *number += 1;
            let mut bursts = Vec::new();
            for _ in 0..self.rng.within(1, 6) {
                let pause = self.rng.millis(0, longest);
                let most = if is_steady { 5 } else { 12 };
                let lines = self.rng.of_any_size(most).min(left);
                bursts.push(Burst { pause, lines });
                filled += pause;
                left -= lines;
            }
            connections.push(Connection { number: *number, bursts });
        }
        connections
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn rounds(seed: u64, count: usize) -> Vec<Round> {
        let mut planner = Planner::new(seed, Focus::All);
        (0..count).map(|_| planner.round()).collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        assert_eq!(rounds(7, 50), rounds(7, 50));
        assert_ne!(rounds(7, 50), rounds(8, 50));
    }

    #[test]
    fn rng_is_splitmix64() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let first = [rng.next(), rng.next(), rng.next()];
        let known =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, known);
    }

    #[test]
    fn every_kind_of_round_occurs() {
        let rounds = rounds(1, 200);
        assert!(rounds[0].fresh);
        let fresh = rounds.iter().filter(|round| round.fresh).count();
        assert!((30..150).contains(&fresh), "{fresh}");
        let limits: BTreeSet<_> = rounds.iter().map(|round| round.max_bytes).collect();
        assert_eq!(limits.len(), 3);
        let count = |is: fn(&Aim) -> bool| rounds.iter().filter(|round| is(&round.aim)).count();
        assert!((30..70).contains(&count(|aim| matches!(aim, Aim::StartUp(_)))));
        assert!((15..55).contains(&count(|aim| matches!(aim, Aim::EndOfFile { .. }))));
        assert!((15..55).contains(&count(|aim| matches!(aim, Aim::Rotation { .. }))));
        assert!((5..40).contains(&count(|aim| matches!(aim, Aim::Cursors { .. }))));
        assert!((50..120).contains(&count(|aim| matches!(aim, Aim::Instant(_)))));
        let policies: BTreeSet<_> = rounds.iter().map(|round| round.spread.policy).collect();
        let places: BTreeSet<_> = rounds.iter().map(|round| round.spread.places).collect();
        assert_eq!((policies.len(), places.len()), (3, 3));
        let acts: Vec<_> = rounds.iter().flat_map(|round| &round.acts).collect();
        for deed in [Deed::Kill, Deed::Stall, Deed::Wake] {
            let count = acts.iter().filter(|act| act.deed == deed).count();
            assert!(count > 20, "{deed:?}: {count}");
        }
        for round in &rounds {
            assert!(round.acts.iter().all(|act| act.place < round.spread.places));
            let clients = round.clients.len();
            match round.aim {
                Aim::StartUp(_) => assert_eq!(clients, 0),
                _ => assert!((2..=5).contains(&clients), "{clients}"),
            }
            let numbers: Vec<_> = round.clients.iter().flatten().map(|one| one.number).collect();
            assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
        }
    }

    #[test]
    fn what_breaks_a_link_meets_lines_on_their_way() {
        let mut links = Planner::new(5, Focus::Links);
        for round in (0..50).map(|_| links.round()) {
            let [stall, kill, wake] = round.acts[..] else { panic!("{:?}", round.acts) };
            assert_eq!([stall.deed, kill.deed, wake.deed], [Deed::Stall, Deed::Kill, Deed::Wake]);
            // The state is kept after a second, and before the gateway's end.
            assert!(matches!(round.aim, Aim::Instant(at) if at > Duration::from_millis(1_900)));
            let longest = round.clients.iter().map(|client| {
                let bursts = client.iter().flat_map(|one| &one.bursts);
                bursts.map(|burst| burst.pause).sum::<Duration>()
            });
            assert!(longest.max() > Some(kill.after), "lines come until the kill, and after it");
        }
        let mut tail = Planner::new(5, Focus::Tail);
        for round in (0..50).map(|_| tail.round()) {
            assert!(round.acts.is_empty() && !round.clients.is_empty());
        }
    }

    #[test]
    fn no_directory_is_filled_until_history_expires() {
        let (mut lines, mut limit) = (0, None);
        for round in rounds(3, 500) {
            if round.fresh {
                (lines, limit) = (0, round.max_bytes);
            }
            assert_eq!(round.max_bytes, limit, "a limit changes with the directory only");
            let bursts = round.clients.iter().flatten().flat_map(|one| &one.bursts);
            lines += bursts.map(|burst| burst.lines).sum::<u64>();
            assert!(limit.is_none_or(|limit| lines * STORED_LINE <= limit / 2), "{lines}");
        }
    }
}
