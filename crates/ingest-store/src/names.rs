//! The names behind the numbers of tags and sources.

use std::fmt::Write as _;
use std::io;

use ingest_entry::stored::{Definition, Table, TableRef, definitions};
use ingest_entry::{TagId, TagName, TagPattern};
use ingest_wal::{Directory, Kind, Lsn, OfflineSegment, SegmentFile};

/// The names that the log defines.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: Table,
    /// By number, so that a hit costs no search.
    tags: Vec<Option<TagName>>,
}

impl Names {
    /// The newest valid preamble, and the definitions that came since. Also the LSN after the last
    /// entry, as far as segments without an end of their own say.
    pub(crate) fn load(dir: &Directory, segments: &[OfflineSegment]) -> io::Result<(Self, Lsn)> {
        let mut names = Self::default();
        let mut since = 0;
        for (at, segment) in segments.iter().enumerate().rev() {
            let Some(file) = dir.open(segment)? else { continue };
            if names.restore(&file)? {
                since = at;
                break;
            }
        }
        let mut end = segments.last().map_or(0, |last| last.name.first);
        for segment in segments.get(since..).unwrap_or_default() {
            if let Some(file) = dir.open(segment)? {
                end = end.max(names.define_from(&file)?.min(segment.end));
            }
        }
        names.index();
        Ok((names, end))
    }

    pub(crate) fn into_table(self) -> Table {
        self.table
    }

    /// Takes the preamble of a segment; false if it is damaged.
    pub(crate) fn restore(&mut self, file: &SegmentFile) -> io::Result<bool> {
        let Some(preamble) = file.preamble()? else { return Ok(false) };
        if preamble.is_empty() {
            return Ok(true);
        }
        let Ok(table) = TableRef::decode(&preamble) else { return Ok(false) };
        for definition in table.definitions().flatten() {
            self.apply(&definition);
        }
        self.index();
        Ok(true)
    }

    /// Takes the definitions of a segment; says the LSN after its last entry.
    fn define_from(&mut self, file: &SegmentFile) -> io::Result<Lsn> {
        if let Some(account) = file.account()? {
            for &offset in &account.definitions {
                let mut records = file.records_from(offset);
                match records.next_record()? {
                    Some(record) if record.header.kind == Kind::Definitions => {
                        self.define(record.body);
                    }
                    _ => {}
                }
            }
            return Ok(account.end);
        }
        let (mut records, mut end) = (file.records(), file.name().first);
        while let Some(record) = records.next_record()? {
            match record.header.kind {
                Kind::Definitions => {
                    self.define(record.body);
                }
                _ => end = end.max(record.header.end()),
            }
        }
        Ok(end)
    }

    /// Takes the body of a definitions record; true if it said something new.
    pub(crate) fn define(&mut self, body: &[u8]) -> bool {
        let mut new = false;
        for definition in definitions(body).flatten() {
            new |= self.apply(&definition);
        }
        if new {
            self.index();
        }
        new
    }

    fn apply(&mut self, definition: &Definition<'_>) -> bool {
        self.table.apply(definition).unwrap_or_else(|error| {
            tracing::warn!(%error, "A definition contradicts an earlier one and is ignored.");
            false
        })
    }

    fn index(&mut self) {
        self.tags.clear();
        for (TagId(number), name) in self.table.tags() {
            self.tags.resize(usize::from(number), None);
            self.tags.push(Some(name.clone()));
        }
    }

    /// The name of a tag, if it has one.
    pub(crate) fn known_tag(&self, id: TagId) -> Option<&str> {
        match self.tags.get(usize::from(id.0)) {
            Some(Some(name)) => Some(name.as_str()),
            _ if id == TagId::DEFAULT => Some("default"),
            _ if id == TagId::GRAVWELL => Some("gravwell"),
            _ => None,
        }
    }

