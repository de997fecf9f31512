//! `cargo xtask fuzz`: libFuzzer over the targets in `fuzz/`, from the recorded vectors on.
//!
//! What is found stays in the target directory; `--keep` takes the smallest inputs that cover the
//! most into `testdata/fuzz/`, which `xtask/tests/corpus.rs` replays on every run of the tests.

mod coverage;
mod report;
mod seeds;
mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::flags::Fuzz;
use crate::util;
use report::{Report, Stats};
use tool::Tool;

/// The targets, in the order in which they run, each with the files that it is to cover: a path,
/// or a directory, below `crates/`.
const TARGETS: [(&str, &[&str]); 17] = [
    ("entry", ENTRY),
    ("block", &["ingest-entry/src/block.rs", "ingest-entry/src/stored/entries.rs"]),
    (
        "stored",
        &[
            "ingest-entry/src/stored/definition.rs",
            "ingest-entry/src/stored/summary.rs",
            "ingest-entry/src/stored/table.rs",
        ],
    ),
    (
        "client",
        &[
            "ingest-wire/src/proto/client/",
            "ingest-wire/src/proto/window.rs",
            "ingest-wire/src/proto/buffer.rs",
            "ingest-wire/src/proto/snappy.rs",
        ],
    ),
    (
        "server",
        &[
            "ingest-wire/src/proto/server/",
            "ingest-wire/src/proto/acks.rs",
            "ingest-wire/src/proto/batch.rs",
            "ingest-wire/src/proto/buffer.rs",
            "ingest-wire/src/proto/frame.rs",
            "ingest-wire/src/proto/reply.rs",
            "ingest-wire/src/proto/snappy.rs",
            "ingest-wire/src/proto/tags.rs",
        ],
    ),
    (
        "line",
        &[
            "graphite-proto/src/decoder.rs",
            "graphite-proto/src/line/",
            "graphite-proto/src/number/",
            "graphite-proto/src/tags/",
        ],
    ),
    ("pickle", &["graphite-proto/src/pickle/", "graphite-proto/src/typed.rs"]),
    ("protobuf", &["graphite-proto/src/protobuf/", "graphite-proto/src/frames.rs"]),
    ("proxy", &["graphite-proto/src/proxy/"]),
    ("gzip", &["graphite-proto/src/gzip.rs"]),
    (
        "command",
        &[
            "hydra-ws/src/command.rs",
            "hydra-ws/src/json.rs",
            "hydra-ws/src/metadata.rs",
            "hydra-ws/src/session.rs",
        ],
    ),
    ("frames", &["hydra-ws/src/server/session.rs", "hydra-ws/src/ws/"]),
    (
        "http",
        &["hydra-ws/src/http/", "hydra-ws/src/server/access.rs", "hydra-ws/src/server/http.rs"],
    ),
    (
        "envelope",
        &[
            "loggregator-consumer/src/convert/",
            "loggregator-consumer/src/generated/",
            "loggregator-consumer/src/wire/",
        ],
    ),
    ("multipart", &["loggregator-consumer/src/multipart.rs"]),
    ("sse", &["loggregator-consumer/src/sse.rs"]),
    ("json", &["loggregator-consumer/src/json/"]),
];

const ENTRY: &[&str] = &[
    "ingest-entry/src/codec.rs",
    "ingest-entry/src/value.rs",
    "ingest-entry/src/values/",
    "ingest-entry/src/entry.rs",
];

/// The longest input. Every limit that the targets set is reached with less.
const MAX_LEN: usize = 2048;
/// The time for one input, in seconds.
const TIMEOUT: u32 = 10;
/// How long a planted fault may stay unseen.
const PLANT_MINUTES: u32 = 5;
/// What is kept for each target beside what is named: about so many inputs and bytes at most in all,
/// and bytes in one input.
const KEPT_INPUTS: usize = 64;
const KEPT: u64 = 24 << 10;
const KEPT_INPUT: u64 = 2 << 10;

