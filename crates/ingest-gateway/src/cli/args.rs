//! The arguments of every command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use ingest_entry::TagPattern;

use super::describe::{CompletionsArgs, ConfigArgs, ManArgs};
use super::hydra::HydraArgs;
use super::loggregator::LoggregatorArgs;
use super::reload::ReloadArgs;
use super::send::SendArgs;
use super::test::TestArgs;
use super::top::TopArgs;
use super::wal::WalArgs;
use crate::config::{Choice as _, ListenOverride, LogFormat, Overrides};
use crate::units::{Network, TimeArg};

/// Takes data in over the protocols that machines already speak, makes it durable, and ships it.
///
/// Without a command: run.
#[derive(Debug, Parser)]
#[command(name = "ingestry", version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Run the gateway; also what happens without a command
    Run(RunArgs),
    /// Check a configuration file and report everything that is wrong with it
    Check(CheckArgs),
    /// Put the samples of a configuration through its sources, and compare what becomes of them
    Test(TestArgs),
    /// Have a running gateway read its configuration again; what is the same is not touched
    Reload(ReloadArgs),
    /// Send lines from files or standard input over any of the protocols
    Send(SendArgs),
    /// Search what is stored; works while the gateway runs or not
    Search(SearchArgs),
    /// Show entries as they arrive
    Tail(TailArgs),
    /// Watch a running gateway: rates, lag and losses, live
    Top(TopArgs),
    /// Talk to a server of Hydra's web sockets: lines in, replies out
    Hydra(HydraArgs),
    /// Look after a log: inspect, verify, repair, export, replay, forget
    Wal(WalArgs),
    /// Print a configuration to begin with
    Config(ConfigArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them into a directory
    Man(ManArgs),
    /// Read logs and metrics from Cloud Foundry's Loggregator, and print them
    Loggregator(LoggregatorArgs),
}

/// Arguments of `run`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct RunArgs {
    /// The configuration, with the files of conf.d beside it; without one, the default set of
    /// sources and the admin pages, on loopback
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of the log, instead of log.dir [default: ingestry-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Another address for a source or admin, port 0 for any free one; without --config only the
    /// names given listen, admin included
    #[arg(long, value_name = "NAME=ADDR")]
    pub listen: Vec<ListenOverride>,
    /// Allow --listen addresses that other machines can reach
    #[arg(long)]
    pub allow_public: bool,
    /// Write the addresses really bound to FILE as JSON, once all accept
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
    /// How log lines on standard error are written, instead of logs.format: text or json
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    pub log_format: Option<LogFormat>,
    /// From which level on, instead of logs.level: error, warn, info, debug, trace, or parts of the
    /// program with their own such as info,ingest_wal=debug; INGESTRY_LOG says the same to every
    /// command
    #[arg(long, value_name = "LEVEL", value_parser = super::logs::parse_level)]
    pub log_level: Option<String>,
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    LogFormat::from_word(text).ok_or_else(|| "allowed: text or json".to_owned())
}

impl RunArgs {
    /// What they change about the configuration.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            listens: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            allow_public: self.allow_public,
        }
    }
}

/// Arguments of `check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// The configuration
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The directory of the log, instead of log.dir
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Also try whether the addresses that it names can be bound
    #[arg(long)]
    pub connect: bool,
}

/// What entries have to be like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Conditions {
    /// Entries with this tag; a trailing * stands for any ending, several are alternatives
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<TagPattern>,
    /// Entries from this address or network
    #[arg(long, value_name = "IP or NET")]
    pub src: Option<Network>,
    /// Entries whose data holds this text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub contains: Option<String>,
}

/// Of what time entries have to be.
///
/// T is RFC 3339, unix seconds, a time ago such as -15m, or now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Times {
    /// Entries whose time is T or later; T is RFC 3339, unix seconds, a time ago as -15m, or now
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub since: Option<TimeArg>,
    /// Entries whose time is before T
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub until: Option<TimeArg>,
    /// Entries that arrived at T or later
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub arrived_since: Option<TimeArg>,
}

