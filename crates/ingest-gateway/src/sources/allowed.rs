//! Which networks may connect to a source, or send it datagrams.

use std::net::IpAddr;

use super::RejectLog;
use crate::config::SourceConfig;
use crate::units::Network;

/// The reason in log lines and counts.
pub(crate) const NOT_ALLOWED: &str = "not_allowed";

/// The networks that a source takes something from, and who was sent away.
#[derive(Debug)]
pub(crate) struct Allowed {
    networks: Vec<Network>,
    strangers: RejectLog,
}

impl Allowed {
    pub(crate) fn of(source: &SourceConfig) -> Self {
        let strangers = RejectLog::new(&source.name, vec![NOT_ALLOWED]);
        Self { networks: source.allow.clone(), strangers }
    }

    /// Whether somebody may connect, or send. Who has no address is on this machine.
    pub(crate) fn has(&self, peer: Option<IpAddr>) -> bool {
        let is_in = |peer| self.networks.iter().any(|network| network.contains(peer));
        self.networks.is_empty() || peer.is_none_or(is_in)
    }

    /// Says, not too often, that a connection is closed unread.
    pub(crate) fn note_connection(&self, peer: Option<IpAddr>) {
        self.strangers.note_connection(0, peer, &"its address is not in `allow`");
    }

    /// Says, not too often, that a datagram is not looked at.
    pub(crate) fn note_datagram(&self, peer: Option<IpAddr>) {
        self.strangers.note(0, peer, None, b"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn allowed(networks: &[&str]) -> Allowed {
        let mut source = Config::default().sources.remove(0);
        source.allow = networks.iter().map(|network| network.parse().unwrap()).collect();
        Allowed::of(&source)
    }

    #[test]
    fn only_the_networks_named_are_let_in() {
        let peer = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let some = allowed(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]);
        for friend in ["10.255.0.1", "::ffff:10.0.0.1", "192.0.2.7", "2001:db8::1"] {
            assert!(some.has(peer(friend)), "{friend}");
        }
        for stranger in ["11.0.0.1", "192.0.2.8", "::1", "127.0.0.1", "2001:db9::1"] {
            assert!(!some.has(peer(stranger)), "{stranger}");
        }
        assert!(some.has(None), "a unix socket has file permissions");
        assert!(allowed(&[]).has(peer("203.0.113.1")));
    }
}
