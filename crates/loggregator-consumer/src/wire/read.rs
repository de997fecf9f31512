//! Taking a message apart.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::{DecodeError, Fault, Kept, Message, Text};

/// Room in a map at first: what envelopes have of tags.
pub(crate) const ENTRIES: usize = 8;
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// Bytes, a part of which can be had without a copy.
pub trait Slice: AsRef<[u8]> + Clone + Default + fmt::Debug {
    /// What a text is kept as.
    type Text: AsRef<[u8]> + Clone + Default + fmt::Debug;

    /// Makes `text` the one of `len` bytes from `at`; nothing if it is not all there.
    fn text(&self, at: usize, len: usize, text: &mut Self::Text);

    /// The text that is all of it.
    #[must_use]
    fn into_text(self) -> Self::Text;

    /// The bytes of a text.
    #[must_use]
    fn of_text(text: Self::Text) -> Self;

    /// The part of `len` bytes from `at`; nothing if it is not all there.
    #[must_use]
    fn part(&self, at: usize, len: usize) -> Self;
}

impl Slice for Bytes {
    type Text = Kept;

    #[inline]
    fn text(&self, at: usize, len: usize, text: &mut Kept) {
        text.become_part(self, at, len);
    }

    fn into_text(self) -> Kept {
        self.into()
    }

    fn of_text(text: Kept) -> Self {
        text.into()
    }

    #[inline]
    fn part(&self, at: usize, len: usize) -> Self {
        match at.checked_add(len) {
            Some(end) if end <= self.len() => self.slice(at..end),
            _ => Self::new(),
        }
    }
}

impl Slice for &[u8] {
    type Text = Self;

    #[inline]
    fn text(&self, at: usize, len: usize, text: &mut Self) {
        *text = self.part(at, len);
    }

    fn into_text(self) -> Self {
        self
    }

    fn of_text(text: Self) -> Self {
        text
    }

    #[inline]
    fn part(&self, at: usize, len: usize) -> Self {
        self.get(at..).and_then(|rest| rest.get(..len)).unwrap_or_default()
    }
}

impl Slice for Cow<'_, [u8]> {
    type Text = Self;

    #[inline]
    fn text(&self, at: usize, len: usize, text: &mut Self) {
        *text = self.part(at, len);
    }

    fn into_text(self) -> Self {
        self
    }

    fn of_text(text: Self) -> Self {
        text
    }

    #[inline]
    fn part(&self, at: usize, len: usize) -> Self {
        match self {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.part(at, len)),
            Cow::Owned(bytes) => Cow::Owned(bytes.as_slice().part(at, len).to_vec()),
        }
    }
}

/// Reads the fields of a message.
#[derive(Debug)]
pub struct Reader<'s, B> {
    source: &'s B,
    /// All bytes up to the end of the message that is being read.
    data: &'s [u8],
    at: usize,
    /// Where the message begins.
    start: usize,
}

impl<'s, B: Slice> Reader<'s, B> {
    /// Of a whole message.
    pub fn new(source: &'s B) -> Self {
        Self { source, data: source.as_ref(), at: 0, start: 0 }
    }

    /// Of the `len` bytes of `source` from `at`; of nothing if they are not all there.
    pub fn of_part(source: &'s B, at: usize, len: usize) -> Self {
        let data = at.checked_add(len).and_then(|end| source.as_ref().get(..end));
        data.map_or(Self { source, data: &[], at: 0, start: 0 }, |data| Self {
            source,
            data,
            at,
            start: at,
        })
    }

