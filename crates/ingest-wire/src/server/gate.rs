//! What clients may cost that have not shown that they know the secret.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::error::ServerError;
use crate::net;

/// How long failures are remembered after the last.
const MEMORY: Duration = Duration::from_secs(60);
/// How many addresses with failures are remembered.
const PEERS: usize = 4096;
/// How often the penalty doubles, at most.
const DOUBLINGS: u32 = 6;
/// How long a suspect is held before it hears that it is refused.
const HOLD: Duration = Duration::from_secs(1);

/// What an [`Acceptor`](super::Acceptor) and its clones let clients cost, all together.
///
/// Responses are checked one at a time, since a check takes 5 to 20 ms of CPU. Addresses that have
/// not failed go first, each with one check; the time limit for all of a handshake is
/// [`ServerConfig::handshake_timeout`](crate::ServerConfig::handshake_timeout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptLimits {
    /// Connections that have not authenticated. Default 256. When one more comes, the oldest that
    /// says nothing gives way, of the address with the most; if all are being checked, the new one
    /// is refused. A quarter of them, at most, waits to be checked from one address.
    pub unauthenticated: usize,
    /// Clients that are in. Default 10,000.
    pub sessions: usize,
    /// After a wrong response nothing is checked for so many times as long as the check took.
    /// Default 9: guessing costs a tenth of one CPU at most.
    pub rest: u32,
    /// After a wrong response the next ones from the same address (IPv6: the same /64) wait so
    /// long, twice as long after each further one up to 64 times; one that would wait longer than
    /// the handshake may take is refused, but is held for a second first (unless it has to give
    /// way), so that those who come again at once cost little. Default 100 ms. It is forgotten after a minute, or when
    /// a response is right. Needs [`Acceptor::accept_from`](super::Acceptor::accept_from).
    pub penalty: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            unauthenticated: 256,
            sessions: 10_000,
            rest: 9,
            penalty: Duration::from_millis(100),
        }
    }
}

/// Numbers of an [`Acceptor`](super::Acceptor) and its clones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptCounts {
    /// Connections that have not authenticated, now.
    pub unauthenticated: usize,
    /// Clients that are in, now.
    pub sessions: usize,
    /// Clients that were let in, ever.
    pub admitted: u64,
    /// Wrong responses.
    pub wrong: u64,
    /// Connections that said nothing and gave way to others.
    pub gave_way: u64,
    /// Connections that were refused unheard: too many, or too many failures.
    pub refused: u64,
}

/// What all handshakes of an acceptor share.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: AcceptLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Connections that have not authenticated, the oldest first.
    waiting: BTreeMap<u64, Waiting>,
    peers: HashMap<IpAddr, Peer>,
    /// A response is being checked, or a check is about to begin.
    checking: bool,
    /// Nothing is checked before.
    rest_until: Option<Instant>,
    /// Those who have not failed, and those who have or who have more than one check.
    lanes: [VecDeque<oneshot::Sender<Turn>>; 2],
    counts: AcceptCounts,
}

#[derive(Debug)]
struct Waiting {
    peer: Option<IpAddr>,
    /// Wakes the one that has to give way; `None` once it has responded.
    give_way: Option<Arc<Notify>>,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    failures: u32,
    /// Checks that wait or run.
    pending: u32,
    /// When the next check may begin.
    next: Instant,
}

/// A connection's place: among those that have not authenticated, then among those that are in.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    id: u64,
    peer: Option<IpAddr>,
    give_way: Arc<Notify>,
    is_in: bool,
}

/// The right to check a response; the next one has it when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    gate: Arc<Gate>,
    live: bool,
}

/// That a peer's check waits or runs.
#[derive(Debug)]
struct Pending<'a>(&'a Gate, Option<IpAddr>);

