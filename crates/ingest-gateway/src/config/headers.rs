//! Whose value a place of a broken text is: for messages about the syntax, where the text cannot
//! be walked.

use std::collections::HashMap;

use super::walk::join;

/// The headers of a text, read once.
#[derive(Debug)]
pub(super) struct Headers<'t> {
    text: &'t str,
    /// Where each header's line begins, and its key; empty where that is not clear.
    headers: Vec<(usize, String)>,
    /// From here on a line may be part of a text over several lines.
    unclear: usize,
}

impl<'t> Headers<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let unclear = ["\"\"\"", "'''"].iter().filter_map(|quotes| text.find(quotes)).min();
        let mut headers = Vec::new();
        let mut elements: HashMap<String, usize> = HashMap::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if let Some(header) = line.trim_start().strip_prefix('[') {
                let key = header_key(header, &mut elements).unwrap_or_default();
                headers.push((at, key));
            }
            at += line.len();
        }
        Self { text, headers, unclear: unclear.unwrap_or(text.len()) }
    }

    /// Where the line of the header begins that the place is below, or in.
    pub(super) fn header_of(&self, at: usize) -> Option<usize> {
        let header = self.headers.partition_point(|(place, _)| *place <= at).checked_sub(1);
        header.and_then(|index| self.headers.get(index)).map(|(place, _)| *place)
    }

    /// Whether the place is in the line of a header.
    pub(super) fn is_header(&self, at: usize) -> bool {
        let line =
            self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        self.header_of(at) == Some(line)
    }

    /// The full key of the value, or of the table, on whose line the place is; with `itself`, also
    /// if the place is in the key.
    pub(super) fn key_at(&self, at: usize, itself: bool) -> Option<String> {
        if at > self.unclear {
            return None;
        }
        let before = self.text.get(..at)?;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.text.get(start..)?.lines().next()?;
        let header = self.headers.partition_point(|(place, _)| *place <= at).checked_sub(1);
        let (place, table) = match header.and_then(|index| self.headers.get(index)) {
            Some((place, table)) => (Some(*place), table.as_str()),
            None => (None, ""),
        };
        if place == Some(start) || (place.is_some() && table.is_empty()) {
            return (!table.is_empty()).then(|| table.to_owned());
        }
        // Before the equals sign it is mostly the key itself that is wrong.
        let (key, _) = line.split_once('=')?;
        let key = key.trim();
        ((itself || at >= start + key.len()) && is_key(key)).then(|| match table {
            "" => key.to_owned(),
            table => format!("{table}.{key}"),
        })
    }
}

/// Dotted bare keys: what can be told from a value without a parser.
fn is_key(text: &str) -> bool {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(bare))
}

/// The key of a header whose first bracket is gone; of an array of tables, with the element.
fn header_key(header: &str, elements: &mut HashMap<String, usize>) -> Option<String> {
    let (array, header) = match header.strip_prefix('[') {
        Some(rest) => (true, rest),
        None => (false, header),
    };
    let key = header.split(']').next()?.trim();
    if !is_key(key) {
        return None;
    }
    if !array {
        return Some(key.split('.').fold(String::new(), |path, part| join(&path, part)));
    }
    let next = elements.entry(key.to_owned()).or_insert(0);
    *next += 1;
    Some(format!("{key}[{}]", *next - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, of: &str) -> Option<String> {
        Headers::of(text).key_at(text.find(of).unwrap(), false)
    }

    #[test]
    fn a_value_has_the_key_of_its_line_below_its_header() {
        let text = "top = oops\n[log]\ndir = data\n  keep.age = 30d\n[log.keep]\nage = x1\n\
                    [[routes]]\nto = q\n[[routes]]\nto = r\n[log.keep]\n";
        assert_eq!(key(text, "oops").unwrap(), "top");
        assert_eq!(key(text, "data").unwrap(), "log.dir");
        assert_eq!(key(text, "30d").unwrap(), "log.keep.age");
        assert_eq!(key(text, "x1").unwrap(), "log.keep.age");
        assert_eq!(key(text, "q\n").unwrap(), "routes[0].to");
        assert_eq!(key(text, "r\n").unwrap(), "routes[1].to");
        assert_eq!(Headers::of(text).key_at(text.len() - 5, false).unwrap(), "log.keep");
    }

    #[test]
    fn what_is_not_clear_has_none() {
        assert_eq!(key("[log]\nmax bytes = 1\n", "bytes"), None);
        assert_eq!(Headers::of("[log]\ndir = 1").key_at(6, true).as_deref(), Some("log.dir"));
        assert_eq!(key("[log]\njust a line\n", "line"), None);
        assert_eq!(key("a = [\n  [\"x\"],\n  y,\n]\n", "y,"), None);
        assert_eq!(key("a = \"\"\"\n[log]\nb = x\n", "x\n"), None);
        assert_eq!(key("[sources.\"a b\"]\ntype = x\n", "x\n"), None);
        assert_eq!(Headers::of("").key_at(0, false), None);
        assert_eq!(Headers::of("a = 1").key_at(700, false), None);
    }
}
