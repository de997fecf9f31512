//! Just enough of Rust's lexis to tell code from comments and texts, and tests from the rest.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Sign,
    /// A text, character or number.
    Literal,
    Comment,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Counted from 1; of its first character.
    pub(crate) line: usize,
}

impl Token<'_> {
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text == text
    }
}

/// Splits a source file. Never fails: what it cannot understand ends at the end of the file.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            line += usize::from(first == '\n');
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (kind, length) = next(rest, first);
        let (text, tail) = rest.split_at_checked(length.max(1)).unwrap_or((rest, ""));
        tokens.push(Token { kind, text, line });
        line += text.matches('\n').count();
        rest = tail;
    }
    tokens
}

fn next(rest: &str, first: char) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if let Some(length) = literal(rest, first) {
        return (Kind::Literal, length);
    }
    if first.is_alphabetic() || first == '_' {
        return (Kind::Word, word(rest));
    }
    if let Some(sign) = ["::", "->", "=>"].into_iter().find(|sign| rest.starts_with(sign)) {
        return (Kind::Sign, sign.len());
    }
    (Kind::Sign, first.len_utf8())
}

fn word(rest: &str) -> usize {
    let raw = if rest.starts_with("r#") { 2 } else { 0 };
    let body = rest.get(raw..).unwrap_or_default();
    raw + body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn literal(rest: &str, first: char) -> Option<usize> {
    if first.is_ascii_digit() {
        return Some(word(rest));
    }
    if first == '\'' {
        return Some(character(rest));
    }
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let body = rest.strip_prefix(prefix).unwrap_or_default();
        let hashes = body.trim_start_matches('#');
        body.starts_with('"') || (prefix.ends_with('r') && hashes.starts_with('"'))
    });
    let Some(prefix) = prefix else {
        return rest.strip_prefix('b').filter(|b| b.starts_with('\'')).map(|b| 1 + character(b));
    };
    let body = rest.get(prefix.len()..)?;
    if !prefix.ends_with('r') {
        return Some(prefix.len() + quoted(body, '"'));
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let inner = body.get(hashes + 1..)?;
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(prefix.len() + hashes + 1 + length)
}

/// A character, or a lifetime, which begins alike.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 1 + word(rest.get(1..).unwrap_or_default()),
    }
}

fn quoted(rest: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == end && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// Without comments: what the other functions here read.
pub(crate) fn code(source: &str) -> Vec<Token<'_>> {
    let mut tokens = tokens(source);
    tokens.retain(|token| token.kind != Kind::Comment);
    tokens
}

/// The end (exclusive) of the group that opens at `open`: the index behind its closing sign.
pub(crate) fn group_end(code: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in code.iter().enumerate().skip(open) {
        if token.is("(") || token.is("[") || token.is("{") {
            depth += 1;
        } else if token.is(")") || token.is("]") || token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index + 1;
            }
        }
    }
    code.len()
}

/// An attribute: where it stands and where it ends.
pub(crate) struct Attribute<'a, 'b> {
    pub(crate) range: Range<usize>,
    pub(crate) inner: bool,
    pub(crate) body: &'b [Token<'a>],
}

pub(crate) fn attribute_at<'a, 'b>(code: &'b [Token<'a>], at: usize) -> Option<Attribute<'a, 'b>> {
    code.get(at).filter(|token| token.is("#"))?;
    let inner = code.get(at + 1).is_some_and(|token| token.is("!"));
    let open = at + 1 + usize::from(inner);
    code.get(open).filter(|token| token.is("["))?;
    let end = group_end(code, open);
    let body = code.get(open + 1..end.saturating_sub(1)).unwrap_or_default();
    Some(Attribute { range: at..end, inner, body })
}

impl Attribute<'_, '_> {
    /// `cfg(test)`, alone or among other conditions; not its opposite.
    fn is_for_tests(&self) -> bool {
        self.body.first().is_some_and(|token| token.is("cfg"))
            && self.body.iter().any(|token| token.is("test"))
            && !self.body.iter().any(|token| token.is("not"))
    }

    /// `ignore` itself, or behind a condition.
    pub(crate) fn ignores_a_test(&self) -> bool {
        let starts = |name| self.body.first().is_some_and(|token| token.is(name));
        starts("ignore") || (starts("cfg_attr") && self.body.iter().any(|token| token.is("ignore")))
    }
}

