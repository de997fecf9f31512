//! The ingesters behind a source: who they are, and what they last said of themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ingest_mux::Announcement;
use ingest_wire::IngesterState;
use serde::Serialize;

/// Most ingesters that are remembered; those that left longest ago are forgotten first.
const MAX_CHILDREN: usize = 1024;
/// Most ingesters behind an ingester that are named.
const MAX_NAMES: usize = 64;
/// The longest text that is kept of what an ingester says, in bytes.
const MAX_TEXT: usize = 256;
/// What an ingester says is told upward in so many bytes of JSON at most.
const MAX_TOLD: usize = 16 << 10;

/// What is known of one ingester; its JSON is part of `/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Child {
    /// Its name, as it says.
    pub name: String,
    /// Its version, as it says.
    pub version: String,
    /// Its UUID, as it says.
    pub uuid: String,
    /// Its label, as it says.
    pub label: String,
    /// Its host, as it says.
    pub hostname: String,
    /// Where its newest connection comes from.
    pub peer: String,
    /// The tenant that it named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// The version of the protocol that it speaks; 3 stands for all that do not say.
    pub protocol: u16,
    /// Connections that are open now.
    pub connections: u64,
    /// Entries that it says it has sent, wherever to.
    pub entries: u64,
    /// Bytes that it says it has sent.
    pub size: u64,
    /// Seconds that it says it has run.
    pub uptime_seconds: f64,
    /// How many tags it says it has.
    pub tags: usize,
    /// Bytes that it says are in its cache.
    pub cache_size: u64,
    /// Seconds since it last connected, said how it is, or left.
    pub seen_seconds_ago: f64,
    /// Names of the ingesters behind it, 64 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
}

#[derive(Debug)]
struct Known {
    child: Child,
    seen: Instant,
}

/// The ingesters of a source, bounded. What they say goes on to the indexers, as of those behind us.
#[derive(Debug, Default)]
pub struct Children {
    known: Mutex<BTreeMap<String, Known>>,
    upward: OnceLock<Announcement>,
}

/// Who a connection belongs to, as far as it has said.
#[derive(Clone, Debug)]
pub(crate) struct Introduction<'a> {
    pub(crate) identity: Option<&'a ingest_wire::Identity>,
    pub(crate) tenant: Option<&'a [u8]>,
    pub(crate) protocol: u16,
    pub(crate) peer: IpAddr,
}

impl Introduction<'_> {
    /// Its UUID, or where it comes from.
    fn key(&self) -> String {
        match self.identity {
            Some(identity) if !identity.uuid.is_empty() => cut(&identity.uuid),
            _ => self.peer.to_string(),
        }
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

impl Children {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what they say is told to the indexers too.
    pub(crate) fn tell(&self, upward: Announcement) {
        let _ = self.upward.set(upward);
    }

    /// A connection has said who it is: the key for [`Children::left`].
    pub(crate) fn came(&self, who: &Introduction<'_>) -> String {
        let key = who.key();
        let mut known = self.lock();
        if !known.contains_key(&key) && known.len() >= MAX_CHILDREN {
            forget_one(&mut known);
        }
        if known.len() < MAX_CHILDREN || known.contains_key(&key) {
            let now = Instant::now();
            let entry = known
                .entry(key.clone())
                .or_insert_with(|| Known { child: Child::default(), seen: now });
            entry.seen = now;
            let child = &mut entry.child;
            child.connections += 1;
            child.peer = who.peer.to_string();
            child.protocol = who.protocol;
            child.tenant = cut(&String::from_utf8_lossy(who.tenant.unwrap_or_default()));
            if let Some(identity) = who.identity {
                child.name = cut(&identity.name);
                child.version = cut(&identity.version);
                child.uuid = cut(&identity.uuid);
            }
        }
        key
    }

    /// What it says of itself.
    pub(crate) fn said(&self, key: &str, state: &IngesterState) {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(key) else { return };
        entry.seen = Instant::now();
        let child = &mut entry.child;
        for (place, text) in [
            (&mut child.name, &state.name),
            (&mut child.version, &state.version),
            (&mut child.uuid, &state.uuid),
            (&mut child.label, &state.label),
            (&mut child.hostname, &state.hostname),
        ] {
            if !text.is_empty() {
                *place = cut(text);
            }
        }
        child.entries = state.entries;
        child.size = state.size;
        child.uptime_seconds = u64::try_from(state.uptime)
            .map_or(0.0, |nanos| Duration::from_nanos(nanos).as_secs_f64());
        child.tags = state.tags.len();
        child.cache_size = state.cache_size;
        child.children = state.children.keys().take(MAX_NAMES).map(|name| cut(name)).collect();
        let told = self.upward.get().map(|upward| (upward, told(state, &child.peer)));
        drop(known);
        if let Some((upward, told)) = told {
            upward.set_child(key, told);
        }
    }

    /// A connection has ended.
    pub(crate) fn left(&self, key: &str) {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(key) else { return };
        entry.seen = Instant::now();
        entry.child.connections = entry.child.connections.saturating_sub(1);
        let is_gone = entry.child.connections == 0;
        drop(known);
        if is_gone && let Some(upward) = self.upward.get() {
            upward.remove_child(key);
        }
    }

    /// All that are known, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Child> {
        let mut children: Vec<Child> = self
            .lock()
            .values()
            .map(|known| Child {
                seen_seconds_ago: known.seen.elapsed().as_secs_f64(),
                ..known.child.clone()
            })
            .collect();
        children.sort_by(|a, b| (&a.name, &a.uuid, &a.peer).cmp(&(&b.name, &b.uuid, &b.peer)));
        children
    }
}

