//! A web socket from its handshake to its end: one task, no locks.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tungstenite::protocol::Role;

use super::{Shared, stopped_owned};
use crate::ws::{Event, Fault, Frames, write_text};
use crate::{Flight, Request, Session, Step};

/// Messages that are taken before anything else is looked at.
const AT_ONCE: usize = 4096;
/// Bytes that may wait for the client to read; past it nothing is read from it.
const UNSENT: usize = 256 << 10;
/// What is kept of buffers that have grown.
const KEPT: usize = 1 << 10;
/// After this much silence a session gives back what it does not need.
const REST: Duration = Duration::from_secs(1);
/// When the server stops, a session is read until nothing has come for `QUIET`, or this long.
const LAST_READS: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_millis(50);
/// How long the client may take to read the close frame, and to answer it.
const FAREWELL: Duration = Duration::from_secs(2);
/// A day: longer than any deadline that is looked for.
const FAR: Duration = Duration::from_secs(86_400);

/// How far a session is.
enum Phase {
    Open,
    /// The server stops: what has arrived is read, until then.
    LastReads(Instant),
    /// Nothing more is read. When all reports are written, it ends like this.
    Finishing(End),
    /// Our close frame is on its way, and the client's has come, or there is none to wait for.
    Leaving(Instant),
    /// Our close frame is on its way; the client's is waited for.
    Closing(Instant),
    Gone,
}

enum End {
    /// The client closed: its frame is answered.
    Answer,
    Close(u16, String),
    /// There is nobody to tell.
    Silent,
}

/// Why reading stopped.
enum Stopped {
    /// There is nothing more; the task is woken when there is.
    Empty,
    /// It took its turn, and there may be more.
    Turn,
    /// There is no room, or nothing is wanted.
    Full,
}

struct Running<T> {
    shared: Arc<Shared>,
    stream: T,
    frames: Frames,
    session: Session,
    phase: Phase,
    flights: VecDeque<Flight>,
    /// Requests of one context that are not handed over.
    pending: Vec<Request>,
    in_flight: usize,
    in_flight_bytes: usize,
    out: Vec<u8>,
    written: usize,
    unflushed: bool,
    scratch: Vec<u8>,
    heard: Instant,
    /// Nothing has come for a while, and memory was given back.
    rests: bool,
    pinged: Instant,
    /// Since when a message has been incomplete.
    partial: Option<Instant>,
    /// The rest of a message that was too slow is dropped.
    drop_next: bool,
    sleep: Pin<Box<Sleep>>,
}

/// Runs a session until it ends. `read` came with the handshake.
pub(super) fn run<T>(
    shared: Arc<Shared>,
    session: Session,
    stream: T,
    read: Bytes,
    stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let frames = Frames::new(Role::Server, &read, shared.options.limits.message);
    drop(read);
    let now = Instant::now();
    let counted = Counted::new(Arc::clone(&shared));
    let mut running = Running {
        shared,
        stream,
        frames,
        session,
        phase: Phase::Open,
        flights: VecDeque::new(),
        pending: Vec::new(),
        in_flight: 0,
        in_flight_bytes: 0,
        out: Vec::new(),
        written: 0,
        unflushed: false,
        scratch: Vec::new(),
        heard: now,
        rests: false,
        pinged: now,
        partial: None,
        drop_next: false,
        sleep: Box::pin(sleep_until(now + FAR)),
    };
    async move {
        let mut stop = std::pin::pin!(stopped_owned(stop));
        let mut stopping = false;
        poll_fn(|wake| {
            if !stopping && stop.as_mut().poll(wake).is_ready() {
                stopping = true;
                running.stop();
            }
            running.poll(wake)
        })
        .await;
        drop(counted);
    }
}

