//! The command line: what can be asked for, and the parts that are answered right here.
//!
//! [`parse`] turns arguments into a [`Command`]; usage errors are clap's, with exit code 2.

mod args;
pub mod check;

pub use args::{
    CheckArgs, Command, Filter, Format, RunArgs, SearchArgs, Sort, TailArgs, command, parse,
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
