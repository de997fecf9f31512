//! The tags that a template makes at a source.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ingest_entry::{TagId, TagName};

use super::{Fields, Rendered, Template};
use crate::counters::Counter;

/// The longest name of a tag that a template makes, in bytes.
pub const MAX_NAME: usize = 255;

/// Gives a tag its number; `None`: there are no more.
type Number = Box<dyn Fn(&TagName) -> Option<TagId> + Send + Sync>;

/// Makes the tags of one source. What its connections share.
pub struct Maker {
    template: Template,
    most: usize,
    number: Number,
    known: RwLock<HashMap<Box<str>, TagId>>,
    /// Entries whose tag has `_` in the place of something that a tag cannot hold.
    pub replaced: Counter,
    /// Entries with the plain tag, because they do not bring a field that has no default, or because
    /// the name would be longer than 255 bytes.
    pub missing: Counter,
    /// Entries with the plain tag, because there are too many tags already.
    pub too_many: Counter,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker").field("template", &self.template).finish_non_exhaustive()
    }
}

impl Maker {
    /// Makes `most` different tags at most.
    #[must_use]
    pub fn new(
        template: Template,
        most: usize,
        number: impl Fn(&TagName) -> Option<TagId> + Send + Sync + 'static,
    ) -> Self {
        Self {
            template,
            most,
            number: Box::new(number),
            known: RwLock::default(),
            replaced: Counter::default(),
            missing: Counter::default(),
            too_many: Counter::default(),
        }
    }

    /// What it makes tags of.
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }

    /// How many different tags it makes at most.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// How many it has made in this run.
    #[must_use]
    pub fn made(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The number of a name, unless there are too many.
    fn number(&self, name: &str) -> Option<TagId> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            match known.get(name) {
                Some(tag) => return Some(*tag),
                None if known.len() >= self.most => return None,
                None => {}
            }
        }
        self.make(name)
    }

    fn make(&self, name: &str) -> Option<TagId> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tag) = known.get(name) {
            return Some(*tag);
        }
        if known.len() >= self.most {
            return None;
        }
        let tag = (self.number)(&TagName::new(name).ok()?)?;
        known.insert(name.into(), tag);
        if known.len() == self.most {
            tracing::warn!(
                template = %self.template, tags = self.most,
                "No more tags are made for this source."
            );
        }
        Some(tag)
    }
}

/// Gives entries their tags: those that a maker makes, else the plain one. Each connection has one,
/// with the buffers that it needs.
#[derive(Debug, Clone)]
pub struct Tagger {
    plain: TagId,
    made: Option<Made>,
}

#[derive(Debug, Clone)]
struct Made {
    maker: Arc<Maker>,
    name: String,
    /// The last name that was made, and its tag: items of a connection often follow their like.
    last: (String, TagId),
}

impl Tagger {
    /// One tag for all.
    #[must_use]
    pub const fn plain(plain: TagId) -> Self {
        Self { plain, made: None }
    }

    /// Tags of a maker, and this one for what it makes none for.
    #[must_use]
    pub fn new(plain: TagId, maker: Option<Arc<Maker>>) -> Self {
        let made = |maker| Made { maker, name: String::new(), last: (String::new(), plain) };
        Self { plain, made: maker.map(made) }
    }

    /// The plain tag.
    #[must_use]
    pub const fn own(&self) -> TagId {
        self.plain
    }

    /// Whether all entries get the plain tag.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.made.is_none()
    }

    /// The tag of an item.
    pub fn tag(&mut self, item: &impl Fields) -> TagId {
        self.made(item).unwrap_or(self.plain)
    }

    /// The tag that is made for an item, if one is.
    pub fn made(&mut self, item: &impl Fields) -> Option<TagId> {
        self.made.as_mut()?.tag(item)
    }
}

impl Made {
    fn tag(&mut self, item: &impl Fields) -> Option<TagId> {
        let Self { maker, name, last } = self;
        let rendered = maker.template.render(item, TagName::allows, name);
        if rendered == Rendered::Missing || name.len() > MAX_NAME {
            maker.missing.add(1);
            return None;
        }
        // The first that ever comes is not the empty name: a template has text or fields, and both
        // are something.
        if *name != last.0 {
            let Some(tag) = maker.number(name) else {
                maker.too_many.add(1);
                return None;
            };
            std::mem::swap(&mut last.0, name);
            last.1 = tag;
        }
        if rendered == Rendered::Replaced {
            maker.replaced.add(1);
        }
        Some(last.1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::template::{Field, Known, Name};

    struct Key<'a>(&'a str);

    impl Fields for Key<'_> {
        fn write(&self, field: &Field, out: &mut Name<'_>) -> bool {
            *field == Field::Key && out.push(self.0)
        }
    }

    fn maker(text: &str, most: usize) -> (Arc<Maker>, Arc<Mutex<Vec<String>>>) {
        let template = Template::parse(text, &[Known::Key], TagName::allows).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::clone(&asked);
        let maker = Maker::new(template, most, move |name| {
            let mut names = names.lock().unwrap();
            names.push(name.as_str().to_owned());
            Some(TagId(100 + names.len() as u16))
        });
        (Arc::new(maker), asked)
    }

    #[test]
    fn tags_are_made_once_and_up_to_a_limit() {
        let (maker, asked) = maker("t-{key}", 2);
        let mut taggers = [(); 2].map(|()| Tagger::new(TagId(1), Some(Arc::clone(&maker))));
        let keys = ["a b", "a b", "b", "c", "a.b", "b", "", "c"];
        for tagger in &mut taggers {
            let tags = keys.map(|key| tagger.tag(&Key(key)).0);
            assert_eq!(tags, [101, 101, 102, 1, 101, 102, 1, 1]);
        }
        assert_eq!(*asked.lock().unwrap(), ["t-a_b", "t-b"], "of both connections together");
        let counts = [&maker.replaced, &maker.missing, &maker.too_many].map(Counter::get);
        assert_eq!((counts, maker.made()), ([6, 2, 4], 2));
    }

    #[test]
    fn names_that_are_too_long_are_not_made() {
        let (maker, asked) = maker("{key}", 10);
        let mut tagger = Tagger::new(TagId(1), Some(Arc::clone(&maker)));
        assert_eq!(tagger.tag(&Key(&"x".repeat(MAX_NAME))), TagId(101));
        assert_eq!(tagger.tag(&Key(&"x".repeat(MAX_NAME + 1))), TagId(1));
        assert_eq!((maker.missing.get(), asked.lock().unwrap().len()), (1, 1));
    }

    #[test]
    fn without_a_maker_there_is_one_tag() {
        let mut tagger = Tagger::plain(TagId(7));
        assert!(tagger.is_plain());
        assert_eq!(tagger.tag(&Key("a")), TagId(7));
    }
}
