//! The body of `/recent` and its like: messages in parts, as RFC 2046 has them.

use bytes::Bytes;
use memchr::memmem;

/// The boundary that a `Content-Type` names, by RFC 2045: in quotes or not, among other
/// parameters, in any case. `None` if it names none, or an empty one.
#[must_use]
pub fn boundary(content_type: &str) -> Option<String> {
    let mut rest = content_type.split_once(';')?.1;
    loop {
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (value, after) = match behind.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = behind.find(';').unwrap_or(behind.len());
                let (value, after) = behind.split_at(end);
                (value.trim_end().to_owned(), after)
            }
        };
        if name.trim().eq_ignore_ascii_case("boundary") {
            return Some(value).filter(|value| !value.is_empty());
        }
        rest = after.split_once(';')?.1;
    }
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    None
}

/// The parts of a body, one by one.
///
/// What is behind the last delimiter when the final one is missing is no part: nobody knows whether
/// all of it is there.
#[derive(Debug)]
pub struct Parts {
    body: Bytes,
    delimiter: Vec<u8>,
    /// Behind the delimiter that was found last, at its line's end.
    at: Option<usize>,
    newline: &'static [u8],
    started: bool,
    complete: bool,
}

impl Parts {
    /// Of a body with this boundary.
    #[must_use]
    pub fn new(body: Bytes, boundary: &str) -> Self {
        let delimiter = [b"--", boundary.as_bytes()].concat();
        let mut parts =
            Self { body, delimiter, at: None, newline: b"\r\n", started: false, complete: false };
        parts.start();
        parts
    }

    /// Whether a delimiter was found.
    #[must_use]
    pub const fn started(&self) -> bool {
        self.started
    }

    /// Whether the final delimiter was found: by the last part, nothing was cut off.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.complete
    }

    fn start(&mut self) {
        let (body, delimiter) = (self.body.clone(), self.delimiter.clone());
        for at in memmem::find_iter(&body, &delimiter) {
            let at_line = at == 0 || body.get(at - 1) == Some(&b'\n');
            if !at_line {
                continue;
            }
            // The first line end decides which the body has.
            let behind = body.get(at + self.delimiter.len()..).unwrap_or_default();
            let line =
                memchr::memchr(b'\n', behind).map(|end| behind.get(..end).unwrap_or_default());
            if line.is_some_and(|line| !line.ends_with(b"\r")) {
                self.newline = b"\n";
            }
            if self.delimited(at) {
                return;
            }
            self.newline = b"\r\n";
        }
    }

    /// Takes the delimiter at `at`, if what follows makes it one.
    fn delimited(&mut self, at: usize) -> bool {
        let behind = at + self.delimiter.len();
        let rest = self.body.get(behind..).unwrap_or_default();
        if rest.starts_with(b"--") {
            let line = rest.get(2..).unwrap_or_default().trim_ascii_start();
            let padding = rest.len() - 2 - line.len();
            let ends = line.is_empty()
                || rest.get(2..2 + padding).is_some_and(|blank| blank.contains(&b'\n'));
            if !ends {
                return false;
            }
            (self.started, self.complete, self.at) = (true, true, None);
            return true;
        }
        let blank = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
        let line = rest.get(blank..).unwrap_or_default();
        if !line.starts_with(self.newline) {
            return false;
        }
        (self.started, self.at) = (true, Some(behind + blank + self.newline.len()));
        true
    }

    /// The length of the part's content from `start`; moves on to the next part.
    fn content(&mut self, start: usize) -> Option<usize> {
        let body = self.body.clone();
        let rest = body.get(start..).unwrap_or_default();
        // The line end before the delimiter may be that of the header.
        if rest.starts_with(&self.delimiter) && self.delimited(start) {
            return Some(0);
        }
        let delimiter = [self.newline, &self.delimiter].concat();
        for at in memmem::find_iter(rest, &delimiter) {
            if self.delimited(start + at + self.newline.len()) {
                return Some(at);
            }
        }
        self.at = None;
        None
    }
}

/// A part that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part whose header is none")]
pub struct PartError;

