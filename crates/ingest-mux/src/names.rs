//! The live table of tags and sources: numbers are given here, and never taken back.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use ingest_entry::stored::{self, Definition, Summary, Table, TableRef};
use ingest_entry::{TagId, TagName};
use ingest_wal::{Limits, RefusedError, Tally};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::error::DefineError;

/// Most names of tags in a directory.
const MAX_TAGS: usize = 65_000;

#[derive(Debug, Default)]
pub(crate) struct Names {
    state: RwLock<State>,
    /// Rung for all when a tag was defined.
    defined: Notify,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    /// Numbers that entries carry though their definition was lost: never given again.
    burnt: BTreeSet<TagId>,
    /// Tags in the order in which they were defined, or read.
    order: Vec<TagId>,
}

/// What is done with a new definition while no other name can be given.
pub(crate) type Define<'a> = &'a dyn Fn(Bytes) -> Result<(), RefusedError>;

impl Names {
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn restore(&self, preamble: &[u8]) {
        match TableRef::decode(preamble) {
            Ok(table) => self.write(|state| {
                for definition in table.definitions().flatten() {
                    state.learn(&definition);
                }
            }),
            Err(error) => tracing::error!(%error, "A segment's table of names cannot be read."),
        }
    }

    pub(crate) fn learn(&self, body: &[u8]) {
        self.write(|state| {
            for definition in stored::definitions(body).flatten() {
                state.learn(&definition);
            }
        });
    }

    /// Counts entries by tag, and notes numbers that nobody defined.
    pub(crate) fn tally(&self, body: &[u8], tally: &mut Tally) {
        for entry in stored::entries(body).flatten() {
            let count = tally.entry(entry.tag.0).or_default();
            *count += 1;
            if *count == 1 {
                self.write(|state| {
                    state.burnt.insert(entry.tag);
                });
            }
        }
    }

    pub(crate) fn preamble(&self) -> Vec<u8> {
        self.read(|state| {
            let mut out = Vec::with_capacity(state.table.encoded_len());
            state.table.encode(&mut out);
            out
        })
    }

    pub(crate) fn definitions(&self) -> Vec<u8> {
        self.read(|state| {
            let mut out = Vec::with_capacity(state.table.encoded_len());
            for definition in state.table.definitions() {
                // Names were checked when they were defined.
                let _ = definition.encode(&mut out);
            }
            out
        })
    }

    pub(crate) fn summary(tally: &Tally) -> Vec<u8> {
        let mut summary = Summary::default();
        for (&tag, &count) in tally {
            summary.add(TagId(tag), count);
        }
        let mut out = Vec::with_capacity(summary.encoded_len());
        summary.encode(&mut out);
        out
    }

    pub(crate) fn tag_name(&self, id: TagId) -> Option<TagName> {
        self.read(|state| state.table.tag_name(id).cloned())
    }

    /// The tags from the `seen`-th on, in the order of their definition, and how many there are.
    pub(crate) fn tags_from(&self, seen: usize) -> (Vec<(TagId, TagName)>, usize) {
        self.read(|state| {
            let new = state.order.get(seen..).unwrap_or_default().iter();
            let named = new.filter_map(|id| Some((*id, state.table.tag_name(*id)?.clone())));
            (named.collect(), state.order.len())
        })
    }

    /// Ends when the next tag is defined.
    pub(crate) fn defined(&self) -> Notified<'_> {
        self.defined.notified()
    }

    pub(crate) fn knows(&self, id: TagId) -> bool {
        self.read(|state| state.table.tag_name(id).is_some())
    }

    /// How many tags have a number.
    pub(crate) fn tag_count(&self) -> u64 {
        self.read(|state| state.table.tags().len() as u64)
    }

    /// The number of a tag, given now if it has none.
    pub(crate) fn tag(
        &self,
        name: &TagName,
        limits: &Limits,
        define: Define<'_>,
    ) -> Result<TagId, DefineError> {
        if let Some(id) = self.read(|state| state.table.tag_id(name.as_str())) {
            return Ok(id);
        }
        let id = self.write(|state| {
            if let Some(id) = state.table.tag_id(name.as_str()) {
                return Ok(id);
            }
            if state.table.tags().len() >= MAX_TAGS {
                return Err(DefineError::full(name, "names", MAX_TAGS as u64));
            }
            let id = state.new_id(name)?;
            let definition = Definition::Tag { id, name: name.as_str() };
            state.check_room(&definition, limits, name)?;
            define(state.body(&definition)?)?;
            state.learn(&definition);
            Ok(id)
        })?;
        self.defined.notify_waiters();
        Ok(id)
    }

    /// The number of a configured source, given now if it has none.
    pub(crate) fn source(&self, name: &str, define: Define<'_>) -> Result<u16, DefineError> {
        self.write(|state| {
            if let Some(number) = state.table.source_number(name) {
                return Ok(number);
            }
            let number = state
                .table
                .free_source_number()
                .ok_or_else(|| DefineError::Name(format!("no number is left for {name:?}")))?;
            let definition = Definition::Source { number, name };
            define(state.body(&definition)?)?;
            state.learn(&definition);
            Ok(number)
        })
    }
}

