//! `ingestry check`: everything that is wrong with a configuration file.

use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use super::{CheckArgs, Exit};
use crate::config::{Config, Loaded, Protocol, load};

/// `ingestry check FILE [--connect]`.
pub(super) fn run(args: &CheckArgs) -> io::Result<Exit> {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match check(&args.file, &mut out, &mut err)? {
        (Exit::Fine, Some(loaded)) if args.connect => connect(&loaded.config, &mut out, &mut err),
        (exit, _) => Ok(exit),
    }
}

/// Tries every address: whether it can be bound now, which one that a gateway uses cannot.
fn connect(config: &Config, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let mut exit = Exit::Fine;
    let sources = config.sources.iter();
    let mut tries: Vec<_> = sources
        .map(|source| (source.name.as_str(), source.protocol(), source.listen().to_string()))
        .collect();
    if config.admin.enabled {
        tries.push(("admin", Protocol::Tcp, config.admin.listen.to_string()));
    }
    for (name, protocol, address) in tries {
        let bound = match protocol {
            Protocol::Tcp => TcpListener::bind(&address).map(drop),
            Protocol::Udp => UdpSocket::bind(&address).map(drop),
        };
        match bound {
            Ok(()) => writeln!(out, "{name}: {address} can be bound")?,
            Err(error) => {
                writeln!(err, "{name}: {address} cannot be bound: {error}")?;
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

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
        assert_eq!(out, "a.toml: fine: 3 sources, 1 destination\n");
    }

    #[test]
    fn warnings_do_not_make_a_file_wrong() {
        let (exit, out, err) = checked("[sources]\n");
        assert_eq!(exit.code(), 0);
        assert_eq!(out, "a.toml: fine: 0 sources, 1 destination\n");
        assert_eq!(err, "a.toml:1:2: warning: sources: no sources: nothing will come in\n");
    }

    #[test]
    fn addresses_in_use_are_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!(
            "admin.enabled = false\n[sources.g]\ntype = \"graphite\"\nlisten = \"{address}\"\n\
             [sources.u]\ntype = \"graphite-udp\"\nlisten = \"127.0.0.1:0\"\n"
        );
        let loaded = crate::config::parse(Path::new("f"), text.as_bytes()).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = connect(&loaded.config, &mut out, &mut err).unwrap();
        assert_eq!(exit, Exit::Failed);
        assert_eq!(String::from_utf8(out).unwrap(), "u: 127.0.0.1:0 can be bound\n");
        let err = String::from_utf8(err).unwrap();
        assert!(err.starts_with(&format!("g: {address} cannot be bound: ")), "{err}");
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
