//! Lists and tuples of a pickle, kept without nesting.

use super::Limits;
use super::value::Value;
use crate::RejectReason;

/// Marks the end of a chain of runs.
const NO_RUN: u32 = u32::MAX;

/// A list or tuple. Its values are the run at `first`, and for a list that grew in between other
/// values the runs chained behind it.
#[derive(Debug, Clone, Copy)]
struct Container {
    first: Run,
    last: u32,
    length: u32,
    end: u32,
    depth: u8,
    is_list: bool,
    /// Met a second time: what grows now would hold itself.
    frozen: bool,
}

/// Values that stand next to each other.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    length: u32,
    next: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Containers {
    containers: Vec<Container>,
    runs: Vec<Run>,
    items: Vec<Value>,
}

impl Containers {
    /// Forgets all, and gives memory back beyond what a usual pickle needs.
    pub(super) fn clear(&mut self, kept: usize) {
        self.containers.clear();
        self.containers.shrink_to(kept);
        self.runs.clear();
        self.runs.shrink_to(kept);
        self.items.clear();
        self.items.shrink_to(kept);
    }

    /// Makes a container of values. `end` is where its last opcode ends.
    #[inline]
    pub(super) fn make(
        &mut self,
        values: &[Value],
        is_list: bool,
        end: usize,
        limits: &Limits,
    ) -> Result<u32, RejectReason> {
        if self.items.len() + self.containers.len() + values.len() >= limits.max_items {
            return Err(RejectReason::PickleSize);
        }
        let depth = self.depth_around(values, limits)?;
        let index = self.containers.len() as u32;
        let length = values.len() as u32;
        let first = Run { start: self.items.len() as u32, length, next: NO_RUN };
        let end = end as u32;
        let frozen = false;
        self.items.extend_from_slice(values);
        let container = Container { first, last: NO_RUN, length, end, depth, is_list, frozen };
        self.containers.push(container);
        Ok(index)
    }

    /// Adds values to a list.
    pub(super) fn append(
        &mut self,
        list: u32,
        values: &[Value],
        end: usize,
        limits: &Limits,
    ) -> Result<(), RejectReason> {
        let total = self.items.len() + self.containers.len() + self.runs.len() + values.len();
        if total >= limits.max_items {
            return Err(RejectReason::PickleSize);
        }
        let depth = self.depth_around(values, limits)?;
        let start = self.items.len() as u32;
        let count = values.len() as u32;
        let new = self.runs.len() as u32;
        let container = self.containers.get_mut(list as usize).ok_or(RejectReason::PickleStack)?;
        if !container.is_list {
            return Err(RejectReason::PickleStack);
        }
        if container.frozen {
            return Err(RejectReason::PickleCycle);
        }
        container.depth = container.depth.max(depth);
        container.length += count;
        container.end = end as u32;
        let run = match self.runs.get_mut(container.last as usize) {
            Some(last) => last,
            None => &mut container.first,
        };
        if run.start + run.length == start {
            run.length += count;
        } else if run.length == 0 {
            (run.start, run.length) = (start, count);
        } else {
            run.next = new;
            container.last = new;
            self.runs.push(Run { start, length: count, next: NO_RUN });
        }
        self.items.extend_from_slice(values);
        Ok(())
    }

    /// A value was met again. A list may not grow any more: it could come to hold itself.
    pub(super) fn freeze(&mut self, value: Value) {
        if let Value::Container { index, .. } = value
            && let Some(container) = self.containers.get_mut(index as usize)
        {
            container.frozen = true;
        }
    }

    fn depth_around(&self, values: &[Value], limits: &Limits) -> Result<u8, RejectReason> {
        let mut depth = 1;
        for value in values {
            if let Value::Container { index, .. } = value
                && let Some(container) = self.containers.get(*index as usize)
            {
                depth = depth.max(container.depth.saturating_add(1));
            }
        }
        if depth > limits.max_depth { Err(RejectReason::PickleDepth) } else { Ok(depth) }
    }

    /// How many values a container has.
    pub(super) fn length(&self, index: u32) -> usize {
        self.containers.get(index as usize).map_or(0, |container| container.length as usize)
    }

    /// Where the last opcode ended that made or extended a container.
    pub(super) fn end(&self, index: u32) -> u32 {
        self.containers.get(index as usize).map_or(0, |container| container.end)
    }

    /// A container's values.
    pub(super) fn values(&self, index: u32) -> impl Iterator<Item = Value> {
        let mut run = self.containers.get(index as usize).map(|container| container.first);
        std::iter::from_fn(move || {
            let current = run?;
            run = self.runs.get(current.next as usize).copied();
            let start = current.start as usize;
            Some(self.items.get(start..start + current.length as usize).unwrap_or_default())
        })
        .flatten()
        .copied()
    }

    /// The values of a container of two.
    pub(super) fn pair(&self, value: Value) -> Option<[Value; 2]> {
        let Value::Container { index, .. } = value else { return None };
        if self.length(index) != 2 {
            return None;
        }
        let mut values = self.values(index);
        Some([values.next()?, values.next()?])
    }
}
