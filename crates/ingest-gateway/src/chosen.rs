//! What of a configured list is for a source and a tag.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ingest_entry::{TagId, TagPattern};
use ingest_mux::Tags;

/// Something that is for some sources and tags.
pub(crate) trait Chooses {
    /// The names of the sources; none: all.
    fn sources(&self) -> &[String];

    /// The tags; none: all.
    fn tags(&self) -> &[TagPattern];
}

/// What is for one source, by tag.
#[derive(Debug)]
pub(crate) struct Chosen<T> {
    all: Vec<Arc<T>>,
    tags: Tags,
    /// What is for a tag, once it was asked for. As many as the log has tags, at most.
    by_tag: Mutex<HashMap<TagId, Arc<[Arc<T>]>>>,
}

impl<T: Chooses> Chosen<T> {
    /// What is for the source of that name; `None` if nothing is.
    pub(crate) fn of_source<'a>(
        list: impl Iterator<Item = &'a Arc<T>>,
        name: &str,
        tags: Tags,
    ) -> Option<Self>
    where
        T: 'a,
    {
        let is_for = |one: &&Arc<T>| {
            let sources = one.sources();
            sources.is_empty() || sources.iter().any(|source| source == name)
        };
        let all: Vec<_> = list.filter(is_for).cloned().collect();
        (!all.is_empty()).then(|| Self { all, tags, by_tag: Mutex::default() })
    }

    /// Whatever the tag.
    pub(crate) fn all(&self) -> &[Arc<T>] {
        &self.all
    }

    /// What is for a tag, in order.
    pub(crate) fn of_tag(&self, tag: TagId) -> Arc<[Arc<T>]> {
        let mut by_tag = self.by_tag.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = by_tag.entry(tag).or_insert_with(|| {
            let name = self.tags.name(tag);
            let is_for = |one: &&Arc<T>| {
                let tags = one.tags();
                let takes = |name: &str| tags.iter().any(|pattern| pattern.matches(name));
                tags.is_empty() || name.as_ref().is_some_and(|name| takes(name.as_str()))
            };
            self.all.iter().filter(is_for).cloned().collect()
        });
        Arc::clone(chosen)
    }
}
