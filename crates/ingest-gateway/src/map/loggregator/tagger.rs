//! Which tag an entry gets: of its application, its organization, its kind, or one made for it.

use std::collections::HashMap;
use std::fmt;

use ingest_entry::{TagId, TagName, ValuesRef};

use crate::config::{LoggregatorKind, LoggregatorPer};

/// Values that name the application, the first that is there first.
const APP: [&str; 4] = ["app_id", "applicationId", "tags.app_id", "lg.app"];
const APP_NAME: &str = "tags.app_name";
const SPACE: [&str; 2] = ["tags.space_name", "tags.space_id"];
const ORG: [&str; 2] = ["tags.organization_name", "tags.organization_id"];

/// Gives a tag its number.
type Number = Box<dyn FnMut(&TagName) -> Option<TagId> + Send>;

/// Gives entries their tags: an application's own, else its organization's, else its kind's, else
/// one that is made for each application, space or organization, else the source's.
pub struct Tagger {
    tag: TagId,
    apps: Vec<(String, TagId)>,
    orgs: Vec<(String, TagId)>,
    kinds: Vec<(LoggregatorKind, TagId)>,
    made: Option<Made>,
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tagger").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// Tags that are made when they are needed.
struct Made {
    per: LoggregatorPer,
    /// What their names begin with.
    name: TagName,
    most: usize,
    known: HashMap<String, TagId>,
    number: Number,
    /// How many entries got the source's tag since there were too many.
    refused: u64,
}

impl Tagger {
    /// One tag for all.
    #[must_use]
    pub const fn new(tag: TagId) -> Self {
        Self { tag, apps: Vec::new(), orgs: Vec::new(), kinds: Vec::new(), made: None }
    }

    /// Others for some kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: Vec<(LoggregatorKind, TagId)>) -> Self {
        self.kinds = kinds;
        self
    }

    /// Others for some applications, by GUID or name.
    #[must_use]
    pub fn apps(mut self, apps: Vec<(String, TagId)>) -> Self {
        self.apps = apps;
        self
    }

    /// Others for some organizations, by name or GUID.
    #[must_use]
    pub fn orgs(mut self, orgs: Vec<(String, TagId)>) -> Self {
        self.orgs = orgs;
        self
    }

    /// A tag `NAME-…` for each application, space or organization, `most` at most.
    #[must_use]
    pub fn per(
        mut self,
        per: LoggregatorPer,
        name: TagName,
        most: usize,
        number: impl FnMut(&TagName) -> Option<TagId> + Send + 'static,
    ) -> Self {
        let (known, number) = (HashMap::new(), Box::new(number));
        self.made = Some(Made { per, name, most, known, number, refused: 0 });
        self
    }

    /// The source's own.
    pub(super) const fn own(&self) -> TagId {
        self.tag
    }

    /// The tag of an entry with these values.
    pub(super) fn tag(&mut self, kind: LoggregatorKind, values: ValuesRef<'_>) -> TagId {
        if !self.apps.is_empty() {
            let id = first(values, &APP).or_else(|| source(values));
            if let Some(tag) = of(&self.apps, id).or_else(|| of(&self.apps, text(values, APP_NAME)))
            {
                return tag;
            }
        }
        let orgs = ORG.iter().filter(|_| !self.orgs.is_empty());
        for name in orgs {
            if let Some(tag) = of(&self.orgs, text(values, name)) {
                return tag;
            }
        }
        if let Some((_, tag)) = self.kinds.iter().find(|(of, _)| *of == kind) {
            return *tag;
        }
        self.made.as_mut().and_then(|made| made.tag(values)).unwrap_or(self.tag)
    }
}