    /// How far it has read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at - self.start
    }

    const fn error(&self, fault: Fault) -> DecodeError {
        DecodeError { at: self.position(), fault }
    }

    /// Reads a message up to the end, and checks it.
    pub(super) fn whole<M: Message<B>>(&mut self, message: &mut M) -> Result<(), DecodeError> {
        self.fields(message)?;
        message.check().map_err(|name| self.error(Fault::Missing(name)))
    }

    /// Reads fields into `message` up to the end.
    ///
    /// # Errors
    /// [`DecodeError`]; what was read before stays in `message`.
    #[inline]
    pub fn fields<M: Message<B>>(&mut self, message: &mut M) -> Result<(), DecodeError> {
        let mut outcome = Ok(());
        while self.at < self.data.len() {
            outcome = self.tag().and_then(|tag| message.field(tag, self));
            if outcome.is_err() {
                break;
            }
        }
        message.finish();
        outcome
    }

    #[inline]
    fn tag(&mut self) -> Result<u32, DecodeError> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > FIELD_NUMBER_MAX {
            return Err(self.error(Fault::FieldNumber(number)));
        }
        Ok(tag as u32)
    }

    /// A number in groups of seven bits.
    ///
    /// # Errors
    /// [`DecodeError`] if it has no end.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        if let Some(&byte) = self.data.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let mut value = 0_u64;
        for (index, &byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if index == 9 && byte > 1 {
                    return Err(self.error(Fault::Varint));
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        let fault = if rest.len() < 10 { Fault::Truncated } else { Fault::Varint };
        Err(self.error(fault))
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<usize, DecodeError> {
        let at = self.at;
        if len > self.data.len() - at {
            return Err(self.error(Fault::Truncated));
        }
        self.at += len;
        Ok(at)
    }

    #[inline]
    fn length(&mut self) -> Result<usize, DecodeError> {
        let len = self.varint()?;
        usize::try_from(len).map_err(|_| self.error(Fault::Truncated))
    }

    /// A field of bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if it is cut off.
    #[inline]
    pub fn bytes(&mut self) -> Result<B, DecodeError> {
        let len = self.length()?;
        let at = self.take(len)?;
        Ok(self.source.part(at, len))
    }

    /// A text.
    ///
    /// # Errors
    /// [`DecodeError`] if it is cut off.
    #[inline]
    pub fn text(&mut self, text: &mut Text<B>) -> Result<(), DecodeError> {
        let len = self.length()?;
        let at = self.take(len)?;
        self.source.text(at, len, text.kept());
        Ok(())
    }

    /// A text that is absent until it is there as a whole.
    ///
    /// # Errors
    /// [`DecodeError`] if it is cut off.
    #[inline]
    pub fn optional_text(&mut self, text: &mut Option<Text<B>>) -> Result<(), DecodeError> {
        let len = self.length()?;
        let at = self.take(len)?;
        self.source.text(at, len, text.get_or_insert_default().kept());
        Ok(())
    }

    /// Eight bytes of a double.
    ///
    /// # Errors
    /// [`DecodeError`] if it is cut off.
    #[inline]
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        let at = self.take(8)?;
        let eight = self.data.get(at..).and_then(<[u8]>::first_chunk::<8>);
        Ok(f64::from_le_bytes(eight.copied().unwrap_or_default()))
    }

    /// A message inside this one, merged into what `message` holds.
    ///
    /// # Errors
    /// [`DecodeError`] of it.
    #[inline]
    pub fn message<M: Message<B>>(&mut self, message: &mut M) -> Result<(), DecodeError> {
        let len = self.length()?;
        let at = self.take(len)?;
        self.inside(at, len, |reader| reader.fields(message))
    }

    /// Runs `read` with the end at `at + len`.
    #[inline]
    fn inside(
        &mut self,
        at: usize,
        len: usize,
        read: impl FnOnce(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let whole = self.data;
        self.data = whole.get(..at + len).unwrap_or_default();
        self.at = at;
        let outcome = read(self);
        self.data = whole;
        outcome
    }

    #[inline]
    fn entry<V: Default>(
        &mut self,
        map: &mut Vec<(Text<B>, V)>,
        read: impl Fn(&mut Self, &mut V) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let len = self.length()?;
        let at = self.take(len)?;
        if map.capacity() == 0 {
            map.reserve(ENTRIES);
        }
        map.push(Default::default());
        let outcome = self.inside(at, len, |reader| {
            let Some((key, value)) = map.last_mut() else { return Ok(()) };
            while reader.at < reader.data.len() {
                match reader.tag()? {
                    10 => reader.text(key)?,
                    18 => read(reader, value)?,
                    tag => reader.skip(tag)?,
                }
            }
            Ok(())
        });
        if outcome.is_err() {
            map.pop();
        }
        outcome
    }

    /// An entry of a map of texts.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
    #[inline]
    pub fn text_entry(&mut self, map: &mut Vec<(Text<B>, Text<B>)>) -> Result<(), DecodeError> {
        self.entry(map, Self::text)
    }

    /// An entry of a map of messages.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
    pub fn message_entry<M: Message<B>>(
        &mut self,
        map: &mut Vec<(Text<B>, M)>,
    ) -> Result<(), DecodeError> {
        self.entry(map, Self::message)
    }

    /// Keeps a field that is not known.
    ///
    /// # Errors
    /// [`DecodeError`] if it is no field.
    #[cold]
    pub fn unknown(&mut self, tag: u32, kept: &mut Vec<u8>) -> Result<(), DecodeError> {
        let at = self.at;
        self.skip(tag)?;
        super::write::write_raw_varint(kept, u64::from(tag));
        kept.extend_from_slice(self.data.get(at..self.at).unwrap_or_default());
        Ok(())
    }

    fn skip(&mut self, tag: u32) -> Result<(), DecodeError> {
        // The fields of the groups that are open.
        let mut open: Vec<u32> = Vec::new();
        let mut tag = tag;
        loop {
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let len = self.length()?;
                    self.take(len)?;
                }
                3 if open.len() >= Fault::MAX_GROUPS => return Err(self.error(Fault::TooDeep)),
                3 => open.push(tag >> 3),
                4 if open.pop() != Some(tag >> 3) => return Err(self.error(Fault::GroupEnd)),
                4 => {}
                5 => drop(self.take(4)?),
                other => return Err(self.error(Fault::WireType(other as u8))),
            }
            if open.is_empty() {
                return Ok(());
            }
            tag = self.tag()?;
        }
    }
}

/// The number that a zigzag number stands for.
#[inline]
pub(crate) const fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
