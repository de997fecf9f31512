//! The memo: values that a pickle refers to by number.

use std::collections::HashMap;

use super::Limits;
use super::value::Value;
use crate::RejectReason;

/// Numbers are given in order by all picklers, so that a vector holds them; stray ones go into a
/// map, and never make the vector grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    dense: Vec<Option<Value>>,
    sparse: HashMap<u32, Value>,
    count: usize,
}

impl Memo {
    /// Forgets all, and gives memory back beyond what a usual pickle needs.
    pub(super) fn clear(&mut self, kept: usize) {
        self.dense.clear();
        self.dense.shrink_to(kept);
        self.sparse = HashMap::new();
        self.count = 0;
    }

    #[inline]
    pub(super) fn put(
        &mut self,
        index: u32,
        value: Value,
        limits: &Limits,
    ) -> Result<(), RejectReason> {
        let place = index as usize;
        if place == self.dense.len() && self.sparse.is_empty() && self.count < limits.max_memo {
            self.dense.push(Some(value));
            self.count += 1;
            return Ok(());
        }
        self.put_elsewhere(index, value, limits)
    }

    fn put_elsewhere(
        &mut self,
        index: u32,
        value: Value,
        limits: &Limits,
    ) -> Result<(), RejectReason> {
        if index > limits.max_memo_index {
            return Err(RejectReason::PickleMemo);
        }
        let new = self.get(index).is_none();
        if new {
            if self.count >= limits.max_memo {
                return Err(RejectReason::PickleSize);
            }
            self.count += 1;
        }
        let place = index as usize;
        // One number may be left out: the memo of Python 2's cPickle starts at 1.
        if place == self.dense.len() + 1 && self.sparse.is_empty() {
            self.dense.push(None);
            self.dense.push(Some(value));
        } else if let Some(slot) = self.dense.get_mut(place) {
            *slot = Some(value);
        } else {
            self.sparse.insert(index, value);
        }
        Ok(())
    }

    /// Stores under the number of entries there are.
    #[inline]
    pub(super) fn memoize(&mut self, value: Value, limits: &Limits) -> Result<(), RejectReason> {
        match u32::try_from(self.count) {
            Ok(index) => self.put(index, value, limits),
            Err(_) => Err(RejectReason::PickleSize),
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<Value> {
        match self.dense.get(index as usize) {
            Some(value) => *value,
            None => self.sparse.get(&index).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i64) -> Value {
        Value::Int { at: 0, value }
    }

    #[test]
    fn what_was_put_is_got() {
        let limits = Limits::default();
        let mut memo = Memo::default();
        for (index, value) in [(1, 10), (2, 20), (900_000, 30), (3, 40), (900_000, 50), (0, 60)] {
            memo.put(index, int(value), &limits).unwrap();
        }
        // The five entries so far are five numbers.
        memo.memoize(int(70), &limits).unwrap();
        for (index, value) in [(0, 60), (1, 10), (2, 20), (3, 40), (900_000, 50), (5, 70)] {
            assert_eq!(memo.get(index), Some(int(value)), "{index}");
        }
        assert_eq!(memo.get(4), None);
        assert_eq!(memo.put(1_048_577, int(0), &limits), Err(RejectReason::PickleMemo));
        memo.clear(0);
        assert_eq!(memo.get(1), None);
    }

    #[test]
    fn entries_are_counted() {
        let limits = Limits { max_memo: 2, ..Limits::default() };
        let mut memo = Memo::default();
        memo.put(0, int(1), &limits).unwrap();
        memo.put(7, int(2), &limits).unwrap();
        memo.put(7, int(3), &limits).unwrap();
        assert_eq!(memo.put(8, int(4), &limits), Err(RejectReason::PickleSize));
        assert_eq!(memo.memoize(int(4), &limits), Err(RejectReason::PickleSize));
    }
}