impl Made {
    fn tag(&mut self, values: ValuesRef<'_>) -> Option<TagId> {
        let key = match self.per {
            LoggregatorPer::App => first(values, &APP).or_else(|| source(values)),
            LoggregatorPer::AppName => text(values, APP_NAME),
            LoggregatorPer::Space => first(values, &SPACE),
            LoggregatorPer::Org => first(values, &ORG),
        }?;
        if let Some(tag) = self.known.get(key) {
            return Some(*tag);
        }
        if self.known.len() >= self.most {
            if self.refused == 0 {
                tracing::warn!(tags = self.most, "No more tags are made for this source.");
            }
            self.refused += 1;
            return None;
        }
        let name = TagName::remap(format!("{}-{key}", self.name.as_str()), '_').ok()?;
        let tag = (self.number)(&name)?;
        self.known.insert(key.to_owned(), tag);
        Some(tag)
    }
}

fn of(tags: &[(String, TagId)], key: Option<&str>) -> Option<TagId> {
    let key = key?;
    tags.iter().find(|(name, _)| name == key).map(|(_, tag)| *tag)
}

fn text<'v>(values: ValuesRef<'v>, name: &str) -> Option<&'v str> {
    values.find(name)?.as_str().filter(|text| !text.is_empty())
}

fn first<'v>(values: ValuesRef<'v>, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| text(values, name))
}

/// The source of an envelope of the third generation, if it is an application: its GUID. Components
/// have names, and in the first generation a source is the number of an instance.
fn source(values: ValuesRef<'_>) -> Option<&str> {
    text(values, "source_id")
        .filter(|id| id.len() == 36 && id.bytes().filter(|b| *b == b'-').count() == 4)
}

#[cfg(test)]
mod tests {
    use ingest_entry::Values;

    use super::*;

    const GUID: &str = "55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c";

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::new();
        pairs.iter().for_each(|(name, value)| values.push(name, *value).unwrap());
        values
    }

    #[test]
    fn the_nearest_rule_wins() {
        let mut tagger = Tagger::new(TagId(1))
            .kinds(vec![(LoggregatorKind::Counter, TagId(2))])
            .orgs(vec![("retail".to_owned(), TagId(3))])
            .apps(vec![(GUID.to_owned(), TagId(4)), ("shop".to_owned(), TagId(5))]);
        let mut tag = |kind, pairs: &[(&str, &str)]| tagger.tag(kind, values(pairs).as_ref()).0;
        let (log, counter) = (LoggregatorKind::Log, LoggregatorKind::Counter);
        assert_eq!(tag(log, &[("source_id", "doppler")]), 1);
        assert_eq!(tag(counter, &[("source_id", "doppler")]), 2);
        let retail = ("tags.organization_name", "retail");
        assert_eq!(tag(counter, &[("source_id", "doppler"), retail]), 3);
        assert_eq!(tag(counter, &[("source_id", GUID), retail]), 4);
        assert_eq!(tag(log, &[("app_id", GUID), ("source_id", "0")]), 4);
        assert_eq!(tag(log, &[("app_id", "other"), ("tags.app_name", "shop")]), 5);
    }

    #[test]
    fn tags_are_made_up_to_a_limit() {
        let mut given = Vec::new();
        let (asked, names) = std::sync::mpsc::channel();
        let mut next = 10;
        let name = TagName::new("cf").unwrap();
        let mut tagger = Tagger::new(TagId(1)).per(LoggregatorPer::Org, name, 2, move |name| {
            asked.send(name.as_str().to_owned()).unwrap();
            next += 1;
            Some(TagId(next))
        });
        for org in ["a b", "b", "a b", "c", "b"] {
            let values = values(&[("tags.organization_name", org)]);
            given.push(tagger.tag(LoggregatorKind::Log, values.as_ref()).0);
        }
        given.push(tagger.tag(LoggregatorKind::Log, values(&[]).as_ref()).0);
        assert_eq!(given, [11, 12, 11, 1, 12, 1]);
        assert_eq!(names.try_iter().collect::<Vec<_>>(), ["cf-a_b", "cf-b"]);
    }
}
