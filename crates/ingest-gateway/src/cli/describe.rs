//! What the program says about itself, for files: `config example`, `completions`, `man`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::args::command;

/// A configuration with every key, commented.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Arguments of `config`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigArgs {
    /// What about it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What can be asked about configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
#[non_exhaustive]
pub enum ConfigCommand {
    /// Print a configuration with every key that there is, commented
    Example,
}

/// Arguments of `completions`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ManArgs {
    /// Write a page for each command into this directory, instead of the first one to the output
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `ingestry config example`.
pub(super) fn config(args: &ConfigArgs, out: &mut impl Write) -> io::Result<()> {
    match args.command {
        ConfigCommand::Example => out.write_all(EXAMPLE.as_bytes()),
    }
}

/// `ingestry completions SHELL`.
pub(super) fn completions(args: &CompletionsArgs, out: &mut impl Write) -> io::Result<()> {
    let mut command = command();
    let name = command.get_name().to_owned();
    // Into memory first: it panics when it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    out.write_all(&text)
}

/// `ingestry man [DIR]`.
pub(super) fn man(args: &ManArgs, out: &mut impl Write) -> io::Result<()> {
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            clap_mangen::generate_to(command(), dir)
        }
        None => clap_mangen::Man::new(command()).render(out),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, parse};

    /// The documentation of the keys.
    const KEYS: &str = include_str!("../config/mod.rs");

    #[test]
    fn the_example_says_the_defaults() {
        let loaded = parse(Path::new("example"), EXAMPLE.as_bytes()).unwrap();
        assert_eq!((loaded.warnings, loaded.config), (Vec::new(), Config::default()));
    }

    #[test]
    fn what_the_example_has_behind_a_mark_is_right_too() {
        let key = |line: &str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
        let line = |line: &str| match line.strip_prefix("# ").filter(|line| key(line)) {
            // What names files or variables that are not there is asked for its form only.
            Some(line) if line.starts_with("tls") => String::new(),
            Some(line) if line.starts_with("kafka") && !cfg!(feature = "kafka") => String::new(),
            Some(line) if line.starts_with("kafka.reg") && !cfg!(feature = "avro") => String::new(),
            Some(line) => {
                let line = line.replace("env:INGEST_SECRET", "env:PATH");
                let line = line.replace("env:HYDRA_TOKEN", "env:PATH");
                let line = line.replace("env:KAFKA_PASSWORD", "env:PATH");
                line.replace("env:CF_ACCESS_TOKEN", "env:PATH")
            }
            None => line.to_owned(),
        };
        let text: String = EXAMPLE.lines().map(|l| line(l) + "\n").collect();
        let built = [("amqp", cfg!(feature = "amqp")), ("kafka", cfg!(feature = "kafka"))];
        let here = |table: &&str| {
            let says = |key, kind| table.contains(&format!("{key} = \"{kind}\""));
            // Its samples go with a source.
            let is = |kind| says("type", kind) || says("source", kind);
            built.iter().all(|(kind, built)| *built || !is(kind))
        };
        let text = text.split("\n[").filter(here).collect::<Vec<_>>().join("\n[");
        let loaded = parse(Path::new("example"), text.as_bytes()).unwrap();
        let more = built.iter().filter(|(_, built)| *built).count();
        let (sources, destinations) = (7 + more, 3 + more);
        let summary =
            format!("{sources} sources, {destinations} destinations, 1 route, 3 rules, 1 limit");
        assert_eq!(loaded.config.summary(), summary);
        assert_eq!(loaded.config.log.max_bytes, Some(10 << 30));
    }

    #[test]
    fn the_example_has_every_key() {
        let rows = KEYS.lines().filter_map(|line| line.strip_prefix("//! | `"));
        let keys = rows.flat_map(|row| {
            // Which types have it follows in brackets.
            let cell = row.split([' ', '`']).collect::<Vec<_>>();
            cell.into_iter().take_while(|word| *word != "|" && !word.starts_with('('))
        });
        let mut count = 0;
        for key in keys.filter(|key| !key.is_empty() && *key != ",") {
            let last = key.rsplit('.').next().unwrap_or_default();
            let is_set = |line: &str| {
                let (key, _) = line.split_once(" = ").unwrap_or_default();
                key.trim_start_matches("# ").rsplit('.').next() == Some(last)
            };
            assert!(EXAMPLE.lines().any(is_set), "{key}");
            count += 1;
        }
        assert!(count > 40, "{count}");
    }

    #[test]
    fn every_shell_and_the_manual_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            completions(&CompletionsArgs { shell }, &mut text).unwrap();
            assert!(String::from_utf8(text).unwrap().contains("ports-file"), "{shell}");
        }
        let dir = tempfile::tempdir().unwrap();
        let args = ManArgs { dir: Some(dir.path().join("man1")) };
        man(&args, &mut Vec::new()).unwrap();
        for page in ["ingestry.1", "ingestry-wal-verify.1", "ingestry-search.1"] {
            let text = std::fs::read_to_string(dir.path().join("man1").join(page)).unwrap();
            assert!(text.contains(".TH"), "{page}");
        }
        let mut text = Vec::new();
        man(&ManArgs { dir: None }, &mut text).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("ingestry\\-check"));
    }
}
