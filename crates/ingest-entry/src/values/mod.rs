//! Lists of enumerated values: [`Values`], [`ValuesRef`], [`ValuesWriter`].
//!
//! A block is u32 size (of all of it), u16 count, u16 zero, then the values: u16 total length,
//! u16 name length, u16 data length, u8 type, u8 zero, name, data. Little-endian.

mod borrowed;
mod item;
mod owned;
mod writer;

pub use borrowed::{ValuesIter, ValuesRef};
pub use item::{EnumeratedValue, EnumeratedValueRef};
pub use owned::Values;
pub use writer::ValuesWriter;

/// Bytes before the values of a block.
const BLOCK_HEADER: usize = 8;
/// Bytes before the name of a value.
const VALUE_HEADER: usize = 8;
/// The longest name of a value, in bytes.
const MAX_NAME: usize = 1024;
/// The largest block, in bytes, its header included.
const MAX_BLOCK: usize = 32 << 20;
