//! The arguments of `ingestry wal`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use ingest_store::Query;
use ingest_wal::Lsn;

use crate::cli::{Conditions, Format, Times};
use crate::config::SecretFrom;
use crate::units::TimeArg;

/// Arguments of `wal`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct WalArgs {
    /// What is done.
    #[command(subcommand)]
    pub command: WalCommand,
}

/// What is done with a log.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[non_exhaustive]
pub enum WalCommand {
    /// Show what a log holds: segments, outputs and their lag, tags, losses, disk; changes nothing,
    /// works while the gateway runs
    Inspect(InspectArgs),
    /// Read all of a log and report everything that is not as it should be; changes nothing, works
    /// while the gateway runs
    Verify(VerifyArgs),
    /// Do now what the start of the gateway would do, and put aside what is damaged; shows what it
    /// would do unless --yes
    Repair(RepairArgs),
    /// Write stored entries to a file or to standard output; works while the gateway runs
    Export(ExportArgs),
    /// Deliver history again: to an output at the next run, or to an indexer now
    Replay(ReplayArgs),
    /// Drop the position of an output that left the configuration
    Forget(ForgetArgs),
}

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Place {
    /// The directory of the log
    #[arg(long, value_name = "DIR", default_value = "ingestry-data")]
    pub data_dir: PathBuf,
}

/// Arguments of `wal inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InspectArgs {
    /// Which log.
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `wal verify`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VerifyArgs {
    /// Which log.
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `wal repair`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RepairArgs {
    /// Which log.
    #[command(flatten)]
    pub place: Place,
    /// Do it; without this nothing is changed
    #[arg(long)]
    pub yes: bool,
}

/// Which entries: the filters of `search`, and a place in the log.
///
/// T is RFC 3339, unix seconds, a time ago such as -15m, or now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Select {
    /// What they are like.
    #[command(flatten)]
    pub conditions: Conditions,
    /// Of what time.
    #[command(flatten)]
    pub times: Times,
    /// Entries behind this LSN: go on where an earlier export or replay ended
    #[arg(long, value_name = "LSN")]
    pub after: Option<Lsn>,
}

impl Select {
    /// The query that it stands for.
    pub(super) fn query(&self) -> anyhow::Result<Query> {
        let mut query = crate::cli::search::query(&self.conditions, &self.times)?;
        query.from = self.after.map(|after| after.saturating_add(1));
        Ok(query)
    }
}

/// Arguments of `wal export`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExportArgs {
    /// Which log.
    #[command(flatten)]
    pub place: Place,
    /// Which entries.
    #[command(flatten)]
    pub select: Select,
    /// How entries are written: json can be fed back
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Json)]
    pub format: Format,
    /// The file to be written, which must not exist; without it, standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `wal replay`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("to").required(true).args(["output", "target"]))]
pub struct ReplayArgs {
    /// Which log.
    #[command(flatten)]
    pub place: Place,
    /// Let this output begin again where --from says, at the next run of the gateway
    #[arg(long, value_name = "NAME", requires = "from", conflicts_with_all = [
        "secret", "ca", "tags", "src", "contains", "since", "until", "arrived_since", "after",
    ])]
    pub output: Option<String>,
    /// Where it begins: an LSN, oldest, or a time of arrival as RFC 3339, @UNIX-SECONDS, -15m or now
    #[arg(
        long,
        value_name = "LSN, T or oldest",
        allow_hyphen_values = true,
        conflicts_with = "target"
    )]
    pub from: Option<Start>,
    /// Do it even if entries that were never delivered are given up
    #[arg(long, conflicts_with = "target")]
    pub yes: bool,
    /// Send entries now to this Gravwell indexer: tcp://HOST:PORT, tls://HOST:PORT or pipe://PATH
    #[arg(long, value_name = "URL", requires = "secret")]
    pub target: Option<String>,
    /// The indexer's ingest secret: env:NAME, file:PATH, or literal:TEXT, which others can see
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    pub secret: Option<SecretFrom>,
    /// Trust the certificate authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Which entries are sent.
    #[command(flatten)]
    pub select: Select,
}

/// Arguments of `wal forget`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ForgetArgs {
    /// Which log.
    #[command(flatten)]
    pub place: Place,
    /// The output
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Do it even if entries that were never delivered are given up
    #[arg(long)]
    pub yes: bool,
}

/// Where an output begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest entry that is there.
    Oldest,
    /// At this LSN.
    At(Lsn),
    /// At the first entry that arrived then or later.
    Time(TimeArg),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("oldest") {
            return Ok(Self::Oldest);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::At).map_err(|_| format!("{text} is no LSN: too large"));
        }
        text.parse().map(Self::Time).map_err(|_| {
            "allowed: an LSN such as 1048576, oldest, or a time: RFC 3339 such as \
             2026-01-31T12:00:00Z, @1700000000, a time ago such as -15m, or now"
                .to_owned()
        })
    }
}

/// Reads where a secret is found. What was written may be the secret itself: it is not repeated.
fn secret(text: &str) -> Result<SecretFrom, &'static str> {
    match text.split_once(':') {
        Some(("env", name)) if !name.is_empty() => Ok(SecretFrom::Env(name.to_owned())),
        Some(("file", path)) if !path.is_empty() => Ok(SecretFrom::File(path.into())),
        Some(("literal", secret)) => Ok(SecretFrom::Literal(secret.to_owned())),
        _ => Err("allowed: env:NAME, file:PATH or literal:TEXT"),
    }
}
