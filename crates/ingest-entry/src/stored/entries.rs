//! Stored entries back to back.

use core::iter::FusedIterator;

use crate::codec::Limits;
use crate::entry::EntryRef;
use crate::error::DecodeError;

/// The entries of a record body (see the [module](crate::stored)).
///
/// The body is in memory and its writer had its limits, so only those of the format apply.
///
/// ```
/// use ingest_entry::{EntryRef, Source, TagId, Timestamp, stored};
///
/// let mut body = Vec::new();
/// for data in ["one", "two"] {
///     EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), data.as_bytes())
///         .encode_stored(&mut body)?;
/// }
/// let data: Result<Vec<_>, _> = stored::entries(&body).map(|e| e.map(|e| e.data)).collect();
/// assert_eq!(data?, [b"one", b"two"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub const fn entries(body: &[u8]) -> EntriesIter<'_> {
    EntriesIter::new(body)
}

/// Iterator over stored entries. After an error it ends: what follows cannot be found.
#[derive(Debug, Clone)]
pub struct EntriesIter<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> EntriesIter<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body, offset: 0 }
    }

    /// Where in the body the next entry begins, in bytes; after an error, where the bad entry
    /// began.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for EntriesIter<'a> {
    type Item = Result<EntryRef<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match EntryRef::decode_stored(self.rest, &Limits::FORMAT) {
            Ok((entry, used)) => {
                self.rest = self.rest.get(used..).unwrap_or_default();
                self.offset += used;
                Some(Ok(entry))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error.shifted(self.offset)))
            }
        }
    }
}

impl FusedIterator for EntriesIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, TagId, Timestamp};

    #[test]
    fn ends_after_an_error_and_says_where() {
        let mut body = Vec::new();
        for data in [&b"one"[..], b"", b"three"] {
            let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), data);
            entry.encode_stored(&mut body).unwrap();
        }
        let mut all = entries(&body);
        assert_eq!(all.by_ref().filter(Result::is_ok).count(), 3);
        assert_eq!(all.offset(), body.len());

        let mut cut = entries(&body[..body.len() - 1]);
        assert!(cut.next().unwrap().is_ok() && cut.next().unwrap().is_ok());
        assert_eq!(cut.offset(), 37 + 34);
        assert_eq!(cut.next().unwrap().unwrap_err().offset(), 37 + 34 + 34);
        assert!(cut.next().is_none() && cut.next().is_none());
        assert!(entries(b"").next().is_none());
    }
}
