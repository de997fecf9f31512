//! `ingestry wal`: looking after a log.
//!
//! `inspect`, `verify`, `export` and `replay --target` only read, and work beside a running
//! gateway. `repair`, `replay --output` and `forget` need the log's lock, and end with 3 when
//! somebody has it.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest_wal::{Directory, Hold, Holder, OpenError, StdFileSystem};

use super::Exit;

mod args;
mod book;
mod export;
mod forget;
mod inspect;
mod meter;
mod outputs;
mod repair;
mod replay;
mod rewind;
mod verify;

pub use args::{
    ExportArgs, ForgetArgs, InspectArgs, Place, RepairArgs, ReplayArgs, Select, Start, VerifyArgs,
    WalArgs, WalCommand,
};

/// How long a command that needs the lock waits for it.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Does it, and says how it ended.
pub(super) fn run(command: &WalCommand) -> anyhow::Result<Exit> {
    let place = match command {
        WalCommand::Inspect(args) => &args.place,
        WalCommand::Verify(args) => &args.place,
        WalCommand::Repair(args) => &args.place,
        WalCommand::Export(args) => &args.place,
        WalCommand::Replay(args) => &args.place,
        WalCommand::Forget(args) => &args.place,
    };
    let dir = Directory::new(&place.data_dir, Arc::new(StdFileSystem));
    if let Some(wrong) = no_log(&dir) {
        return usage(&wrong);
    }
    let result = match command {
        WalCommand::Inspect(args) => inspect::run(&dir, args),
        WalCommand::Verify(args) => verify::run(&dir, args),
        WalCommand::Repair(args) => repair::run(&dir, args),
        WalCommand::Export(args) => export::run(&dir, args),
        WalCommand::Replay(args) if args.target.is_some() => replay::run(&dir, args),
        WalCommand::Replay(args) => rewind::run(&dir, args),
        WalCommand::Forget(args) => forget::run(&dir, args),
    };
    result.or_else(|error| {
        if error.downcast_ref::<io::Error>().is_some_and(is_closed_pipe) {
            // Nobody reads what is printed any more.
            return Ok(Exit::Fine);
        }
        match error.downcast_ref::<OpenError>() {
            Some(open) => {
                note(&format!("error: {error:#}"))?;
                Ok(super::exit_for(open))
            }
            None => Err(error),
        }
    })
}

fn is_closed_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Why a directory is none of a log, if it is not.
fn no_log(dir: &Directory) -> Option<String> {
    let path = dir.path();
    match dir.file_system().list(path) {
        Ok(files) => {
            let of_a_log = files.iter().any(|file| {
                file.name == "LOCK"
                    || file.name.starts_with("seg-")
                    || file.name.starts_with("cursor-")
            });
            (!of_a_log).then(|| format!("{} holds no log", path.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("there is no directory {} (--data-dir names another)", path.display()))
        }
        Err(error) => Some(format!("cannot read {}: {error}", path.display())),
    }
}

/// Ends with 2 and one line.
fn usage(text: &str) -> anyhow::Result<Exit> {
    note(&format!("error: {text}"))?;
    Ok(Exit::Usage)
}

/// A line for the person at the terminal.
fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}

/// Takes the lock of a log that somebody else may have.
fn hold(dir: &Directory) -> anyhow::Result<Hold> {
    Ok(dir.hold(LOCK_WAIT)?)
}

/// `in use by process 7`.
fn held_by(holder: Holder) -> Option<String> {
    match holder {
        Holder::Nobody => None,
        Holder::Process(Some(pid)) => Some(format!("in use by process {pid}")),
        Holder::Process(None) => Some("in use by another process".to_owned()),
    }
}

/// Whether a file in the log's directory is the gateway's own.
fn is_gateways(file: &str) -> bool {
    file == crate::secret::FILE || crate::reload_files::is_ours(file)
}

/// A number for the eye: `1,234,567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 entry`, `2,000 entries`.
fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// ` --data-dir DIR`, where that is not the default one: for lines to be typed.
fn data_dir(path: &Path) -> String {
    if path == Path::new("ingestry-data") {
        return String::new();
    }
    format!(" --data-dir {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 7, 999, 1000, 123_456, 1_234_567].map(count);
        assert_eq!(all, ["0", "7", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        assert_eq!(counted(2000, "entry", "entries"), "2,000 entries");
    }
}
