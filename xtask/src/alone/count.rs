//! How many crates a crate brings along, by `cargo tree`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// Dependencies differ between systems: these are counted.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Crates with a core that works without tokio.
pub(super) const CORES: [&str; 7] = [
    "ingest-entry",
    "ingest-wal",
    "graphite-proto",
    "hydra-ws",
    "loggregator-consumer",
    "ingest-wire",
    "ingest-store",
];
/// What the manifest of a core may name, without features.
const MOST_OF_A_CORE: usize = 12;
/// What that of `ingest-entry` may name, with its default features.
const MOST_OF_THE_ENTRY: usize = 3;

/// Which features a crate is taken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    Default,
    Nothing,
    /// It has no default features, so that both are one.
    Both,
}

impl With {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Nothing => "none",
            Self::Both => "both",
        }
    }
}

/// How many crates there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Named in its manifest.
    pub(super) named: usize,
    /// Linked into a program that uses it: no build scripts and no macros.
    pub(super) linked: usize,
    /// Compiled, all in all.
    pub(super) compiled: usize,
    /// Whether tokio is linked.
    pub(super) tokio: bool,
}

/// Counts, without the crate itself.
pub(super) fn count(shell: &Shell, name: &str, with: With) -> Result<Count> {
    let tree = |edges: &str, depth: &str| -> Result<BTreeSet<String>> {
        let format = "{p}";
        let none = (with != With::Default).then_some("--no-default-features");
        let text = cmd!(
            shell,
            "cargo tree --locked --package {name} {none...} --edges {edges} --depth {depth} --prefix none
             --format {format} --target {TARGET}"
        );
        let text = text.quiet().read().with_context(|| format!("cargo cannot list {name}"))?;
        Ok(crates(&text, name))
    };
    let linked = tree("normal,no-proc-macro", "99")?;
    Ok(Count {
        named: tree("normal", "1")?.len(),
        tokio: linked.iter().any(|one| one.starts_with("tokio ")),
        linked: linked.len(),
        compiled: tree("normal,build", "99")?.len(),
    })
}

/// The crates of such a list, each version once.
fn crates(text: &str, but: &str) -> BTreeSet<String> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    let itself = format!("{but} ");
    text.lines().filter_map(parse).filter(|one| !one.starts_with(&itself)).collect()
}

/// What is over its limit.
pub(super) fn judge(name: &str, with: With, count: Count) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_core = with != With::Default && CORES.contains(&name);
    let is_entry = with != With::Nothing && name == "ingest-entry";
    let limits = [(is_entry, MOST_OF_THE_ENTRY), (is_core, MOST_OF_A_CORE)];
    let most = limits.iter().find_map(|(holds, most)| holds.then_some(*most));
    if let Some(most) = most.filter(|most| count.named > *most) {
        let (named, with) = (count.named, with.as_str());
        wrong.push(format!("{name} ({with}) names {named} dependencies: {most} at most"));
    }
    if is_core && count.tokio {
        wrong.push(format!("{name} brings tokio: its core has to work without"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_counted_once() {
        let text = "a v1.0.0 (/w/a)\nb v1.2.3\nb v1.2.3 (*)\nb v2.0.0\nc v0.1.0 (proc-macro)\n\n";
        let found: Vec<_> = crates(text, "a").into_iter().collect();
        assert_eq!(found, ["b v1.2.3", "b v2.0.0", "c v0.1.0"]);
    }

    #[test]
    fn limits_are_kept() {
        let count = |named, tokio| Count { named, linked: 20, compiled: 30, tokio };
        let judged = |name, with, named, tokio| judge(name, with, count(named, tokio)).len();
        assert_eq!(judged("ingest-entry", With::Both, 3, false), 0);
        assert_eq!(judged("ingest-entry", With::Both, 4, false), 1);
        assert_eq!(judged("hydra-ws", With::Both, 4, true), 1);
        assert_eq!(judged("ingest-wire", With::Nothing, 12, false), 0);
        assert_eq!(judged("ingest-wire", With::Nothing, 13, true), 2);
        assert_eq!(judged("ingest-wire", With::Default, 13, true), 0);
        assert_eq!(judged("ingest-mux", With::Nothing, 13, true), 0);
    }
}
