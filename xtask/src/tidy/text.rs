//! Rules for the text of files: white space, length, marks of unfinished work, tests that wait.

use std::collections::BTreeSet;

use super::Report;
use super::rust::{self, Kind, TestParts, Token};
use super::tree::Tree;

/// Lines of a source file: look again, and too many.
const LONG: usize = 600;
const TOO_LONG: usize = 1_000;
const LONG_TOUR: usize = 150;

/// Words that say that something is not finished.
const UNFINISHED_WORDS: &[&str] = &["TODO", "FIXME", "XXX"];
const UNFINISHED_MACROS: &[&str] = &["todo", "unimplemented"];

/// What lets a test sleep, with a reason behind it.
const SLEEP_ALLOWED: &str = "// tidy: sleep ";

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for path in tree.not_utf8() {
        report.finding(path, 1, "not UTF-8");
    }
    for (path, text) in tree.texts() {
        white_space(path, text, report);
    }
    let test_files = test_files(tree);
    for (path, text) in tree.rust() {
        length(path, text, report);
        let tokens = rust::tokens(text);
        unfinished(path, &tokens, report);
        let code: Vec<_> = tokens.into_iter().filter(|t| t.kind != Kind::Comment).collect();
        ignored_tests(path, &code, report);
        sleeps(path, text, &code, test_files.contains(path), report);
    }
}

fn white_space(path: &str, text: &str, report: &mut Report) {
    for (index, line) in text.split('\n').enumerate() {
        if line.ends_with(char::is_whitespace) {
            report.finding(path, index + 1, "white space at the end of the line");
        }
        if path.ends_with(".rs") && line.contains('\t') {
            report.finding(path, index + 1, "a tab");
        }
    }
    let last = text.lines().count().max(1);
    if !text.is_empty() && !text.ends_with('\n') {
        report.finding(path, last, "no newline at the end of the file");
    }
    if text.ends_with("\n\n") || text == "\n" {
        report.finding(path, last, "an empty line at the end of the file");
    }
}

fn length(path: &str, text: &str, report: &mut Report) {
    let in_source = path.starts_with("crates/") && path.contains("/src/");
    let generated = path.contains("/src/generated/");
    if generated || !in_source && !path.starts_with("xtask/src/") {
        return;
    }
    let lines = text.lines().count();
    if lines > TOO_LONG {
        report.finding(path, 1, format!("{lines} lines: split files before {TOO_LONG}"));
    } else if lines > LONG {
        report.notice(path, 1, format!("{lines} lines: look for a seam above {LONG}"));
    } else if lines > LONG_TOUR && path.ends_with("/src/lib.rs") {
        report.notice(path, 1, format!("{lines} lines: lib.rs is a tour of {LONG_TOUR} at most"));
    }
}

