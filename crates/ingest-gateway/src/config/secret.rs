//! Where a secret comes from. The secret itself is in no configuration that is printed.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use toml::de::DeValue;

use super::values::quoted;
use super::walk::Node;

/// The largest file that a secret is read from, in bytes.
const MAX_FILE: u64 = 64 << 10;

const ALLOWED: &str = "\"env:NAME\", \"file:PATH\" or \"literal:TEXT\"";

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretFrom {
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `file:PATH`: a file, without the line end at its end.
    File(PathBuf),
    /// `literal:TEXT`: the configuration itself.
    Literal(String),
}

impl fmt::Debug for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFrom({self})")
    }
}

impl fmt::Display for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Literal(_) => f.write_str("literal:…"),
        }
    }
}

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The environment variable is no UTF-8.
    #[error("the environment variable {0} is no UTF-8")]
    NotText(String),
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// There is a secret, and it is empty.
    #[error("it is empty")]
    Empty,
}

impl SecretFrom {
    /// The secret: byte for byte, but for the line end that ends a file.
    ///
    /// # Errors
    /// [`SecretError`]; its text never holds the secret.
    pub fn read(&self) -> Result<Vec<u8>, SecretError> {
        let secret = match self {
            Self::Literal(text) => text.clone().into_bytes(),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => text.into_bytes(),
                Err(std::env::VarError::NotPresent) => {
                    return Err(SecretError::Unset(name.clone()));
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(SecretError::NotText(name.clone()));
                }
            },
            Self::File(path) => {
                let failed = |reason: String| {
                    let path = path.display().to_string();
                    SecretError::File { path, reason }
                };
                let mut bytes = Vec::new();
                let file = File::open(path).map_err(|error| failed(error.to_string()))?;
                let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
                read.map_err(|error| failed(error.to_string()))?;
                if bytes.len() as u64 > MAX_FILE {
                    return Err(failed(format!("larger than {MAX_FILE} bytes")));
                }
                let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                text.strip_suffix(b"\r").unwrap_or(text).to_vec()
            }
        };
        if secret.is_empty() { Err(SecretError::Empty) } else { Ok(secret) }
    }
}

impl Node<'_> {
    /// Where a secret comes from; it has to be there.
    pub(crate) fn secret(&self) -> Option<SecretFrom> {
        let DeValue::String(text) = self.value else {
            let found = if matches!(self.value, DeValue::Table(_) | DeValue::Array(_)) {
                self.found()
            } else {
                "something else than a text (not shown: it may be the secret)".to_owned()
            };
            self.wrong(found, ALLOWED, None);
            return None;
        };
        let from = match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => SecretFrom::Env(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => SecretFrom::File(path.into()),
            Some(("literal", text)) if !text.is_empty() => {
                if self.findings.is_exposed(self.at) {
                    let found = "a secret in a file that other users can read".to_owned();
                    self.wrong(found, "\"env:NAME\", \"file:PATH\", or mode 0600", None);
                    return None;
                }
                self.warn(
                    "a secret in the configuration: env: and file: keep it out of copies and logs",
                );
                SecretFrom::Literal(text.to_owned())
            }
            Some((prefix @ ("env" | "file" | "literal"), _)) => {
                self.wrong(format!("\"{prefix}:\" with nothing behind it"), ALLOWED, None);
                return None;
            }
            _ => {
                // Not repeated: it may be the secret itself.
                let found = "a text with none of these before it (not shown: it may be the secret)";
                self.wrong(found, ALLOWED, None);
                return None;
            }
        };
        if let Err(error) = from.read() {
            let allowed = match &from {
                SecretFrom::Env(name) if name.contains(['$', '{', ' ']) => {
                    "the bare name of a variable, as in \"env:INGEST_SECRET\""
                }
                SecretFrom::Env(_) => "a variable that is set where ingestry is started",
                SecretFrom::File(path) if path.starts_with("~") => {
                    "a whole path: \"~\" is taken as it stands, not as a home directory"
                }
                SecretFrom::File(path) if path.is_relative() => {
                    "a file with the secret; relative paths begin where ingestry is started"
                }
                _ => "a file with the secret, which ingestry can read",
            };
            self.wrong(format!("{} ({error})", quoted(&from.to_string())), allowed, None);
            return None;
        }
        Some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_loses_its_line_end_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (text, secret) in [(" a b \n", " a b "), ("x\r\n", "x"), ("x\n\n", "x\n"), ("x", "x")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(SecretFrom::File(path.clone()).read().unwrap(), secret.as_bytes());
        }
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(SecretFrom::File(path).read(), Err(SecretError::Empty));
    }

    #[test]
    fn a_literal_is_never_shown() {
        let from = SecretFrom::Literal("open sesame".to_owned());
        assert!(!format!("{from} {from:?}").contains("sesame"));
        assert_eq!(from.read().unwrap(), b"open sesame");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let unset = SecretFrom::Env("INGESTRY_NO_SUCH_SECRET".to_owned());
        assert_eq!(
            unset.read().unwrap_err().to_string(),
            "the environment variable INGESTRY_NO_SUCH_SECRET is not set"
        );
        let missing = SecretFrom::File("/no/such/file".into());
        assert!(missing.read().unwrap_err().to_string().starts_with("/no/such/file: "));
    }
}
