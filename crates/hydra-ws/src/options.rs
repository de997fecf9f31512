//! Whose rules a server follows.

use std::time::Duration;

use crate::Limits;

/// Whose replies and reports are copied. Three commits of the original differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The one whose reports equal the sample in Hydra's document (2c2e2a03, 2017-03-31).
    #[default]
    Doc,
    /// The commit of the document itself (29884522): as [`Dialect::Doc`], but a report's status
    /// has `reason` where the other has `message`.
    Seed,
    /// The last one (96c5d493): `correlationId`, no overall status, fields in alphabetical order.
    Head,
}

/// What happens where the code of a dialect and Hydra's document disagree, or the code has
/// accidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compat {
    /// The document counts, and accidents are mended.
    #[default]
    Document,
    /// Every quirk of the dialect's code, as it was recorded: the same id for every message until
    /// the next `SET`, errors that read as time-outs, binary messages that are dropped or cost the
    /// session, dropped fragments, names in paths that are ignored.
    Recorded,
}

/// How the reply to `SET` spells the key. The stored key is the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Echo {
    /// As Hydra's document prints it: after the first `-`, each further one is a `_`
    /// (`HYDRA-KAFKA_TOPIC`).
    Document,
    /// As the code does: upper case, nothing else.
    Code,
}

/// The rules of a server's sessions and requests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Default: [`Dialect::Doc`].
    pub dialect: Dialect,
    /// Default: [`Compat::Document`].
    pub compat: Compat,
    /// Default: [`Echo::Document`] in dialect `doc`, else [`Echo::Code`]. In
    /// [`Compat::Recorded`] it is always the code's.
    pub echo: Echo,
    /// Payloads may hold line terminators. Commands never do. Default: false, as in Hydra, where
    /// such a message is no valid one.
    pub multiline: bool,
    /// How long ingestors have, from the last sign of one of them. Default: 3 s.
    pub ingest_timeout: Duration,
    /// What a client can make a session hold.
    pub limits: Limits,
}

impl Options {
    /// The rules of a dialect, with every other option at its default.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            compat: Compat::Document,
            echo: if dialect == Dialect::Doc { Echo::Document } else { Echo::Code },
            multiline: false,
            ingest_timeout: Duration::from_secs(3),
            limits: Limits::default(),
        }
    }

    /// The rules of a dialect with all its quirks.
    #[must_use]
    pub fn recorded(dialect: Dialect) -> Self {
        Self { compat: Compat::Recorded, echo: Echo::Code, ..Self::new(dialect) }
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.compat == Compat::Recorded
    }

    pub(crate) fn is_head(&self) -> bool {
        self.dialect == Dialect::Head
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new(Dialect::default())
    }
}
