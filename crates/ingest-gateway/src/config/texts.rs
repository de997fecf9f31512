//! The texts that a configuration consists of: one file, and the fragments in `conf.d` beside it.
//!
//! A place in them is one number: the offset in the file plus the file's base, which is the length
//! of all files before it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{ConfigError, Place};
use super::findings::Places;
use crate::units::format_size;

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// The most fragments that are read from `conf.d`.
pub const MAX_FRAGMENTS: usize = 1000;
/// The directory of fragments, beside the configuration file.
pub const FRAGMENTS: &str = "conf.d";

/// One file.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) file: Arc<Path>,
    pub(super) bytes: Vec<u8>,
    /// Users other than the owner can read it.
    pub(super) exposed: bool,
    /// Where its places begin.
    pub(super) base: usize,
}

impl Text {
    pub(super) fn new(file: &Path, bytes: Vec<u8>, exposed: bool) -> Self {
        Self { file: file.into(), bytes, exposed, base: 0 }
    }

    /// What can be read of it: everything, or what stands before the first byte that is no UTF-8.
    pub(super) fn valid(&self) -> &str {
        let valid = std::str::from_utf8(&self.bytes).map_or_else(|e| e.valid_up_to(), str::len);
        let valid = self.bytes.get(..valid).unwrap_or_default();
        std::str::from_utf8(valid).unwrap_or_default()
    }

    pub(super) fn is_utf8(&self) -> bool {
        self.valid().len() == self.bytes.len()
    }

    /// The places in it, its end included.
    pub(super) fn places(&self) -> Range<usize> {
        self.base..self.base + self.bytes.len() + 1
    }

    /// The line and column of a place in it.
    pub(super) fn place(&self, at: usize) -> Place {
        Places::new(&self.file, self.valid()).of(at.saturating_sub(self.base))
    }
}

/// Gives each text its base.
pub(super) fn placed(mut texts: Vec<Text>) -> Vec<Text> {
    let mut base = 0;
    for text in &mut texts {
        text.base = base;
        base = text.places().end;
    }
    texts
}

/// Reads a configuration file, and the fragments beside it in the order of their names.
pub(super) fn read(path: &Path) -> Result<Vec<Text>, Vec<ConfigError>> {
    let unreadable =
        |file: &Path, reason| ConfigError::Unreadable { file: file.to_owned(), reason };
    let dir = path.with_file_name(FRAGMENTS);
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    let mut files = vec![path.to_owned()];
    match fragments(&dir) {
        Ok(found) if found.len() > MAX_FRAGMENTS => {
            let reason = format!("{} files; allowed: at most {MAX_FRAGMENTS}", found.len());
            errors.push(unreadable(&dir, reason));
        }
        Ok(found) => files.extend(found),
        Err(error) => errors.push(unreadable(&dir, error.to_string())),
    }
    for file in files {
        match read_one(&file) {
            Ok(text) => texts.push(text),
            Err(reason) => errors.push(unreadable(&file, reason)),
        }
    }
    if errors.is_empty() { Ok(placed(texts)) } else { Err(errors) }
}

/// The files of a directory that end in `.toml`; hidden ones are left out. No directory: none.
fn fragments(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension() == Some(OsStr::new("toml")) && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_one(path: &Path) -> Result<Text, String> {
    let mut bytes = Vec::new();
    let mut exposed = false;
    let read = File::open(path).and_then(|file| {
        exposed = file.metadata()?.mode() & 0o077 != 0;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)
    });
    match read {
        Err(error) => Err(error.to_string()),
        Ok(_) if bytes.len() as u64 > MAX_FILE => {
            Err(format!("larger than {}", format_size(MAX_FILE)))
        }
        Ok(_) => Ok(Text::new(path, bytes, exposed)),
    }
}