/// Comments are searched as words, code for the macros; what stands in a text is data.
fn unfinished(path: &str, tokens: &[Token<'_>], report: &mut Report) {
    for (index, token) in tokens.iter().enumerate() {
        let is_call = || tokens.get(index + 1).is_some_and(|next| next.is("!"));
        if token.kind == Kind::Comment {
            for (offset, line) in token.text.lines().enumerate() {
                let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
                for word in words.filter(|word| UNFINISHED_WORDS.contains(word)) {
                    let message = format!("`{word}`: finish it, or open an issue");
                    report.finding(path, token.line + offset, message);
                }
            }
        } else if token.kind == Kind::Word && UNFINISHED_MACROS.contains(&token.text) && is_call() {
            report.finding(path, token.line, format!("`{}!`: finish it", token.text));
        }
    }
}

fn ignored_tests(path: &str, code: &[Token<'_>], report: &mut Report) {
    for (index, token) in code.iter().enumerate() {
        if rust::attribute_at(code, index).is_some_and(|attribute| attribute.ignores_a_test()) {
            let message = "an ignored test: let it run, or say at run time why it cannot";
            report.finding(path, token.line, message);
        }
    }
}

fn sleeps(path: &str, text: &str, code: &[Token<'_>], all_tests: bool, report: &mut Report) {
    let parts = TestParts::of(code);
    for (index, token) in code.iter().enumerate() {
        if !token.is("sleep") || !(all_tests || parts.contain(index)) {
            continue;
        }
        let is_call = code.get(index + 1).is_some_and(|next| next.is("("));
        let before = index.checked_sub(1).and_then(|before| code.get(before));
        if !is_call || before.is_some_and(|before| before.is(".") || before.is("fn")) {
            continue;
        }
        let line = text.lines().nth(token.line - 1).unwrap_or_default();
        let reason = line.split_once(SLEEP_ALLOWED).map(|(_, reason)| reason.trim());
        if reason.is_none_or(str::is_empty) {
            let message = format!(
                "a test that sleeps: wait for an event or pause the clock, or add `{SLEEP_ALLOWED}<reason>`"
            );
            report.finding(path, token.line, message);
        }
    }
}

/// Files that hold nothing but tests: those in a `tests` directory, and those that a module marked
/// `cfg(test)` names.
fn test_files(tree: &Tree) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for (path, text) in tree.rust() {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == "tests.rs" || directory.split('/').any(|part| part == "tests") {
            files.insert(path.to_owned());
        }
        let stem = name.strip_suffix(".rs").unwrap_or(name);
        let home = match stem {
            "lib" | "main" | "mod" => directory.to_owned(),
            _ => format!("{directory}/{stem}"),
        };
        for module in TestParts::of(&rust::code(text)).modules {
            let inside = format!("{home}/{module}/");
            files.insert(format!("{home}/{module}.rs"));
            let below = tree.rust().map(|(path, _)| path).filter(|path| path.starts_with(&inside));
            files.extend(below.map(str::to_owned));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(path: &str, text: &str) -> Report {
        let mut report = Report::default();
        check(&Tree::from([(path, text)]), &mut report);
        report
    }

    #[track_caller]
    fn one(path: &str, text: &str, expected: &str) {
        let found = report(path, text).lines();
        let start = format!("{path}:");
        assert!(found.len() == 1 && found[0].starts_with(&start), "{text:?}: {found:#?}");
        assert!(found[0].contains(expected), "wanted `{expected}`, got {found:#?}");
    }

    #[track_caller]
    fn fine(path: &str, text: &str) {
        assert_eq!(report(path, text).lines(), Vec::<String>::new(), "{text:?}");
    }

    #[test]
    fn white_space_is_found() {
        fine("a.md", "a\n\n\tb\n");
        fine("a.md", "");
        one("a.md", "a\nb \nc\n", ":2: white space");
        one("a.md", "a\t\n", ":1: white space");
        one("a.md", "a\r\nb\n", ":1: white space");
        one("a.md", "a\nb", ":2: no newline");
        one("a.md", "a\n\n", ":2: an empty line");
        one("a.rs", "a\n\tb\n", ":2: a tab");
    }

    #[test]
    fn long_files_are_found() {
        let lines = |n: usize| "a\n".repeat(n);
        one("crates/a/src/b.rs", &lines(1_001), "1001 lines");
        fine("crates/a/src/b.rs", &lines(1_000));
        fine("crates/a/tests/b.rs", &lines(1_001));
        fine("crates/a/src/generated/b.rs", &lines(1_001));
        let notices = |path, n| report(path, &lines(n)).notice_lines().len();
        assert_eq!(notices("crates/a/src/b.rs", 600), 0);
        assert_eq!(notices("crates/a/src/b.rs", 601), 1);
        assert_eq!(notices("crates/a/src/lib.rs", 150), 0);
        assert_eq!(notices("crates/a/src/lib.rs", 151), 1);
        assert_eq!(notices("crates/a/src/b/lib.rs", 151), 0);
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED_WORDS {
            one("a.rs", &format!("\n// {word}: later\n"), ":2: `");
            one("a.rs", &format!("/* a\n\n{word} */\n"), ":3: `");
            fine("a.rs", &format!("// {word}S and {word}_LIST\n"));
            fine("a.rs", &format!("const A: &str = \"{word}\";\n"));
        }
        for name in UNFINISHED_MACROS {
            one("a.rs", &format!("fn a() {{\n    {name}!()\n}}\n"), ":2: `");
            fine("a.rs", &format!("fn {name}() {{}}\n"));
        }
    }

    #[test]
    fn ignored_tests_are_found() {
        one("a.rs", "#[test]\n#[ignore]\nfn a() {}\n", ":2: an ignored test");
        one("a.rs", "#[ignore = \"slow\"]\nfn a() {}\n", ":1: an ignored test");
        one("a.rs", "#[cfg_attr(miri, ignore)]\nfn a() {}\n", ":1: an ignored test");
        fine("a.rs", "#[serde(ignore)]\nfn a() {}\n// #[ignore]\n");
    }

    #[test]
    fn sleeping_tests_are_found() {
        let calls = [
            "std::thread::sleep(d)",
            "thread::sleep(d)",
            "tokio::time::sleep(d).await",
            "sleep(d)",
        ];
        for call in calls {
            let module = format!("#[cfg(test)]\nmod tests {{\n    fn a() {{ {call}; }}\n}}\n");
            one("crates/a/src/b.rs", &module, ":3: a test that sleeps");
            let file = format!("fn a() {{\n    {call};\n}}\n");
            one("crates/a/tests/b.rs", &file, ":2: a test that sleeps");
            fine("crates/a/src/b.rs", &file);
            let allowed =
                format!("fn a() {{\n    {call}; // tidy: sleep the kernel's own timer\n}}\n");
            fine("crates/a/tests/b.rs", &allowed);
            let no_reason = format!("fn a() {{\n    {call}; // tidy: sleep\n}}\n");
            one("crates/a/tests/b.rs", &no_reason, ":2: a test that sleeps");
        }
        fine("crates/a/tests/b.rs", "fn sleep(d: u8) {} fn b() { x.sleep(d) }\n");
    }

    #[test]
    fn sleeps_in_test_modules_of_their_own_file_are_found() {
        let sleep = "fn a() { std::thread::sleep(d); }\n";
        let mut report = Report::default();
        let tree = Tree::from([
            ("crates/a/src/lib.rs", "mod real; #[cfg(test)] mod model;\n"),
            ("crates/a/src/model.rs", sleep),
            ("crates/a/src/model/disk.rs", sleep),
            ("crates/a/src/real.rs", "#[cfg(test)] mod fake;\n"),
            ("crates/a/src/real/fake.rs", sleep),
            ("crates/a/src/real/tests.rs", sleep),
            ("crates/a/src/real/thing.rs", sleep),
        ]);
        check(&tree, &mut report);
        let found = report.lines();
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(!found.iter().any(|line| line.contains("thing.rs")), "{found:#?}");
    }

    #[test]
    fn other_encodings_are_found() {
        let directory = std::env::temp_dir().join(format!("xtask-text-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("a.txt"), b"caf\xe9\n").unwrap();
        std::fs::write(directory.join("b.bin"), b"\0\xe9").unwrap();
        let tree = Tree::read(&directory, &["a.txt".to_owned(), "b.bin".to_owned()]);
        std::fs::remove_dir_all(&directory).unwrap();
        let mut report = Report::default();
        check(&tree.unwrap(), &mut report);
        assert_eq!(report.lines(), ["a.txt:1: not UTF-8"]);
    }
}
