//! The ingest secret of sources that name none: from the environment, or made on first start.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::{SecretError, SecretFrom};

/// Environment variables that are looked at, the first one first.
const VARIABLES: [&str; 2] = ["INGEST_SECRET", "GRAVWELL_INGEST_SECRET"];
/// The file in the log's directory.
pub(crate) const FILE: &str = "ingest-secret";
/// Random bytes of a secret that is made.
const BYTES: usize = 24;

/// Why a source has no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestSecretError {
    /// The one that is there cannot be read.
    #[error(transparent)]
    Read(#[from] SecretError),
    /// The file can be read by others.
    #[error(
        "{0} can be read by other users: whoever was here knows it; remove it for a new one, or \
         chmod 600 it"
    )]
    Exposed(PathBuf),
    /// The file cannot be made.
    #[error("{path}: {error}")]
    Make {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
}

/// A secret and where it is.
pub(crate) struct IngestSecret {
    pub(crate) bytes: Vec<u8>,
    /// For the operator: `$INGEST_SECRET`, or the path of a file.
    pub(crate) place: String,
}

impl std::fmt::Debug for IngestSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestSecret").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The secret that a source's configuration names; if it names none, that of the environment; if
/// there is none, the one in the log's directory, made now if it is not there.
pub(crate) fn ingest_secret(
    from: Option<&SecretFrom>,
    dir: &Path,
) -> Result<IngestSecret, IngestSecretError> {
    let Some(from) = named(from) else { return kept(&dir.join(FILE)) };
    let place = match &from {
        SecretFrom::Env(name) => format!("${name}"),
        SecretFrom::File(path) => path.display().to_string(),
        _ => "the configuration".to_owned(),
    };
    Ok(IngestSecret { bytes: from.read()?, place })
}

/// Whether there is a secret for a source, or one can be made; nothing is made now.
pub(crate) fn check_secret(from: Option<&SecretFrom>, dir: &Path) -> Result<(), IngestSecretError> {
    let path = dir.join(FILE);
    match named(from) {
        Some(from) => from.read().map(drop).map_err(Into::into),
        None if path.symlink_metadata().is_ok() => kept(&path).map(drop),
        None => Ok(()),
    }
}

/// What the configuration names, or else the environment.
fn named(from: Option<&SecretFrom>) -> Option<SecretFrom> {
    let variable = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    from.cloned().or_else(|| {
        let name = VARIABLES.into_iter().find(variable)?;
        Some(SecretFrom::Env(name.to_owned()))
    })
}

fn kept(path: &Path) -> Result<IngestSecret, IngestSecretError> {
    let failed = |error| IngestSecretError::Make { path: path.to_owned(), error };
    match path.metadata() {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            return Err(IngestSecretError::Exposed(path.to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    }
    let bytes = SecretFrom::File(path.to_owned()).read()?;
    Ok(IngestSecret { bytes, place: path.display().to_string() })
}

/// Makes the file, whole and durable or not at all.
fn make(path: &Path) -> io::Result<()> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    let beside = path.with_extension("tmp");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let first = kept(&path).unwrap();
        assert_eq!(first.bytes.len(), 2 * BYTES);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(kept(&path).unwrap().bytes, first.bytes);
        assert!(!format!("{first:?}").contains(std::str::from_utf8(&first.bytes).unwrap()));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(kept(&path), Err(IngestSecretError::Exposed(_))));
        let checked = check_secret(None, dir.path());
        let named = named(None).is_some();
        assert!(named || matches!(checked, Err(IngestSecretError::Exposed(_))), "{checked:?}");
        std::fs::remove_file(&path).unwrap();
        assert!(check_secret(None, dir.path()).is_ok());
        assert!(!path.exists(), "a check makes nothing");
    }

    #[test]
    fn what_the_configuration_names_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let from = SecretFrom::Literal("x".to_owned());
        assert_eq!(ingest_secret(Some(&from), dir.path()).unwrap().bytes, b"x");
        assert!(!dir.path().join(FILE).exists());
    }
}
