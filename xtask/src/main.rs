//! Automation of the workspace: `cargo xtask help` lists what it does.
//!
//! A plain program with few dependencies. A sub-command is one entry in [`flags`], one arm in
//! `main`, and one file here.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool prints")]

mod alone;
mod api;
mod bench;
mod ci;
mod codegen;
mod crash;
mod dist;
mod flags;
mod fuzz;
mod interop;
mod release;
mod soak;
mod tidy;
mod util;

use std::process::ExitCode;

use flags::XtaskCmd;

fn main() -> ExitCode {
    if let Some(outcome) = bench::side() {
        return exit(outcome.map(|()| true));
    }
    if let Some(outcome) = soak::side() {
        return exit(outcome.map(|()| true));
    }
    exit(match flags::from_env_or_exit() {
        XtaskCmd::Alone(flags) => alone::run(&flags),
        XtaskCmd::Api(flags) => api::run(&flags),
        XtaskCmd::Bench(flags) => bench::run(&flags),
        XtaskCmd::Tidy(_) => tidy::run(),
        XtaskCmd::Ci(flags) => ci::run(flags.quick),
        XtaskCmd::Codegen(flags) => codegen::run(flags.check),
        XtaskCmd::Crash(flags) => crash::run(&flags),
        XtaskCmd::Dist(flags) => dist::run(&flags),
        XtaskCmd::Fuzz(flags) => fuzz::run(&flags),
        XtaskCmd::Interop(flags) => interop::run(&flags),
        XtaskCmd::Soak(flags) => soak::run(&flags),
        XtaskCmd::Release(flags) => release::run(&flags),
        XtaskCmd::Help(flags) => match flags::help(flags.command.as_deref()) {
            Some(text) => {
                print!("{text}");
                Ok(true)
            }
            None => Err(anyhow::anyhow!("no such command; `cargo xtask help` lists them")),
        },
    })
}

fn exit(outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