/// Which entries of which directory, and how they are shown: what `search` and `tail` share.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Filter {
    /// The directory of the log
    #[arg(long, value_name = "DIR", default_value = "ingestry-data")]
    pub data_dir: PathBuf,
    /// Which entries.
    #[command(flatten)]
    pub conditions: Conditions,
    /// How entries are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `search`.
///
/// T is RFC 3339, unix seconds, a time ago such as -15m, or now.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SearchArgs {
    /// What is searched, and how it is shown.
    #[command(flatten)]
    pub filter: Filter,
    /// Of what time.
    #[command(flatten)]
    pub times: Times,
    /// Only the last N entries, in rising order [default: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// By which order entries are printed, and which are the last
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Sort::Arrival)]
    pub sort: Sort,
    /// Go on with what arrives
    #[arg(long)]
    pub follow: bool,
}

/// Arguments of `tail`, which is `search --follow --arrived-since now`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TailArgs {
    /// What is shown, and how.
    #[command(flatten)]
    pub filter: Filter,
}

impl From<TailArgs> for SearchArgs {
    fn from(tail: TailArgs) -> Self {
        Self {
            filter: tail.filter,
            times: Times { arrived_since: Some(TimeArg::Now), ..Times::default() },
            limit: None,
            sort: Sort::Arrival,
            follow: true,
        }
    }
}

/// How entries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Format {
    /// Time, source, tag and data, a line each.
    Text,
    /// A JSON object a line.
    Json,
    /// The data alone, a line each.
    Raw,
}

/// By which order entries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Sort {
    /// The order in which they arrived.
    Arrival,
    /// The order of their own times.
    Time,
}

/// The command line as clap knows it, for help, completions and manuals.
#[must_use]
pub fn command() -> clap::Command {
    Line::command()
}

