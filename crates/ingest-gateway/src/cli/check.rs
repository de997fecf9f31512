//! `ingestry check`: everything that is wrong with a configuration file.

use std::io::{self, Write};
use std::path::Path;

use super::Exit;
use crate::config::{Loaded, load};

/// Checks a file: one line for each error and warning on `err`, or one line that it is fine on
/// `out`. What is fine here is what `run` starts with, as both read it through [`load`].
///
/// Returns [`Exit::Fine`] or [`Exit::Usage`], and the configuration when it is fine.
///
/// # Errors
/// When writing fails.
pub fn check(
    file: &Path,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<(Exit, Option<Loaded>)> {
    match load(file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                writeln!(err, "{warning}")?;
            }
            writeln!(out, "{}: fine: {}", file.display(), loaded.config.summary())?;
            Ok((Exit::Fine, Some(loaded)))
        }
        Err(rejected) => {
            for error in &rejected.errors {
                writeln!(err, "{error}")?;
            }
            for warning in &rejected.warnings {
                writeln!(err, "{warning}")?;
            }
            Ok((Exit::Usage, None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> (Exit, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        std::fs::write(&file, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (exit, loaded) = check(&file, &mut out, &mut err).unwrap();
        assert_eq!(loaded.is_some(), exit == Exit::Fine);
        let short = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&format!("{}/", dir.path().display()), "")
        };
        (exit, short(out), short(err))
    }

    #[test]
    fn fine_files_get_one_line() {
        let (exit, out, err) = checked("");
        assert_eq!((exit.code(), err.as_str()), (0, ""));
        assert_eq!(out, "a.toml: fine: 2 sources, 1 destination\n");
    }

    #[test]
    fn warnings_do_not_make_a_file_wrong() {
        let (exit, out, err) = checked("[sources]\n");
        assert_eq!(exit.code(), 0);
        assert_eq!(out, "a.toml: fine: 0 sources, 1 destination\n");
        assert_eq!(err, "a.toml:1:2: warning: sources: no sources: nothing will come in\n");
    }

    #[test]
    fn errors_get_a_line_each() {
        let (exit, out, err) = checked("[log]\ndri = \"x\"\nmax_bytes = 5\n");
        assert_eq!((exit.code(), out.as_str()), (2, ""));
        assert_eq!(err.lines().count(), 2);
        assert!(err.starts_with("a.toml:2:1: log.dri: found unknown key; allowed: dir,"), "{err}");
    }

    #[test]
    fn files_that_cannot_be_read_are_wrong() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (exit, _) = check(Path::new("no/such.toml"), &mut out, &mut err).unwrap();
        assert_eq!(exit, Exit::Usage);
        let err = String::from_utf8(err).unwrap();
        assert!(err.starts_with("no/such.toml: cannot be read: "), "{err}");
    }
}
