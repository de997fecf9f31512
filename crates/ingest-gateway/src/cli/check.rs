//! `ingestry check`: everything that is wrong with a configuration file, and what its log's
//! directory and disk would say to it. Nothing is made and nothing is changed.

use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use ingest_wal::{
    CheckedOpening, Directory, Holder, Inspection, SegmentHead, SegmentState, SnapshotState,
    StdFileSystem,
};
use rustix::fs::Access;

use super::{CheckArgs, Exit};
use crate::config::{Config, FRAGMENTS, Loaded, Protocol, SourceKind, load};
use crate::gateway::GatewayError;
use crate::log_options::log_options;
use crate::secret::check_secret;
use crate::units::format_size_rounded;

/// `ingestry check FILE [--connect]`.
pub(super) fn run(args: &CheckArgs) -> io::Result<Exit> {
    check_all(args, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// Everything that `ingestry check` looks at: the file, the log's directory and disk, and with
/// `connect` the addresses. What is fine is said on `out`, what is not on `err`.
///
/// # Errors
/// When writing fails.
pub fn check_all(args: &CheckArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let (exit, loaded) = check(&args.file, out, err)?;
    let Some(loaded) = loaded else { return Ok(exit) };
    let mut config = loaded.config;
    if let Some(dir) = &args.data_dir {
        config.log.dir.clone_from(dir);
    }
    let log = log(&config, out, err)?;
    if !args.connect {
        return Ok(log);
    }
    let connect = connect(&config, out, err)?;
    Ok(if log == Exit::Fine { connect } else { log })
}

/// Asks the log's directory and disk what the start of the gateway would ask them: one line on
/// `out` when it could begin, the reason on `err` and the exit code of `run` when it could not.
/// What is odd and stops nothing is a warning. That a gateway has the directory open is fine.
///
/// # Errors
/// When writing fails.
fn log(config: &Config, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let directory = Directory::new(&config.log.dir, Arc::new(StdFileSystem));
    let opening = match directory.check_opening(&log_options(&config.log)) {
        Ok(opening) => opening,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(super::exit_for(&error));
        }
    };
    let dir = config.log.dir.display();
    if let Err(error) = writable(&opening, &config.log.dir) {
        writeln!(err, "error: {error}")?;
        return Ok(Exit::Failed);
    }
    for source in &config.sources {
        let SourceKind::Gravwell(gravwell) = &source.kind else { continue };
        if let Err(error) = check_secret(gravwell.secret.as_ref(), &config.log.dir) {
            let error = GatewayError::Secret { name: source.name.clone(), error };
            writeln!(err, "error: {error}")?;
            return Ok(Exit::Failed);
        }
    }
    let state = match opening.holder {
        _ if !opening.exists => "is made at the start".to_owned(),
        Holder::Process(Some(pid)) => format!("is in use by process {pid}"),
        Holder::Process(None) => "is in use by another process".to_owned(),
        Holder::Nobody => "is there".to_owned(),
    };
    let (limits, space) = (opening.limits, opening.space);
    writeln!(
        out,
        "log: {dir} {state}; at most {}, {} stay free of {} that are",
        format_size_rounded(limits.max_bytes),
        format_size_rounded(limits.min_free),
        format_size_rounded(space.available)
    )?;
    if !opening.exists {
        warn_room(&opening, 0, err)?;
        return Ok(Exit::Fine);
    }
    match directory.inspect(&mut |_| {}) {
        Ok(found) => {
            warn_room(&opening, found.used_bytes, err)?;
            warn_damage(&found, err)?;
        }
        // It is changing under a gateway's hands: no more can be said.
        Err(error) => writeln!(err, "warning: log: {dir} cannot be looked at: {error}")?,
    }
    Ok(Exit::Fine)
}

/// Whether this user may write where the log writes.
fn writable(opening: &CheckedOpening, dir: &Path) -> Result<(), String> {
    let asked = Access::WRITE_OK | Access::EXEC_OK;
    let ground = &opening.ground;
    rustix::fs::access(ground, asked).map_err(|error| {
        if opening.exists {
            format!("cannot write to {}: {error}", dir.display())
        } else {
            format!("cannot make {}: {}: {error}", dir.display(), ground.display())
        }
    })?;
    for name in ["LOCK", "cursor-0", "cursor-1"] {
        let path = dir.join(name);
        match rustix::fs::access(&path, Access::WRITE_OK) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(format!("cannot write to {}: {error}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The log can be opened, and may have to wait before it takes anything.
fn warn_room(opening: &CheckedOpening, used: u64, err: &mut impl Write) -> io::Result<()> {
    let (limits, space) = (opening.limits, opening.space);
    if used > limits.max_bytes {
        writeln!(
            err,
            "warning: log.max_bytes: {} are in use, more than the {} allowed: nothing is taken \
             until what is delivered can go",
            format_size_rounded(used),
            format_size_rounded(limits.max_bytes)
        )?;
    }
    if space.available <= limits.min_free.saturating_add(limits.segment_bytes()) {
        writeln!(
            err,
            "warning: log.min_free: {} of the disk are free and {} have to stay free: sources \
             wait for room",
            format_size_rounded(space.available),
            format_size_rounded(limits.min_free)
        )?;
    }
    Ok(())
}

/// Nothing of this keeps the log from being opened.
fn warn_damage(found: &Inspection, err: &mut impl Write) -> io::Result<()> {
    for info in &found.segments {
        let file = info.segment.name.file_name();
        match info.head {
            SegmentHead::Damaged => {
                writeln!(
                    err,
                    "warning: log: the header of {file} is damaged; its records are read"
                )?;
            }
            SegmentHead::OtherName => writeln!(
                err,
                "warning: log: the header of {file} names another segment; the start removes it"
            )?,
            SegmentHead::Valid { .. } if info.state == SegmentState::Foreign => writeln!(
                err,
                "warning: log: {file} is of another log; the start moves it to the quarantine"
            )?,
            _ => {}
        }
    }
    for snapshot in &found.snapshots {
        if !matches!(snapshot.state, SnapshotState::Valid { .. }) {
            let file = &snapshot.file.name;
            writeln!(err, "warning: log: {file} is no valid snapshot of the outputs' positions")?;
        }
    }
    if found.cursors.is_none() && found.segments.iter().any(|info| info.account.is_some()) {
        writeln!(
            err,
            "warning: log: no valid snapshot says where the outputs are: all begin at the oldest \
             entry"
        )?;
    }
    if !found.quarantine.is_empty() {
        let bytes = found.quarantine.iter().map(|file| file.len).sum();
        writeln!(
            err,
            "warning: log: {} of damaged bytes are in the quarantine; {} entries were lost to \
             damage so far",
            format_size_rounded(bytes),
            found.damaged
        )?;
    }
    Ok(())
}

/// Tries every address: whether it can be bound now, which one that a gateway uses cannot; and every
/// cluster of Kafka: whether a broker answers.
fn connect(config: &Config, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let mut exit = Exit::Fine;
    let sources = config.sources.iter();
    let mut tries: Vec<_> = sources
        .filter_map(|source| {
            Some((source.name.as_str(), source.protocol(), source.listen()?.to_string()))
        })
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
    #[cfg(feature = "kafka")]
    if !clusters(config, out, err)? {
        exit = Exit::Failed;
    }
    Ok(exit)
}

/// Whether a broker of every cluster answers.
#[cfg(feature = "kafka")]
fn clusters(config: &Config, out: &mut impl Write, err: &mut impl Write) -> io::Result<bool> {
    use crate::config::DestinationKind;
    let sources = config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::Kafka(kafka) => Some((&source.name, &kafka.brokers)),
        SourceKind::Hydra(hydra) => Some((&source.name, &hydra.kafka.as_ref()?.brokers)),
        _ => None,
    });
    let destinations = config.destinations.iter().filter_map(|one| match &one.kind {
        DestinationKind::Kafka(kafka) => Some((&one.name, &kafka.brokers)),
        _ => None,
    });
    let mut fine = true;
    for (name, brokers) in sources.chain(destinations) {
        let place = brokers.brokers.join(" ");
        match crate::kafka::answers(brokers) {
            Ok(()) => writeln!(out, "{name}: {place} answers")?,
            Err(error) => {
                writeln!(err, "{name}: {place} does not answer: {error}")?;
                fine = false;
            }
        }
    }
    Ok(fine)
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
            let fragments = match loaded.files.len().saturating_sub(1) {
                0 => String::new(),
                1 => format!(" with 1 file of {FRAGMENTS}"),
                n => format!(" with {n} files of {FRAGMENTS}"),
            };
            writeln!(out, "{}{fragments}: fine: {}", file.display(), loaded.config.summary())?;
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
        assert_eq!(out, "a.toml: fine: 5 sources, 1 destination\n");
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
