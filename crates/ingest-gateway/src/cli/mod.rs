//! The command line: what can be asked for, and the parts that are answered right here.
//!
//! [`parse`] turns arguments into a [`Command`]; usage errors are clap's, with exit code 2.

use std::io::{self, Write as _};

use ingest_wal::OpenError;

mod args;
pub mod check;
mod describe;
mod hydra;
mod loggregator;
mod logs;
mod reload;
mod run;
mod search;
mod send;
mod service;
mod test;
mod top;
mod wal;

pub use args::{
    CheckArgs, Command, Conditions, Filter, Format, RunArgs, SearchArgs, Sort, TailArgs, Times,
    command, parse,
};
pub use describe::{CompletionsArgs, ConfigArgs, ConfigCommand, EXAMPLE, ManArgs};
pub use hydra::{Field, HydraArgs, Url};
pub use loggregator::{
    AppArgs, Connect, FirehoseArgs, LoggregatorArgs, LoggregatorCommand, Only, ReadArgs, Shape,
    Type,
};
pub use reload::ReloadArgs;
pub use run::exit_of;
pub use send::{Destination, Secret, SendArgs, Speaks};
pub use test::TestArgs;
pub use top::TopArgs;
pub use wal::{
    ExportArgs, ForgetArgs, InspectArgs, Place, RepairArgs, ReplayArgs, Select, Start, VerifyArgs,
    WalArgs, WalCommand,
};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// All went well.
    Fine,
    /// It failed while running.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// Another process uses the data directory.
    InUse,
}

impl Exit {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::InUse => 3,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// How the program ends when a log cannot be opened.
fn exit_for(error: &OpenError) -> Exit {
    match error {
        OpenError::InUse { .. } => Exit::InUse,
        OpenError::Limits(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// Does what was asked for, and says how it ended.
#[must_use]
pub fn execute(command: Command) -> Exit {
    let logs = logs::Logs::start(match &command {
        Command::Run(args) => Some(args),
        _ => None,
    });
    let result = match command {
        Command::Run(args) => run::run(&args, &logs),
        Command::Check(args) => check::run(&args).map_err(Into::into),
        Command::Reload(args) => reload::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Search(args) => find(&args),
        Command::Test(args) => test::run(&args, &logs),
        Command::Top(args) => top::run(&args),
        Command::Tail(args) => find(&args.into()),
        Command::Hydra(args) => hydra::run(&args),
        Command::Wal(args) => wal::run(&args.command),
        Command::Config(args) => said(describe::config(&args, &mut io::stdout().lock())),
        Command::Completions(args) => said(describe::completions(&args, &mut io::stdout().lock())),
        Command::Man(args) => said(describe::man(&args, &mut io::stdout().lock())),
        Command::Loggregator(args) => loggregator::run(&args),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr().lock(), "error: {error:#}");
        Exit::Failed
    })
}

/// Somebody who has read enough closes the pipe: that is no failure.
fn said(written: io::Result<()>) -> anyhow::Result<Exit> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Fine),
    }
}

fn find(args: &SearchArgs) -> anyhow::Result<Exit> {
    search::search(args, &mut io::stdout().lock(), &mut io::stderr()).map(|()| Exit::Fine)
}