/// Runs what the flags ask for; `Ok(false)` if a promise was broken, or a plant not found.
pub(crate) fn run(flags: &Fuzz) -> Result<bool> {
    if flags.list {
        TARGETS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(true);
    }
    let names = chosen(flags.target.as_deref())?;
    if flags.replay {
        return replay();
    }
    if let Some(input) = &flags.input {
        ensure!(names.len() == 1, "an input is for one target: name it");
        return again(&names, input);
    }
    let tool = Tool::find(&util::project_root()?)?;
    let seeds = seeds::read(&seeds::folder(&tool.root))?;
    tool.build(flags.plant, &names)?;
    let minutes = flags.minutes.map_or(1, u32::from);
    let mut reports = Vec::new();
    for pair in names.chunks(if flags.two { 2 } else { 1 }) {
        let runs = std::thread::scope(|scope| {
            let started: Vec<_> = pair
                .iter()
                .map(|&name| {
                    let seeds = seeds.get(name).map(Vec::as_slice).unwrap_or_default();
                    let tool = &tool;
                    scope.spawn(move || fuzz(tool, name, seeds, minutes, flags.plant))
                })
                .collect();
            let ended = started.into_iter().map(|run| run.join().map_err(|_| "a panic"));
            ended.collect::<Result<Vec<_>, _>>()
        });
        let runs = runs.map_err(anyhow::Error::msg)?;
        reports.extend(runs.into_iter().collect::<Result<Vec<_>>>()?);
    }
    if flags.plant {
        return Ok(planted(&reports));
    }
    if reports.iter().all(|report| report.crash.is_none()) {
        if flags.keep {
            reports.iter().try_for_each(|report| keep(&tool, report.target))?;
        }
        tool.build_for_coverage(&names)?;
        for report in &mut reports {
            let files = TARGETS.iter().find(|(name, _)| *name == report.target);
            let files = files.map_or(&[][..], |(_, files)| files);
            report.coverage = Some(coverage::measure(&tool, report.target, files)?);
        }
    }
    println!();
    for report in &reports {
        println!("{report}");
    }
    Ok(reports.iter().all(|report| report.crash.is_none()))
}

fn chosen(target: Option<&str>) -> Result<Vec<&'static str>> {
    let all = TARGETS.map(|(name, _)| name);
    match target {
        None => Ok(all.to_vec()),
        Some(target) => match all.iter().find(|name| **name == target) {
            Some(name) => Ok(vec![*name]),
            None => bail!("found target {target:?}; allowed: {}", all.join(", ")),
        },
    }
}

/// Replays the seeds and what is kept, without a fuzzer.
fn replay() -> Result<bool> {
    let mut cargo = Command::new(tool::cargo());
    cargo.current_dir(util::project_root()?);
    cargo.args(["test", "--locked", "--package", "xtask", "--test", "corpus"]);
    Ok(cargo.args(["--", "--nocapture"]).status().context("cannot start cargo")?.success())
}

/// One target for so long, or until it fails.
fn fuzz(
    tool: &Tool,
    target: &'static str,
    seeds: &[Vec<u8>],
    minutes: u32,
    plant: bool,
) -> Result<Report> {
    let name = if plant { format!("{target}-plant") } else { target.to_owned() };
    let corpus = tool.folder("corpus", &name)?;
    let (from, crashes) = (tool.fresh("seeds", &name)?, tool.fresh("crashes", &name)?);
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(from.join(format!("{number:04}")), seed)?;
    }
    let kept = tool.kept(target);
    ensure!(!seeds.is_empty(), "the vectors have no seed for {target}");
    if plant {
        // What begins with the fault would not show that fuzzing finds it.
        let begins = tool
            .start(true, target, &[&from, &kept])
            .arg("-runs=0")
            .stderr(Stdio::null())
            .status()?;
        ensure!(begins.success(), "a seed of {target} meets the planted fault by itself");
        fs::remove_dir_all(&corpus)?;
        fs::create_dir_all(&corpus)?;
    }
    let before = files(&corpus)? + files(&from)? + files(&kept)?;
    let log = tool.folder("logs", "")?.join(format!("{name}.log"));
    let minutes = if plant { PLANT_MINUTES } else { minutes };
    println!("{target}: {minutes} min from {before} inputs; its words go to {}", log.display());
    let began = Instant::now();
    let mut command = tool.start(plant, target, &[&corpus, &from, &kept]);
    command.arg(format!("-max_total_time={}", 60 * minutes)).arg(format!("-timeout={TIMEOUT}"));
    command.arg(format!("-max_len={MAX_LEN}")).args(["-print_final_stats=1", "-rss_limit_mb=2048"]);
    command.arg(format!("-dict={}", words(&tool.root, target).display()));
    command.arg(format!("-artifact_prefix={}/", crashes.display()));
    let status = command.stderr(fs::File::create(&log)?).status().context("cannot start it")?;
    let words = fs::read(&log)?;
    let words = String::from_utf8_lossy(&words);
    let crash = if status.success() { None } else { Some(crash(target, &crashes, &words)?) };
    let after = files(&corpus)? + files(&from)? + files(&kept)?;
    let stats = Stats::read(&words);
    Ok(Report { target, stats, before, after, took: began.elapsed(), crash, coverage: None })
}

