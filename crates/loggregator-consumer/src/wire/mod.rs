//! Protobuf's encoding: what the generated code stands on.
//!
//! Differs from the usual libraries where old peers need it (`loggregator.md` 1.8, 2.5): texts keep
//! bytes that are not UTF-8, a known field with a wrong wire type counts as unknown, unknown fields
//! are kept, the required fields of proto2 are checked at the end.

mod error;
mod kept;
mod map;
mod read;
mod text;
mod write;

pub use error::{DecodeError, Fault};
pub use kept::Kept;
pub use read::{Reader, Slice};
pub use text::Text;

pub(crate) use map::last_of_each_key;
pub(crate) use read::{ENTRIES, zigzag};
pub(crate) use write::{
    unzigzag, write_bytes, write_double, write_message, write_message_map, write_text_map,
    write_varint,
};

/// An enumeration of the protocol. Numbers without a name are kept.
pub trait Enumeration: Copy {
    /// Its number on the wire.
    fn number(self) -> i32;
    /// The value of a number.
    fn from_number(number: i32) -> Self;
    /// Its name in the protocol's files and in JSON, if it has one.
    fn name(self) -> Option<&'static str>;
    /// The value of a name.
    fn from_name(name: &str) -> Option<Self>;
}

/// A message of the protocol, whose bytes are kept as `B`: [`bytes::Bytes`] to own them without a
/// copy, `&[u8]` to borrow them.
pub trait Message<B: Slice>: Default {
    /// Takes the field behind a tag.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no field.
    fn field(&mut self, tag: u32, reader: &mut Reader<'_, B>) -> Result<(), DecodeError>;

    /// Brings in order what needs all fields.
    fn finish(&mut self) {}

    /// Whether all required fields are there, in it and in what it holds.
    ///
    /// # Errors
    /// The name of one that is not.
    fn check(&self) -> Result<(), &'static str>;

    /// Appends its encoding: fields by number, what excludes each other behind them, maps by key,
    /// unknown fields last.
    fn write(&self, out: &mut Vec<u8>);

    /// Decodes a whole message. The parts of it share `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]; the stream that it came in can go on.
    fn decode(bytes: &B) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        Reader::new(bytes).whole(&mut message)?;
        Ok(message)
    }

    /// Decodes as far as possible: what stands before the fault, and the fault.
    fn decode_partly(bytes: &B) -> (Self, Option<DecodeError>) {
        let mut message = Self::default();
        let fault = Reader::new(bytes).whole(&mut message).err();
        (message, fault)
    }

    /// Decodes the message that is the `len` bytes of `bytes` from `at`. The parts of it share
    /// `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]; the stream that it came in can go on.
    fn decode_part(bytes: &B, at: usize, len: usize) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        Reader::of_part(bytes, at, len).whole(&mut message)?;
        Ok(message)
    }

    /// Its encoding.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}
