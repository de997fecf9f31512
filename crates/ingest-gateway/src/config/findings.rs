//! What is found while a file is walked, and where in the text it is.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use super::error::{ConfigError, Place, Warning};

/// What was wrong, before its place is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    /// The full key; none for the syntax itself.
    pub(super) key: Option<String>,
    pub(super) found: String,
    pub(super) allowed: String,
    pub(super) meant: Option<String>,
    /// It is about something that is not there, so it says nothing when the syntax is broken.
    pub(super) absence: bool,
}

/// Collects what is found while a file is walked.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Users other than the owner can read the file.
    pub(crate) exposed: bool,
    faults: RefCell<Vec<Fault>>,
    remarks: RefCell<Vec<(usize, String, String)>>,
}

impl Findings {
    /// Nothing yet, of a file that users other than its owner can read, or cannot.
    pub(crate) fn of(exposed: bool) -> Self {
        Self { exposed, ..Self::default() }
    }

    /// Notes an error of the TOML syntax.
    pub(crate) fn syntax(&self, at: usize, found: String, allowed: String) {
        let fault = Fault { at, key: None, found, allowed, meant: None, absence: false };
        self.fault(fault);
    }

    /// Notes an error about a key.
    pub(super) fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Notes a warning about the key at a place.
    pub(crate) fn warn(&self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        self.remarks.borrow_mut().push((at, key.into(), message.into()));
    }

    /// Whether an error has been noted.
    pub(crate) fn any_error(&self) -> bool {
        !self.faults.borrow().is_empty()
    }

    /// All errors and warnings in the order of the text, with lines and columns.
    ///
    /// Broken syntax hides what only follows from it: other errors of the same line, and errors
    /// about something that is missing.
    pub(crate) fn finish(self, file: &Arc<Path>, text: &str) -> (Vec<ConfigError>, Vec<Warning>) {
        let mut faults = self.faults.into_inner();
        let mut remarks = self.remarks.into_inner();
        faults.sort_by_key(|fault| fault.at);
        remarks.sort_by_key(|remark| remark.0);
        let broken_syntax = faults.iter().any(|fault| fault.key.is_none());

        let mut places = Places::new(file, text);
        let mut errors: Vec<ConfigError> = Vec::with_capacity(faults.len());
        let mut broken_line = 0;
        let mut syntax = Places::new(file, text);
        let mut broken = faults
            .iter()
            .filter(|fault| fault.key.is_none())
            .map(|fault| syntax.of(fault.at).line)
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        for fault in faults {
            let place = places.of(fault.at);
            while let Some(line) = broken.next_if(|line| *line <= place.line) {
                broken_line = line;
            }
            let Fault { found, allowed, meant, .. } = fault;
            match fault.key {
                None => errors.push(ConfigError::Syntax { place, found, allowed }),
                Some(_) if broken_syntax && (fault.absence || place.line == broken_line) => {}
                Some(key) => errors.push(ConfigError::Key { place, key, found, allowed, meant }),
            }
        }

        let mut places = Places::new(file, text);
        let warnings = remarks
            .into_iter()
            .map(|(at, key, message)| Warning { place: Some(places.of(at)), key, message })
            .collect();
        (errors, warnings)
    }
}

/// Turns rising byte offsets into places, reading the text once.
struct Places<'t> {
    file: &'t Arc<Path>,
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Places<'t> {
    fn new(file: &'t Arc<Path>, text: &'t str) -> Self {
        // A byte order mark has no width.
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { file, text, at, line: 1, column: 1 }
    }

    fn of(&mut self, offset: usize) -> Place {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (index, c) in rest.char_indices() {
            if self.at + index >= offset {
                break;
            }
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        let mut reached = offset.clamp(self.at, self.text.len().max(self.at));
        while !self.text.is_char_boundary(reached) {
            reached += 1;
        }
        self.at = reached;
        Place { file: Arc::clone(self.file), line: self.line, column: self.column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters() {
        let file: Arc<Path> = Path::new("f").into();
        let text = "\u{feff}ä=1\r\n\nxyz";
        let mut places = Places::new(&file, text);
        let mut at = |offset| {
            let place = places.of(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 1));
        assert_eq!(at(5), (1, 2));
        assert_eq!(at(5), (1, 2));
        assert_eq!(at(text.find('x').unwrap()), (3, 1));
        assert_eq!(at(text.len()), (3, 4));
        assert_eq!(at(text.len() + 10), (3, 4));
    }
}
