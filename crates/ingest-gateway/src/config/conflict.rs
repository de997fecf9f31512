//! Listeners that want the same address.

use std::fmt;

use super::addr::ListenAddr;
use super::model::Config;

/// The transport below a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// One listener: who, over what, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// `sources.NAME` or `admin`.
    pub(crate) owner: String,
    pub(crate) protocol: Protocol,
    pub(crate) listen: ListenAddr,
}

/// All listeners of a configuration, the admin pages last.
pub(crate) fn bindings(config: &Config) -> Vec<Binding> {
    let sources = config.sources.iter().filter_map(|source| {
        Some(Binding {
            owner: super::walk::join("sources", &source.name),
            protocol: source.protocol(),
            listen: source.listen()?.clone(),
        })
    });
    let admin = config.admin.enabled.then(|| Binding {
        owner: "admin".to_owned(),
        protocol: Protocol::Tcp,
        listen: config.admin.listen.clone(),
    });
    sources.chain(admin).collect()
}

/// Each listener that surely cannot have its address, with the earlier one that has it.
pub(crate) fn conflicts(bindings: &[Binding]) -> Vec<(&Binding, &Binding)> {
    let mut found = Vec::new();
    for (index, later) in bindings.iter().enumerate() {
        let mut before = bindings.iter().take(index);
        if let Some(earlier) = before.find(|earlier| {
            earlier.protocol == later.protocol && earlier.listen.conflicts_with(&later.listen)
        }) {
            found.push((later, earlier));
        }
    }
    found
}
