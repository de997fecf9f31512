//! Which versions of foreign programs run beside a benchmark.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::interop::programs::{find, python};

/// Modules of the Go program that decodes Loggregator's messages.
const GO: [(&str, &str); 3] = [
    ("go-loggregator", "code.cloudfoundry.org/go-loggregator/v10"),
    ("sonde-go", "github.com/cloudfoundry/sonde-go"),
    ("Go's protobuf", "google.golang.org/protobuf"),
];

/// By name; with those that run only when they are asked for.
pub(in crate::bench) fn versions(suite: &str, asked: bool) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    let mut add = |name: &str, version: Result<String>| -> Result<()> {
        let version = version.with_context(|| format!("which version {name} is"))?;
        versions.insert(name.to_owned(), version);
        Ok(())
    };
    match suite {
        "hydra" => {
            add("Node", said(&find("node", "nodejs")?, &["--version"]))?;
            add("ws", Ok(crate::interop::NodeEcho::version().to_owned()))?;
        }
        "graphite" if asked => {
            let python = python(&[("carbon", "carbon")])?;
            add("carbon", package(&python, "carbon"))?;
            add("CPython", said(&python, &["-V"]))?;
            add("carbon-c-relay", relay())?;
        }
        "loggregator" if asked => {
            let file = crate::util::project_root()?.join("xtask/src/interop/loggregator/go/go.mod");
            let text = std::fs::read_to_string(file)?;
            for (name, module) in GO {
                let version = required(&text, module).context("not in the module file");
                add(name, version.map(str::to_owned))?;
            }
            add("Go", said(&find("go", "golang")?, &["env", "GOVERSION"]))?;
        }
        _ => {}
    }
    Ok(versions)
}

fn relay() -> Result<String> {
    said(&find("carbon-c-relay", "carbon-c-relay")?, &["-v"])
}

/// A package of Python's.
fn package(python: &Path, name: &str) -> Result<String> {
    let script = format!("import importlib.metadata as m; print(m.version({name:?}))");
    said(python, &["-c", &script])
}

/// The version of a module that a file of Go's requires.
pub(super) fn required<'a>(file: &'a str, module: &str) -> Option<&'a str> {
    let mut words = file.split_whitespace().skip_while(|word| *word != module);
    words.nth(1)?.strip_prefix('v')
}

/// The version in the first line that a program says.
fn said(program: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text)?;
    version(&text).with_context(|| format!("{} {args:?} said {text:?}", program.display()))
}

/// The first word with a digit and a dot in it.
fn version(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let is_version = |word: &&str| {
        let digits = word.trim_start_matches("go").trim_start_matches('v');
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    };
    let word = words.into_iter().find(is_version)?;
    let word = word.trim_start_matches("go").trim_start_matches('v');
    Some(word.trim_end_matches(&['(', ')', '.'][..]).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_is_said() {
        for (text, expected) in [
            ("carbon-c-relay v3.7.3 (2022-05-12)\nenabled", "3.7.3"),
            ("rsyslogd  8.2302.0 (aka 2023.02) compiled with:", "8.2302.0"),
            ("v20.19.2\n", "20.19.2"),
            ("Python 3.11.2\n", "3.11.2"),
            ("1.1.10\n", "1.1.10"),
            ("go1.26.8\n", "1.26.8"),
        ] {
            assert_eq!(version(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(version("no such thing"), None);
        assert_eq!(required("require (\n\ta/b v1.2.3\n\ta/c v4.5.6\n)\n", "a/c"), Some("4.5.6"));
    }
}
