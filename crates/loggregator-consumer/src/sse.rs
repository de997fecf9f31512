//! Event streams, as the WHATWG has them: `\n`, `\r\n` and `\r`, an optional space, data on several
//! lines, comments, a byte order mark.

use bytes::{Buf as _, Bytes, BytesMut};

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// Its kind; empty where the stream says none, which means `message`.
    pub name: String,
    /// Its data, the lines joined by `\n`.
    pub data: Bytes,
}

/// A line, or an event, of more bytes than allowed. The stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {limit} bytes")]
pub struct SseError {
    /// How many are allowed.
    pub limit: usize,
}

/// Makes events of pieces of any size.
#[derive(Debug)]
pub struct SseDecoder {
    /// Of the line that is not complete.
    line: BytesMut,
    /// How much of it was searched for its end.
    searched: usize,
    /// How long the last long line was: the next gets as much room at once.
    usual: usize,
    name: String,
    data: Option<Data>,
    limit: usize,
    at_start: bool,
    /// The last piece ended in a carriage return, which a line feed may belong to.
    after_return: bool,
}

#[derive(Debug)]
enum Data {
    One(Bytes),
    Joined(Vec<u8>),
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl SseDecoder {
    /// How long a line and the data of an event may be, unless said otherwise: 64 MiB.
    pub const DEFAULT_LIMIT: usize = 64 << 20;

    /// Lines are long from here on.
    const LONG: usize = 1 << 10;
    /// The most room that is made before a line is there.
    const MOST_ROOM: usize = 1 << 20;

    /// With a limit for lines and for the data of an event, in bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            line: BytesMut::new(),
            searched: 0,
            usual: 0,
            name: String::new(),
            data: None,
            limit,
            at_start: true,
            after_return: false,
        }
    }

    /// Takes a piece of the stream; `sink` gets the events that it completes.
    ///
    /// What is not complete at the end of the stream is no event (WHATWG 9.2.6).
    ///
    /// # Errors
    /// [`SseError`].
    pub fn push(&mut self, input: &[u8], mut sink: impl FnMut(SseEvent)) -> Result<(), SseError> {
        let mut input = input;
        if self.after_return && !input.is_empty() {
            self.after_return = false;
            input = input.strip_prefix(b"\n").unwrap_or(input);
        }
        if self.line.is_empty() {
            self.line.reserve(input.len().max(self.usual));
        }
        self.line.extend_from_slice(input);
        loop {
            let rest = self.line.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest).map(|end| end + self.searched)
            else {
                self.searched = self.line.len();
                return self.check(self.line.len());
            };
            self.check(end)?;
            if end > Self::LONG {
                // A little more, for lines are never of one length.
                self.usual = end.saturating_add(end / 8).min(Self::MOST_ROOM);
            }
            let line = self.line.split_to(end).freeze();
            let returned = self.line.first() == Some(&b'\r');
            self.line.advance(1);
            if returned && self.line.is_empty() {
                self.after_return = true;
            } else if returned && self.line.first() == Some(&b'\n') {
                self.line.advance(1);
            }
            self.searched = 0;
            self.take_line(line, &mut sink)?;
        }
    }

    /// As [`Self::push`], for a piece that can be shared: the data of an event whose one line is
    /// whole in the piece is a part of it, not a copy.
    ///
    /// # Errors
    /// [`SseError`].
    pub fn push_shared(
        &mut self,
        mut input: Bytes,
        mut sink: impl FnMut(SseEvent),
    ) -> Result<(), SseError> {
        if !self.line.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', &input);
            let end = end.map_or(input.len(), |end| end + 1);
            self.push(&input.split_to(end), &mut sink)?;
        }
        while self.line.is_empty() && !self.after_return {
            let Some(end) = memchr::memchr2(b'\n', b'\r', &input) else { break };
            if input.get(end) == Some(&b'\r') {
                // Rare, and what is behind it may belong to it.
                break;
            }
            self.check(end)?;
            let line = input.split_to(end);
            input.advance(1);
            self.take_line(line, &mut sink)?;
        }
        self.push(&input, sink)
    }

    const fn check(&self, len: usize) -> Result<(), SseError> {
        if len > self.limit { Err(SseError { limit: self.limit }) } else { Ok(()) }
    }

    fn take_line(
        &mut self,
        mut line: Bytes,
        sink: &mut impl FnMut(SseEvent),
    ) -> Result<(), SseError> {
        if std::mem::take(&mut self.at_start) && line.starts_with("\u{feff}".as_bytes()) {
            line.advance(3);
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = match self.data.take() {
                None => return Ok(()),
                Some(Data::One(bytes)) => bytes,
                Some(Data::Joined(bytes)) => bytes.into(),
            };
            sink(SseEvent { name, data });
            return Ok(());
        }
        let colon = memchr::memchr(b':', &line).unwrap_or(line.len());
        let field = line.split_to(colon);
        if line.starts_with(b": ") {
            line.advance(2);
        } else if line.starts_with(b":") {
            line.advance(1);
        }
        match &*field {
            b"event" => self.name = String::from_utf8_lossy(&line).into_owned(),
            b"data" => {
                let joined = match self.data.take() {
                    None => Data::One(line),
                    Some(Data::One(first)) => Data::Joined([&*first, b"\n", &*line].concat()),
                    Some(Data::Joined(mut all)) => {
                        all.push(b'\n');
                        all.extend_from_slice(&line);
                        Data::Joined(all)
                    }
                };
                if let Data::Joined(all) = &joined {
                    self.check(all.len())?;
                }
                self.data = Some(joined);
            }
            // Comments, `id` and `retry`: the gateway has no use for them.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &[u8], size: usize) -> Vec<(String, Bytes)> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in stream.chunks(size) {
            decoder.push(piece, |event| events.push((event.name, event.data))).unwrap();
        }
        events
    }

    fn shared(stream: &[u8], size: usize) -> Vec<(String, Bytes)> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in stream.chunks(size) {
            let piece = Bytes::copy_from_slice(piece);
            decoder.push_shared(piece, |event| events.push((event.name, event.data))).unwrap();
        }
        events
    }

    #[test]
    fn any_split_gives_the_same_events() {
        let stream = "\u{feff}: hi\n\ndata: a\r\n\r\nevent: closing\rdata:b\rdata\rdata:  c\r\r\
                      id: 7\nretry: 1\nwhat: x\ndata: d\n\nevent: lost\n\ndata: e\n\ndata: cut";
        let expected: Vec<_> = [("", "a"), ("closing", "b\n\n c"), ("", "d"), ("", "e")]
            .map(|(name, data)| (name.to_owned(), Bytes::from(data)))
            .into();
        for size in 1..=stream.len() {
            assert_eq!(events(stream.as_bytes(), size), expected, "{size}");
            assert_eq!(shared(stream.as_bytes(), size), expected, "{size}");
        }
    }

    #[test]
    fn lines_and_events_have_a_limit() {
        for stream in ["data: 12345678", "data: 12\ndata: 34\ndata: 56\ndata: 78\n"] {
            let mut decoder = SseDecoder::new(8);
            assert_eq!(decoder.push(stream.as_bytes(), |_| {}), Err(SseError { limit: 8 }));
            let mut decoder = SseDecoder::new(8);
            let piece = Bytes::from_static(stream.as_bytes());
            assert_eq!(decoder.push_shared(piece, |_| {}), Err(SseError { limit: 8 }));
        }
    }
}
