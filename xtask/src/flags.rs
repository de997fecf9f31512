//! The command line.
#![allow(unreachable_pub, reason = "the macro writes the visibility")]

use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::crash::{Plant, Profile, Source};

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
        /// (default and all features), the generated code, tidy, `cargo test --workspace`, the
        /// benchmarks' own tests, every order of the log's threads (loom), a few kills and power cuts
        /// of the program and of one with each planted bug, documentation, what a release needs, and
        /// each library with no features and with each of its features alone.
        cmd ci {
            /// Leave out everything behind the tests, and clippy with all features.
            optional --quick
        }

        /// Write the Rust code of the protobuf messages from their `.proto` files. The code is
        /// checked in, and nothing else needs a compiler for it.
        cmd codegen {
            /// Write nothing, and exit 1 when the code is not what the files give.
            optional --check
        }

        /// Kill the real program at any instant, again and again, and compare what is stored with
        /// what was sent and acknowledged. Exits 1 and keeps the data when a promise was broken.
        /// `cargo xtask bench loss --peers` does the like to programs that were not written here.
        cmd crash {
            /// How many times (default 20). From 50 on, each kind of kill must have happened.
            optional --rounds rounds: NonZeroU32
            /// Decides what is sent and when the kill comes (default: random, and printed).
            optional --seed seed: u64
            /// How lines come in: graphite (default), or hydra: web sockets at `persisted`, where
            /// each line has a report, and a report of 200 says that it is on disk.
            optional --source name: Source
            /// Make each kill a power cut: every byte and every name that no sync covered is gone
            /// before the restart.
            optional --power
            /// Run with this planted bug: exits 0 when it was seen, 1 when it was not. `none` runs
            /// the honest program the same way and exits 1. An unknown name lists the known ones.
            /// One that only a power cut shows switches `--power` on.
            optional --plant name: Plant
            /// Build with this profile, dev or release (default release).
            optional --profile profile: Profile
            /// Run this program instead of building one.
            optional --binary path: PathBuf
            /// Work in this directory, which must be empty, and leave everything there.
            optional --keep dir: PathBuf
        }

        /// Run the gateway on its worst day: all sources that take connections under load, two
        /// destinations that come and go, the log filled to its limit and freed, another
        /// configuration every minute, kills and power cuts now and then. An oracle, a process of
        /// its own, compares what it sent with what arrived: every 10 minutes and at the end.
        /// Exits 1 and keeps the data when a promise was broken.
        cmd soak {
            /// How long (default 2).
            optional --minutes minutes: NonZeroU32
            /// Decides what happens when (default: random, and printed).
            optional --seed seed: u64
            /// Run with this planted bug: exits 0 when it was seen, 1 when it was not; as for crash.
            optional --plant name: Plant
            /// Run this program, built with the feature `plants`, instead of building one.
            optional --binary path: PathBuf
        }

        /// Run the real program against peers that were not written here, and compare what arrives. A
        /// peer that is not there is an error that says what to install; what comes from the
        /// registries of Python, Node, Maven and Go is installed below `target/`.
        ///
        /// nc, carbon-c-relay: a million lines each (Debian: netcat-openbsd, carbon-c-relay).
        /// small-disk: a file system of 3 MiB, mounted here, so as root.
        /// loggregator: Cloud Foundry's own Go modules, both ways (Go).
        /// gravwell: the examples wire_client and wire_server against programs that the operator
        /// brings, as docs/interop.md says.
        /// hydra: Python's websocket-client, Node's ws, Akka HTTP, Chromium (Node, Maven, Java).
        /// rabbitmq: a broker that is killed in mid-stream (Debian: rabbitmq-server).
        /// carbon: carbon's relay and caches, on both sides (Python).
        /// cpython: 100,000 pickles, read by CPython and carbon (Python).
        /// kafka: a broker, both ways, and one that goes away (Maven, Java).
        cmd interop {
            /// Only this one of the names above (default: all).
            optional peer: String
            /// For gravwell: the command of a server that was not written here.
            optional --peer-server command: String
            /// For gravwell: the command of a client that was not written here.
            optional --peer-client command: String
            /// For gravwell: entries of each run that measures (default 1,000,000). For loggregator:
            /// messages of each exchange (default 100,000).
            optional --entries count: u64
        }

        /// Fuzz the decoders and machines, beginning with the recorded vectors (those in the directory
        /// `INGESTRY_VECTORS`, if set) and `testdata/fuzz`, and say what was run and covered.
        /// Exits 1 when a promise was broken, with the input kept. Installs cargo-fuzz if need be.
        cmd fuzz {
            /// Only this one (default: all).
            optional target: String
            /// How long for each (default 1).
            optional --minutes minutes: NonZeroU32
            /// Two at a time.
            optional --two
            /// Take the smallest inputs that cover the most into `testdata/fuzz`.
            optional --keep
            /// Print the targets.
            optional --list
            /// Run the kept inputs and the seeds once, without a fuzzer.
            optional --replay
            /// Run this input through the target, and nothing else.
            optional --input path: PathBuf
            /// Fuzz with a planted fault: exits 0 when it was found within 5 minutes, 1 when not.
            optional --plant
        }

        /// Measure, beside what the machine can do at best, and compare with the floors and goals that
        /// are set. Builds itself again in release for that. Prints medians, CPU seconds a million,
        /// peak memory and a verdict for each figure; exits 1 when a floor is missed. With `--write`
        /// it keeps what it measured and writes `docs/benchmarks.md`, benchmark by benchmark.
        cmd bench {
            /// What to measure: wire, wal (12 GB in TMPDIR), big (a log of 20 GiB, 24 GB in TMPDIR),
            /// mux (8 GB in TMPDIR), attack (a server under attack), graphite (decoders in memory, and
            /// the program), loggregator, hydra (needs node and npm), kafka (needs Maven and Java),
            /// fairness (one entry at a time beside a flood; 12 GB in TMPDIR), durable (lines a second
            /// until they are synced), loss (what was accepted and is lost after kills and power cuts;
            /// the cuts need root), or all (default all). Or page: measure nothing, and write the page
            /// of `--write` anew from what is kept.
            optional name: String
            /// Only cases whose names hold this text, and what they are compared to.
            optional --only text: String
            /// How many times each case runs, in turn with the others (default and least for a
            /// verdict: 5).
            optional --runs runs: NonZeroU32
            /// Seconds of one run of a case (default 3).
            optional --seconds seconds: NonZeroU32
            /// Also run the foreign programs that a benchmark knows. One that is missing is an
            /// error that says what to install, and so is a benchmark that knows none.
            optional --peers
            /// Write one JSON object a case to this file, one a line.
            optional --json file: PathBuf
            /// Keep what was measured, with the machine, the commit and the command, in
            /// `PAGE without .md/NAME.json`, where it replaces the same cases of earlier runs, and
            /// write the page and its plots from all such files. The project's page is
            /// docs/benchmarks.md.
            optional --write page: PathBuf
            /// Leave out each benchmark whose cases `--write` has kept at this commit already.
            optional --resume
        }

        /// Build the program with everything it can do, and pack it with its units, completions,
        /// manual pages, example configuration, documents and licences into
        /// `target/dist/ingestry-VERSION-TARGET.tar.gz`: the same bytes for the same commit and
        /// compiler. Unpacks the archive, compares it with its sums, and tries what is in it.
        /// Needs GNU tar, gzip and sha256sum.
        cmd dist {
            /// Pack this program instead of building one.
            optional --binary path: PathBuf
            /// Write the archive into this directory (default target/dist).
            optional --out dir: PathBuf
        }

        /// Take each library crate as its users do: in a project of its own outside this workspace, by
        /// path, with what its README says to depend on and the programs that it shows, with the
        /// default features and with none. Counts dependencies, builds from nothing, runs the
        /// programs; exits 1 when something fails, a crate names more than it may, or
        /// docs/crates.md says other numbers.
        cmd alone {
            /// Only this crate (default: all; ingest-kafka and ingest-gateway take minutes).
            optional name: String
            /// Count only, and build nothing.
            optional --count
        }

        /// Read the public interface of each library crate, as rustdoc sees it with all features: print
        /// the types that show another crate's, and find what the API guidelines ask for and no
        /// lint checks. Exits 1 when there is such a thing, or docs/crates.md lists other types.
        cmd api {
            /// Only this crate (default: all; ingest-kafka takes minutes).
            optional name: String
        }

        /// Look at everything that a release needs: versions that agree, the changelog, what each
        /// crate says about itself, what is in its package, and the order in which they can be
        /// published. Exits 1 and says why when something is wrong.
        cmd release {
            /// Publish nothing, which is all that it can do.
            optional --dry-run
        }

        /// Print what there is, one line a command; so does no command at all. With a name, print what
        /// that command does and takes, as `--help` behind it does.
        cmd help {
            /// The command.
            optional command: String
        }
    }
}

