//! What an output's filter says of tag numbers.

use std::sync::{Arc, PoisonError, RwLock};

use ingest_entry::{TagId, TagName};

use crate::names::Names;
use crate::output::Filter;

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// A filter that is asked once for each tag number: a number keeps its name for the life of the
/// directory.
#[derive(Debug)]
pub(crate) struct Matcher {
    filter: Filter,
    names: Arc<Names>,
    /// By number; as long as the highest that was asked for.
    known: RwLock<Vec<u8>>,
}

impl Matcher {
    pub(crate) fn new(filter: Filter, names: Arc<Names>) -> Self {
        Self { filter, names, known: RwLock::default() }
    }

    /// Whether every entry is meant, whatever its tag.
    pub(crate) fn takes_all(&self) -> bool {
        self.filter == Filter::All
    }

    /// For many entries one after the other.
    pub(crate) fn memo(&self) -> Memo<'_> {
        Memo { matcher: self, last: None }
    }

    /// Whether entries with this tag are meant.
    pub(crate) fn takes(&self, tag: TagId) -> bool {
        if self.takes_all() {
            return true;
        }
        let at = usize::from(tag.0);
        let known = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.get(at).copied().unwrap_or(UNKNOWN)
        };
        if known != UNKNOWN {
            return known == YES;
        }
        let name = self.names.tag_name(tag);
        let takes = self.filter.matches(name.as_ref().map(TagName::as_str));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() <= at {
            known.resize(at + 1, UNKNOWN);
        }
        if let Some(known) = known.get_mut(at) {
            *known = if takes { YES } else { NO };
        }
        takes
    }
}

/// Remembers the last answer, because entries of one tag come together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memo<'a> {
    matcher: &'a Matcher,
    last: Option<(TagId, bool)>,
}

impl Memo<'_> {
    #[inline]
    pub(crate) fn takes(&mut self, tag: TagId) -> bool {
        match self.last {
            Some((last, takes)) if last == tag => takes,
            _ => {
                let takes = self.matcher.takes(tag);
                self.last = Some((tag, takes));
                takes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_once() {
        let names = Arc::new(Names::default());
        let mut body = Vec::new();
        for (id, name) in [(TagId(7), "app-one"), (TagId(9), "other")] {
            let definition = ingest_entry::stored::Definition::Tag { id, name };
            definition.encode(&mut body).unwrap();
        }
        names.learn(&body);
        let filter = Filter::Tags(vec!["app-*".parse().unwrap()]);
        let matcher = Matcher::new(filter, names);
        let mut memo = matcher.memo();
        let answers = [7, 7, 9, 7, 9, 60_000].map(|tag| memo.takes(TagId(tag)));
        assert_eq!(answers, [true, true, false, true, false, false]);
        assert!(!matcher.takes_all());
    }
}
