//! Writing a block of values.

use super::borrowed::ValuesRef;
use super::{BLOCK_HEADER, MAX_BLOCK, MAX_NAME, VALUE_HEADER};
use crate::error::LimitError;
use crate::value::{ValueKind, ValueRef};

pub(super) fn check_lengths(name: &[u8], data: &[u8]) -> Result<(), LimitError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(LimitError::NameLength { len: name.len() });
    }
    if data.len() > ValueRef::MAX_LEN {
        return Err(LimitError::ValueTooLong { len: data.len() });
    }
    Ok(())
}

/// The 8 bytes before a value's name, for lengths that have been checked.
#[inline]
pub(super) fn value_header(name: usize, data: usize, kind: ValueKind) -> [u8; VALUE_HEADER] {
    let [t0, t1] = ((VALUE_HEADER + name + data) as u16).to_le_bytes();
    let [n0, n1] = (name as u16).to_le_bytes();
    let [d0, d1] = (data as u16).to_le_bytes();
    [t0, t1, n0, n1, d0, d1, kind.code(), 0]
}

/// Writes the header of a block that begins at `start` of `out`.
#[inline]
pub(super) fn patch_header(out: &mut [u8], start: usize, count: u16) {
    let size = (out.len().saturating_sub(start) as u32).to_le_bytes();
    let [c0, c1] = count.to_le_bytes();
    let [s0, s1, s2, s3] = size;
    if let Some(header) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<BLOCK_HEADER>) {
        *header = [s0, s1, s2, s3, c0, c1, 0, 0];
    }
}

/// Appends a value to the block that begins at `start` of `out`; its header is left as it is.
#[inline]
pub(super) fn append_value(
    out: &mut Vec<u8>,
    start: usize,
    count: u16,
    name: &[u8],
    value: ValueRef<'_>,
) -> Result<u16, LimitError> {
    let payload = value.payload();
    let data = payload.as_slice();
    check_lengths(name, data)?;
    let count = count.checked_add(1).ok_or(LimitError::TooManyValues)?;
    let added = VALUE_HEADER + name.len() + data.len();
    let len = out.len().saturating_sub(start).max(BLOCK_HEADER) + added;
    if len > MAX_BLOCK {
        return Err(LimitError::ValuesTooLong { len });
    }
    out.reserve(BLOCK_HEADER + added);
    if out.len() <= start {
        out.extend_from_slice(&[0; BLOCK_HEADER]);
    }
    out.extend_from_slice(&value_header(name.len(), data.len(), value.kind()));
    out.extend_from_slice(name);
    out.extend_from_slice(data);
    Ok(count)
}

/// Writes a block of values straight to the end of a buffer, for callers that reuse one.
///
/// Values are added as by [`Values::push`](crate::Values::push). Without
/// [`ValuesWriter::finish`] the buffer is left as it was.
///
/// ```
/// use ingest_entry::{ValuesRef, ValuesWriter};
///
/// let mut scratch = Vec::new();
/// let mut writer = ValuesWriter::new(&mut scratch);
/// writer.push("dc", "eu")?;
/// writer.push("rack", 7u16)?;
/// let values: ValuesRef<'_> = writer.finish();
/// assert_eq!(values.len(), 2);
/// # Ok::<(), ingest_entry::LimitError>(())
/// ```
#[derive(Debug)]
pub struct ValuesWriter<'b> {
    /// `None` once finished.
    out: Option<&'b mut Vec<u8>>,
    start: usize,
    count: u16,
}

impl<'b> ValuesWriter<'b> {
    /// Begins a block at the end of `out`.
    #[must_use]
    pub const fn new(out: &'b mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out: Some(out), start, count: 0 }
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// [`LimitError`] if the name, the value or the block gets too long; the value is left out.
    #[inline]
    pub fn push<'v>(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl Into<ValueRef<'v>>,
    ) -> Result<(), LimitError> {
        if let Some(out) = &mut self.out {
            self.count = append_value(out, self.start, self.count, name.as_ref(), value.into())?;
        }
        Ok(())
    }

    /// Completes the block. Without values nothing has been written.
    #[must_use]
    pub fn finish(mut self) -> ValuesRef<'b> {
        match self.out.take() {
            Some(out) => {
                let out: &'b mut Vec<u8> = out;
                patch_header(out, self.start, self.count);
                ValuesRef { block: out.get(self.start..).unwrap_or_default() }
            }
            None => ValuesRef::EMPTY,
        }
    }
}

impl Drop for ValuesWriter<'_> {
    fn drop(&mut self) {
        if let Some(out) = &mut self.out {
            out.truncate(self.start);
        }
    }
}
