//! The `ingestry` program.

use std::process::ExitCode;

use ingest_gateway::cli;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(command) => cli::execute(command).into(),
        Err(error) => error.exit(),
    }
}
