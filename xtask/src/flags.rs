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
        /// (default and all features), the generated code, tidy, `cargo test --workspace`, a few kills of the program and
        /// of one with a planted bug, documentation, and each library with no features and with
        /// each of its features alone.
        cmd ci {
            /// Leave out all-features clippy, the kills, documentation and the single features.
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

        /// Run the real program against peers that were not written here: nc and carbon-c-relay (a
        /// million lines each), and a file system of 3 MiB (small-disk; mounts one, so as root).
        /// `gravwell` sends between the examples wire_client and wire_server and programs that the
        /// operator brings; docs/interop.md says what those have to understand. `hydra` runs Python's
        /// websocket-client, Node's ws, Akka HTTP and Chromium, which it takes from their
        /// registries. `rabbitmq` kills a broker in mid-stream and adds up; `carbon` has carbon's
        /// relay and caches on both sides; `cpython` compares 100,000 pickles with what CPython and
        /// carbon make of them. A peer that is not there is an error.
        cmd interop {
            /// Only this one (default: all).
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
        /// peak memory and a verdict for each figure; exits 1 when a floor is missed.
        cmd bench {
            /// What to measure: wire, wal (12 GB in TMPDIR), big (a log of 20 GiB, 24 GB in TMPDIR),
            /// mux (8 GB in TMPDIR), attack (a server under attack), graphite (decoders in memory),
            /// loggregator, hydra (needs node and npm), fairness (one entry at a time beside a flood;
            /// 12 GB in TMPDIR), or all (default all).
            optional name: String
            /// Only cases whose names hold this text, and what they are compared to.
            optional --only text: String
            /// How many times each case runs, in turn with the others (default and least for a
            /// verdict: 5).
            optional --runs runs: NonZeroU32
            /// Seconds of one run of a case (default 3).
            optional --seconds seconds: NonZeroU32
            /// Also run the foreign programs that a benchmark knows. One that is missing is an
            /// error, and so is a benchmark that knows none.
            optional --peers
            /// Write one JSON object a case to this file, one a line.
            optional --json file: PathBuf
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
        let line = "bench wire --only 256B --runs 7 --seconds 2 --peers --json out";
        let Ok(XtaskCmd::Bench(bench)) = parse(&line.split_whitespace().collect::<Vec<_>>()) else {
            panic!("{line}");
        };
        assert_eq!(bench.name.as_deref(), Some("wire"));
        assert_eq!(bench.only.as_deref(), Some("256B"));
        assert_eq!(bench.runs.map(u32::from), Some(7));
        assert_eq!(bench.seconds.map(u32::from), Some(2));
        assert!(bench.peers);
        assert_eq!(bench.json, Some("out".into()));
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
    fn help_names_every_command() {
        let help = help();
        for command in [
            "tidy", "ci", "--quick", "codegen", "--check", "crash", "--plant", "interop", "bench",
            "--json", "fuzz", "soak", "alone", "api", "help",
        ] {
            assert!(help.contains(command), "{command} is missing in:\n{help}");
        }
    }
}