impl Iterator for Parts {
    type Item = Result<Bytes, PartError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at?;
        let head = self.body.slice(start..);
        // An empty header, as real servers write it, or lines up to an empty one.
        let (header, length) = if head.starts_with(self.newline) {
            (Bytes::new(), self.newline.len())
        } else {
            let blank = self.newline.repeat(2);
            match memmem::find(&head, &blank) {
                Some(end) => (head.slice(..end), end + blank.len()),
                None => {
                    self.at = None;
                    return None;
                }
            }
        };
        let content = start + length;
        let length = self.content(content)?;
        let part = self.body.slice(content..content + length);
        match quoted_printable(&header) {
            Err(error) => Some(Err(error)),
            Ok(false) => Some(Ok(part)),
            Ok(true) => Some(decode_quoted_printable(&part).map(Bytes::from).ok_or(PartError)),
        }
    }
}

/// Whether a header says that the content is encoded so.
fn quoted_printable(header: &[u8]) -> Result<bool, PartError> {
    let mut found = false;
    for line in header.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end) {
        if line.is_empty() || line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let colon = memchr::memchr(b':', line).ok_or(PartError)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        found |= name.eq_ignore_ascii_case(b"content-transfer-encoding")
            && value.eq_ignore_ascii_case(b"quoted-printable");
    }
    Ok(found)
}

fn decode_quoted_printable(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before);
        rest = match behind {
            [b'=', b'\r', b'\n', rest @ ..] | [b'=', b'\n', rest @ ..] => rest,
            [b'=', high, low, rest @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                out.push((digit(high)? << 4 | digit(low)?) as u8);
                rest
            }
            _ => return None,
        };
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(body: &str, boundary: &str) -> (Vec<String>, bool, bool) {
        let mut parts = Parts::new(Bytes::copy_from_slice(body.as_bytes()), boundary);
        let found = parts
            .by_ref()
            .map(|part| {
                part.map_or_else(|_| "bad".into(), |p| String::from_utf8_lossy(&p).into_owned())
            })
            .collect();
        (found, parts.started(), parts.complete())
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn boundaries_are_found_as_rfc_2045_has_them() {
        for (header, expected) in [
            ("multipart/x-protobuf; boundary=abc", Some("abc")),
            ("multipart/x-protobuf;BOUNDARY=abc", Some("abc")),
            ("a/b; charset=utf-8; boundary=abc; x=y", Some("abc")),
            ("a/b; x=\"y; boundary=no\"; boundary=\"a\\\"c\"", Some("a\"c")),
            ("a/b; boundary= abc ", Some("abc")),
            ("a/b; boundary=", None),
            ("a/b; boundary=\"\"", None),
            ("a/b; boundary=\"abc", None),
            ("a/b", None),
            ("", None),
        ] {
            assert_eq!(boundary(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn parts_are_what_stands_between_delimiters() {
        assert_eq!(parts("\r\n--B--\r\n", "B"), (texts(&[]), true, true));
        let body = "--B\r\n\r\none\r\n--B\r\n\r\n\r\n--B\r\nA: b\r\n\r\nt\r\nwo\r\n--B--\r\nrest";
        assert_eq!(parts(body, "B"), (texts(&["one", "", "t\r\nwo"]), true, true));
        assert_eq!(parts("x\n--B \t\n\none\n--B--", "B"), (texts(&["one"]), true, true));
        assert_eq!(parts("--B\r\n\r\n--B--\r\n", "B"), (texts(&[""]), true, true));
        // What looks like a delimiter inside of a part.
        let body = "--B\r\n\r\na--B\r\n--Bx\r\n\n--B\n\r\n--B--\r\n";
        assert_eq!(parts(body, "B"), (texts(&["a--B\r\n--Bx\r\n\n--B\n"]), true, true));
    }

    #[test]
    fn what_is_cut_off_is_told() {
        assert_eq!(parts("--B\r\n\r\none\r\n--B\r\n\r\ntw", "B"), (texts(&["one"]), true, false));
        assert_eq!(parts("--B\r\n\r\none\r\n--B", "B"), (texts(&[]), true, false));
        assert_eq!(parts("--C\r\n\r\none\r\n--C--", "B"), (texts(&[]), false, false));
        assert_eq!(parts("", "B"), (texts(&[]), false, false));
    }

    #[test]
    fn headers_decide_the_encoding_and_can_be_bad() {
        let body = "--B\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\na=3Db=\r\nc\r\n\
                    --B\r\nno header\r\n\r\nx\r\n--B\r\n\r\ny\r\n--B--";
        assert_eq!(parts(body, "B"), (texts(&["a=bc", "bad", "y"]), true, true));
    }
}
