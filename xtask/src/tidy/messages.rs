//! `docs/logs.md` has a row for every message of the crates that an operator may have to act on,
//! and none for one that nobody says.

use super::Report;
use super::rust::{self, Kind, TestParts, Token};
use super::tree::Tree;

const TABLE: &str = "docs/logs.md";

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let table = tree.text(TABLE).unwrap_or_default();
    let mut sources = String::new();
    for (path, text) in tree.rust().filter(|(path, _)| is_source(path)) {
        sources.push_str(&joined(text));
        for (line, message) in messages(text) {
            // What is put in follows the first brace; a text that is all put in has none of its own.
            let fixed = message.split('{').next().unwrap_or_default().trim_end();
            if !fixed.is_empty() && !table.contains(&format!("| `{fixed}")) {
                report.finding(path, line, format!("{TABLE} has no row for \"{fixed}\""));
            }
        }
    }
    for (index, row) in table.lines().enumerate() {
        let Some((message, _)) = row.strip_prefix("| `").and_then(|row| row.split_once('`')) else {
            continue;
        };
        let is_level = !message.contains(' ');
        if !is_level && !sources.contains(&message.replace('"', "\\\"")) {
            report.finding(TABLE, index + 1, format!("nothing says \"{message}\""));
        }
    }
}

fn is_source(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/src/")
}

/// Texts over several lines in one.
fn joined(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push_str(part.trim_start());
    }
    whole
}

/// The messages of `error!` and `warn!` outside tests, each with its line.
fn messages(text: &str) -> Vec<(usize, String)> {
    let code = rust::code(text);
    let tests = TestParts::of(&code);
    let mut found = Vec::new();
    for (index, window) in code.windows(3).enumerate() {
        let [name, mark, open] = window else { continue };
        let is_call = (name.is("error") || name.is("warn")) && mark.is("!") && open.is("(");
        if is_call && !tests.contain(index) {
            let last = code.get(index + 3..).and_then(last_text);
            found.extend(last.map(|text| (name.line, text)));
        }
    }
    found
}

/// The last text between brackets, which is the message; what is put in is no text.
fn last_text(code: &[Token<'_>]) -> Option<String> {
    let (mut depth, mut last) = (1, None);
    for token in code {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                break;
            }
        } else if depth == 1 && token.kind == Kind::Literal && token.text.starts_with('"') {
            last = Some(joined(token.text.trim_matches('"')).replace("\\\"", "\""));
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str, table: &str) -> Vec<String> {
        let tree = Tree::from([("crates/a/src/b.rs", source), (TABLE, table)]);
        let mut report = Report::default();
        check(&tree, &mut report);
        report.lines()
    }

    const SAID: &str = "fn f() {\n    tracing::warn!(%error, \"The \\\"disk\\\" \\\n        is full.\");\n    \
                        tracing::info!(\"Unheard.\");\n}\n\
                        #[cfg(test)]\nmod tests { fn g() { tracing::error!(\"Tested.\"); } }\n";

    #[test]
    fn a_message_without_a_row_is_found() {
        let rows = "| `warn` | |\n| `The \"disk\" is full.` | so | do |\n";
        assert_eq!(findings(SAID, rows), Vec::<String>::new());
        let found = findings(SAID, "| `warn` | |\n");
        assert_eq!(
            found,
            ["crates/a/src/b.rs:2: docs/logs.md has no row for \"The \"disk\" is full.\""]
        );
    }

    #[test]
    fn a_row_without_a_message_is_found() {
        let rows = "| `The \"disk\" is full.` | |\n| `The disk is empty.` | |\n";
        assert_eq!(findings(SAID, rows), ["docs/logs.md:2: nothing says \"The disk is empty.\""]);
    }

    #[test]
    fn what_is_put_in_is_left_out() {
        let source = "fn f() { warn!(a = \"x\", \"It failed: {error}\"); error!(\"{text}\"); }";
        assert_eq!(findings(source, "| `It failed:` | |\n"), Vec::<String>::new());
    }
}