impl State {
    fn learn(&mut self, definition: &Definition<'_>) {
        match self.table.apply(definition) {
            Ok(true) => {
                if let Definition::Tag { id, .. } = definition {
                    self.order.push(*id);
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "A definition in the log contradicts an earlier one.");
            }
        }
    }

    /// The number for a new name: the protocol's own for its two fixed names, unless they are
    /// taken.
    fn new_id(&self, name: &TagName) -> Result<TagId, DefineError> {
        let fixed = match name.as_str() {
            "default" => Some(TagId::DEFAULT),
            "gravwell" => Some(TagId::GRAVWELL),
            _ => None,
        };
        let free = fixed.filter(|id| self.table.tag_name(*id).is_none());
        let numbers = || DefineError::full(name, "numbers", 65_534);
        free.or_else(|| self.free_tag()).ok_or_else(numbers)
    }

    fn free_tag(&self) -> Option<TagId> {
        let defined = self.table.free_tag_id()?;
        let burnt = self.burnt.range(..TagId::GRAVWELL).next_back();
        match burnt {
            Some(burnt) if *burnt >= defined => {
                let above = TagId(burnt.0.saturating_add(1));
                (above < TagId::GRAVWELL).then_some(above)
            }
            _ => Some(defined),
        }
    }

    fn check_room(
        &self,
        definition: &Definition<'_>,
        limits: &Limits,
        name: &TagName,
    ) -> Result<(), DefineError> {
        let needed = self.table.encoded_len() + definition.encoded_len();
        let limit = limits.max_preamble();
        if needed as u64 > limit {
            return Err(DefineError::full(name, "bytes of names", limit));
        }
        Ok(())
    }

    fn body(&self, definition: &Definition<'_>) -> Result<Bytes, DefineError> {
        let mut body = Vec::with_capacity(definition.encoded_len());
        definition.encode(&mut body).map_err(|error| DefineError::Name(error.to_string()))?;
        Ok(body.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let space = ingest_wal::Space { total: 1 << 40, available: 1 << 40 };
        let mut options = ingest_wal::Options::default();
        options.max_bytes = Some(1 << 20);
        Limits::resolve(&options, std::path::Path::new("d"), space).unwrap()
    }

    fn name(text: &str) -> TagName {
        TagName::new(text).unwrap()
    }

    #[test]
    fn a_tag_keeps_its_number_and_is_defined_once() {
        let names = Names::default();
        let defined = std::cell::RefCell::new(Vec::new());
        let define = |body: Bytes| {
            defined.borrow_mut().push(body);
            Ok(())
        };
        let first = names.tag(&name("a"), &limits(), &define).unwrap();
        assert_eq!(names.tag(&name("a"), &limits(), &define), Ok(first));
        assert_ne!(names.tag(&name("b"), &limits(), &define), Ok(first));
        assert_eq!(defined.borrow().len(), 2);
        let again = Names::default();
        defined.borrow().iter().for_each(|body| again.learn(body));
        assert_eq!(again.tag_name(first), Some(name("a")));
        assert_eq!(again.preamble(), names.preamble());
    }

    #[test]
    fn the_protocol_s_own_names_keep_their_numbers() {
        let names = Names::default();
        let number = |text: &str| names.tag(&name(text), &limits(), &|_| Ok(()));
        assert_eq!(number("gravwell"), Ok(TagId::GRAVWELL));
        assert_eq!(number("a"), Ok(TagId(1)));
        assert_eq!(number("default"), Ok(TagId::DEFAULT));
        assert_eq!(number("b"), Ok(TagId(2)));
    }

    #[test]
    fn a_number_whose_definition_was_lost_is_not_given_again() {
        let names = Names::default();
        let mut body = Vec::new();
        let (ts, src) = (ingest_entry::Timestamp::UNIX_EPOCH, ingest_entry::Source::NONE);
        ingest_entry::EntryRef::new(ts, src, TagId(9), b"x").encode_stored(&mut body).unwrap();
        names.tally(&body, &mut Tally::new());
        assert_eq!(names.tag(&name("a"), &limits(), &|_| Ok(())), Ok(TagId(10)));
    }

    #[test]
    fn a_full_table_refuses_by_name() {
        let names = Names::default();
        let long = "x".repeat(2_000);
        assert!(names.tag(&name(&long), &limits(), &|_| Ok(())).is_ok());
        let error = names.tag(&name(&format!("y{long}y{long}")), &limits(), &|_| Ok(()));
        assert!(matches!(error, Err(DefineError::TableFull { limit: 4096, .. })), "{error:?}");
    }
}
