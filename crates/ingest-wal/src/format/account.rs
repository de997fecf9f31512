//! What a finished segment held, and the seal record that says so at its end.

use super::bytes::Input;
use super::void::Missing;
use crate::Lsn;

/// Length of what stands at the very end of a sealed file: the length of the seal record and a
/// magic, by which the record is found from behind.
pub(crate) const SEAL_FOOTER_LEN: u64 = 16;
const FOOTER_MAGIC: [u8; 8] = *b"SEALED\r\n";
const FLAG_CLEAN: u32 = 1;
const FLAG_MISSING: u32 = 2;

/// The account of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Account {
    /// Entries in valid records.
    pub entries: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// LSN of the first entry (equal to `end` when there is none).
    pub start: Lsn,
    /// LSN after the last entry.
    pub end: Lsn,
    /// Earliest arrival, nanoseconds since the Unix epoch; 0 without entries.
    pub min_arrival: i64,
    /// Latest arrival, nanoseconds since the Unix epoch; 0 without entries.
    pub max_arrival: i64,
    /// Offsets of the definitions records, so that names are found without a scan.
    pub definitions: Vec<u64>,
    /// What the log's user wanted to be kept with the segment; opaque.
    pub summary: Vec<u8>,
}

impl Account {
    /// An account of nothing, for a segment whose first LSN is `first`.
    pub(crate) fn empty(first: Lsn) -> Self {
        Self { start: first, end: first, ..Self::default() }
    }

    /// Counts a record of entries.
    pub(crate) fn add(&mut self, first: Lsn, count: u16, body_len: u32, arrival: i64) {
        if self.entries == 0 {
            self.start = first;
            self.min_arrival = arrival;
            self.max_arrival = arrival;
        }
        self.entries += u64::from(count);
        self.bytes += u64::from(body_len);
        self.end = self.end.max(first.saturating_add(u64::from(count)));
        self.min_arrival = self.min_arrival.min(arrival);
        self.max_arrival = self.max_arrival.max(arrival);
    }

    /// Counts a record of entries no more, and none behind it: they stand elsewhere.
    pub(crate) fn take_back(&mut self, first: Lsn, count: u16, body_len: u32) {
        self.entries = self.entries.saturating_sub(u64::from(count));
        self.bytes = self.bytes.saturating_sub(u64::from(body_len));
        self.end = self.end.min(first).max(self.start);
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for n in [self.entries, self.bytes, self.start, self.end] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&self.min_arrival.to_le_bytes());
        out.extend_from_slice(&self.max_arrival.to_le_bytes());
        let count = u32::try_from(self.definitions.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(self.summary.len()).unwrap_or(0);
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        for offset in self.definitions.iter().take(count as usize) {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out.extend_from_slice(self.summary.get(..len as usize).unwrap_or_default());
    }

    pub(crate) fn take(input: &mut Input<'_>) -> Option<Self> {
        let mut account = Self {
            entries: input.u64()?,
            bytes: input.u64()?,
            start: input.u64()?,
            end: input.u64()?,
            min_arrival: input.i64()?,
            max_arrival: input.i64()?,
            ..Self::default()
        };
        let count = input.u32()?;
        let len = input.u32()?;
        for _ in 0..count {
            account.definitions.push(input.u64()?);
        }
        account.summary = input.take(len as usize)?.to_vec();
        Some(account)
    }
}

/// Body of a seal record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Highest durable LSN when the seal was written.
    pub(crate) synced: Lsn,
    /// The next LSN to be given.
    pub(crate) next: Lsn,
    /// The log was closed in order after this record.
    pub(crate) clean: bool,
    pub(crate) void_total: u64,
    pub(crate) unwitnessed_total: u64,
    pub(crate) damaged_total: u64,
    pub(crate) account: Account,
    /// Ranges that the totals count: the newest that were known.
    pub(crate) missing: Vec<Missing>,
}

impl Seal {
    /// Encodes the body, padded so that the footer ends the record and the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + self.account.summary.len());
        let totals = [self.void_total, self.unwitnessed_total, self.damaged_total];
        for n in [self.synced, self.next].into_iter().chain(totals) {
            out.extend_from_slice(&n.to_le_bytes());
        }
        let mut flags = if self.clean { FLAG_CLEAN } else { 0 };
        if !self.missing.is_empty() {
            flags |= FLAG_MISSING;
        }
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        self.account.put(&mut out);
        if !self.missing.is_empty() {
            Missing::put_list(&self.missing, &mut out);
        }
        out.resize(out.len().next_multiple_of(8), 0);
        let record_len = super::RECORD_HEADER_LEN + out.len() as u64 + SEAL_FOOTER_LEN;
        out.extend_from_slice(&record_len.to_le_bytes());
        out.extend_from_slice(&FOOTER_MAGIC);
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut input = Input::new(body);
        let synced = input.u64()?;
        let next = input.u64()?;
        let void_total = input.u64()?;
        let unwitnessed_total = input.u64()?;
        let damaged_total = input.u64()?;
        let flags = input.u32()?;
        let clean = flags & FLAG_CLEAN != 0;
        input.u32()?;
        let account = Account::take(&mut input)?;
        let missing = match flags & FLAG_MISSING {
            0 => Vec::new(),
            _ => Missing::take_list(&mut input)?,
        };
        Some(Self {
            synced,
            next,
            clean,
            void_total,
            unwitnessed_total,
            damaged_total,
            account,
            missing,
        })
    }
}

/// Reads the footer of a sealed file: the length of the seal record before it.
pub(crate) fn seal_footer(bytes: &[u8]) -> Option<u64> {
    let mut input = Input::new(bytes);
    let len = input.u64()?;
    (input.take(8)? == FOOTER_MAGIC).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MissingCause;

    #[test]
    fn seal_round_trips_and_is_found_from_behind() {
        let mut account = Account::empty(10);
        account.add(10, 2, 33, 500);
        account.add(12, 1, 7, 400);
        account.definitions = vec![64, 112];
        account.summary = b"abc".to_vec();
        let seal = Seal {
            synced: 12,
            next: 13,
            clean: true,
            void_total: 4,
            unwitnessed_total: 5,
            damaged_total: 6,
            account,
            missing: Vec::new(),
        };
        let range = Missing { range: 3..5, cause: MissingCause::Damaged };
        let listed = Seal { missing: vec![range], ..seal.clone() };
        let body = listed.encode();
        assert_eq!(body.len() % 8, 0);
        assert_eq!(Seal::decode(&body), Some(listed));
        let body = seal.encode();
        assert_eq!(body.len() % 8, 0);
        assert_eq!(Seal::decode(&body), Some(seal));
        let footer = &body[body.len() - SEAL_FOOTER_LEN as usize..];
        assert_eq!(seal_footer(footer), Some(48 + body.len() as u64));
        for cut in 0..body.len() - 24 {
            assert_eq!(Seal::decode(&body[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn an_account_spans_its_records() {
        let mut account = Account::empty(3);
        assert_eq!((account.start, account.end), (3, 3));
        account.add(5, 2, 10, -7);
        assert_eq!((account.start, account.end, account.entries), (5, 7, 2));
        assert_eq!((account.min_arrival, account.max_arrival), (-7, -7));
    }
}
