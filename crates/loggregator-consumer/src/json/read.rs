//! Reading the JSON of a message.

use bytes::Bytes;

use super::error::{JsonError, JsonFault};
use super::{base64, number, scan};
use crate::wire::{ENTRIES, Enumeration, Slice, Text, last_of_each_key};

/// The NaN that Go's programs have, so that what they read and what we read encode alike.
const GO_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Bytes that may also come from decoding.
pub trait Parsed: Slice + From<Vec<u8>> {}

impl Parsed for Bytes {}
impl Parsed for std::borrow::Cow<'_, [u8]> {}

/// A message with a JSON form.
pub trait FromJson<B: Parsed>: Default {
    /// Takes the value of a member; `false` if the member is not known, and nothing was read.
    /// `seen` has a bit for each member.
    ///
    /// # Errors
    /// [`JsonError`] if the value is none of the member's.
    fn member(
        &mut self,
        key: &[u8],
        seen: &mut u32,
        reader: &mut JsonReader<'_, B>,
    ) -> Result<bool, JsonError>;
}

/// A reader of one JSON text.
#[derive(Debug)]
pub struct JsonReader<'s, B> {
    source: &'s B,
    /// Is UTF-8.
    data: &'s [u8],
    pub(super) at: usize,
    /// A string ends at the next quote.
    plain: bool,
    depth: usize,
    /// Members and keys that came again: the last counts.
    pub(super) repeated: u64,
    /// Members that are not known.
    pub(super) unknown: u64,
}

impl<'s, B: Parsed> JsonReader<'s, B> {
    /// Of a whole text.
    ///
    /// # Errors
    /// [`JsonFault::NotUtf8`].
    pub fn new(source: &'s B) -> Result<Self, JsonError> {
        let data = source.as_ref();
        let scan::Survey { ascii, plain } = scan::survey(data);
        if !ascii && let Err(error) = str::from_utf8(data) {
            return Err(JsonError { at: error.valid_up_to(), fault: JsonFault::NotUtf8 });
        }
        Ok(Self { source, data, at: 0, plain, depth: 0, repeated: 0, unknown: 0 })
    }

    pub(super) const fn error(&self, fault: JsonFault) -> JsonError {
        JsonError { at: self.at, fault }
    }

    /// Two of those of which there can be one.
    #[must_use]
    pub const fn two_of(&self, name: &'static str) -> JsonError {
        self.error(JsonFault::TwoOf(name))
    }