/// Reads a command line, program name first. No command means `run`.
///
/// # Errors
/// What clap has to say, which includes help and version: [`clap::Error::exit`] prints it and
/// ends the program with 2, or with 0 for those two.
pub fn parse<I, T>(line: I) -> Result<Command, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let line = Line::try_parse_from(line)?;
    let command = line.command.unwrap_or(Command::Run(line.run));
    if let Command::Search(search) = &command
        && search.follow
        && search.sort == Sort::Time
    {
        let message = "--follow shows entries as they arrive: it cannot be used with --sort time";
        return Err(Line::command().error(ErrorKind::ArgumentConflict, message));
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::{Start, WalCommand};
    use crate::config::SecretFrom;

    fn line(text: &str) -> Result<Command, clap::Error> {
        parse(std::iter::once("ingestry").chain(text.split_whitespace()))
    }

    fn search(text: &str) -> SearchArgs {
        match line(&format!("search {text}")).unwrap() {
            Command::Search(search) => search,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_declaration_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_level_and_the_form_of_log_lines_can_be_said() {
        let Command::Run(run) = line("run --log-format json --log-level warn").unwrap() else {
            panic!()
        };
        assert_eq!(run.log_format, Some(LogFormat::Json));
        assert_eq!(run.log_level.as_deref(), Some("warn"));
    }

    #[test]
    fn no_command_is_run() {
        assert_eq!(line("").unwrap(), Command::Run(RunArgs::default()));
        let options = "--config a.toml --data-dir d --ports-file p --allow-public \
                       --listen graphite=127.0.0.1:0 --listen admin=[::1]:1";
        let run = line(options).unwrap();
        assert_eq!(run, line(&format!("run {options}")).unwrap());
        let Command::Run(run) = run else { panic!("{run:?}") };
        let overrides = run.overrides();
        assert_eq!(overrides.listens.len(), 2);
        assert_eq!(overrides.data_dir, Some("d".into()));
        assert!(overrides.allow_public);
    }

    #[test]
    fn searches_take_times_that_begin_with_a_minus() {
        let found = search("--since -15m --until=now --arrived-since 1700000000.5");
        assert_eq!(found.times.since, Some(TimeArg::Ago(Duration::from_secs(900))));
        assert_eq!(found.times.until, Some(TimeArg::Now));
        assert!(matches!(found.times.arrived_since, Some(TimeArg::At(_))));
        assert_eq!(found.limit, None);
        assert_eq!((found.sort, found.filter.format), (Sort::Arrival, Format::Text));
    }

    #[test]
    fn searches_take_filters() {
        let found = search(
            "--data-dir d --tag app-* --tag x --src 10.0.0.0/8 --contains -x --limit 5 \
             --sort time --format json",
        );
        assert_eq!(found.filter.conditions.tags.len(), 2);
        assert_eq!(found.filter.conditions.src.unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(found.filter.conditions.contains.as_deref(), Some("-x"));
        assert_eq!((found.limit, found.sort), (Some(5), Sort::Time));
        assert_eq!(found.filter.format, Format::Json);
    }

    #[test]
    fn tail_is_a_search_that_follows() {
        let Command::Tail(tail) = line("tail --tag a --format raw").unwrap() else { panic!() };
        let found = search("--tag a --format raw --follow --arrived-since now");
        assert_eq!(SearchArgs::from(tail), found);
    }

    #[test]
    fn logs_are_looked_after() {
        let wal = |text: &str| match line(&format!("wal {text}")).unwrap() {
            Command::Wal(wal) => wal.command,
            other => panic!("{other:?}"),
        };
        let replay = |text: &str| match wal(&format!("replay {text}")) {
            WalCommand::Replay(replay) => replay,
            other => panic!("{other:?}"),
        };
        let from = |text: &str| replay(&format!("--output a --from {text}")).from;
        assert_eq!(from("oldest"), Some(Start::Oldest));
        assert_eq!(from("1700000000"), Some(Start::At(1_700_000_000)));
        assert_eq!(from("-15m"), Some(Start::Time(TimeArg::Ago(Duration::from_secs(900)))));
        assert!(matches!(from("@1700000000.5"), Some(Start::Time(TimeArg::At(_)))));
        let sent = replay("--target tls://h --secret literal:a:b --tag a* --after 7");
        assert_eq!(sent.secret, Some(SecretFrom::Literal("a:b".into())));
        assert!(!format!("{sent:?}").contains("a:b"), "{sent:?}");
        assert_eq!((sent.select.after, sent.select.conditions.tags.len()), (Some(7), 1));
        let error = line("wal replay --target tcp://h --secret hush").unwrap_err();
        assert!(error.to_string().contains("env:NAME"), "{error}");
        let WalCommand::Export(export) = wal("export --since -1h --output f") else { panic!() };
        assert_eq!((export.format, export.output), (Format::Json, Some("f".into())));
    }

    #[test]
    fn usage_errors_exit_with_2() {
        for text in [
            "fly",
            "check",
            "check a b",
            "--nope",
            "--config",
            "--config a run",
            "--listen graphite",
            "--listen graphite=nowhere",
            "--log-format xml",
            "--log-level loud",
            "search --since yesterday",
            "search --limit -1",
            "search --limit many",
            "search --tag a.b",
            "search --src 10.0.0.0/99",
            "search --format xml",
            "search --follow --sort time",
            "tail --since now",
            "tail --limit 1",
            "hydra",
            "hydra tcp://h",
            "hydra ws://h --header x",
            "wal",
            "wal fly",
            "wal forget",
            "wal replay",
            "wal replay --output a",
            "wal replay --from 5",
            "wal replay --output a --from soon",
            "wal replay --output a --from 5 --tag b",
            "wal replay --output a --from 5 --target tcp://h",
            "wal replay --target tcp://h",
            "wal replay --target tcp://h --secret hush",
            "wal export --format xml",
            "wal export --after -5",
        ] {
            let error = line(text).expect_err(text);
            assert_eq!(error.exit_code(), 2, "{text}");
        }
        for text in ["--help", "--version", "search --help", "help check"] {
            assert_eq!(line(text).unwrap_err().exit_code(), 0, "{text}");
        }
    }
}
