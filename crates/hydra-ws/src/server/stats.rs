//! What a server has done.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a server has done since it was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ServerStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters behind [`ServerStats`].
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> ServerStats {
                ServerStats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

stats! {
    /// Web sockets that are open.
    sessions_open,
    /// Web sockets that have been opened.
    sessions,
    /// HTTP requests, upgrades included.
    http_requests,
    /// HTTP requests that were not let in: host, origin or token.
    refused,
    /// Text and binary messages.
    messages,
    /// Payloads: messages and bodies that went to the ingestors.
    requests,
    /// Reports that were made. Together with those under way it is the number of requests.
    reports,
    /// Messages that were refused with a 400: neither a command nor a payload, or past a limit.
    bad_messages,
    /// Web sockets that ended without a close frame of the client.
    broken,
    /// Web sockets that were closed because the client broke the protocol.
    violations,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}