    /// The name of a tag, or `#NUMBER`, which is written to `scratch`.
    pub(crate) fn tag<'a>(&'a self, id: TagId, scratch: &'a mut String) -> &'a str {
        match self.known_tag(id) {
            Some(name) => name,
            None => {
                scratch.clear();
                let _ = write!(scratch, "#{id}");
                scratch
            }
        }
    }

    /// The name of a configured source.
    pub(crate) fn source(&self, number: u16) -> Option<&str> {
        self.table.source_name(number)
    }

    /// The numbers that match one of the patterns.
    pub(crate) fn matching(&self, patterns: &[TagPattern]) -> TagSet {
        let mut set = TagSet::new();
        let mut scratch = String::new();
        let numbers = patterns.iter().any(takes_numbers);
        for id in (0..=u16::MAX).map(TagId) {
            let found = match self.known_tag(id) {
                Some(name) => patterns.iter().any(|pattern| pattern.matches(name)),
                None if numbers => {
                    let name = self.tag(id, &mut scratch);
                    let mut written = patterns.iter().filter(|pattern| takes_numbers(pattern));
                    written.any(|pattern| pattern.matches(name))
                }
                None => false,
            };
            if found {
                set.insert(id);
            }
        }
        set
    }
}

/// Whether a pattern is written so that tag numbers without a name may match.
fn takes_numbers(pattern: &TagPattern) -> bool {
    pattern.prefix().starts_with('#')
}

/// A set of tag numbers, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagSet(Box<[u64; 1024]>);

impl TagSet {
    pub(crate) fn new() -> Self {
        Self(Box::new([0; 1024]))
    }

    pub(crate) fn insert(&mut self, id: TagId) {
        if let Some(word) = self.0.get_mut(usize::from(id.0 >> 6)) {
            *word |= 1 << (id.0 & 63);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, id: TagId) -> bool {
        self.0.get(usize::from(id.0 >> 6)).is_some_and(|word| word >> (id.0 & 63) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tags: &[(u16, &str)]) -> Names {
        let mut names = Names::default();
        for &(id, name) in tags {
            let mut body = Vec::new();
            Definition::Tag { id: TagId(id), name }.encode(&mut body).unwrap();
            names.define(&body);
        }
        names
    }

    fn matching(names: &Names, patterns: &[&str]) -> Vec<u16> {
        let patterns: Vec<_> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        let set = names.matching(&patterns);
        (0..=u16::MAX).filter(|&id| set.contains(TagId(id))).collect()
    }

    #[test]
    fn numbers_become_names_and_patterns_numbers() {
        let names = names(&[(7, "app-b"), (1, "app-a"), (64, "#3"), (9, "other")]);
        let mut scratch = String::new();
        assert_eq!(names.tag(TagId(7), &mut scratch), "app-b");
        assert_eq!(names.tag(TagId(8), &mut scratch), "#8");
        assert_eq!(names.tag(TagId(0), &mut scratch), "default");
        assert_eq!(names.tag(TagId(0xffff), &mut scratch), "gravwell");
        assert_eq!(matching(&names, &["app-*", "other"]), [1, 7, 9]);
        assert_eq!(matching(&names, &["*"]), [0, 1, 7, 9, 64, 65_535]);
        assert_eq!(matching(&names, &["#3", "app-a"]), [1, 3, 64]);
        assert_eq!(matching(&names, &["#6553*"]), [6553, 65_530, 65_531, 65_532, 65_533, 65_534]);
        assert_eq!(matching(&names, &["#7", "none"]), []);
    }

    #[test]
    fn what_contradicts_is_ignored() {
        let mut names = names(&[(1, "a")]);
        let mut body = Vec::new();
        Definition::Tag { id: TagId(1), name: "b" }.encode(&mut body).unwrap();
        Definition::Source { number: 2, name: "s" }.encode(&mut body).unwrap();
        assert!(names.define(&body) && !names.define(&body));
        assert_eq!(names.known_tag(TagId(1)), Some("a"));
        assert_eq!((names.source(2), names.source(3)), (Some("s"), None));
    }
}
