//! The state that is pushed to Gravwell indexers: what the muxer knows of itself, and what its
//! user adds, children included.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use ingest_wire::IngesterState;
use tokio::sync::watch;

use crate::about::About;
use crate::lease::Leases;
use crate::sync::lock;

/// What the user of a muxer has told of it.
#[derive(Debug)]
pub(crate) struct Told {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    configuration: Option<serde_json::Value>,
    metadata: Option<serde_json::Value>,
    children: BTreeMap<String, IngesterState>,
    minimal: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

/// What destinations are told of this ingester, beside what the muxer knows by itself: the handle
/// to change it. Clones share it. A change is pushed within seconds; one that changes nothing is not
/// pushed.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub(crate) about: Arc<About>,
}

impl Announcement {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let told = &self.about.told;
        let result = change(&mut lock(&told.state));
        told.changed.send_modify(|version| *version += 1);
        result
    }

    /// Sets the configuration that is told. It must hold no secrets.
    pub fn set_configuration(&self, configuration: Option<serde_json::Value>) {
        self.change(|state| state.configuration = configuration);
    }

    /// Sets whatever else is told.
    pub fn set_metadata(&self, metadata: Option<serde_json::Value>) {
        self.change(|state| state.metadata = metadata);
    }

    /// Tells of an ingester behind this one, with all that is behind it; replaces what was told
    /// under this key.
    pub fn set_child(&self, key: impl Into<String>, child: IngesterState) {
        self.change(|state| state.children.insert(key.into(), child));
    }

    /// Says no more of an ingester behind this one.
    pub fn remove_child(&self, key: &str) {
        self.change(|state| state.children.remove(key));
    }

    /// Tells of identity and counts alone: no tags, children, configuration or metadata. For
    /// fleets of many thousands.
    pub fn set_minimal(&self, minimal: bool) {
        self.change(|state| state.minimal = minimal);
    }
}

impl Leases {
    /// The state to be pushed to this link's destination, as it is now.
    #[must_use]
    pub fn state(&self) -> IngesterState {
        let about = &self.shared.about;
        let identity = &about.identity;
        let (entries, size) = about.counts();
        let log = about.log.get().and_then(std::sync::Weak::upgrade);
        let told = lock(&about.told.state);
        let base = IngesterState {
            uuid: identity.uuid.clone(),
            name: identity.name.clone(),
            version: identity.version.clone(),
            label: identity.label.clone(),
            hostname: About::hostname(),
            entries,
            size,
            uptime: i64::try_from(about.started.elapsed().as_nanos()).unwrap_or(i64::MAX),
            cache_state: "always".to_owned(),
            cache_size: log.map_or(0, |log| log.bytes_since(lock(&self.shared.state).account.low)),
            last_seen: crate::attach::now().to_string(),
            ..IngesterState::default()
        };
        if told.minimal {
            return base;
        }
        let (tags, _) = self.shared.names.tags_from(0);
        IngesterState {
            tags: tags.into_iter().map(|(_, name)| name.as_str().to_owned()).collect(),
            children: told.children.clone(),
            configuration: told.configuration.clone(),
            metadata: told.metadata.clone(),
            ..base
        }
    }

    /// Follows what the user tells.
    pub(crate) fn told(&self) -> watch::Receiver<u64> {
        self.shared.about.told.changed.subscribe()
    }
}
