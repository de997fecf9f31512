//! What a crate defines, read from its source text, to look up names that the documents mention.
//!
//! Coarse on purpose: it knows no types and expands no macro. What it must not do is say yes to a
//! name that nobody wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::rust::{self, TestParts, Token, group_end};
use super::tree::Tree;

/// The names of one crate.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Modules by their path from the crate's root, such as `config/load`; those declared inside a
    /// file too.
    modules: BTreeSet<String>,
    /// Public items, macros and re-exports, each with the module that it was found in.
    items: BTreeMap<String, BTreeSet<String>>,
    /// Functions, constants, fields and variants by type or trait.
    members: BTreeMap<String, BTreeSet<String>>,
}

impl Symbols {
    /// Reads every source file below `directory`/src.
    pub(crate) fn read(tree: &Tree, directory: &str) -> Self {
        let source = format!("{directory}/src/");
        let mut symbols = Self::default();
        for (path, text) in tree.rust() {
            if let Some(path) = path.strip_prefix(&source) {
                symbols.file(&module_of(path), text);
            }
        }
        symbols
    }

    /// Whether `path`, the part behind the crate's name, leads to something. `Err` says which part
    /// does not.
    pub(crate) fn find(&self, path: &[&str]) -> Result<(), String> {
        let Some((last, before)) = path.split_last() else { return Ok(()) };
        let mut module = String::new();
        for (index, part) in before.iter().enumerate() {
            let inside = join(&module, part);
            if self.modules.contains(&inside) {
                module = inside;
                continue;
            }
            if !self.item(&module, part) {
                return Err(format!("`{part}` is neither a module nor a public type there"));
            }
            // A type: what follows is a member of it, and nothing follows that.
            let known = self.members.get(*part).is_some_and(|members| members.contains(*last));
            return if index + 1 == before.len() && known {
                Ok(())
            } else {
                Err(format!("`{part}` has no `{last}`"))
            };
        }
        if self.modules.contains(&join(&module, last)) || self.item(&module, last) {
            return Ok(());
        }
        Err(format!("nothing public is called `{last}` there"))
    }

    /// Whether an item of that name was found in the module or below: a private module's items are
    /// shown by the one that re-exports them.
    fn item(&self, module: &str, name: &str) -> bool {
        let below = |found: &String| {
            module.is_empty()
                || found == module
                || found.strip_prefix(module).is_some_and(|rest| rest.starts_with('/'))
        };
        self.items.get(name).is_some_and(|modules| modules.iter().any(below))
    }

