//! Holds back what is said too often, and says how much of it.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The target of what is said about messages held back, which is never held back itself.
const TARGET: &str = "ingestry::logs";
/// The most messages that are told apart at a time; further ones are told apart by place alone.
const MOST: usize = 1024;
/// Fields that make one message two: whose it is, and why.
const APART: [&str; 5] = ["source", "output", "destination", "reason", "path"];
/// How often it is looked whether there is something to say.
const LOOK: Duration = Duration::from_secs(1);

/// Lets each message pass so many times in a period. Clones are the same limit.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Limit(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How many pass, in what time. `None`: all do.
    most: Option<(usize, Duration)>,
    places: HashMap<(Identifier, u64), Place>,
}

/// One message from one place.
#[derive(Debug)]
struct Place {
    since: Instant,
    passed: usize,
    held: u64,
    level: Level,
    target: String,
    message: String,
}

impl Limit {
    /// From now on `repeat` in a `period`; without a period, all.
    pub(super) fn set(&self, repeat: usize, period: Option<Duration>) {
        self.lock().most = period.map(|period| (repeat, period));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event passes.
    fn passes(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        // Whoever asks for details gets them all.
        if *metadata.level() > Level::INFO || metadata.target() == TARGET {
            return true;
        }
        let mut state = self.lock();
        let Some((most, period)) = state.most else { return true };
        let mut seen = Seen::default();
        event.record(&mut seen);
        seen.message.hash(&mut seen.apart);
        let mut key = (metadata.callsite(), seen.apart.finish());
        if state.places.len() >= MOST && !state.places.contains_key(&key) {
            key.1 = 0;
        }
        let place = state.places.entry(key).or_insert_with(|| Place {
            since: now,
            passed: 0,
            held: 0,
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: mem::take(&mut seen.message),
        });
        if now.duration_since(place.since) >= period {
            (place.since, place.passed) = (now, 0);
        }
        let passes = place.passed < most;
        if passes {
            place.passed += 1;
        } else {
            place.held += 1;
        }
        passes
    }

    /// Says of each message whose period is over how often it was held back; with `all`, of the
    /// others too.
    pub(in crate::cli) fn report(&self, all: bool) {
        self.report_at(Instant::now(), all);
    }

    fn report_at(&self, now: Instant, all: bool) {
        let mut due = Vec::new();
        let mut state = self.lock();
        let period = state.most.map_or(Duration::ZERO, |(_, period)| period);
        state.places.retain(|_, place| {
            let over = now.duration_since(place.since) >= period;
            if place.held > 0 && (over || all) {
                let (target, message) = (place.target.clone(), place.message.clone());
                due.push((place.level, target, message, mem::take(&mut place.held)));
            }
            !over
        });
        drop(state);
        for (level, at, line, times) in due {
            // The level of a message is part of its declaration.
            match level {
                Level::ERROR => {
                    tracing::error!(target: TARGET, times, line, at, "Said again, and not shown.");
                }
                Level::WARN => {
                    tracing::warn!(target: TARGET, times, line, at, "Said again, and not shown.");
                }
                _ => tracing::info!(target: TARGET, times, line, at, "Said again, and not shown."),
            }
        }
    }

    /// Looks every second whether there is something to say, for as long as it is asked to.
    pub(in crate::cli) async fn report_on(self) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.report(false);
        }
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.passes(event, Instant::now())
    }
}

/// What tells messages of one place apart, and the message itself.
#[derive(Default)]
struct Seen {
    apart: DefaultHasher,
    message: String,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else if APART.contains(&field.name()) {
            field.name().hash(&mut self.apart);
            let _ = write!(Hashed(&mut self.apart), "{value:?}");
        }
    }
}

/// Hashes what is written.
struct Hashed<'h>(&'h mut DefaultHasher);

impl fmt::Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps what passes: level, message, and how often something was held back.
    #[derive(Clone, Default)]
    struct Passed(Arc<Mutex<Vec<(Level, String, u64)>>>);

    impl<S: Subscriber> Layer<S> for Passed {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut seen = Line::default();
            event.record(&mut seen);
            let line = (*event.metadata().level(), seen.0, seen.1);
            self.0.lock().unwrap().push(line);
        }
    }

    #[derive(Default)]
    struct Line(String, u64);

    impl Visit for Line {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == "times" {
                self.1 = value;
            }
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "line" {
                self.0 = value.to_owned();
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" && self.0.is_empty() {
                self.0 = format!("{value:?}");
            }
        }
    }

    fn run(limit: &Limit, work: impl FnOnce()) -> Vec<(Level, String, u64)> {
        let passed = Passed::default();
        let all = tracing_subscriber::registry().with(limit.clone()).with(passed.clone());
        tracing::subscriber::with_default(all, work);
        passed.0.lock().unwrap().clone()
    }

    fn say(source: &str) {
        tracing::warn!(source, peer = %"10.0.0.1", "Refused.");
    }

    #[test]
    fn what_is_held_back_is_said_once_with_its_number() {
        let limit = Limit::default();
        limit.set(3, Some(Duration::from_secs(10)));
        let lines = run(&limit, || {
            (0..10).for_each(|_| say("a"));
            say("b");
            (0..5).for_each(|_| tracing::error!("Lost."));
            (0..5).for_each(|_| tracing::debug!("Detail."));
            limit.report_at(Instant::now(), false);
            limit.report(true);
            limit.report(true);
        });
        let count = |text: &str, times: u64| {
            lines.iter().filter(|(_, line, n)| line == text && *n == times).count()
        };
        // Three of the one source, one of the other.
        assert_eq!(count("Refused.", 0), 4, "{lines:?}");
        assert_eq!(count("Refused.", 7), 1, "{lines:?}");
        assert_eq!(count("Lost.", 0), 3);
        assert!(lines.contains(&(Level::ERROR, "Lost.".to_owned(), 2)), "{lines:?}");
        assert_eq!(count("Detail.", 0), 5);
        assert_eq!(lines.len(), 4 + 1 + 3 + 1 + 5);
    }

    #[test]
    fn a_period_later_it_is_said_again() {
        let limit = Limit::default();
        let period = Duration::from_secs(10);
        limit.set(1, Some(period));
        let lines = run(&limit, || {
            (0..3).for_each(|_| say("a"));
            limit.report_at(Instant::now() + period, false);
            // Nothing is known of it any more.
            assert!(limit.lock().places.is_empty());
            say("a");
        });
        let said: Vec<u64> = lines.iter().map(|(_, _, times)| *times).collect();
        assert_eq!(said, [0, 2, 0]);
    }

    #[test]
    fn without_a_period_all_is_said() {
        let limit = Limit::default();
        assert_eq!(run(&limit, || (0..100).for_each(|_| say("a"))).len(), 100);
        limit.set(1, None);
        assert_eq!(run(&limit, || (0..100).for_each(|_| say("a"))).len(), 100);
    }

    #[test]
    fn memory_is_bounded_however_many_sources_there_are() {
        let limit = Limit::default();
        limit.set(1, Some(Duration::from_secs(10)));
        run(&limit, || (0..5_000).for_each(|n| say(&n.to_string())));
        assert!(limit.lock().places.len() <= MOST + 1);
    }
}