/// What is told upward of an ingester: what it says, with its address. Of one that says too much its
/// configuration, its metadata, its tags and those behind it are left out.
fn told(state: &IngesterState, peer: &str) -> IngesterState {
    let ip = if state.ip.is_empty() { peer } else { &state.ip };
    let whole = IngesterState { ip: cut(ip), ..state.clone() };
    if whole.to_json().is_ok_and(|json| json.len() <= MAX_TOLD) {
        return whole;
    }
    IngesterState {
        uuid: cut(&state.uuid),
        name: cut(&state.name),
        version: cut(&state.version),
        label: cut(&state.label),
        hostname: cut(&state.hostname),
        cache_state: cut(&state.cache_state),
        last_seen: cut(&state.last_seen),
        tags: Vec::new(),
        children: BTreeMap::new(),
        configuration: None,
        metadata: None,
        ..whole
    }
}

/// Forgets the one that left longest ago, if any has left.
fn forget_one(known: &mut BTreeMap<String, Known>) {
    let gone = known.iter().filter(|(_, known)| known.child.connections == 0);
    if let Some(key) = gone.min_by_key(|(_, known)| known.seen).map(|(key, _)| key.clone()) {
        known.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(last: u8) -> Introduction<'static> {
        Introduction {
            identity: None,
            tenant: None,
            protocol: 3,
            peer: IpAddr::from([10, 0, last, 1]),
        }
    }

    #[test]
    fn what_is_said_is_kept_and_cut() {
        let children = Children::default();
        let key = children.came(&who(1));
        let state = IngesterState {
            name: "é".repeat(MAX_TEXT),
            entries: 7,
            uptime: 1_500_000_000,
            ..IngesterState::default()
        };
        children.said(&key, &state);
        children.left(&key);
        let list = children.list();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].name.len(), MAX_TEXT);
        assert_eq!((list[0].entries, list[0].connections), (7, 0));
        assert!((list[0].uptime_seconds - 1.5).abs() < 1e-9);
        assert_eq!(list[0].peer, "10.0.1.1");
    }

    #[test]
    fn too_much_is_not_told_upward() {
        let mut state = IngesterState { name: "a".into(), entries: 5, ..IngesterState::default() };
        state.tags = vec!["t".repeat(100)];
        assert_eq!(told(&state, "10.0.0.1").tags, state.tags);
        assert_eq!(told(&state, "10.0.0.1").ip, "10.0.0.1");
        state.tags = vec!["t".repeat(100); 200];
        state.ip = "10.0.0.2".into();
        let cut = told(&state, "10.0.0.1");
        assert_eq!((cut.tags.len(), cut.entries, &*cut.ip, &*cut.name), (0, 5, "10.0.0.2", "a"));
        assert!(cut.to_json().unwrap().len() < MAX_TOLD);
    }

    #[test]
    fn who_left_first_is_forgotten_first() {
        let children = Children::default();
        let peers: Vec<_> = (0..=MAX_CHILDREN)
            .map(|n| Introduction {
                peer: IpAddr::from([10, 1, (n >> 8) as u8, (n & 0xff) as u8]),
                ..who(0)
            })
            .collect();
        let keys: Vec<_> = peers.iter().take(MAX_CHILDREN).map(|p| children.came(p)).collect();
        children.left(&keys[5]);
        children.left(&keys[3]);
        children.came(&peers[MAX_CHILDREN]);
        let list = children.list();
        assert_eq!(list.len(), MAX_CHILDREN);
        assert!(!list.iter().any(|child| child.peer == keys[5]), "it left first");
        assert!(list.iter().any(|child| child.peer == keys[3]));
    }
}