    fn file(&mut self, module: &str, text: &str) {
        let mut path = String::new();
        for part in module.split('/').filter(|part| !part.is_empty()) {
            path = join(&path, part);
            self.modules.insert(path.clone());
        }
        let code = rust::code(text);
        let tests = TestParts::of(&code);
        let code: Vec<_> = code
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !tests.contain(*index))
            .map(|(_, token)| token)
            .collect();
        self.scan(module, &code);
    }

    fn scan(&mut self, module: &str, code: &[Token<'_>]) {
        let mut at = 0;
        while let Some(token) = code.get(at) {
            if token.is("macro_rules") {
                self.insert_item(module, name_at(code, at + 2));
            } else if token.is("mod") {
                if let Some(name) = name_at(code, at + 1) {
                    self.modules.insert(join(module, name));
                    if code.get(at + 2).is_some_and(|token| token.is("{")) {
                        let end = group_end(code, at + 2);
                        let body = code.get(at + 3..end).unwrap_or_default();
                        self.scan(&join(module, name), body);
                        at = end;
                        continue;
                    }
                }
            } else if token.is("impl") {
                self.implementation(code, at);
            } else if token.is("use") && is_public(code, at) {
                let end = code.iter().skip(at).position(|t| t.is(";")).map_or(at, |n| at + n);
                self.reexports(module, code.get(at..end).unwrap_or_default());
            } else if defines(token) && is_public(code, at) {
                let name = name_at(code, at + 1);
                self.insert_item(module, name);
                if let Some(name) = name {
                    self.body(token, name, code, at);
                }
            }
            at += 1;
        }
    }

    fn insert_item(&mut self, module: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.items.entry(name.to_owned()).or_default().insert(module.to_owned());
        }
    }

    /// The leaves of a `pub use`: each last part of a path, or the name behind `as`.
    fn reexports(&mut self, module: &str, code: &[Token<'_>]) {
        for (at, token) in code.iter().enumerate() {
            let next = code.get(at + 1);
            let ends = next.is_none_or(|next| next.is(",") || next.is("}"));
            let is_name = token.kind == rust::Kind::Word && !token.is("self");
            if ends && is_name {
                self.insert_item(module, Some(token.text));
            }
        }
    }

    /// Fields, variants and trait functions.
    fn body(&mut self, keyword: &Token<'_>, name: &str, code: &[Token<'_>], at: usize) {
        if !["struct", "enum", "union", "trait"].iter().any(|word| keyword.is(word)) {
            return;
        }
        let ahead = code.iter().enumerate().skip(at);
        let mut ends = ahead.filter(|(_, token)| token.is("{") || token.is(";"));
        let Some((open, _)) = ends.next().filter(|(_, token)| token.is("{")) else { return };
        if keyword.is("trait") {
            self.functions(name, code, open);
        } else {
            self.fields_or_variants(name, code, open);
        }
    }

    fn fields_or_variants(&mut self, owner: &str, code: &[Token<'_>], open: usize) {
        let end = group_end(code, open).saturating_sub(1);
        let mut at = open + 1;
        while at < end {
            while let Some(attribute) = rust::attribute_at(code, at) {
                at = attribute.range.end;
            }
            if code.get(at).is_some_and(|token| token.is("pub")) {
                at += 1;
                if code.get(at).is_some_and(|token| token.is("(")) {
                    at = group_end(code, at);
                }
            }
            self.insert_member(owner, name_at(code, at));
            at = next_comma(code, at, end);
        }
    }

    /// The type of an `impl` is the last word of its path, behind `for` if there is one.
    fn implementation(&mut self, code: &[Token<'_>], at: usize) {
        let (mut angles, mut owner, mut index) = (0_usize, None, at + 1);
        let mut named = true;
        while let Some(token) = code.get(index) {
            if token.is("<") {
                angles += 1;
            } else if token.is(">") {
                angles = angles.saturating_sub(1);
            } else if angles == 0 {
                if token.is("{") {
                    if let Some(owner) = owner {
                        self.functions(owner, code, index);
                    }
                    return;
                }
                if token.is(";") || token.is(")") {
                    return;
                }
                if token.is("where") {
                    named = false;
                } else if token.is("for") {
                    owner = None;
                } else if token.kind == rust::Kind::Word && named {
                    owner = Some(token.text);
                }
            }
            index += 1;
        }
    }

    fn functions(&mut self, owner: &str, code: &[Token<'_>], open: usize) {
        let end = group_end(code, open).saturating_sub(1);
        let mut at = open + 1;
        while at < end {
            let Some(token) = code.get(at) else { return };
            if token.is("{") {
                at = group_end(code, at);
                continue;
            }
            let starts = token.is("fn") || token.is("type") || token.is("const");
            if starts && !code.get(at + 1).is_some_and(|next| next.is("fn")) {
                self.insert_member(owner, name_at(code, at + 1));
            }
            at += 1;
        }
    }

    fn insert_member(&mut self, owner: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.members.entry(owner.to_owned()).or_default().insert(name.to_owned());
        }
    }
}

/// `lib.rs` and `main.rs` are the root, `a.rs` and `a/mod.rs` are `a`.
fn module_of(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" { String::new() } else { path.to_owned() }
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") }
}

fn name_at<'a>(code: &[Token<'a>], at: usize) -> Option<&'a str> {
    code.get(at).filter(|token| token.kind == rust::Kind::Word).map(|token| token.text)
}

fn defines(token: &Token<'_>) -> bool {
    const WORDS: &[&str] =
        &["struct", "enum", "union", "trait", "fn", "const", "static", "type", "macro"];
    WORDS.iter().any(|word| token.is(word))
}

