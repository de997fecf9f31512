//! Hydra payloads as entries (`gateway.md` 5): data = the payload's bytes, tag = `hydra-tag`, else
//! the source's, values = the metadata if wanted.

use hydra_ws::{Metadata, Request};
use ingest_entry::{Source, TagName, Values};

use super::graphite;
use crate::config::HydraValues;

/// Why a payload is refused, beside the reasons of Graphite lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `hydra-tag` is no name of a tag.
    BadTag,
    /// No further tag: the source's limit, or the log's.
    TooManyTags,
    /// The time for it was up before there was room.
    NoTime,
    /// `kafka_ingestor` has no broker.
    NoBroker,
    /// `kafka_ingestor` cannot make a record of it.
    NotARecord,
    /// `kafka_ingestor` sent it, and no broker has it.
    NotDelivered,
    /// The message was neither a command nor a payload, or past a limit.
    NotAMessage,
}

impl Refusal {
    const ALL: [Self; 7] = [
        Self::BadTag,
        Self::TooManyTags,
        Self::NoTime,
        Self::NoBroker,
        Self::NotARecord,
        Self::NotDelivered,
        Self::NotAMessage,
    ];

    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadTag => "bad_tag",
            Self::TooManyTags => "too_many_tags",
            Self::NoTime => "no_time",
            Self::NoBroker => "no_broker",
            Self::NotARecord => "not_a_record",
            Self::NotDelivered => "not_delivered",
            Self::NotAMessage => "not_a_message",
        }
    }

    /// Its place in [`reasons`].
    #[must_use]
    pub fn index(self) -> usize {
        let at = Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0);
        graphite::reasons().len() + at
    }
}

/// Every reason: those of Graphite lines, which an ingestor of this source takes, then ours.
#[must_use]
pub fn reasons() -> Vec<&'static str> {
    graphite::reasons().into_iter().chain(Refusal::ALL.iter().map(|one| one.as_str())).collect()
}

/// The tag that a request names; `Ok(None)` when it names none.
///
/// # Errors
/// What is wrong with the name, in words.
pub fn tag(metadata: &Metadata) -> Result<Option<TagName>, String> {
    match metadata.get("hydra-tag") {
        None => Ok(None),
        Some(name) => match TagName::new(name) {
            Ok(name) => Ok(Some(name)),
            Err(error) => Err(format!("hydra-tag: {error}")),
        },
    }
}

/// What is attached to the entries of a request. What an entry cannot hold is left out.
#[must_use]
pub fn values(metadata: &Metadata, wanted: HydraValues) -> Values {
    let mut values = Values::new();
    if wanted == HydraValues::Metadata {
        for (name, value) in metadata.iter().filter(|(name, _)| is_own(name)) {
            let _ = values.push(name, value);
        }
    }
    values
}

/// A session's names are in upper case and all its own. Those in lower case come from HTTP, where
/// most say nothing of the payload.
fn is_own(name: &str) -> bool {
    name.starts_with("hydra") || !name.contains(|c: char| c.is_lowercase())
}

/// Where a request comes from.
#[must_use]
pub fn source(request: &Request) -> Source {
    request.peer().map_or(Source::NONE, Source::from_ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_place() {
        let reasons = reasons();
        for refusal in Refusal::ALL {
            assert_eq!(reasons[refusal.index()], refusal.as_str());
        }
        let mut sorted = reasons.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), reasons.len());
    }

    #[test]
    fn tags_and_values_of_metadata() {
        let mut metadata = Metadata::default();
        assert_eq!(tag(&metadata), Ok(None));
        metadata.set("HYDRA-TAG", "app");
        metadata.set("A", "1");
        metadata.set("user-agent", "x");
        metadata.set("hydra-b", "2");
        assert_eq!(tag(&metadata).unwrap().unwrap().as_str(), "app");
        assert_eq!(values(&metadata, HydraValues::None).len(), 0);
        let values = values(&metadata, HydraValues::Metadata);
        let names: Vec<_> = values.iter().map(|value| value.name().to_vec()).collect();
        assert_eq!(names, [b"HYDRA-TAG".as_slice(), b"A", b"hydra-b"]);
        metadata.set("HYDRA-TAG", "a b");
        assert!(tag(&metadata).unwrap_err().starts_with("hydra-tag: "));
    }
}
