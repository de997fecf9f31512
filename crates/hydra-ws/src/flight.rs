//! Requests under way: from the message to the report.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Wake, Poll};
use std::time::{Duration, Instant};

use crate::ingestor::{Ingestor, Join, Later, Outcome, Outcomes};
use crate::options::Options;
use crate::registry::Registered;
use crate::report::{Nobody, Round};
use crate::status::State;
use crate::{Failure, Request};

/// Requests of one context, on their way through the ingestors. It needs no runtime: whoever
/// polls it gives the time.
pub struct Flight {
    options: Arc<Options>,
    names: Vec<Arc<str>>,
    rounds: Vec<Under>,
    works: Vec<Work>,
    /// Rounds that nobody has a report of.
    left: usize,
    /// Rounds before this one are reported.
    first: usize,
    /// Bytes of the payloads.
    bytes: usize,
    /// The first round may time out then, not earlier.
    deadline: Option<Instant>,
    /// What is behind the id in the reports of requests that this ingestor alone has completed.
    usual: Option<(u16, Vec<u8>)>,
}

struct Under {
    round: Round,
    /// The last sign of an ingestor.
    since: Instant,
    reported: bool,
}

/// What one ingestor is at.
struct Work {
    name: u16,
    rounds: Vec<u32>,
    doing: Doing,
}

enum Doing {
    One(Later<Result<(), Failure>>),
    Many(Later<Vec<Result<(), Failure>>>),
    Done,
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("requests", &self.rounds.len())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// The requests for one ingestor, while they are handed out.
struct Share {
    name: u16,
    ingestor: Arc<dyn Ingestor>,
    requests: Vec<Request>,
    rounds: Vec<u32>,
}

impl Flight {
    /// Hands requests to the ingestors of the list. They should share their context: what came
    /// between two `SET`s.
    #[must_use]
    pub fn start(
        requests: Vec<Request>,
        ingestors: &[Registered],
        options: Arc<Options>,
        now: Instant,
    ) -> Self {
        let mut flight = Self {
            options,
            names: Vec::new(),
            rounds: Vec::with_capacity(requests.len()),
            works: Vec::new(),
            left: requests.len(),
            first: 0,
            bytes: requests.iter().map(|request| request.payload.len()).sum(),
            deadline: None,
            usual: None,
        };
        let mut shares: Vec<Share> = Vec::new();
        for request in requests {
            let mut round = Round::new(request.id.clone());
            let place = u32::try_from(flight.rounds.len()).unwrap_or(u32::MAX);
            flight.publish(request, ingestors, &mut round, &mut shares, place);
            flight.rounds.push(Under { round, since: now, reported: false });
        }
        for share in shares {
            flight.hand_over(share);
        }
        if flight.rounds.iter().any(|under| under.round.is_open()) {
            flight.deadline = now.checked_add(flight.options.ingest_timeout);
        }
        flight
    }

    /// Asks those whom it concerns whether they join, and validates.
    fn publish(
        &mut self,
        request: Request,
        ingestors: &[Registered],
        round: &mut Round,
        shares: &mut Vec<Share>,
        place: u32,
    ) {
        let pinned = request.ingestor();
        let concerned = |have: &&Registered| pinned.is_none_or(|name| have.name() == name);
        let mut any = false;
        let takers = ingestors.iter().filter(concerned).filter(|have| {
            any = true;
            have.ingestor().join(&request) == Join::Join
        });
        let mut last: Option<usize> = None;
        for taker in takers {
            let name = number(&mut self.names, taker.shared_name());
            match taker.ingestor().validate(&request) {
                Err(failure) => round.join(name, State::Failed(failure)),
                Ok(()) => {
                    round.join(name, State::Joined);
                    let share = shares.iter().position(|share| share.name == name);
                    let share = share.unwrap_or_else(|| {
                        let ingestor = Arc::clone(taker.ingestor());
                        let (requests, rounds) = (Vec::new(), Vec::new());
                        shares.push(Share { name, ingestor, requests, rounds });
                        shares.len() - 1
                    });
                    if let Some(share) = shares.get_mut(share) {
                        share.rounds.push(place);
                    }
                    // All but the last get a copy.
                    if let Some(before) = last.replace(share)
                        && let Some(share) = shares.get_mut(before)
                    {
                        share.requests.push(request.clone());
                    }
                }
            }
        }
        if !any {
            round.nobody(match pinned {
                Some(name) => Nobody::Unknown(name.into()),
                None => Nobody::NoneRegistered,
            });
        }
        if let Some(share) = last.and_then(|last| shares.get_mut(last)) {
            share.requests.push(request);
        }
    }

    fn hand_over(&mut self, share: Share) {
        let Share { name, ingestor, requests, rounds } = share;
        match ingestor.ingest_all(requests) {
            Outcomes::Together(later) => {
                self.works.push(Work { name, rounds, doing: Doing::Many(later) });
            }
            Outcomes::Each(each) => {
                let mut each = each.into_iter();
                for round in rounds {
                    match each.next() {
                        Some(Outcome::Later(later)) => self.works.push(Work {
                            name,
                            rounds: vec![round],
                            doing: Doing::One(later),
                        }),
                        Some(Outcome::Now(result)) => self.answer(name, round, result),
                        None => self.answer(name, round, Err(unanswered())),
                    }
                }
            }
        }
    }