/// The words of a target's protocol: its own, or those of Gravwell's.
fn words(root: &Path, target: &str) -> PathBuf {
    let all = root.join("fuzz/words");
    let own = all.join(format!("{target}.dict"));
    if own.exists() { own } else { all.join("wire.dict") }
}

/// What broke, and how to see it again.
fn crash(target: &str, crashes: &Path, words: &str) -> Result<String> {
    let said = report::said(words);
    let mut inputs: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(crashes)? {
        inputs.push(entry?.path());
    }
    let Some(input) = inputs.first() else { bail!("{target} ended with no input kept: {said}") };
    let (len, input) = (fs::metadata(input)?.len(), input.display());
    Ok(format!(
        "{said}\n  the input of {len} bytes: {input}\n  again: cargo xtask fuzz {target} --input {input}\n  \
         when it is mended, put it into testdata/fuzz/{target}/"
    ))
}

/// Runs one input through a target.
fn again(names: &[&str], input: &Path) -> Result<bool> {
    let input = fs::canonicalize(input).with_context(|| input.display().to_string())?;
    let tool = Tool::find(&util::project_root()?)?;
    tool.build(false, names)?;
    let mut passed = true;
    for name in names {
        passed &= tool.start(false, name, &[&input]).status()?.success();
    }
    Ok(passed)
}

fn planted(reports: &[Report]) -> bool {
    let mut all = true;
    for report in reports {
        let found = report.crash.as_deref().is_some_and(|crash| crash.contains("planted:"));
        let (executions, took) = (report.stats.executions, util::human(report.took));
        println!(
            "{}: the planted fault was {} in {executions} executions, {took}",
            report.target,
            if found { "found" } else { "NOT found" },
        );
        if let (false, Some(crash)) = (found, &report.crash) {
            println!("{}: something else was: {crash}", report.target);
        }
        all &= found;
    }
    all
}

/// Whether libFuzzer has named a file. What once broke something was named by somebody, and stays.
fn is_hash(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Replaces what is kept for a target by few inputs that take as many edges as all, or where there is
/// no room for them by some of every length, and leaves those that somebody has named.
fn keep(tool: &Tool, target: &str) -> Result<()> {
    let (kept, merged) = (tool.kept(target), tool.fresh("merged", target)?);
    let small = tool.fresh("small", target)?;
    for from in [tool.folder("corpus", target)?, kept.clone()] {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            if entry.metadata()?.len() <= KEPT_INPUT {
                fs::copy(entry.path(), small.join(entry.file_name()))?;
            }
        }
    }
    let mut merge = tool.start(false, target, &[&merged, &small]);
    // How often an edge was taken makes no difference here: it would triple the number.
    merge.args(["-set_cover_merge=1", "-use_counters=0"]);
    let status = merge.stderr(Stdio::null()).status()?;
    ensure!(status.success(), "the inputs of {target} cannot be merged");
    let mut found = Vec::new();
    for entry in fs::read_dir(&merged)? {
        let entry = entry?;
        found.push((entry.metadata()?.len(), entry.file_name()));
    }
    found.sort();
    let (mut bytes, mut count) = (0, 0);
    for entry in fs::read_dir(&kept)? {
        let entry = entry?;
        if is_hash(&entry.file_name()) {
            fs::remove_file(entry.path())?;
        } else {
            (bytes, count) = (bytes + entry.metadata()?.len(), count + 1);
        }
    }
    let all: u64 = found.iter().map(|(len, _)| len).sum();
    let fit = found.len().div_ceil(KEPT_INPUTS).max(all.div_ceil(KEPT) as usize);
    for (len, name) in found.iter().step_by(fit.max(1)) {
        fs::copy(merged.join(name), kept.join(name))?;
        (bytes, count) = (bytes + len, count + 1);
    }
    println!("{target}: kept {count} of {} inputs, {bytes} bytes", found.len());
    Ok(())
}

fn files(folder: &Path) -> Result<usize> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.count())
}

/// So many a second.
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_run_and_its_files_are_there() {
        let root = util::project_root().unwrap();
        let mut programs: Vec<_> = fs::read_dir(root.join("fuzz/fuzz_targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        programs.sort();
        let mut targets = TARGETS.map(|(name, _)| name);
        targets.sort_unstable();
        assert_eq!(programs, targets);
        for (name, files) in TARGETS {
            for file in files {
                assert!(root.join("crates").join(file).exists(), "{name} is to cover {file}");
            }
            assert!(words(&root, name).exists());
        }
    }

    #[test]
    fn only_libfuzzer_s_names_are_replaced() {
        assert!(is_hash("0a33f6fe6d31e813acd985cd7960468a73367b00".as_ref()));
        assert!(!is_hash("223ae9239b3130ba".as_ref()) && !is_hash("a".as_ref()));
    }
}
