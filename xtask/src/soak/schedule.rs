//! What happens when, decided by the seed alone.

use std::time::Duration;

use super::destination::Harm;
use crate::crash::Rng;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The gateway is killed and started again; with `power`, its next end is a power cut.
    Kill { power: bool },
    /// Another configuration.
    Reload,
    /// A destination is gone, or takes nothing.
    Break(usize, Harm),
    /// It is back.
    Wake(usize),
    /// The log fills up.
    Fill,
    /// Everything that was accepted has to arrive.
    Check,
}

/// The events, in their order.
#[derive(Debug)]
pub(super) struct Schedule(std::vec::IntoIter<(Duration, Event)>);

impl Schedule {
    /// For a run of this length.
    pub(super) fn new(seed: u64, length: Duration) -> Self {
        let mut rng = Rng::new(seed);
        let mut events = Vec::new();
        let mut at = Duration::ZERO;
        loop {
            at += rng.millis(10_000, 90_000).min(length / 6);
            if at >= length {
                break;
            }
            events.push((at, Event::Kill { power: rng.one_in(2) }));
        }
        every(Duration::from_secs(60).min(length / 6), length, Event::Reload, &mut events);
        every(Duration::from_secs(600).min(length / 2), length, Event::Check, &mut events);
        // Between two checks.
        let fill = Duration::from_secs(600).min(length / 3);
        every(fill, length - fill / 2, Event::Fill, &mut events);
        for place in 0..2 {
            let mut at = Duration::ZERO;
            loop {
                at += rng.millis(3_000, 25_000);
                let harm = match rng.within(0, 2) {
                    0 => Harm::Kill,
                    1 => Harm::Stall,
                    _ => Harm::Stop,
                };
                events.push((at, Event::Break(place, harm)));
                at += rng.millis(500, 15_000);
                events.push((at, Event::Wake(place)));
                if at >= length {
                    break;
                }
            }
        }
        events.sort_by_key(|(at, _)| *at);
        Self(events.into_iter())
    }
}

/// Again and again, but not at the very end.
fn every(pause: Duration, length: Duration, event: Event, events: &mut Vec<(Duration, Event)>) {
    let mut at = pause;
    while at < length {
        events.push((at, event));
        at += pause;
    }
}

impl Iterator for Schedule {
    type Item = (Duration, Event);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_happens_even_in_a_minute() {
        for (minutes, seed) in [(1, 1), (1, 2), (2, 3), (60, 4)] {
            let length = Duration::from_secs(60 * minutes);
            let events: Vec<_> = Schedule::new(seed, length).collect();
            assert_eq!(events, Schedule::new(seed, length).collect::<Vec<_>>());
            assert!(events.is_sorted_by_key(|(at, _)| *at));
            let count = |is: fn(&Event) -> bool| {
                events.iter().filter(|(at, event)| *at < length && is(event)).count() as u64
            };
            assert!(count(|event| matches!(event, Event::Kill { .. })) >= 2);
            assert!(count(|event| *event == Event::Reload) >= 5.max(minutes - 1));
            assert!(count(|event| *event == Event::Fill) >= 1);
            assert!(count(|event| *event == Event::Check) >= 1);
            for place in [0, 1] {
                let breaks = |(_, event): &&(Duration, Event)| matches!(event, Event::Break(at, _) if *at == place);
                assert!(events.iter().filter(breaks).count() as u64 >= minutes);
            }
        }
    }
}
