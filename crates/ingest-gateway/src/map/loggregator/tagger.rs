//! Which tag an entry gets: of its application, its organization, its kind, or one made for it.

use std::sync::Arc;

use ingest_entry::{TagId, ValuesRef};

use crate::config::LoggregatorKind;
use crate::template::{self, Field, Fields, Maker, Name};

/// Values that name the application, the first that is there first.
const APP: [&str; 4] = ["app_id", "applicationId", "tags.app_id", "lg.app"];
const APP_NAME: &str = "tags.app_name";
const SPACE: [&str; 2] = ["tags.space_name", "tags.space_id"];
const SOURCE_TYPE: [&str; 2] = ["source_type", "tags.source_type"];
const ORG: [&str; 2] = ["tags.organization_name", "tags.organization_id"];

/// Gives entries their tags: an application's own, else its organization's, else its kind's, else
/// one that a template makes, else the source's.
#[derive(Debug)]
pub struct Tagger {
    apps: Vec<(String, TagId)>,
    orgs: Vec<(String, TagId)>,
    kinds: Vec<(LoggregatorKind, TagId)>,
    others: template::Tagger,
}

impl Tagger {
    /// One tag for all.
    #[must_use]
    pub const fn new(tag: TagId) -> Self {
        let others = template::Tagger::plain(tag);
        Self { apps: Vec::new(), orgs: Vec::new(), kinds: Vec::new(), others }
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

    /// Tags made by a template for what has none of those.
    #[must_use]
    pub fn made(mut self, maker: Option<Arc<Maker>>) -> Self {
        self.others = template::Tagger::new(self.own(), maker);
        self
    }

    /// The source's own.
    pub(super) const fn own(&self) -> TagId {
        self.others.own()
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
        self.others.tag(&Message(values))
    }
}

/// A message, for templates.
struct Message<'v>(ValuesRef<'v>);

impl Fields for Message<'_> {
    fn write(&self, field: &Field, out: &mut Name<'_>) -> bool {
        let found = match field {
            Field::App => first(self.0, &APP).or_else(|| source(self.0)),
            Field::AppName => text(self.0, APP_NAME),
            Field::Space => first(self.0, &SPACE),
            Field::Org => first(self.0, &ORG),
            Field::SourceType => first(self.0, &SOURCE_TYPE),
            _ => None,
        };
        found.is_some_and(|text| out.push(text))
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
    use ingest_entry::{TagName, Values};

    use super::*;
    use crate::template::{Known, Template};

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
        let template = Template::parse("cf-{org}", &[Known::Org], TagName::allows).unwrap();
        let maker = Maker::new(template, 2, move |name| {
            asked.send(name.as_str().to_owned()).unwrap();
            Some(TagId(if name.as_str() == "cf-b" { 12 } else { 11 }))
        });
        let mut tagger = Tagger::new(TagId(1)).made(Some(Arc::new(maker)));
        for org in ["a b", "b", "a b", "c", "b"] {
            let values = values(&[("tags.organization_name", org)]);
            given.push(tagger.tag(LoggregatorKind::Log, values.as_ref()).0);
        }
        given.push(tagger.tag(LoggregatorKind::Log, values(&[]).as_ref()).0);
        assert_eq!(given, [11, 12, 11, 1, 12, 1]);
        assert_eq!(names.try_iter().collect::<Vec<_>>(), ["cf-a_b", "cf-b"]);
    }
}