/// Whether `pub` stands before the keyword, with only other keywords between.
fn is_public(code: &[Token<'_>], at: usize) -> bool {
    let before = code.get(..at).unwrap_or_default();
    for (index, token) in before.iter().enumerate().rev() {
        if token.is("pub") {
            return true;
        }
        if token.is(")") {
            // `pub(crate)` is not public to a reader of the documents, but it exists.
            let open = before.get(..index).unwrap_or_default().iter().rposition(|t| t.is("("));
            return open.is_some_and(|open| open > 0 && is_word(before, open - 1, "pub"));
        }
        let between = ["const", "async", "unsafe", "extern"].iter().any(|word| token.is(word));
        if !between && token.kind != rust::Kind::Literal {
            return false;
        }
    }
    false
}

fn is_word(code: &[Token<'_>], at: usize, word: &str) -> bool {
    code.get(at).is_some_and(|token| token.is(word))
}

fn next_comma(code: &[Token<'_>], start: usize, end: usize) -> usize {
    let (mut at, mut angles) = (start, 0_usize);
    while at < end {
        let Some(token) = code.get(at) else { break };
        if token.is("(") || token.is("[") || token.is("{") {
            at = group_end(code, at);
            continue;
        }
        if token.is("<") {
            angles += 1;
        } else if token.is(">") {
            angles = angles.saturating_sub(1);
        } else if token.is(",") && angles == 0 {
            return at + 1;
        }
        at += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "
        //! pub struct InComment;
        mod segment;
        pub mod stored { pub struct Body<'a> { pub kind: u8, data: Cow<'a, (u8, u8)>, last: u8 } }
        pub use segment::{Segment, Header as SegmentHeader};
        pub use other::{self};
        const TEXT: &str = \"pub struct InText;\";
        struct Private;
        pub(crate) const fn near() {}
        pub async unsafe fn far() {}
        pub const LIMIT: usize = 1;
        macro_rules! shout { () => {} }
        #[derive(Debug)]
        pub enum Level { Memory, #[default] Disk = 2, Named { a: u8 }, Pair(u8, u8) }
        pub trait Fs: Send { const N: u8; type File; fn open(&self) -> u8 { inner() } }
        pub struct Log<F = Std>(F);
        impl<F: Fn(u8) -> u8> Fs for Log<F> where F: Fs { fn open(&self) { fn nested() {} } }
        impl Log { pub fn append(&mut self) {} pub const fn size() {} }
        #[cfg(test)]
        mod tests { pub struct InTest; }
    ";

    fn symbols() -> Symbols {
        let tree = Tree::from([
            ("crates/a/src/lib.rs", LIB),
            ("crates/a/src/segment.rs", "pub struct Segment; pub struct Header;"),
            ("crates/a/src/config/mod.rs", "pub mod load;"),
            ("crates/a/src/config/load.rs", "pub fn parse() {}"),
            ("crates/b/src/lib.rs", "pub struct Elsewhere;"),
        ]);
        Symbols::read(&tree, "crates/a")
    }

    fn found(path: &str) -> bool {
        let path: Vec<&str> = path.split("::").collect();
        symbols().find(&path).is_ok()
    }

    #[test]
    fn what_exists_is_found() {
        for path in [
            "Segment",
            "segment",
            "segment::Segment",
            "SegmentHeader",
            "stored::Body",
            "near",
            "far",
            "LIMIT",
            "shout",
            "Level",
            "Level::Memory",
            "Level::Disk",
            "Level::Pair",
            "Fs::open",
            "Fs::File",
            "Fs::N",
            "Log",
            "Log::append",
            "Log::open",
            "Log::size",
            "config::load",
            "config::load::parse",
            "config::parse",
            "stored::Body::kind",
            "stored::Body::last",
        ] {
            assert!(found(path), "{path}");
        }
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        for path in [
            "InComment",
            "InText",
            "InTest",
            "Private",
            "Elsewhere",
            "nested",
            "Segments",
            "segments::Segment",
            "segment::Level",
            "segment::Body",
            "Level::Os",
            "Level::a",
            "Log::remove",
            "Log::nested",
            "Fs::append",
            "Level::Memory::Deep",
            "config::save",
            "load",
            "config::load::load",
            "stored::Segment",
            "stored::Body::u8",
        ] {
            assert!(!found(path), "{path}");
        }
    }

    #[test]
    fn the_error_names_the_wrong_part() {
        let wrong = |path: &[&str]| symbols().find(path).unwrap_err();
        assert!(wrong(&["segments", "Segment"]).contains("`segments`"));
        assert!(wrong(&["Log", "remove"]).contains("`Log` has no `remove`"));
        assert!(wrong(&["Segments"]).contains("`Segments`"));
    }
}