/// The parts of `code` that exist in tests only, and the modules so marked that have a file.
#[derive(Debug, Default)]
pub(crate) struct TestParts {
    ranges: Vec<Range<usize>>,
    pub(crate) modules: Vec<String>,
}

impl TestParts {
    pub(crate) fn contain(&self, index: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&index))
    }

    pub(crate) fn of(code: &[Token<'_>]) -> Self {
        let mut parts = Self::default();
        let mut at = 0;
        while at < code.len() {
            let Some(attribute) = attribute_at(code, at) else {
                at += 1;
                continue;
            };
            let (start, next) = (attribute.range.start, attribute.range.end);
            at = next;
            if !attribute.is_for_tests() {
                continue;
            }
            if attribute.inner {
                parts.ranges.push(0..code.len());
                continue;
            }
            let mut item = next;
            while let Some(another) = attribute_at(code, item) {
                item = another.range.end;
            }
            let end = item_end(code, item);
            let body = code.get(item..end).unwrap_or_default();
            if let Some(at) = body.iter().position(|token| token.is("mod"))
                && body.get(at + 2).is_some_and(|token| token.is(";"))
                && let Some(name) = body.get(at + 1)
            {
                parts.modules.push(name.text.to_owned());
            }
            parts.ranges.push(start..end);
            at = end;
        }
        parts
    }
}

/// Where an item ends that starts at `start`: behind its `;` or its first braces.
fn item_end(code: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while let Some(token) = code.get(at) {
        if token.is(";") {
            return at + 1;
        }
        if token.is("{") {
            return group_end(code, at);
        }
        at = if token.is("(") || token.is("[") { group_end(code, at) } else { at + 1 };
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        let words = code(source).into_iter().filter(|token| token.kind == Kind::Word);
        words.map(|token| token.text.to_owned()).collect()
    }

    #[test]
    fn texts_and_comments_hide_words() {
        let source = r####"
            a "hid \" den" b 'x' c '\'' d // hidden
            e /* hidden /* more */ hidden */ f r#"hid " den"# g br##"x"# hid"## h b"hid" i
            b'h' j 'life k 0x1f_u8 l c"hid" m r#fn n
        "####;
        let expected: Vec<_> = "a b c d e f g h i j k l m r#fn n".split(' ').collect();
        assert_eq!(words(source), expected);
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let source = "a\n/* \n */ b \"\n\\\"\n\" c\r\n\nd";
        let lines: Vec<_> =
            code(source).iter().filter(|t| t.kind == Kind::Word).map(|t| t.line).collect();
        assert_eq!(lines, [1, 3, 5, 7]);
    }

    #[test]
    fn broken_sources_end() {
        for source in ["\"", "'", "b'", "/*", "r#\"", "'\\", "#[cfg(test", "é\"é", "/*é", "r#"] {
            let code = code(source);
            TestParts::of(&code);
        }
    }

    fn outside_tests(source: &str) -> Vec<String> {
        let code = code(source);
        let parts = TestParts::of(&code);
        let kept = code.iter().enumerate().filter(|(index, _)| !parts.contain(*index));
        kept.filter(|(_, t)| t.kind == Kind::Word).map(|(_, t)| t.text.to_owned()).collect()
    }

    #[test]
    fn test_parts_are_found() {
        let source = "fn a() {} #[cfg(test)] mod tests { fn b() { { } } } fn c() {}";
        assert_eq!(outside_tests(source), ["fn", "a", "fn", "c"]);
        let source = "#[cfg(all(test, unix))] #[path = \"x\"] fn b([u8; 2]) {} use c;";
        assert_eq!(outside_tests(source), ["use", "c"]);
        let source = "#[cfg(test)] use a::{b, c}; #[cfg(not(test))] use d;";
        assert_eq!(outside_tests(source), ["cfg", "not", "test", "use", "d"]);
        assert_eq!(outside_tests("#![cfg(test)] fn a() {}"), Vec::<String>::new());
    }

    #[test]
    fn test_modules_in_files_are_named() {
        let code = code("mod a; #[cfg(test)] mod model; #[cfg(test)] mod tests {}");
        assert_eq!(TestParts::of(&code).modules, ["model"]);
    }
}