impl Gate {
    pub(crate) fn new(limits: AcceptLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> AcceptCounts {
        let state = self.lock();
        AcceptCounts { unauthenticated: state.waiting.len(), ..state.counts }
    }

    /// A place for a new connection; another one may have to give way.
    pub(crate) fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Place, ServerError> {
        let peer = peer.map(group);
        let mut state = self.lock();
        if state.counts.sessions >= self.limits.sessions {
            state.counts.refused += 1;
            return Err(ServerError::Full);
        }
        if state.waiting.len() >= self.limits.unauthenticated {
            let Some(victim) = state.victim() else {
                state.counts.refused += 1;
                return Err(ServerError::Crowded);
            };
            if let Some(Waiting { give_way: Some(victim), .. }) = state.waiting.remove(&victim) {
                victim.notify_one();
            }
            state.counts.gave_way += 1;
        }
        let (id, give_way) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.waiting.insert(id, Waiting { peer, give_way: Some(give_way.clone()) });
        drop(state);
        Ok(Place { gate: self.clone(), id, peer, give_way, is_in: false })
    }

    /// When a peer's check may begin, and whether it goes with those who have not failed.
    fn book(
        &self,
        peer: Option<IpAddr>,
        patience: Duration,
    ) -> Result<(Instant, bool), ServerError> {
        let now = net::now();
        let Some(peer) = peer else { return Ok((now, true)) };
        let mut state = self.lock();
        state.forget(now);
        let known = state.peers.entry(peer).or_insert(Peer { failures: 0, pending: 0, next: now });
        let at = known.next.max(now);
        if at.duration_since(now) > patience {
            state.counts.refused += 1;
            return Err(ServerError::Suspect);
        }
        let first = known.failures == 0 && known.pending == 0;
        if known.pending as usize >= (self.limits.unauthenticated / 4).max(1) {
            state.counts.refused += 1;
            return Err(ServerError::Suspect);
        }
        known.pending += 1;
        if known.failures > 0 {
            known.next = at.checked_add(self.limits.penalty(known.failures)).unwrap_or(at);
        }
        Ok((at, first))
    }

    async fn queue(self: &Arc<Self>, first: bool) -> Option<Turn> {
        let receiver = {
            let mut state = self.lock();
            if !state.checking {
                state.checking = true;
                return Some(Turn { gate: self.clone(), live: true });
            }
            let (sender, receiver) = oneshot::channel();
            let [fast, slow] = &mut state.lanes;
            if first {
                fast.push_back(sender)
            } else {
                slow.push_back(sender)
            }
            receiver
        };
        receiver.await.ok()
    }

    /// Hands the right to check on.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                let [fast, slow] = &mut state.lanes;
                let next = fast.pop_front().or_else(|| slow.pop_front());
                state.checking = next.is_some();
                next
            };
            let Some(next) = next else { return };
            match next.send(Turn { gate: self.clone(), live: true }) {
                Ok(()) => return,
                // It has gone away meanwhile.
                Err(mut turn) => turn.live = false,
            }
        }
    }
}

impl AcceptLimits {
    fn penalty(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(DOUBLINGS);
        self.penalty.saturating_mul(1 << doublings)
    }
}

impl State {
    /// Who gives way: the oldest that says nothing, of the peer with the most of them.
    fn victim(&self) -> Option<u64> {
        let mut silent: HashMap<Option<IpAddr>, (usize, u64)> = HashMap::new();
        for (&id, waiting) in self.waiting.iter().filter(|(_, w)| w.give_way.is_some()) {
            silent.entry(waiting.peer).or_insert((0, id)).0 += 1;
        }
        let most = silent.values().max_by_key(|&&(count, oldest)| (count, u64::MAX - oldest));
        most.map(|&(_, oldest)| oldest)
    }

    /// Forgets old failures, and makes room for one more peer.
    fn forget(&mut self, now: Instant) {
        if self.peers.len() < PEERS {
            return;
        }
        self.peers.retain(|_, peer| peer.pending > 0 || peer.next + MEMORY > now);
        if self.peers.len() >= PEERS {
            let idle = self.peers.iter().filter(|(_, peer)| peer.pending == 0);
            let first = idle.min_by_key(|(_, peer)| peer.next).map(|(ip, _)| *ip);
            first.map(|ip| self.peers.remove(&ip));
        }
    }
}

impl Place {
    /// Knocks when this connection has to give way: never, once it has responded.
    pub(crate) fn give_way(&self) -> Arc<Notify> {
        self.give_way.clone()
    }

