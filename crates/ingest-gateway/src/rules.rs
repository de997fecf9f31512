//! Rules: which of the entries that come in are kept. The first rule that fits decides; what none
//! fits is kept. What is left out is counted, at the rule and at its source.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use ingest_entry::{EntryRef, TagPattern};
use ingest_mux::Tags;
use memchr::memmem::Finder;

use crate::chosen::{Chooses, Chosen};
use crate::config::{RuleAction, RuleConfig};
use crate::counters::Counter;
use crate::map::graphite::Refusal;

/// The reason at a source of items that a rule leaves out.
pub const RULE: &str = "rule";

/// A rule, and what it did in this run.
#[derive(Debug)]
pub struct Rule {
    /// What it says.
    pub config: RuleConfig,
    /// Entries that it kept.
    pub kept: Counter,
    /// Entries that it left out.
    pub dropped: Counter,
    /// Finds the text that the data has to contain.
    contains: Option<Finder<'static>>,
}

impl Rule {
    fn new(config: &RuleConfig) -> Self {
        let finder = |text: &String| Finder::new(text).into_owned();
        Self {
            config: config.clone(),
            kept: Counter::default(),
            dropped: Counter::default(),
            contains: config.contains.as_ref().map(finder),
        }
    }

    fn fits(&self, entry: &EntryRef<'_>) -> bool {
        self.contains.as_ref().is_none_or(|text| text.find(entry.data).is_some())
    }

    fn keeps(&self, entry: &EntryRef<'_>) -> bool {
        let kept = match self.config.action {
            RuleAction::Keep => true,
            RuleAction::Drop => false,
            RuleAction::Sample => sample(entry).is_multiple_of(self.config.one_in),
        };
        if kept { &self.kept } else { &self.dropped }.add(1);
        kept
    }
}

/// The same for an entry that comes again.
fn sample(entry: &EntryRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(entry.data);
    hasher.write_i64(entry.ts.unix_seconds().unwrap_or_default());
    hasher.write_u32(entry.ts.nanos());
    hasher.finish()
}

/// All rules of a configuration, in their order. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<[Arc<Rule>]>);

impl Rules {
    /// The rules of another configuration: those that are the same count on.
    #[must_use]
    pub fn next(&self, configs: &[RuleConfig]) -> Self {
        let rule = |config: &RuleConfig| match self.iter().find(|had| had.config == *config) {
            Some(had) => Arc::clone(had),
            None => Arc::new(Rule::new(config)),
        };
        Self(configs.iter().map(rule).collect())
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.0.iter()
    }

    /// Those that are for a source.
    pub(crate) fn of_source(&self, name: &str, tags: Tags) -> SourceRules {
        SourceRules(Chosen::of_source(self.iter(), name, tags).map(Arc::new))
    }
}

impl Chooses for Rule {
    fn sources(&self) -> &[String] {
        &self.config.sources
    }

    fn tags(&self) -> &[TagPattern] {
        &self.config.tags
    }
}

/// The rules of one source. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceRules(Option<Arc<Chosen<Rule>>>);

impl SourceRules {
    /// Whether an entry is kept.
    #[inline]
    pub(crate) fn admits(&self, entry: &EntryRef<'_>) -> bool {
        self.0.as_ref().is_none_or(|chosen| {
            let rules = chosen.of_tag(entry.tag);
            rules.iter().find(|rule| rule.fits(entry)).is_none_or(|rule| rule.keeps(entry))
        })
    }

    /// That an item becomes an entry.
    ///
    /// # Errors
    /// [`Refusal::Rule`].
    #[inline]
    pub(crate) fn check(&self, entry: &EntryRef<'_>) -> Result<(), Refusal> {
        if self.admits(entry) { Ok(()) } else { Err(Refusal::Rule) }
    }

    /// Whether they say the same.
    pub(crate) fn are(&self, other: &Self) -> bool {
        let configs = |rules: &Self| -> Vec<RuleConfig> {
            let rules = rules.0.iter().flat_map(|chosen| chosen.all());
            rules.map(|rule| rule.config.clone()).collect()
        };
        configs(self) == configs(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::{Source, TagId, TagName, Timestamp};
    use ingest_mux::Muxer;

    fn rule(action: RuleAction, tags: &[&str], contains: Option<&str>) -> RuleConfig {
        RuleConfig {
            name: "r".to_owned(),
            sources: Vec::new(),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            contains: contains.map(str::to_owned),
            action,
            one_in: 10,
        }
    }

    fn entry(tag: TagId, data: &str, at: i64) -> EntryRef<'_> {
        let ts = Timestamp::from_unix(at, 0).unwrap();
        EntryRef::new(ts, Source::NONE, tag, data.as_bytes())
    }

    #[tokio::test]
    async fn the_first_that_fits_decides() {
        let muxer = Muxer::builder().memory(1 << 20).start().unwrap();
        let tag = |name| muxer.tag(&TagName::new(name).unwrap()).unwrap();
        let (app, other) = (tag("app-a"), tag("other"));
        let mut elsewhere = rule(RuleAction::Drop, &[], None);
        elsewhere.sources = vec!["elsewhere".to_owned()];
        let configs = [
            elsewhere,
            rule(RuleAction::Keep, &[], Some("ERROR")),
            rule(RuleAction::Drop, &["app-*"], Some("DEBUG")),
            rule(RuleAction::Sample, &["app-*"], None),
        ];
        let all = Rules::default().next(&configs);
        let rules = all.of_source("here", muxer.tags());
        assert!(rules.admits(&entry(app, "DEBUG ERROR", 1)));
        assert!(!rules.admits(&entry(app, "DEBUG", 1)));
        assert!(rules.admits(&entry(other, "DEBUG", 1)), "no rule fits");
        let kept = (0..10_000).filter(|at| rules.admits(&entry(app, "x", *at))).count();
        assert!((800..1_200).contains(&kept), "{kept}");
        let again = (0..10_000).filter(|at| rules.admits(&entry(app, "x", *at))).count();
        assert_eq!(kept, again, "what comes again has the same fate");
        let counts: Vec<_> = all.iter().map(|rule| (rule.kept.get(), rule.dropped.get())).collect();
        let kept = 2 * kept as u64;
        assert_eq!(counts, [(0, 0), (1, 0), (0, 1), (kept, 20_000 - kept)]);
        assert!(!all.of_source("elsewhere", muxer.tags()).admits(&entry(other, "x", 1)));
        assert!(Rules::default().of_source("here", muxer.tags()).admits(&entry(app, "DEBUG", 1)));
    }

    #[test]
    fn rules_that_stay_count_on() {
        let keep = rule(RuleAction::Keep, &["a"], None);
        let before = Rules::default().next(std::slice::from_ref(&keep));
        before.iter().for_each(|rule| rule.kept.add(3));
        let after = before.next(&[rule(RuleAction::Drop, &["b"], None), keep]);
        let kept: Vec<_> = after.iter().map(|rule| rule.kept.get()).collect();
        assert_eq!(kept, [0, 3]);
    }
}
