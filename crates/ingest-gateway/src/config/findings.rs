//! What is found while a file is walked, and where in the text it is.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::error::{ConfigError, Place, Warning};
use super::texts::Text;

/// What was wrong, before its place is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    /// The full key; for the syntax, where it is clear.
    pub(super) key: Option<String>,
    pub(super) found: String,
    pub(super) allowed: String,
    pub(super) meant: Option<String>,
    /// It is about something that is not there, so it says nothing when the syntax is broken.
    pub(super) absence: bool,
    /// It is about the syntax.
    pub(super) syntax: bool,
}

/// Collects what is found while a file is walked.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The files that users other than their owner can read.
    exposed: Vec<Range<usize>>,
    faults: RefCell<Vec<Fault>>,
    remarks: RefCell<Vec<(usize, String, String)>>,
}

impl Findings {
    /// Nothing yet, of these files.
    pub(super) fn of(texts: &[Text]) -> Self {
        let exposed = texts.iter().filter(|text| text.exposed).map(Text::places).collect();
        Self { exposed, ..Self::default() }
    }

    /// Whether users other than its owner can read the file of a place.
    pub(crate) fn is_exposed(&self, at: usize) -> bool {
        self.exposed.iter().any(|places| places.contains(&at))
    }

    /// Notes an error of the TOML syntax.
    pub(crate) fn syntax(&self, at: usize, key: Option<String>, found: String, allowed: String) {
        self.fault(Fault { at, key, found, allowed, meant: None, absence: false, syntax: true });
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

    /// All errors and warnings in the order of the files, with lines and columns.
    ///
    /// Broken syntax hides what only follows from it: further errors of the same line, and errors
    /// about something that is missing.
    pub(super) fn finish(self, texts: &[Text]) -> (Vec<ConfigError>, Vec<Warning>) {
        let mut faults = self.faults.into_inner();
        let mut remarks = self.remarks.into_inner();
        faults.sort_by_key(|fault| fault.at);
        remarks.sort_by_key(|remark| remark.0);
        let broken_syntax = faults.iter().any(|fault| fault.syntax);
        let (mut errors, mut warnings) = (Vec::with_capacity(faults.len()), Vec::new());
        let (mut faults, mut remarks) =
            (faults.into_iter().peekable(), remarks.into_iter().peekable());
        for text in texts {
            let end = text.places().end;
            let here: Vec<_> =
                std::iter::from_fn(|| faults.next_if(|fault| fault.at < end)).collect();
            let mut places = Places::new(&text.file, text.valid());
            let mut place = |at: usize| places.of(at.saturating_sub(text.base));
            let lines: Vec<_> = here.iter().map(|fault| (fault.syntax, place(fault.at))).collect();
            let broken = |line| lines.iter().any(|(syntax, place)| *syntax && place.line == line);
            let mut last = None;
            for (fault, (_, place)) in here.into_iter().zip(&lines) {
                let place = place.clone();
                // The first error of a line brings others about.
                if fault.syntax && last.replace(place.line) == Some(place.line) {
                    continue;
                }
                let Fault { found, allowed, meant, .. } = fault;
                if fault.syntax {
                    errors.push(ConfigError::Syntax { place, key: fault.key, found, allowed });
                } else if !(broken_syntax && (fault.absence || broken(place.line))) {
                    let key = fault.key.unwrap_or_default();
                    errors.push(ConfigError::Key { place, key, found, allowed, meant });
                }
            }
            let mut places = Places::new(&text.file, text.valid());
            while let Some((at, key, message)) = remarks.next_if(|remark| remark.0 < end) {
                let place = Some(places.of(at.saturating_sub(text.base)));
                warnings.push(Warning { place, key, message });
            }
        }
        (errors, warnings)
    }
}

/// Turns rising byte offsets into places, reading the text once.
pub(super) struct Places<'t> {
    file: &'t Arc<Path>,
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Places<'t> {
    pub(super) fn new(file: &'t Arc<Path>, text: &'t str) -> Self {
        // A byte order mark has no width.
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { file, text, at, line: 1, column: 1 }
    }

    pub(super) fn of(&mut self, offset: usize) -> Place {
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