/// The command line of this process; the process ends here when it cannot be understood.
pub(crate) fn from_env_or_exit() -> XtaskCmd {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let mut words = args.iter().map(|word| word.to_str().unwrap_or_default());
    let first = words.next();
    let asks = |word: &str| word == "--help" || word == "-h";
    match first {
        None => XtaskCmd::Help(Help { command: None }),
        Some(word) if asks(word) => XtaskCmd::Help(Help { command: None }),
        // The whole text of the macro's is that of all commands.
        Some(command) if words.take_while(|word| *word != "--").any(asks) => {
            XtaskCmd::Help(Help { command: Some(command.to_owned()) })
        }
        Some(_) => Xtask::from_env_or_exit().subcommand,
    }
}

/// What there is, or what a command does and takes; nothing, if there is no such command.
pub(crate) fn help(command: Option<&str>) -> Option<String> {
    let whole = match Xtask::from_vec(vec!["--help".into()]) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    let sections = sections(&whole);
    let Some(command) = command else { return Some(overview(&whole, &sections)) };
    let (_, text) = sections.into_iter().find(|(name, _)| *name == command)?;
    Some(format!("cargo {}\n", text.trim_end()))
}

/// Commands, and the text of each, from its name on.
fn sections(whole: &str) -> Vec<(&str, &str)> {
    const START: &str = "\nxtask ";
    let mut starts: Vec<usize> = whole.match_indices(START).map(|(at, _)| at + 1).collect();
    starts.push(whole.len());
    let section = |pair: &[usize]| {
        let text = whole.get(*pair.first()?..*pair.get(1)?)?;
        let name = text.lines().next()?.strip_prefix("xtask ")?;
        Some((name, text))
    };
    starts.windows(2).filter_map(section).collect()
}