    fn answer(&mut self, name: u16, round: u32, result: Result<(), Failure>) {
        let state = match result {
            Ok(()) => State::Completed,
            Err(failure) => State::Failed(failure),
        };
        let under = usize::try_from(round).ok().and_then(|place| self.rounds.get_mut(place));
        if let Some(under) = under {
            under.round.answer(name, state);
        }
    }

    fn heard(&mut self, round: u32, now: Instant) {
        let under = usize::try_from(round).ok().and_then(|place| self.rounds.get_mut(place));
        if let Some(under) = under {
            under.since = now;
        }
    }

    /// Lets the ingestors get on, and calls `report` for each request that is decided. When the
    /// task is woken, or [`Flight::deadline`] has come, it is to be polled again.
    pub fn poll(&mut self, wake: &mut Wake<'_>, now: Instant, mut report: impl FnMut(Decided<'_>)) {
        for place in 0..self.works.len() {
            self.poll_work(place, wake, now);
        }
        self.works.retain(|work| !matches!(work.doing, Doing::Done));
        self.check_time(now);
        let Self { rounds, names, options, left, first, usual, .. } = self;
        for under in rounds.iter_mut().skip(*first) {
            if !under.reported && !under.round.is_open() {
                under.reported = true;
                *left -= 1;
                let round = &under.round;
                let rest =
                    round.completed_by_one().map(|name| rest(usual, name, round, names, options));
                report(Decided { round, names, options, rest });
            }
        }
        let reported = rounds.iter().skip(*first).take_while(|under| under.reported).count();
        *first += reported;
    }

    fn poll_work(&mut self, place: usize, wake: &mut Wake<'_>, now: Instant) {
        let Some(work) = self.works.get_mut(place) else { return };
        let name = work.name;
        match &mut work.doing {
            Doing::Done => {}
            Doing::One(later) => {
                let Poll::Ready(result) = Pin::as_mut(later).poll(wake) else { return };
                work.doing = Doing::Done;
                for round in std::mem::take(&mut work.rounds) {
                    self.heard(round, now);
                    self.answer(name, round, result.clone());
                }
            }
            Doing::Many(later) => {
                let Poll::Ready(results) = Pin::as_mut(later).poll(wake) else { return };
                work.doing = Doing::Done;
                let mut results = results.into_iter();
                for round in std::mem::take(&mut work.rounds) {
                    self.heard(round, now);
                    self.answer(name, round, results.next().unwrap_or_else(|| Err(unanswered())));
                }
            }
        }
    }

    /// Ends rounds whose time is up, and what is done for them alone.
    fn check_time(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let timeout = self.options.ingest_timeout;
        let mut next: Option<Instant> = None;
        for under in self.rounds.iter_mut().skip(self.first) {
            if under.reported || !under.round.is_open() {
                continue;
            }
            match under.since.checked_add(timeout) {
                Some(until) if until > now => {
                    next = Some(next.map_or(until, |next| next.min(until)));
                }
                _ => under.round.time_is_up(),
            }
        }
        self.deadline = next;
        let rounds = &self.rounds;
        let is_open = |round: &u32| {
            let place = usize::try_from(*round).unwrap_or(usize::MAX);
            rounds.get(place).is_some_and(|under| under.round.is_open())
        };
        self.works.retain(|work| work.rounds.iter().any(is_open));
    }

    /// When it is to be polled at the latest. `None`: when it is woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_done() { None } else { self.deadline }
    }

    /// Every request has its report.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Requests without a report.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// Bytes of the payloads of all its requests.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long ingestors have.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.options.ingest_timeout
    }
}

/// A request whose ingestors have all answered, or have not in time.
pub struct Decided<'a> {
    round: &'a Round,
    names: &'a [Arc<str>],
    options: &'a Options,
    /// What is behind the id, where it is known.
    rest: Option<&'a [u8]>,
}

impl fmt::Debug for Decided<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided").field("round", self.round).finish_non_exhaustive()
    }
}

impl Decided<'_> {
    /// Everything in one code: 200 if all who joined completed, else the highest of the others.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.round.code(self.options)
    }

    /// The text that goes with the code.
    #[must_use]
    pub fn text(&self) -> String {
        self.round.text(self.options).into_owned()
    }

    /// Appends the report as the dialect writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.round.write_id(self.options, out);
        match self.rest {
            Some(rest) => out.extend_from_slice(rest),
            None => self.round.write_rest(self.names, self.options, out),
        }
    }

    /// Appends the report in its short form.
    pub fn write_simple(&self, out: &mut Vec<u8>) {
        self.round.write_simple(self.names, self.options, out);
    }
}

/// What is behind the id in the report of such a round, kept for the next ones.
fn rest<'a>(
    usual: &'a mut Option<(u16, Vec<u8>)>,
    name: u16,
    round: &Round,
    names: &[Arc<str>],
    options: &Options,
) -> &'a [u8] {
    let (have, rest) = usual.get_or_insert_with(|| (name, Vec::new()));
    if rest.is_empty() || *have != name {
        *have = name;
        rest.clear();
        round.write_rest(names, options, rest);
    }
    rest
}

fn number(names: &mut Vec<Arc<str>>, name: &Arc<str>) -> u16 {
    let place = names.iter().position(|have| Arc::ptr_eq(have, name)).unwrap_or_else(|| {
        names.push(Arc::clone(name));
        names.len() - 1
    });
    u16::try_from(place).unwrap_or(u16::MAX)
}

fn unanswered() -> Failure {
    Failure::error("The ingestor did not answer.")
}
