//! The LOCK file: who holds the directory, which log it is, and how far it is durable.

use super::bytes::{Fixed, Input};
use crate::{LogId, Lsn};

/// Length of the file in bytes.
pub(crate) const LOCK_LEN: usize = 64;
/// Offset of the synced LSN and its checksum, 12 bytes, rewritten after each sync.
pub(crate) const SYNCED_AT: u64 = 40;
const MAGIC: [u8; 8] = *b"INGLOCK\n";

/// What the LOCK file says. Each half has a checksum of its own: a torn or damaged one is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct LockFile {
    /// Process that holds (or held) the lock, and the log's identity.
    pub(crate) holder: Option<(u32, LogId)>,
    /// Highest LSN that was durable when it was written.
    pub(crate) synced: Option<Lsn>,
}

impl LockFile {
    /// The whole file.
    pub(crate) fn encode(pid: u32, log_id: LogId, synced: Lsn) -> [u8; LOCK_LEN] {
        let mut out = Fixed::<LOCK_LEN>::new();
        out.put(&MAGIC).put(&pid.to_le_bytes()).put(&[0; 4]).put(&log_id.0);
        let crc = crc32c::crc32c(out.filled());
        out.put(&crc.to_le_bytes()).put(&[0; 4]);
        out.put(&Self::encode_synced(log_id, synced)).put(&[0; 12]);
        out.finish()
    }

    /// The 12 bytes at [`SYNCED_AT`].
    pub(crate) fn encode_synced(log_id: LogId, synced: Lsn) -> [u8; 12] {
        let mut out = Fixed::<12>::new();
        out.put(&synced.to_le_bytes());
        let crc = Self::synced_crc(log_id, synced);
        out.put(&crc.to_le_bytes());
        out.finish()
    }

    fn synced_crc(log_id: LogId, synced: Lsn) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&log_id.0), &synced.to_le_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let holder = Self::holder(bytes);
        // The synced LSN is bound to the log by its checksum, so it needs the id.
        let synced = holder.and_then(|(_, log_id)| {
            let mut input = Input::new(bytes.get(SYNCED_AT as usize..)?);
            let synced = input.u64()?;
            (input.u32()? == Self::synced_crc(log_id, synced)).then_some(synced)
        });
        Self { holder, synced }
    }

    fn holder(bytes: &[u8]) -> Option<(u32, LogId)> {
        let mut input = Input::new(bytes);
        if input.take(8)? != MAGIC {
            return None;
        }
        let pid = input.u32()?;
        input.u32()?;
        let log_id = LogId(input.id()?);
        (input.u32()? == crc32c::crc32c(bytes.get(..32)?)).then_some((pid, log_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_round_trips_and_damage_is_seen() {
        let id = LogId([3; 16]);
        let bytes = LockFile::encode(42, id, 99);
        let whole = LockFile { holder: Some((42, id)), synced: Some(99) };
        assert_eq!(LockFile::decode(&bytes), whole);
        let (mut holder_bad, mut synced_bad) = (bytes, bytes);
        holder_bad[9] ^= 1;
        synced_bad[41] ^= 1;
        assert_eq!(LockFile::decode(&holder_bad), LockFile::default());
        assert_eq!(LockFile::decode(&synced_bad), LockFile { synced: None, ..whole });
        assert_eq!(LockFile::decode(b""), LockFile::default());
        let mut updated = bytes;
        updated[40..52].copy_from_slice(&LockFile::encode_synced(id, 100));
        assert_eq!(LockFile::decode(&updated), LockFile { synced: Some(100), ..whole });
    }
}
