//! A process that was killed, as far as its directory shows it.

use std::fs;
use std::path::Path;

/// What a killed process leaves: the directory as it is now, copied.
pub(crate) fn killed_copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}
