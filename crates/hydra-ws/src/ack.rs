//! What an acknowledgement stands for, and how strictly a payload is checked.

use crate::Dialect;
use crate::options::{Compat, Options};

/// What must have happened before an ingestor calls a request complete (`hydra-ack`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ack {
    /// The request was taken: a receipt. `none`, `noack`, and no word at all.
    #[default]
    None,
    /// It is on this side's disk. `persisted`.
    Persisted,
    /// Whoever the ingestor hands it to has acknowledged it. `explicit` in dialects `doc` and
    /// `seed`, `replicated` in all.
    Replicated,
}

impl Ack {
    /// What a value of `hydra-ack` means. `None`: the dialect refuses it.
    ///
    /// Dialect `head` knows `replicated`, `persisted`, `noack` and the empty word in any case, and
    /// refuses all others. The other dialects refuse nothing: what they do not know is
    /// [`Ack::None`]. In their recorded mode the one word that counts is `explicit`, in lower case;
    /// else any case of `explicit`, `replicated` and `persisted` does.
    #[must_use]
    pub fn read(value: &str, options: &Options) -> Option<Self> {
        let word = value.trim_matches(|c: char| c <= ' ');
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        if options.dialect == Dialect::Head {
            return match word {
                _ if is("replicated") => Some(Self::Replicated),
                _ if is("persisted") => Some(Self::Persisted),
                _ if is("noack") || word.is_empty() => Some(Self::None),
                _ => None,
            };
        }
        Some(match options.compat {
            Compat::Recorded if value == "explicit" => Self::Replicated,
            Compat::Recorded => Self::None,
            Compat::Document if is("explicit") || is("replicated") => Self::Replicated,
            Compat::Document if is("persisted") => Self::Persisted,
            Compat::Document => Self::None,
        })
    }

    /// The name that dialect `head` lists.
    #[must_use]
    pub const fn head_name(self) -> &'static str {
        match self {
            Self::None => "NoAck",
            Self::Persisted => "Persisted",
            Self::Replicated => "Replicated",
        }
    }
}

/// How strictly an ingestor checks a payload (`hydra-validation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Validation {
    /// What the schema does not know is refused.
    #[default]
    Strict,
    /// What the schema does not know is ignored.
    Relaxed,
}

impl Validation {
    /// What a value of `hydra-validation` means, in any case. `None`: no known word.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("strict") {
            Some(Self::Strict)
        } else if value.eq_ignore_ascii_case("relaxed") {
            Some(Self::Relaxed)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(dialect: Dialect, compat: Compat) -> Options {
        Options { compat, ..Options::new(dialect) }
    }

    #[test]
    fn head_knows_three_words_and_refuses_others() {
        let head = options(Dialect::Head, Compat::Document);
        assert_eq!(Ack::read(" RePlicated ", &head), Some(Ack::Replicated));
        assert_eq!(Ack::read("persisted", &head), Some(Ack::Persisted));
        assert_eq!(Ack::read("", &head), Some(Ack::None));
        for refused in ["explicit", "none", "transport", "replicated x"] {
            assert_eq!(Ack::read(refused, &head), None, "{refused}");
        }
    }

    #[test]
    fn the_recorded_code_knows_one_word_in_lower_case() {
        let recorded = options(Dialect::Doc, Compat::Recorded);
        assert_eq!(Ack::read("explicit", &recorded), Some(Ack::Replicated));
        for other in ["Explicit", "persisted", "replicated", "whatever", ""] {
            assert_eq!(Ack::read(other, &recorded), Some(Ack::None), "{other}");
        }
    }

    #[test]
    fn by_default_all_four_words_are_honoured() {
        for dialect in [Dialect::Doc, Dialect::Seed] {
            let options = options(dialect, Compat::Document);
            let read = |word| Ack::read(word, &options);
            assert_eq!(read("none"), Some(Ack::None));
            assert_eq!(read("explicit"), Some(Ack::Replicated));
            assert_eq!(read("Explicit"), Some(Ack::Replicated));
            assert_eq!(read("persisted"), Some(Ack::Persisted));
            assert_eq!(read("replicated"), Some(Ack::Replicated));
            assert_eq!(read("whatever"), Some(Ack::None));
        }
    }
}
