//! Walking the entries of a record's body: headers first, the rest only of what matches.

use ingest_entry::{EntryRef, Header, Limits, ValuesRef};

/// An entry whose length is known and whose values have not been looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) header: Header,
    pub(crate) data: &'a [u8],
    stored: &'a [u8],
}

impl<'a> Raw<'a> {
    /// All of the entry; `None` if its values cannot be decoded.
    #[inline]
    pub(crate) fn entry(&self) -> Option<EntryRef<'a>> {
        if self.header.has_values() {
            return EntryRef::decode_stored(self.stored, &Limits::FORMAT)
                .ok()
                .map(|(entry, _)| entry);
        }
        let Header { ts, src, tag, .. } = self.header;
        Some(EntryRef::new(ts, src, tag, self.data))
    }
}

/// Iterator over the entries of a body. What cannot be stepped over ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawEntries<'a> {
    rest: &'a [u8],
}

impl<'a> RawEntries<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'a> Iterator for RawEntries<'a> {
    type Item = Raw<'a>;

    #[inline]
    fn next(&mut self) -> Option<Raw<'a>> {
        let (header, behind) = self.rest.split_first_chunk::<{ Header::LEN }>()?;
        let header = Header::decode(header);
        let (data, behind) = behind.split_at_checked(header.data_len())?;
        let mut len = Header::LEN + data.len();
        if header.has_values() {
            len += ValuesRef::block_len(behind.first_chunk()?, &Limits::FORMAT).ok()?;
        }
        let (stored, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Raw { header, data, stored })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::{Source, TagId, Timestamp, Values, stored};

    #[test]
    fn it_finds_what_the_full_decoder_finds() {
        let mut values = Values::new();
        values.add("k", "v").unwrap();
        let mut body = Vec::new();
        for (n, data) in [&b"one"[..], b"", b"three"].into_iter().enumerate() {
            let ts = Timestamp::from_unix_nanos(n as i64);
            let mut entry = EntryRef::new(ts, Source::NONE, TagId(n as u16), data);
            if n != 1 {
                entry.values = values.as_ref();
            }
            entry.encode_stored(&mut body).unwrap();
        }
        let full: Vec<_> = stored::entries(&body).map(Result::unwrap).collect();
        let mut raw = RawEntries::new(&body);
        let found: Vec<_> = raw.by_ref().map(|raw| raw.entry().unwrap()).collect();
        assert_eq!(found, full);
        assert!(raw.rest.is_empty());
        for cut in 0..body.len() {
            let mut raw = RawEntries::new(&body[..cut]);
            let whole = stored::entries(&body[..cut]).filter(Result::is_ok).count();
            assert_eq!(raw.by_ref().count(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn bad_values_cost_only_their_entry() {
        let mut values = Values::new();
        values.add("k", "v").unwrap();
        let mut body = Vec::new();
        for n in 0..2 {
            let mut entry =
                EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(n), &b"data"[..]);
            entry.values = values.as_ref();
            entry.encode_stored(&mut body).unwrap();
        }
        body[34 + 4 + 8] ^= 0x40; // the first value's length
        let found: Vec<_> = RawEntries::new(&body).map(|raw| raw.entry().is_some()).collect();
        assert_eq!(found, [false, true]);
    }
}
