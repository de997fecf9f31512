//! What can be wrong with a configuration, each with its place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in a configuration file. Line and column count from 1, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The file as it was named.
    pub file: Arc<Path>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One thing that is wrong with a configuration file.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("{}: cannot be read: {reason}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The text is not TOML.
    #[error("{place}: {}: found {found}; allowed: {allowed}", .key.as_deref().unwrap_or("syntax"))]
    Syntax {
        /// Where.
        place: Place,
        /// The key whose value it is, where the text says that clearly.
        key: Option<String>,
        /// What stands there.
        found: String,
        /// What could stand there.
        allowed: String,
    },
    /// A key or its value is not one that is known.
    #[error("{place}: {key}: found {found}; allowed: {allowed}{}", Meant(.meant.as_deref()))]
    Key {
        /// Where.
        place: Place,
        /// The key with all tables around it: `sources.graphite.listen`.
        key: String,
        /// What stands there.
        found: String,
        /// What could stand there.
        allowed: String,
        /// What was probably meant.
        meant: Option<String>,
    },
}

impl ConfigError {
    /// Where the error is, unless it concerns the whole file.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Syntax { place, .. } | Self::Key { place, .. } => Some(place),
        }
    }
}

/// `; did you mean "…"?`, or nothing.
struct Meant<'m>(Option<&'m str>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |meant| write!(f, "; did you mean \"{meant}\"?"))
    }
}

/// Something in a configuration that works, but hardly as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where, when it is about something that is written in a file.
    pub place: Option<Place>,
    /// The key with all tables around it.
    pub key: String,
    /// What is odd about it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "warning: {}: {}", self.key, self.message)
    }
}

/// All that is wrong with a configuration file, in the order of its lines.
#[derive(Debug, Clone)]
pub struct LoadError {
    /// The errors: at least one.
    pub errors: Vec<ConfigError>,
    /// The warnings beside them.
    pub warnings: Vec<Warning>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}
