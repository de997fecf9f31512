//! What a muxer tells destinations of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::Instant;

use ingest_wal::{Log, LogId};

/// Who a muxer is, as destinations are told. What is left empty gets its default: the name and
/// version of this crate, and a UUID made of the log's identity, which stays the same for the life
/// of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The ingester's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its UUID as text.
    pub uuid: String,
    /// Any text that tells it from others, for operators.
    pub label: String,
}

impl Identity {
    /// Fills in what was left empty.
    fn complete(mut self, log_id: LogId) -> Self {
        let or = |text: &mut String, default: &str| {
            if text.is_empty() {
                default.clone_into(text);
            }
        };
        or(&mut self.name, env!("CARGO_PKG_NAME"));
        or(&mut self.version, env!("CARGO_PKG_VERSION"));
        or(&mut self.uuid, &uuid(log_id));
        self
    }
}

/// The identity of a log in the form of a random UUID, which it is but for six bits.
fn uuid(LogId(mut bytes): LogId) -> String {
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Identity and counts, shared by all that tell of them.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) identity: Identity,
    pub(crate) started: Instant,
    pub(crate) log: OnceLock<Weak<Log>>,
    /// Entries handed over in this run, and the bytes of their data.
    entries: AtomicU64,
    bytes: AtomicU64,
    #[cfg(feature = "gravwell")]
    pub(crate) told: crate::told::Told,
}

impl About {
    pub(crate) fn new(identity: Identity, log_id: LogId) -> Self {
        Self {
            identity: identity.complete(log_id),
            started: Instant::now(),
            log: OnceLock::new(),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            #[cfg(feature = "gravwell")]
            told: crate::told::Told::default(),
        }
    }

    pub(crate) fn count(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// The name of this machine, as the system has it.
    pub(crate) fn hostname() -> String {
        let read = |path| std::fs::read_to_string(path).ok();
        let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
        name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default().trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_completed_and_kept() {
        let given = Identity { name: "relay".to_owned(), ..Identity::default() };
        let identity = given.complete(LogId([0xff; 16]));
        assert_eq!(identity.name, "relay");
        assert_eq!(identity.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(identity.uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let bytes = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
        assert_eq!(uuid(LogId(bytes)), "01234567-89ab-4def-8123-456789abcdef");
    }
}
