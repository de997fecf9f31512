//! Where vectors are. What tests of several crates share is in this directory.

use std::path::{Path, PathBuf};

/// A crate's folder of vectors: below the directory that `INGESTRY_VECTORS` names, else in the
/// project's copy. A relative path is looked up from the crate, then from the root of the project.
pub(crate) fn folder(name: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let vectors = match std::env::var_os("INGESTRY_VECTORS") {
        Some(given) if Path::new(&given).is_dir() => PathBuf::from(given),
        Some(given) => project.join(given),
        None => project.join("testdata/vectors"),
    };
    vectors.join(name)
}
