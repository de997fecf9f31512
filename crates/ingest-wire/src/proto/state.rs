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

impl IngesterState {
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
