//! Little-endian numbers out of bytes.

use ingest_entry::Timestamp;

/// Takes fixed-size fields from the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn time(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_wire(self.i64()?, self.u32()?))
    }
}

/// The lowest and the highest of some times (normalized); at first none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) min: Timestamp,
    pub(super) max: Timestamp,
}

impl Span {
    pub(super) const EMPTY: Self = Self { min: Timestamp::MAX, max: Timestamp::MIN };

    #[inline]
    pub(super) fn add(&mut self, time: Timestamp) {
        if time < self.min {
            self.min = time;
        }
        if time > self.max {
            self.max = time;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        for time in [self.min, self.max] {
            out.extend_from_slice(&time.wire_seconds().to_le_bytes());
            out.extend_from_slice(&time.nanos().to_le_bytes());
        }
    }

    pub(super) fn take(input: &mut Input<'_>) -> Option<Self> {
        Some(Self { min: input.time()?, max: input.time()? })
    }
}

/// The lowest and the highest of some arrivals, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrivals {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Arrivals {
    pub(super) const EMPTY: Self = Self { min: i64::MAX, max: i64::MIN };

    pub(super) fn add(&mut self, arrival: i64) {
        self.min = self.min.min(arrival);
        self.max = self.max.max(arrival);
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.min.to_le_bytes());
        out.extend_from_slice(&self.max.to_le_bytes());
    }

    pub(super) fn take(input: &mut Input<'_>) -> Option<Self> {
        Some(Self { min: input.i64()?, max: input.i64()? })
    }
}