fn overview(whole: &str, sections: &[(&str, &str)]) -> String {
    let head = whole.lines().skip(1).take_while(|line| *line != "OPTIONS:");
    let head: Vec<_> = head.map(str::trim).collect();
    let mut text = head.join("\n").trim().to_owned();
    text.push_str("\n\n");
    for (name, section) in sections {
        let about: Vec<_> = section.lines().skip(1).map(str::trim).collect();
        let about = about.join(" ");
        let ends = [". ", ": ", " ARGS:", " OPTIONS:"].map(|end| about.find(end));
        let sentence = ends.into_iter().flatten().min().and_then(|end| about.get(..end));
        let sentence = sentence.unwrap_or(&about);
        text.push_str(&format!("  {name:8} {}\n", sentence.trim().trim_end_matches('.')));
    }
    text.push_str("\n`cargo xtask COMMAND --help` says what a command does and takes.\n");
    text
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
        assert!(matches!(parse(&["crash"]), Ok(XtaskCmd::Crash(_))));
        assert!(parse(&["tydi"]).is_err());
    }

    #[test]
    fn crashes_have_options() {
        let line = "crash --rounds 50 --seed 7 --source hydra --power --plant ack-before-write --profile dev \
                    --binary b --keep k";
        let Ok(XtaskCmd::Crash(crash)) = parse(&line.split_whitespace().collect::<Vec<_>>()) else {
            panic!("{line}");
        };
        assert_eq!(crash.rounds.map(u32::from), Some(50));
        assert_eq!(crash.seed, Some(7));
        assert_eq!(crash.source, Some(Source::Hydra));
        assert!(crash.power);
        assert_eq!(crash.plant, "ack-before-write".parse().ok());
        assert_eq!(crash.profile, Some(Profile::Dev));
        assert_eq!(crash.binary, Some("b".into()));
        assert_eq!(crash.keep, Some("k".into()));
        for wrong in ["--rounds 0", "--seed x", "--profile fast", "--power 1", "--plant weeds"] {
            let line: Vec<_> = ["crash"].into_iter().chain(wrong.split(' ')).collect();
            assert!(parse(&line).is_err(), "{wrong}");
        }
        let error = parse(&["crash", "--plant", "weeds"]).unwrap_err().to_string();
        assert!(error.contains("skip-resend, none"), "{error}");
    }

    #[test]
    fn fuzzing_has_options() {
        let Ok(XtaskCmd::Fuzz(fuzz)) = parse(&["fuzz", "entry", "--minutes", "3", "--plant"])
        else {
            panic!("fuzz");
        };
        assert_eq!(fuzz.target.as_deref(), Some("entry"));
        assert_eq!(fuzz.minutes.map(u32::from), Some(3));
        assert!(fuzz.plant && !fuzz.replay && !fuzz.list && !fuzz.keep);
        assert!(parse(&["fuzz", "--minutes", "0"]).is_err());
    }

    #[test]
    fn soaks_have_options() {
        let line = "soak --minutes 60 --seed 7 --plant drop-tail --binary b";
        let Ok(XtaskCmd::Soak(soak)) = parse(&line.split_whitespace().collect::<Vec<_>>()) else {
            panic!("{line}");
        };
        assert_eq!((soak.minutes.map(u32::from), soak.seed), (Some(60), Some(7)));
        assert_eq!(soak.plant, "drop-tail".parse().ok());
        assert_eq!(soak.binary, Some("b".into()));
        assert!(parse(&["soak", "--minutes", "0"]).is_err());
    }

    #[test]
    fn benches_have_options() {
        let line =
            "bench wire --only 256B --runs 7 --seconds 2 --peers --json out --write p --resume";
        let Ok(XtaskCmd::Bench(bench)) = parse(&line.split_whitespace().collect::<Vec<_>>()) else {
            panic!("{line}");
        };
        assert_eq!(bench.name.as_deref(), Some("wire"));
        assert_eq!(bench.only.as_deref(), Some("256B"));
        assert_eq!(bench.runs.map(u32::from), Some(7));
        assert_eq!(bench.seconds.map(u32::from), Some(2));
        assert!(bench.peers);
        assert_eq!(bench.json, Some("out".into()));
        assert_eq!(bench.write, Some("p".into()));
        assert!(bench.resume);
        assert!(parse(&["bench", "--runs", "0"]).is_err());
    }

    #[test]
    fn crates_are_looked_at_one_by_one_or_all() {
        let Ok(XtaskCmd::Alone(alone)) = parse(&["alone", "ingest-wal", "--count"]) else {
            panic!("alone");
        };
        assert_eq!((alone.name.as_deref(), alone.count), (Some("ingest-wal"), true));
        assert!(matches!(parse(&["api"]), Ok(XtaskCmd::Api(Api { name: None }))));
        assert!(parse(&["api", "--count"]).is_err());
    }

    #[test]
    fn help_names_every_command_and_every_option() {
        let overview = help(None).unwrap();
        assert!(overview.contains("Exit codes: 0 fine"), "{overview}");
        for (command, options) in [
            ("tidy", &[][..]),
            ("ci", &["--quick"]),
            ("codegen", &["--check"]),
            ("crash", &["--rounds", "--plant <name>", "--keep <dir>"]),
            ("soak", &["--minutes", "--binary"]),
            ("interop", &["[peer]", "--entries"]),
            ("fuzz", &["[target]", "--replay"]),
            ("bench", &["[name]", "--peers", "--json <file>", "--write <page>", "--resume"]),
            ("alone", &["[name]", "--count"]),
            ("api", &["[name]"]),
            ("dist", &["--out"]),
            ("alone", &["[name]", "--count"]),
            ("api", &["[name]"]),
            ("release", &["--dry-run"]),
            ("help", &["[command]"]),
        ] {
            let line = overview.lines().find(|line| line.starts_with(&format!("  {command} ")));
            assert!(line.is_some_and(|line| line.len() > 30), "{command} in {overview}");
            let text = help(Some(command)).unwrap();
            assert!(text.starts_with(&format!("cargo xtask {command}\n")), "{text}");
            assert_eq!(text.matches("\nxtask ").count(), 0, "only its own text: {text}");
            assert!(options.iter().all(|option| text.contains(option)), "{options:?} in {text}");
        }
        assert_eq!(help(Some("no-such")), None);
    }
}
