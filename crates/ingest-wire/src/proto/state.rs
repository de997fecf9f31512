//! The message in which an ingester tells of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Piece, ProtocolError};
use super::message::to_go_json;

/// What an ingester tells of itself and of the ingesters behind it.
///
/// Reading is lenient: what is missing has its default, unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IngesterState {
    /// Its UUID as text.
    #[serde(rename = "UUID")]
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its label.
    pub label: String,
    /// Its address as text, empty if unknown.
    #[serde(rename = "IP")]
    pub ip: String,
    /// Its host's name.
    pub hostname: String,
    /// Entries sent.
    pub entries: u64,
    /// Bytes sent.
    pub size: u64,
    /// Nanoseconds since it started.
    pub uptime: i64,
    /// Names of its tags.
    pub tags: Vec<String>,
    /// How it caches.
    pub cache_state: String,
    /// Bytes in its cache.
    pub cache_size: u64,
    /// When it was seen last, RFC 3339 with nanoseconds.
    pub last_seen: String,
    /// The ingesters behind it, by name.
    pub children: BTreeMap<String, Self>,
    /// Its configuration, if it tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
    /// Whatever else it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

impl Default for IngesterState {
    fn default() -> Self {
        Self {
            uuid: String::new(),
            name: String::new(),
            version: String::new(),
            label: String::new(),
            ip: String::new(),
            hostname: String::new(),
            entries: 0,
            size: 0,
            uptime: 0,
            tags: Vec::new(),
            cache_state: String::new(),
            cache_size: 0,
            last_seen: "0001-01-01T00:00:00Z".to_owned(),
            children: BTreeMap::new(),
            configuration: None,
            metadata: None,
        }
    }
}

/// What [`IngesterState::to_json_within`] left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Configurations and metadata of ingesters behind this one.
    pub details: usize,
    /// Ingesters directly behind this one, with all behind them.
    pub children: usize,
}

impl IngesterState {
    /// The longest message in bytes of JSON: the protocol's limit.
    pub const MAX_LEN: usize = 1 << 20;
    /// How many ingesters behind this one stay in a message that is too long.
    pub const KEPT_CHILDREN: usize = 64;

    /// The message's JSON in so many bytes at most, as Go writes it. If it is longer,
    /// configurations and metadata of all ingesters behind this one are left out, and if that is
    /// not enough, all but the first [`IngesterState::KEPT_CHILDREN`] of them in the order of
    /// their names.
    ///
    /// # Errors
    /// [`ProtocolError::TooLong`] if it is longer all the same; [`ProtocolError::Json`], if a value
    /// cannot be written.
    pub fn to_json_within(&self, max: usize) -> Result<(String, LeftOut), ProtocolError> {
        let mut left_out = LeftOut::default();
        let mut json = self.to_json()?;
        if json.len() > max && !self.children.is_empty() {
            let mut short = self.clone();
            left_out.details = short.children.values_mut().map(Self::drop_details).sum();
            json = short.to_json()?;
            if json.len() > max && short.children.len() > Self::KEPT_CHILDREN {
                left_out.children = short.children.len() - Self::KEPT_CHILDREN;
                short.children = short.children.into_iter().take(Self::KEPT_CHILDREN).collect();
                json = short.to_json()?;
            }
        }
        if json.len() > max {
            let (len, max) = (json.len() as u64, max as u64);
            return Err(ProtocolError::TooLong { piece: Piece::StateMessage, len, max });
        }
        Ok((json, left_out))
    }

    /// Drops what can be told elsewhere, of this one and all behind it: how much there was.
    fn drop_details(&mut self) -> usize {
        let own = usize::from(self.configuration.take().is_some())
            + usize::from(self.metadata.take().is_some());
        own + self.children.values_mut().map(Self::drop_details).sum::<usize>()
    }

    /// The message's JSON, as Go writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Json`], if a value cannot be written.
    pub fn to_json(&self) -> Result<String, ProtocolError> {
        to_go_json(self, Piece::StateMessage)
    }

    /// Reads the message's JSON.
    ///
    /// # Errors
    /// [`ProtocolError::Json`] if it is not such a message.
    pub fn from_json(json: &[u8]) -> Result<Self, ProtocolError> {
        serde_json::from_slice(json).map_err(|error| ProtocolError::Json {
            piece: Piece::StateMessage,
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state with so many children, each with so much metadata and a child of its own.
    fn family(children: usize, metadata: usize) -> IngesterState {
        let details = Some(Value::String("m".repeat(metadata)));
        let grandchild = IngesterState { metadata: details.clone(), ..IngesterState::default() };
        let child = |n: usize| {
            let mut child = IngesterState { configuration: details.clone(), ..grandchild.clone() };
            child.children.insert("grandchild".to_owned(), grandchild.clone());
            (format!("child{n:03}"), child)
        };
        IngesterState {
            name: "parent".to_owned(),
            metadata: Some(Value::String("ours".to_owned())),
            children: (0..children).map(child).collect(),
            ..IngesterState::default()
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let state = family(3, 10);
        let json = state.to_json().unwrap();
        let fitted = state.to_json_within(json.len()).unwrap();
        assert_eq!(fitted, (json, LeftOut::default()));
    }

    #[test]
    fn details_of_children_go_first() {
        let state = family(100, 10_000);
        let (json, left_out) = state.to_json_within(IngesterState::MAX_LEN).unwrap();
        assert_eq!(left_out, LeftOut { details: 300, children: 0 });
        let read = IngesterState::from_json(json.as_bytes()).unwrap();
        assert_eq!((read.children.len(), &read.metadata), (100, &state.metadata));
        let behind = |state: &IngesterState| state.children["grandchild"].metadata.clone();
        let bare = |child: &IngesterState| child.metadata.is_none() && behind(child).is_none();
        assert!(read.children.values().all(bare));
    }

    #[test]
    fn then_children_go_beyond_64() {
        let (json, left_out) = family(100, 10).to_json_within(40_000).unwrap();
        assert_eq!(left_out, LeftOut { details: 300, children: 36 });
        let read = IngesterState::from_json(json.as_bytes()).unwrap();
        assert_eq!(read.children.len(), IngesterState::KEPT_CHILDREN);
        assert!(read.children.contains_key("child063") && json.len() <= 40_000);
    }

    #[test]
    fn what_never_fits_is_an_error() {
        let mut state = family(0, 0);
        state.configuration = Some(Value::String("c".repeat(IngesterState::MAX_LEN)));
        let error = state.to_json_within(IngesterState::MAX_LEN).unwrap_err();
        let piece = Piece::StateMessage;
        assert!(matches!(error, ProtocolError::TooLong { piece: p, .. } if p == piece));
        assert!(family(1, 10).to_json_within(10).is_err());
    }
}