    /// Counts a member that was there before.
    #[inline]
    pub const fn once(&mut self, seen: &mut u32, bit: u32) {
        if *seen & (1 << bit) != 0 {
            self.repeated += 1;
        }
        *seen |= 1 << bit;
    }

    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.data.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(JsonFault::Syntax(name))) }
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.data.len().saturating_sub(self.at)
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error(JsonFault::Syntax("the end"))),
        }
    }

    fn word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let found = self.data.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    /// Takes `null`, if it is next.
    ///
    /// # Errors
    /// None as yet.
    #[inline]
    pub fn null(&mut self) -> Result<bool, JsonError> {
        Ok(self.peek() == Some(b'n') && self.word(b"null"))
    }

    /// The place and length of a string's inside, and whether something in it is escaped.
    #[inline(always)]
    fn string(&mut self) -> Result<(usize, usize, bool), JsonError> {
        if self.plain && self.peek() == Some(b'"') {
            let start = self.at + 1;
            if let Some(end) = scan::quote(self.data, start) {
                self.at = end + 1;
                return Ok((start, end - start, false));
            }
        }
        self.any_string()
    }

    /// The same, whatever is there.
    #[inline(never)]
    fn any_string(&mut self) -> Result<(usize, usize, bool), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.error(JsonFault::Type("a text")));
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let Some(found) = scan::special(self.data, at) else {
                return Err(self.error(JsonFault::Syntax("the end of a text")));
            };
            match self.data.get(found) {
                Some(b'"') => {
                    self.at = found + 1;
                    return Ok((start, found - start, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    at = found + 2;
                }
                _ => {
                    self.at = found;
                    return Err(self.error(JsonFault::Syntax("no control character")));
                }
            }
        }
    }

    #[inline]
    fn slice(&self, at: usize, len: usize) -> &'s [u8] {
        self.data.get(at..at + len).unwrap_or_default()
    }

    /// A text.
    ///
    /// # Errors
    /// [`JsonError`] if it is none.
    #[inline]
    pub fn text(&mut self, text: &mut Text<B>) -> Result<(), JsonError> {
        let (at, len, escaped) = self.string()?;
        if escaped {
            *text = Text::new(B::from(self.unescaped(at, len)?));
        } else {
            self.source.text(at, len, text.kept());
        }
        Ok(())
    }

    #[cold]
    fn unescaped(&mut self, at: usize, len: usize) -> Result<Vec<u8>, JsonError> {
        let text = self.slice(at, len);
        let mut out = Vec::with_capacity(len);
        let mut rest = text;
        while let Some(slash) = memchr::memchr(b'\\', rest) {
            let (before, escape) = rest.split_at(slash);
            out.extend_from_slice(before);
            let used = match escape.get(1) {
                Some(b'u') => {
                    let (character, used) = self.unicode(escape)?;
                    let mut buffer = [0; 4];
                    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    used
                }
                Some(byte) => {
                    let plain = match byte {
                        b'"' | b'\\' | b'/' => *byte,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return Err(self.error(JsonFault::Syntax("an escape"))),
                    };
                    out.push(plain);
                    2
                }
                None => return Err(self.error(JsonFault::Syntax("an escape"))),
            };
            rest = escape.get(used..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        Ok(out)
    }

    /// The character of an escape that begins with a backslash and `u`, and its length.
    fn unicode(&self, escape: &[u8]) -> Result<(char, usize), JsonError> {
        let unit = |at: usize| -> Option<u32> {
            let escape = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
            let hex = escape.iter().all(u8::is_ascii_hexdigit);
            u32::from_str_radix(str::from_utf8(escape).ok()?, 16).ok().filter(|_| hex)
        };
        let Some(first) = unit(0) else {
            return Err(self.error(JsonFault::Syntax("four hexadecimal digits")));
        };
        let (code, used) = match (first, unit(6)) {
            (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) => {
                (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
            }
            _ => (first, 6),
        };
        let character = char::from_u32(code).ok_or_else(|| self.error(JsonFault::Surrogate))?;
        Ok((character, used))
    }

    /// Bytes in base64.
    ///
    /// # Errors
    /// [`JsonError`] if it is no text or no base64.
    #[inline]
    pub fn base64(&mut self) -> Result<B, JsonError> {
        // What is base64 has nothing escaped in it, and no character that a text must not have.
        if self.peek() == Some(b'"')
            && let Some(rest) = self.data.get(self.at + 1..)
            && let Some(end) = memchr::memchr(b'"', rest)
            && let Some(decoded) = rest.get(..end).and_then(base64::decode)
        {
            self.at += end + 2;
            return Ok(decoded.into());
        }
        let (at, len, escaped) = self.string()?;
        let decoded = if escaped {
            base64::decode(&self.unescaped(at, len)?)
        } else {
            base64::decode(self.slice(at, len))
        };
        decoded.map(B::from).ok_or_else(|| self.error(JsonFault::Base64))
    }

    /// The characters of a number, with quotes around it or without.
    #[inline]
    fn number(&mut self) -> Result<&'s [u8], JsonError> {
        let (at, len) = if self.peek() == Some(b'"') {
            let (at, len, _) = self.string()?;
            (at, len)
        } else {
            let rest = self.data.get(self.at..).unwrap_or_default();
            let found = (self.at, scan::number(rest));
            self.at += found.1;
            found
        };
        let text = self.slice(at, len);
        if len == 0 { Err(self.error(JsonFault::Type("a number"))) } else { Ok(text) }
    }

    fn whole(&mut self) -> Result<(bool, u64), JsonError> {
        let text = self.number()?;
        if text.len() < 20 && text.iter().all(u8::is_ascii_digit) && !text.starts_with(b"0") {
            let add = |value: u64, byte: &u8| value * 10 + u64::from(byte & 0xf);
            return Ok((false, text.iter().fold(0, add)));
        }
        if scan::number(text) != text.len() {
            return Err(self.error(JsonFault::Type("a number")));
        }
        number::whole(text).ok_or_else(|| self.error(JsonFault::Range))
    }

    /// A whole number of 64 bits.
    ///
    /// # Errors
    /// [`JsonError`] if it is none.
    pub fn signed(&mut self) -> Result<i64, JsonError> {
        let (negative, value) = self.whole()?;
        let signed =
            if negative { 0_i64.checked_sub_unsigned(value) } else { value.try_into().ok() };
        signed.ok_or_else(|| self.error(JsonFault::Range))
    }

    /// A whole number of 64 bits without a sign.
    ///
    /// # Errors
    /// [`JsonError`] if it is none.
    pub fn unsigned(&mut self) -> Result<u64, JsonError> {
        match self.whole()? {
            (true, 1..) => Err(self.error(JsonFault::Range)),
            (_, value) => Ok(value),
        }
    }

    /// A whole number of 32 bits.
    ///
    /// # Errors
    /// [`JsonError`] if it is none.
    pub fn small(&mut self) -> Result<i32, JsonError> {
        self.signed()?.try_into().map_err(|_| self.error(JsonFault::Range))
    }

    /// A number, or the name of one that is none.
    ///
    /// # Errors
    /// [`JsonError`] if it is neither.
    pub fn double(&mut self) -> Result<f64, JsonError> {
        let quoted = self.peek() == Some(b'"');
        let text = self.number()?;
        match text {
            b"NaN" if quoted => return Ok(f64::from_bits(GO_NAN)),
            b"Infinity" if quoted => return Ok(f64::INFINITY),
            b"-Infinity" if quoted => return Ok(f64::NEG_INFINITY),
            _ => {}
        }
        let is_number = scan::number(text) == text.len();
        let value = str::from_utf8(text).ok().filter(|_| is_number).and_then(|t| t.parse().ok());
        let value: f64 = value.ok_or_else(|| self.error(JsonFault::Type("a number")))?;
        if value.is_finite() { Ok(value) } else { Err(self.error(JsonFault::Range)) }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`JsonError`] if it is neither.
    pub fn boolean(&mut self) -> Result<bool, JsonError> {
        if self.word(b"true") {
            Ok(true)
        } else if self.word(b"false") {
            Ok(false)
        } else {
            Err(self.error(JsonFault::Type("true or false")))
        }
    }

    /// The name or number of a value.
    ///
    /// # Errors
    /// [`JsonError`] if it is neither.
    pub fn enumeration<E: Enumeration>(&mut self) -> Result<E, JsonError> {
        if self.peek() != Some(b'"') {
            return self.small().map(E::from_number);
        }
        let (at, len, escaped) = self.string()?;
        let unescaped;
        let name = if escaped {
            unescaped = self.unescaped(at, len)?;
            unescaped.as_slice()
        } else {
            self.slice(at, len)
        };
        let known = str::from_utf8(name).ok().and_then(E::from_name);
        known.ok_or_else(|| self.error(JsonFault::UnknownName))
    }

    /// A message.
    ///
    /// # Errors
    /// [`JsonError`] if it is none.
    pub fn message<M: FromJson<B>>(&mut self) -> Result<M, JsonError> {
        let mut message = M::default();
        self.fill(&mut message)?;
        Ok(message)
    }

    /// A message, in its place.
    pub(super) fn fill<M: FromJson<B>>(&mut self, message: &mut M) -> Result<(), JsonError> {
        let mut seen = 0;
        self.members(|reader, key| {
            if !message.member(key, &mut seen, reader)? {
                reader.unknown += 1;
                reader.skip()?;
            }
            Ok(())
        })
    }

    /// The members of an object: `take` reads the value of each.
    pub(super) fn members(
        &mut self,
        mut take: impl FnMut(&mut Self, &[u8]) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.peek() != Some(b'{') {
            return Err(self.error(JsonFault::Type("an object")));
        }
        self.separated(b'}', "a comma or the end of an object", |reader| {
            if reader.peek() != Some(b'"') {
                return Err(reader.error(JsonFault::Syntax("a name")));
            }
            let (at, len, escaped) = reader.string()?;
            let unescaped;
            let key = if escaped {
                unescaped = reader.unescaped(at, len)?;
                unescaped.as_slice()
            } else {
                reader.slice(at, len)
            };
            reader.expect(b':', "a colon")?;
            take(reader, key)
        })
    }

    /// The elements of an array: `take` reads each.
    pub(super) fn elements(
        &mut self,
        take: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.peek() != Some(b'[') {
            return Err(self.error(JsonFault::Type("an array")));
        }
        self.separated(b']', "a comma or the end of an array", take)
    }

    /// What stands between an opening bracket, which is there, and its `end`: `take` reads what is
    /// between two commas.
    fn separated(
        &mut self,
        end: u8,
        allowed: &'static str,
        mut take: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.at += 1;
        self.deeper()?;
        if !self.eat(end) {
            loop {
                take(self)?;
                if !self.eat(b',') {
                    break;
                }
            }
            self.expect(end, allowed)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), JsonError> {
        self.depth += 1;
        if self.depth > JsonFault::MAX_DEPTH {
            return Err(self.error(JsonFault::TooDeep));
        }
        Ok(())
    }

    /// A list.
    ///
    /// # Errors
    /// [`JsonError`] if it is none, or something in it is wrong.
    pub fn list<T>(
        &mut self,
        list: &mut Vec<T>,
        read: impl Fn(&mut Self) -> Result<T, JsonError>,
    ) -> Result<(), JsonError> {
        list.clear();
        self.elements(|reader| {
            list.push(read(reader)?);
            Ok(())
        })
    }

    /// A map.
    ///
    /// # Errors
    /// [`JsonError`] if it is none, or something in it is wrong.
    #[inline]
    pub fn map<V: Default>(
        &mut self,
        map: &mut Vec<(Text<B>, V)>,
        read: impl Fn(&mut Self, &mut V) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        map.clear();
        // Keys are taken as slices here, so not through `members`.
        if self.peek() != Some(b'{') {
            return Err(self.error(JsonFault::Type("an object")));
        }
        self.separated(b'}', "a comma or the end of an object", |reader| {
            if map.capacity() == 0 {
                map.reserve(ENTRIES);
            }
            map.push(Default::default());
            let Some((key, value)) = map.last_mut() else { return Ok(()) };
            reader.text(key)?;
            reader.expect(b':', "a colon")?;
            read(reader, value)
        })?;
        let count = map.len();
        last_of_each_key(map);
        self.repeated += (count - map.len()) as u64;
        Ok(())
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.members(|reader, _| reader.skip()),
            Some(b'[') => self.elements(Self::skip),
            Some(b't' | b'f') => self.boolean().map(drop),
            Some(b'n') if self.word(b"null") => Ok(()),
            Some(b'-' | b'0'..=b'9') => {
                match scan::number(self.data.get(self.at..).unwrap_or_default()) {
                    0 => Err(self.error(JsonFault::Syntax("a number"))),
                    len => {
                        self.at += len;
                        Ok(())
                    }
                }
            }
            _ => Err(self.error(JsonFault::Syntax("a value"))),
        }
    }

    /// Reads with `read`; if that fails for what is there and not for how it is written, passes
    /// over the value and gives the error as the inner result.
    pub(super) fn or_skip<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, JsonError>,
    ) -> Result<Result<T, JsonError>, JsonError> {
        let (at, depth) = (self.at, self.depth);
        match read(self) {
            Ok(value) => Ok(Ok(value)),
            Err(error) => {
                (self.at, self.depth) = (at, depth);
                self.skip()?;
                Ok(Err(error))
            }
        }
    }
}