/// An open session, as long as it lives.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: Arc<Shared>) -> Self {
        shared.counters.sessions.add(1);
        shared.counters.sessions_open.add(1);
        Self(shared)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.sessions_open.sub(1);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Running<T> {
    fn stop(&mut self) {
        if matches!(self.phase, Phase::Open) {
            self.phase = Phase::LastReads(Instant::now() + LAST_READS);
        }
    }

    fn poll(&mut self, wake: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            self.poll_flights(wake, now);
            let stopped = self.read(wake, now);
            if self.hand_over(now) {
                self.poll_flights(wake, now);
            }
            self.time(now);
            self.end_if_finished(now);
            self.write(wake);
            if matches!(self.phase, Phase::Gone) {
                return Poll::Ready(());
            }
            if self.is_settled() {
                continue;
            }
            match stopped {
                Stopped::Empty => {}
                Stopped::Turn => {
                    // Others have their turn, too.
                    wake.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // There is room again, and nobody will say so.
                Stopped::Full if self.wants_to_read(now) => continue,
                Stopped::Full => {}
            }
            if !self.poll_time(wake, now) {
                return Poll::Pending;
            }
        }
    }

    /// The session could end now.
    fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Finishing(_)) && self.flights.is_empty()
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    fn wants_to_read(&self, now: Instant) -> bool {
        let config = &self.shared.config;
        matches!(self.phase, Phase::Open | Phase::LastReads(_) | Phase::Closing(_))
            && self.unsent() < UNSENT
            && self.in_flight < config.in_flight
            && self.in_flight_bytes < config.in_flight_bytes
            && self.session.paused_until().is_none_or(|until| until <= now.into_std())
    }

    /// Takes what has come.
    fn read(&mut self, wake: &mut Context<'_>, now: Instant) -> Stopped {
        for _ in 0..AT_ONCE {
            if !self.wants_to_read(now) {
                return Stopped::Full;
            }
            match self.frames.next(&mut self.out) {
                Ok(Some(event)) => self.take(event, now),
                Ok(None) => match self.fill(wake) {
                    Poll::Ready(Ok(())) => {
                        self.heard = now;
                        self.rests = false;
                    }
                    Poll::Ready(Err(fault)) => self.fail(fault),
                    Poll::Pending => {
                        let mid = self.frames.is_mid_message();
                        self.partial = if mid { self.partial.or(Some(now)) } else { None };
                        return Stopped::Empty;
                    }
                },
                Err(fault) => self.fail(fault),
            }
        }
        Stopped::Turn
    }

    /// Reads once.
    fn fill(&mut self, wake: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let room = self.frames.room();
        let space = room.capacity() - room.len();
        let read = std::pin::pin!(self.stream.read_buf(room)).poll(wake);
        Poll::Ready(match std::task::ready!(read) {
            Ok(0) => Err(Fault::Ended),
            Ok(count) => {
                self.frames.has_read(count, count == space);
                Ok(())
            }
            Err(_) => Err(Fault::Broken),
        })
    }

    fn take(&mut self, event: Event, now: Instant) {
        if matches!(self.phase, Phase::Closing(_)) {
            // It is too late for messages.
            if matches!(event, Event::Close) {
                self.phase = Phase::Leaving(now + FAREWELL);
            }
            return;
        }
        self.partial = None;
        self.scratch.clear();
        let step = match event {
            Event::Control => return,
            Event::Close => {
                self.phase = Phase::Finishing(End::Answer);
                return;
            }
            Event::Text(..) | Event::Binary if std::mem::take(&mut self.drop_next) => return,
            Event::Text(text, frames) => {
                self.session.text(&text, frames, now.into_std(), &mut self.scratch)
            }
            Event::Binary => self.session.binary(now.into_std(), &mut self.scratch),
        };
        self.shared.counters.messages.add(1);
        self.done(step, now);
    }

    fn done(&mut self, step: Step, now: Instant) {
        match step {
            Step::Request(request) => {
                self.in_flight += 1;
                self.in_flight_bytes += request.payload().len();
                if self.pending.first().is_some_and(|first| !first.shares_context_with(&request)) {
                    self.hand_over(now);
                }
                self.pending.push(request);
            }
            Step::Replied => {
                if self.scratch.starts_with(b"{\"status\":400") || self.scratch.ends_with(b"400}") {
                    self.shared.counters.bad_messages.add(1);
                }
                write_text(&self.scratch, &mut self.out);
            }
            Step::Dropped => {}
        }
        if self.session.is_given_up() {
            self.phase = Phase::Finishing(End::Close(1011, "The session is given up.".into()));
        }
    }

    fn fail(&mut self, fault: Fault) {
        let counters = &self.shared.counters;
        let closing = matches!(self.phase, Phase::Closing(_));
        self.phase = match fault {
            _ if closing => Phase::Gone,
            Fault::Close(code, reason) => {
                counters.violations.add(1);
                Phase::Finishing(End::Close(code, reason))
            }
            Fault::Ended | Fault::Broken => {
                counters.broken.add(1);
                Phase::Finishing(End::Silent)
            }
        };
    }

    /// Gives what was read to the ingestors. Whether there was something.
    fn hand_over(&mut self, now: Instant) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        let requests = std::mem::take(&mut self.pending);
        self.shared.counters.requests.add(requests.len() as u64);
        let list = self.shared.registry.list();
        let options = Arc::clone(&self.shared.options);
        self.flights.push_back(Flight::start(requests, &list, options, now.into_std()));
        true
    }

    fn poll_flights(&mut self, wake: &mut Context<'_>, now: Instant) {
        let Self { flights, scratch, out, in_flight, in_flight_bytes, shared, .. } = self;
        let mut reports = 0;
        for flight in flights.iter_mut() {
            flight.poll(wake, now.into_std(), |decided| {
                scratch.clear();
                decided.write(scratch);
                write_text(scratch, out);
                reports += 1;
            });
            if flight.is_done() {
                *in_flight_bytes -= flight.bytes();
            }
        }
        if reports > 0 {
            *in_flight -= reports;
            shared.counters.reports.add(reports as u64);
            flights.retain(|flight| !flight.is_done());
        }
    }

    /// What happens because time has passed.
    fn time(&mut self, now: Instant) {
        let (idle, ping) = (self.shared.config.idle, self.shared.config.ping);
        match self.phase {
            Phase::LastReads(until) => {
                let quiet = now >= self.heard.max(until - LAST_READS) + QUIET;
                if now >= until || quiet && !self.frames.is_mid_message() {
                    self.phase = Phase::Finishing(End::Close(1001, "The server stops.".into()));
                }
            }
            Phase::Closing(until) | Phase::Leaving(until) if now >= until => {
                self.phase = Phase::Gone;
            }
            Phase::Open => {
                if !self.rests && now >= self.heard + REST {
                    self.shrink();
                }
                let limit = self.shared.options.limits.message_time;
                if !self.wants_to_read(now) {
                    // It is we who do not read.
                    self.partial = None;
                    self.heard = now;
                } else if self.partial.is_some_and(|since| now >= since + limit) && !self.drop_next
                {
                    self.partial = None;
                    self.drop_next = true;
                    self.scratch.clear();
                    let step = self.session.slow(now.into_std(), &mut self.scratch);
                    self.done(step, now);
                }
                if idle.is_some_and(|idle| now >= self.heard + idle) {
                    let reason = "Nothing came for too long.".into();
                    self.phase = Phase::Finishing(End::Close(1001, reason));
                } else if ping.is_some_and(|ping| now >= self.heard.max(self.pinged) + ping) {
                    self.pinged = now;
                    self.frames.ping(&mut self.out);
                }
            }
            _ => {}
        }
    }

    fn end_if_finished(&mut self, now: Instant) {
        if !self.is_settled() {
            return;
        }
        let Phase::Finishing(end) = std::mem::replace(&mut self.phase, Phase::Gone) else { return };
        match end {
            End::Silent => {}
            End::Answer => {
                self.frames.answer_close(&mut self.out);
                self.phase = Phase::Leaving(now + FAREWELL);
            }
            End::Close(code, reason) => {
                self.frames.close(code, &reason, &mut self.out);
                // After a violation nothing that comes can be understood.
                self.phase = match code {
                    1002 | 1007 | 1009 => Phase::Leaving(now + FAREWELL),
                    _ => Phase::Closing(now + FAREWELL),
                };
            }
        }
    }

    /// Writes what there is.
    fn write(&mut self, wake: &mut Context<'_>) {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(wake, rest) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count;
                    self.unflushed = true;
                }
                Poll::Ready(_) => return self.lose(),
                Poll::Pending => {
                    if self.written > UNSENT {
                        self.out.drain(..self.written);
                        self.written = 0;
                    }
                    return;
                }
            }
        }
        self.out.clear();
        self.written = 0;
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(wake) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return self.lose(),
                Poll::Pending => {}
            }
        }
        if matches!(self.phase, Phase::Leaving(_)) && !self.unflushed {
            self.leave(wake);
        }
    }

    /// Nobody reads any more. What the ingestors do is awaited all the same.
    fn lose(&mut self) {
        self.out.clear();
        self.written = 0;
        self.unflushed = false;
        match self.phase {
            Phase::Finishing(End::Silent) | Phase::Gone => {}
            Phase::Closing(_) | Phase::Leaving(_) => self.phase = Phase::Gone,
            _ => {
                self.shared.counters.broken.add(1);
                self.phase = Phase::Finishing(End::Silent);
            }
        }
    }

    /// A session that rests holds little.
    fn shrink(&mut self) {
        self.rests = true;
        self.frames.rest();
        if self.in_flight == 0 {
            self.out.shrink_to(KEPT);
            self.scratch.clear();
            self.scratch.shrink_to(KEPT);
            self.pending = Vec::new();
            self.flights.shrink_to(1);
        }
    }

    /// Everything is written: our side of the stream ends, then the client's. What still comes of
    /// it is not looked at, but read, as a reset could overtake the close frame otherwise.
    fn leave(&mut self, wake: &mut Context<'_>) {
        if Pin::new(&mut self.stream).poll_shutdown(wake).is_pending() {
            return;
        }
        let mut space = [0; 1024];
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(wake, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => break,
            }
        }
        self.phase = Phase::Gone;
    }

    /// The next moment at which something happens by itself.
    fn deadline(&self, now: Instant) -> Instant {
        let config = &self.shared.config;
        let flights = self.flights.iter().filter_map(Flight::deadline).map(Instant::from_std);
        let mut next = flights.min().unwrap_or(now + FAR);
        match self.phase {
            Phase::Open => {
                let limit = self.shared.options.limits.message_time;
                let pause = self.session.paused_until().map(Instant::from_std);
                let times = [
                    (!self.rests).then(|| self.heard + REST),
                    config.idle.map(|idle| self.heard + idle),
                    config.ping.map(|ping| self.heard.max(self.pinged) + ping),
                    self.partial.filter(|_| !self.drop_next).map(|since| since + limit),
                    pause.filter(|pause| *pause > now),
                ];
                for time in times.into_iter().flatten() {
                    next = next.min(time);
                }
            }
            Phase::LastReads(until) => {
                let quiet = self.heard.max(until - LAST_READS) + QUIET;
                let quiet = if self.frames.is_mid_message() { until } else { quiet };
                next = next.min(until).min(quiet.max(now));
            }
            Phase::Closing(until) | Phase::Leaving(until) => next = next.min(until),
            Phase::Finishing(_) | Phase::Gone => {}
        }
        next
    }

    /// Sets the alarm. Whether it has gone off already.
    fn poll_time(&mut self, wake: &mut Context<'_>, now: Instant) -> bool {
        let next = self.deadline(now);
        let armed = self.sleep.deadline();
        if next < armed || armed <= now {
            self.sleep.as_mut().reset(next);
        }
        self.sleep.as_mut().poll(wake).is_ready()
    }
}