    /// Notes that a response has come, and waits for the turn to check it.
    pub(crate) async fn turn(&self, patience: Duration) -> Result<Turn, ServerError> {
        if let Some(waiting) = self.gate.lock().waiting.get_mut(&self.id) {
            waiting.give_way = None;
        }
        let (at, first) = match self.gate.book(self.peer, patience) {
            Ok(booked) => booked,
            Err(refused) => {
                self.hold(patience).await;
                return Err(refused);
            }
        };
        let _pending = Pending(&self.gate, self.peer);
        tokio::time::sleep_until(at.into()).await;
        let turn = self.gate.queue(first).await.ok_or(ServerError::Crowded)?;
        let rest = self.gate.lock().rest_until;
        if let Some(rest) = rest {
            tokio::time::sleep_until(rest.into()).await;
        }
        Ok(turn)
    }

    /// Keeps a client that is refused waiting, as long as no other one needs its place.
    async fn hold(&self, patience: Duration) {
        if let Some(waiting) = self.gate.lock().waiting.get_mut(&self.id) {
            waiting.give_way = Some(self.give_way.clone());
        }
        let held = tokio::time::timeout(patience.min(HOLD), self.give_way.notified());
        // Either way it has to go now.
        let _ = held.await;
    }

    /// Notes that the response was right: the client is in.
    pub(crate) fn admit(&mut self) -> Result<(), ServerError> {
        let mut state = self.gate.lock();
        if let Some(peer) = self.peer {
            state.peers.remove(&peer);
        }
        if state.counts.sessions >= self.gate.limits.sessions {
            state.counts.refused += 1;
            return Err(ServerError::Full);
        }
        state.waiting.remove(&self.id);
        state.counts.sessions += 1;
        state.counts.admitted += 1;
        drop(state);
        self.is_in = true;
        Ok(())
    }

    /// Notes that the response was wrong.
    pub(crate) fn fail(&self) {
        let now = net::now();
        let mut state = self.gate.lock();
        state.counts.wrong += 1;
        let Some(peer) = self.peer else { return };
        let known = state.peers.entry(peer).or_insert(Peer { failures: 0, pending: 0, next: now });
        if known.next + MEMORY < now {
            known.failures = 0;
        }
        known.failures = known.failures.saturating_add(1);
        let penalty = self.gate.limits.penalty(known.failures);
        known.next = known.next.max(now.checked_add(penalty).unwrap_or(now));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        if self.is_in {
            state.counts.sessions -= 1;
        } else {
            state.waiting.remove(&self.id);
        }
    }
}

