//! Whose record is next: the sources take turns.
//!
//! What every source has handed over waits in a queue of its own. A source that comes with something
//! after it had nothing is before all others, for as many bytes as a turn has; from then on it is one
//! of those that go round. So a lone record goes into the next group, however much others have handed
//! over before it, and nobody is kept waiting for ever by those who come and go. (RFC 8290, 4.2, has
//! the like for packets.)

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Bytes of one turn: a record of the usual size.
pub(crate) const TURN: u64 = 64 << 10;
/// A source with so few bytes waiting has little.
pub(crate) const LITTLE: u64 = TURN / 4;
/// A source is alone when for this long no other has handed anything over.
const ALONE_AFTER: Duration = Duration::from_secs(1);

/// Which list a source is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    None,
    Fresh,
    Round,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<(u64, T)>,
    /// Bytes of these.
    bytes: u64,
    /// Bytes of its turn that are left; below 0 where the last record was larger.
    credit: i64,
    list: List,
}

/// The queues of all sources.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    queues: BTreeMap<u16, Queue<T>>,
    fresh: VecDeque<u16>,
    round: VecDeque<u16>,
    len: usize,
    /// Who came last, and until when that means that there are several.
    last: Option<u16>,
    shared_until: Option<Instant>,
}

impl<T> Turns<T> {
    pub(crate) const fn new() -> Self {
        Self {
            queues: BTreeMap::new(),
            fresh: VecDeque::new(),
            round: VecDeque::new(),
            len: 0,
            last: None,
            shared_until: None,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everything that waits, in the order of each source.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.queues.values().flat_map(|queue| queue.items.iter().map(|(_, item)| item))
    }

    /// Puts something of so many bytes behind what this source has handed over before.
    pub(crate) fn put(&mut self, source: u16, bytes: u64, item: T, now: Instant) {
        if self.last.replace(source).is_some_and(|before| before != source) {
            self.shared_until = Some(now + ALONE_AFTER);
        }
        let queue = self.queues.entry(source).or_insert_with(|| Queue {
            items: VecDeque::new(),
            bytes: 0,
            credit: 0,
            list: List::None,
        });
        queue.items.push_back((bytes, item));
        queue.bytes = queue.bytes.saturating_add(bytes);
        self.len += 1;
        if queue.list == List::None {
            queue.list = List::Fresh;
            queue.credit = TURN.cast_signed();
            self.fresh.push_back(source);
        }
    }

    /// Whether several sources hand something over these days.
    pub(crate) fn is_shared(&self, now: Instant) -> bool {
        self.shared_until.is_some_and(|until| now < until)
    }

    /// Takes the next one of a source that has little: it would wait longest, measured by what it has.
    pub(crate) fn pop_little(&mut self) -> Option<T> {
        let mut queues = self.queues.values_mut();
        let queue = queues.find(|queue| (1..=LITTLE).contains(&queue.bytes))?;
        let (bytes, item) = queue.items.pop_front()?;
        queue.credit = queue.credit.saturating_sub_unsigned(bytes);
        queue.bytes = queue.bytes.saturating_sub(bytes);
        self.len -= 1;
        Some(item)
    }

    /// Takes the next one.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        loop {
            let from = if self.fresh.is_empty() { List::Round } else { List::Fresh };
            let list = if from == List::Fresh { &mut self.fresh } else { &mut self.round };
            let source = *list.front()?;
            let Some(queue) = self.queues.get_mut(&source) else {
                list.pop_front();
                continue;
            };
            if queue.credit > 0
                && let Some((bytes, item)) = queue.items.pop_front()
            {
                queue.credit = queue.credit.saturating_sub_unsigned(bytes);
                queue.bytes = queue.bytes.saturating_sub(bytes);
                self.len -= 1;
                return Some(item);
            }
            list.pop_front();
            if queue.items.is_empty() && (from == List::Round || self.round.is_empty()) {
                queue.list = List::None;
                continue;
            }
            // Its turn is over. One that has nothing more goes round once before it may be fresh
            // again: else two of them could keep the others waiting.
            if queue.credit <= 0 {
                queue.credit = queue.credit.saturating_add_unsigned(TURN);
            }
            queue.list = List::Round;
            self.round.push_back(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(turns: &mut Turns<(u16, u32)>, source: u16, numbers: std::ops::Range<u32>, bytes: u64) {
        let now = Instant::now();
        numbers.for_each(|number| turns.put(source, bytes, (source, number), now));
    }

    #[test]
    fn each_source_keeps_its_order_and_all_come_to_an_end() {
        let mut turns = Turns::new();
        for round in 0..50 {
            put(&mut turns, 1, round * 7..(round + 1) * 7, 10_000 + u64::from(round) * 3_000);
            put(&mut turns, 2, round..round + 1, 50);
            if round % 3 == 0 {
                put(&mut turns, 3, round..round + 1, 1 << 20);
            }
        }
        let all: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(all.len(), 350 + 50 + 17);
        for source in 1..=3 {
            let mut of: Vec<_> = all.iter().filter(|item| item.0 == source).collect();
            assert!(of.is_sorted(), "{of:?}");
            of.dedup();
            assert_eq!(of.len(), [350, 50, 17][usize::from(source) - 1]);
        }
        assert!(turns.is_empty() && turns.pop().is_none());
    }

    #[test]
    fn a_lone_record_is_before_all_that_waits() {
        let mut turns = Turns::new();
        for source in 1..=9 {
            put(&mut turns, source, 0..100, 60_000);
        }
        // They are all in the round.
        for _ in 0..40 {
            turns.pop();
        }
        put(&mut turns, 77, 0..1, 100);
        assert_eq!(turns.pop(), Some((77, 0)));
        // So is what comes behind it, up to the bytes of a turn; then it is one of the round.
        put(&mut turns, 77, 1..10, 10_000);
        let at_once = (1..).take_while(|number| turns.pop() == Some((77, *number))).count();
        assert_eq!(at_once, 7);
        let waited = (0..).take_while(|_| turns.pop() != Some((77, 8))).count();
        assert!((1..=20).contains(&waited), "{waited}");
    }

    #[test]
    fn bytes_are_shared_evenly_whatever_the_size_of_a_record() {
        let mut turns = Turns::new();
        put(&mut turns, 1, 0..1_000, 64_000);
        put(&mut turns, 2, 0..100_000, 640);
        let mut bytes = [0u64; 2];
        while bytes[0] + bytes[1] < 20 << 20 {
            let (source, _) = turns.pop().unwrap();
            bytes[usize::from(source) - 1] += if source == 1 { 64_000 } else { 640 };
        }
        assert!(bytes[0].abs_diff(bytes[1]) <= 256 << 10, "{bytes:?}");
    }

    #[test]
    fn those_who_come_and_go_do_not_starve_the_others() {
        let mut turns = Turns::new();
        put(&mut turns, 1, 0..100, 64_000);
        let mut bytes = [0; 2];
        for round in 0..1_000 {
            for source in 2..6 {
                put(&mut turns, source, round..round + 1, 1_000);
            }
            for _ in 0..4 {
                let (source, _) = turns.pop().unwrap();
                bytes[usize::from(source > 1)] += if source == 1 { 64_000 } else { 1_000 };
            }
        }
        assert!(bytes[0] >= bytes[1] / 4, "as much as each of the four: {bytes:?}");
    }

    #[test]
    fn who_has_little_need_not_wait_for_its_turn() {
        let mut turns = Turns::new();
        put(&mut turns, 1, 0..10, 60_000);
        put(&mut turns, 2, 0..3, 7_000);
        assert_eq!(turns.pop_little(), None, "21,000 bytes are more than little");
        put(&mut turns, 3, 0..3, 100);
        let little: Vec<_> = std::iter::from_fn(|| turns.pop_little()).collect();
        assert_eq!(little, [(3, 0), (3, 1), (3, 2)]);
        // It has had its bytes of the round, and the others go on as before.
        put(&mut turns, 3, 3..4, 100);
        let all: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(all.len(), 10 + 3 + 1);
        for source in 1..=3 {
            assert!(all.iter().filter(|item| item.0 == source).is_sorted(), "{all:?}");
        }
        assert!(turns.is_empty() && turns.pop_little().is_none());
        put(&mut turns, 3, 4..5, 100);
        assert_eq!(turns.pop(), Some((3, 4)));
    }

    #[test]
    fn a_source_is_alone_when_nobody_else_has_come_for_a_while() {
        let (mut turns, now) = (Turns::new(), Instant::now());
        turns.put(1, 10, (), now);
        turns.put(1, 10, (), now);
        assert!(!turns.is_shared(now));
        turns.put(2, 10, (), now);
        assert!(turns.is_shared(now));
        let later = now + ALONE_AFTER;
        assert!(!turns.is_shared(later));
        turns.put(2, 10, (), later);
        assert!(!turns.is_shared(later));
    }
}
