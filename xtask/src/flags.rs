//! The command line.
#![allow(unreachable_pub, reason = "the macro writes the visibility")]

xflags::xflags! {
    /// Automation of the workspace.
    ///
    /// Exit codes: 0 fine, 1 a check failed or the work could not be done, 2 wrong usage.
    cmd xtask {
        /// Check the rules of the house: who may depend on whom, manifests, the paths and symbols
        /// that the architecture names, and the text of every file that git knows or would add.
        ///
        /// Prints each finding as `file:line: message` and exits 1 if there is any. Notices are
        /// printed the same way and fail nothing.
        cmd tidy {}

        /// Run every gate in order and stop at the first that fails: lock file, formatting, clippy
        /// (default and all features), tidy, `cargo test --workspace`, documentation, and each
        /// library with no features and with each of its features alone.
        cmd ci {
            /// Leave out all-features clippy, documentation and the single features.
            optional --quick
        }

        /// Print this text. So does no command at all.
        cmd help {}
    }
}

/// The command line of this process; the process ends here when it cannot be understood.
pub(crate) fn from_env_or_exit() -> XtaskCmd {
    if std::env::args_os().len() <= 1 {
        return XtaskCmd::Help(Help {});
    }
    Xtask::from_env_or_exit().subcommand
}

/// The text that `--help` prints.
pub(crate) fn help() -> String {
    match Xtask::from_vec(vec!["--help".into()]) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> xflags::Result<XtaskCmd> {
        Xtask::from_vec(args.iter().map(Into::into).collect()).map(|flags| flags.subcommand)
    }

    #[test]
    fn commands_parse_and_mistakes_do_not() {
        assert!(matches!(parse(&["tidy"]), Ok(XtaskCmd::Tidy(_))));
        assert!(matches!(parse(&["ci"]), Ok(XtaskCmd::Ci(Ci { quick: false }))));
        assert!(matches!(parse(&["ci", "--quick"]), Ok(XtaskCmd::Ci(Ci { quick: true }))));
        assert!(matches!(parse(&["help"]), Ok(XtaskCmd::Help(_))));
        assert!(parse(&["tidy", "--quick"]).is_err());
        assert!(parse(&["tydi"]).is_err());
    }

    #[test]
    fn help_names_every_command() {
        let help = help();
        for command in ["tidy", "ci", "--quick", "help"] {
            assert!(help.contains(command), "{command} is missing in:\n{help}");
        }
    }
}
