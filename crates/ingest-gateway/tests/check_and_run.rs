//! `check` and `run` agree: a gateway starts with what `check` finds fine, and with nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test says what it saw")]

#[path = "support/mutate.rs"]
mod mutate;

use std::fs;
use std::path::Path;
use std::time::Duration;

use ingest_gateway::Gateway;
use ingest_gateway::cli::check::check_all;
use ingest_gateway::cli::{CheckArgs, Exit};
use ingest_gateway::config::{
    Config, DestinationKind, ListenAddr, ListenOverride, Overrides, SourceKind, for_run, load,
};
use mutate::{Random, mutate};

const ROUNDS: usize = 5_000;

const FULL: &str = include_str!("configs/full.toml");
const DEFAULTS: &str = include_str!("configs/defaults.toml");
const EXAMPLE: &str = include_str!("configs/example.toml");

/// What `check` says, and what `run` does: fine, or with what exit code it ends.
fn judge(dir: &Path, text: &[u8], runtime: &tokio::runtime::Runtime) -> Option<(Exit, Exit)> {
    let file = dir.join("ingestry.toml");
    fs::write(&file, text).unwrap();
    let data = dir.join("data");
    let args = CheckArgs { file: file.clone(), data_dir: Some(data.clone()), connect: false };
    let checked = check_all(&args, &mut Vec::new(), &mut Vec::new()).unwrap();
    let found = load(&file).ok().map(|loaded| loaded.config);
    if found.as_ref().is_some_and(|config| !stays_here(config)) {
        return None;
    }
    // On ports that are free: whether one is belongs to no configuration.
    let any =
        |name: &str| ListenOverride { name: name.to_owned(), listen: ListenAddr::loopback(0) };
    let listeners = found.iter().flat_map(|config| &config.sources);
    let listeners = listeners.filter(|source| source.listen().is_some());
    let mut listens: Vec<_> = listeners.map(|source| any(&source.name)).collect();
    if found.as_ref().is_some_and(|config| config.admin.enabled) {
        listens.push(any("admin"));
    }
    let overrides = Overrides { listens, data_dir: Some(data.clone()), allow_public: true };
    let run = match for_run(Some(&file), &overrides) {
        Err(_) => Exit::Usage,
        Ok(loaded) => runtime.block_on(async {
            match Gateway::builder(loaded.config).start().await {
                Ok(gateway) => {
                    assert!(gateway.stop(Duration::ZERO).await.balanced);
                    Exit::Fine
                }
                Err(error) => ingest_gateway::cli::exit_of(&error),
            }
        }),
    };
    let _ = fs::remove_dir_all(&data);
    Some((checked, run))
}

/// A gateway with it would connect to nobody else.
fn stays_here(config: &Config) -> bool {
    let sources = config.sources.iter();
    let destinations = config.destinations.iter();
    sources.map(|source| &source.kind).all(|kind| {
        matches!(
            kind,
            SourceKind::Graphite(_)
                | SourceKind::GraphiteUdp(_)
                | SourceKind::Gravwell(_)
                | SourceKind::Hydra(_)
        )
    }) && destinations.map(|destination| &destination.kind).all(|kind| match kind {
        DestinationKind::Store => true,
        DestinationKind::Gravwell(gravwell) => gravwell.targets.iter().all(|target| {
            let target = target.to_string();
            ["tcp://127.0.0.1:", "tls://127.0.0.1:"].iter().any(|here| target.starts_with(here))
        }),
        _ => false,
    })
}

/// Changes less: a line is left out, or a digit or a value becomes another, which may be right.
fn tweak(text: &str, random: &mut Random) -> Vec<u8> {
    const VALUES: [&str; 16] = [
        "true",
        "false",
        "\"off\"",
        "\"disk\"",
        "\"memory\"",
        "\"block\"",
        "\"drop-oldest\"",
        "\"1 MiB\"",
        "\"70 MiB\"",
        "\"9 TiB\"",
        "\"1s\"",
        "\"400d\"",
        "64",
        "\"none\"",
        "\"carbon\"",
        "\"127.0.0.1:7\"",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(2) {
        let at = random.below(lines.len());
        match random.below(3) {
            0 => drop(lines.remove(at)),
            1 => {
                let digit = char::from(b'0' + random.below(10) as u8).to_string();
                if let Some(place) = lines[at].find(|c: char| c.is_ascii_digit()) {
                    lines[at].replace_range(place..=place, &digit);
                }
            }
            _ => {
                if let Some((key, _)) = lines[at].split_once('=') {
                    lines[at] = format!("{key}= {}", VALUES[random.below(VALUES.len())]);
                }
            }
        }
    }
    lines.join("\n").into_bytes()
}

#[test]
fn they_agree_about_configurations_that_were_changed_at_random() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Variables that are set wherever tests run, and nobody to connect to.
    let example = EXAMPLE
        .replace("env:INGEST_SECRET", "env:PATH")
        .replace("10.0.0.1:4023", "127.0.0.1:9")
        .replace("10.0.0.2:4024", "127.0.0.1:9");
    let seeds = [FULL, DEFAULTS, &example];
    for seed in seeds {
        assert_eq!(judge(dir.path(), seed.as_bytes(), &runtime), Some((Exit::Fine, Exit::Fine)));
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut fine, mut wrong, mut elsewhere) = (0, 0, 0);
    for round in 0..ROUNDS {
        let seed = seeds[random.below(seeds.len())];
        let text = match round % 2 {
            0 => mutate(seed.as_bytes(), &mut random),
            _ => tweak(seed, &mut random),
        };
        match judge(dir.path(), &text, &runtime) {
            None => elsewhere += 1,
            Some((checked, run)) => {
                assert_eq!(checked, run, "round {round}:\n{}", String::from_utf8_lossy(&text));
                if run == Exit::Fine { fine += 1 } else { wrong += 1 }
            }
        }
    }
    println!("{ROUNDS} rounds: {fine} fine, {wrong} wrong, {elsewhere} would connect elsewhere");
    assert!(fine > 300 && wrong > 1_000, "{fine} and {wrong}: the changes are too one-sided");
}
