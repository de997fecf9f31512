//! `cargo xtask codegen`: Rust from the `.proto` files, checked in, with no compiler of theirs.
//!
//! Written here because the usual generators give up what this project needs from old peers:
//! texts that are not UTF-8, fields of the wrong wire type or unknown ones kept as they came,
//! required fields checked, messages that borrow, and their JSON form in both spellings.

mod emit;
mod json;
mod parse;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::util;

/// Source, output, and whether JSON is read too.
const FILES: &[(&str, &str, bool)] = &[
    ("proto/logmessage.proto", "src/generated/logmessage.rs", false),
    ("proto/events.proto", "src/generated/events.rs", false),
    ("proto/loggregator_v2.proto", "src/generated/loggregator_v2.rs", true),
];
const CRATE: &str = "crates/loggregator-consumer";

/// Writes the generated files, or with `check` compares them with what is there.
pub(crate) fn run(check: bool) -> Result<bool> {
    let root = util::project_root()?.join(CRATE);
    let mut stale = 0;
    for (source, output, reads_json) in FILES {
        let path = root.join(source);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let file = parse::file(&text).with_context(|| path.display().to_string())?;
        let code = format(&emit::file(&file, source, *reads_json)?)?;
        let target = root.join(output);
        let current = std::fs::read_to_string(&target).unwrap_or_default();
        if current == code {
            println!("{CRATE}/{output}: as generated");
        } else if check {
            stale += 1;
            println!("{CRATE}/{output}: differs from what {source} gives, run cargo xtask codegen");
        } else {
            write(&target, &code)?;
            println!("{CRATE}/{output}: written");
        }
    }
    Ok(stale == 0)
}

fn write(target: &Path, code: &str) -> Result<()> {
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(target, code).with_context(|| target.display().to_string())
}

fn format(code: &str) -> Result<String> {
    let root = util::project_root()?;
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root.join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt")?;
    let Some(mut input) = child.stdin.take() else { bail!("rustfmt has no input") };
    input.write_all(code.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt does not take the generated code");
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "// About the file.\nsyntax = \"proto2\";\npackage p;\n\n\
        // A thing.\nmessage Thing {\n  // Its name.\n  required string aName = 1;\n\
        // More.\n  map<string, string> tags = 17;\n}\n";

    fn generated(source: &str) -> String {
        format(&emit::file(&parse::file(source).unwrap(), "thing.proto", true).unwrap()).unwrap()
    }

    #[test]
    fn a_field_in_the_source_is_a_field_in_the_code() {
        let code = generated(SOURCE);
        assert!(code.contains("pub a_name: Option<Text<B>>"), "{code}");
        assert!(code.contains("pub tags: Vec<(Text<B>, Text<B>)>"), "{code}");
        assert!(code.contains("/// Its name."), "{code}");
        let other = generated(&SOURCE.replace("aName = 1", "aName = 2"));
        assert_ne!(code, other, "a changed number has to show, or --check sees nothing");
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        for (bad, line) in [
            ("syntax = \"proto9\";", "line 1"),
            ("syntax = \"proto3\";\n// A.\nmessage A {\n  // A.\n  fixed32 a = 1;\n}\n", "line 5"),
            ("syntax = \"proto3\";\nmessage A {\n  string a = 1;\n}\n", "line 2"),
            ("syntax = \"proto3\";\n// A.\nmessage A {\n  // A.\n  string a = x;\n}\n", "line 5"),
            ("syntax = \"proto3\";\n// A.\nmessage A {\n", "line 4"),
        ] {
            let error = parse::file(bad).unwrap_err().to_string();
            assert!(error.contains(line), "{bad}: {error}");
        }
    }

    #[test]
    fn what_is_checked_in_is_what_is_generated() {
        assert!(run(true).unwrap());
    }
}