impl Turn {
    /// Ends a check that was wrong and took so long: the next one waits.
    pub(crate) fn rest(&self, took: Duration) {
        let until = net::now().checked_add(took.saturating_mul(self.gate.limits.rest));
        self.gate.lock().rest_until = until;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.live {
            self.gate.pass_on();
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let Some(ip) = self.1 else { return };
        let Some(peer) = state.peers.get_mut(&ip) else { return };
        peer.pending = peer.pending.saturating_sub(1);
        if peer.pending == 0 && peer.failures == 0 {
            state.peers.remove(&ip);
        }
    }
}

/// What counts as one address: IPv4 by itself, IPv6 by its first 64 bits.
fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX)).into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn gate(unauthenticated: usize, sessions: usize) -> Arc<Gate> {
        Gate::new(AcceptLimits { unauthenticated, sessions, ..AcceptLimits::default() })
    }

    #[test]
    fn an_ipv6_network_and_a_mapped_address_are_one() {
        let same = ["2001:db8::1", "2001:db8::ffff:1"].map(|ip| group(ip.parse().unwrap()));
        assert_eq!(same[0], same[1]);
        assert_ne!(same[0], group("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(group("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_of_the_busiest_address_give_way() {
        let gate = gate(3, 10);
        let good = gate.enter(ip(1)).unwrap();
        let bad = [gate.enter(ip(2)).unwrap(), gate.enter(ip(2)).unwrap()];
        let newer = gate.enter(ip(3)).unwrap();
        bad[0].give_way().notified().await;
        assert_eq!((gate.counts().unauthenticated, gate.counts().gave_way), (3, 1));
        // Those that are being checked stay, and nobody else comes in.
        let turn = good.turn(PATIENCE).await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(1), bad[1].turn(PATIENCE)).await;
        assert!(waits.is_err());
        let waits = tokio::time::timeout(Duration::from_millis(1), newer.turn(PATIENCE)).await;
        assert!(waits.is_err());
        assert!(matches!(gate.enter(ip(1)), Err(ServerError::Crowded)));
        drop((turn, bad, newer, good));
        assert_eq!(gate.counts().unauthenticated, 0);
        assert_eq!(gate.counts().refused, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_counted_while_they_live() {
        let gate = gate(9, 1);
        let (mut one, mut two) = (gate.enter(ip(1)).unwrap(), gate.enter(ip(2)).unwrap());
        one.admit().unwrap();
        assert!(matches!(two.admit(), Err(ServerError::Full)));
        assert!(matches!(gate.enter(ip(3)), Err(ServerError::Full)));
        assert_eq!((gate.counts().sessions, gate.counts().unauthenticated), (1, 1));
        drop(one);
        two.admit().unwrap();
        assert_eq!((gate.counts().sessions, gate.counts().admitted), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_check_at_a_time_and_the_unsuspected_first() {
        let gate = gate(9, 9);
        let suspect = gate.enter(ip(1)).unwrap();
        drop(suspect.turn(PATIENCE).await.unwrap());
        suspect.fail();
        let start = net::now();
        let (again, good) = (gate.enter(ip(1)).unwrap(), gate.enter(ip(2)).unwrap());
        let held = gate.enter(None).unwrap().turn(PATIENCE).await.unwrap();
        let order = Mutex::new(Vec::new());
        let note = async |place: &Place, name| {
            let turn = place.turn(PATIENCE).await.unwrap();
            order.lock().unwrap().push(name);
            turn.rest(Duration::from_millis(5));
        };
        let release = async {
            tokio::time::sleep(Duration::from_secs(1)).await; // tidy: sleep the clock is paused
            drop(held);
        };
        // A waiting one that goes away is passed over.
        let gone = gate.enter(ip(7)).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(5), gone.turn(PATIENCE)).await.is_err());
        tokio::join!(note(&again, "suspect"), note(&good, "good"), release);
        assert_eq!(*order.lock().unwrap(), ["good", "suspect"]);
        // The second had to wait until nine times the first one's time had passed.
        assert!(net::now() - start >= Duration::from_millis(1000 + 45));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_an_address_make_it_wait_longer_and_are_forgotten() {
        let gate = gate(99, 9);
        for failures in 1..=9u32 {
            let place = gate.enter(ip(1)).unwrap();
            let start = net::now();
            drop(place.turn(PATIENCE).await.unwrap());
            let due = if failures == 1 { 0 } else { 100 << (failures - 2).min(6) };
            assert_eq!((net::now() - start).as_millis(), due, "{failures}");
            place.fail();
        }
        // Nobody waits in vain, and those who come again at once do not come often.
        let (place, start) = (gate.enter(ip(1)).unwrap(), net::now());
        let short = place.turn(Duration::from_secs(2)).await;
        assert!(matches!(short, Err(ServerError::Suspect)));
        assert_eq!(net::now() - start, HOLD);
        // Others do not wait, and a right response is a new start.
        let start = net::now();
        drop(gate.enter(ip(2)).unwrap().turn(PATIENCE).await.unwrap());
        assert_eq!(net::now(), start);
        let mut place = gate.enter(ip(1)).unwrap();
        drop(place.turn(PATIENCE).await.unwrap());
        place.admit().unwrap();
        let start = net::now();
        drop(gate.enter(ip(1)).unwrap().turn(PATIENCE).await.unwrap());
        assert_eq!((net::now(), gate.counts().wrong), (start, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspect_that_is_held_gives_way() {
        let gate = gate(1, 9);
        for _ in 0..9 {
            gate.enter(ip(1)).unwrap().fail();
        }
        let (held, start) = (gate.enter(ip(1)).unwrap(), net::now());
        let turn = held.turn(Duration::from_secs(2));
        tokio::pin!(turn);
        assert!(tokio::time::timeout(Duration::ZERO, &mut turn).await.is_err());
        let _newer = gate.enter(ip(2)).unwrap();
        assert!(matches!(turn.await, Err(ServerError::Suspect)));
        assert_eq!((net::now(), gate.counts().gave_way), (start, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_remembered_within_bounds() {
        let gate = gate(99, 9);
        for n in 0..2 * PEERS as u32 {
            let place = gate.enter(Some(IpAddr::from((n << 8).to_be_bytes()))).unwrap();
            drop(place.turn(PATIENCE).await.unwrap());
            place.fail();
        }
        assert!(gate.lock().peers.len() <= PEERS + 1);
    }
}
