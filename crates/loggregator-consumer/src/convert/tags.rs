//! Tags of an envelope that is being made.

use bytes::Bytes;

use crate::v2::{self, ValueData};
use crate::wire::Text;

pub(super) type Tags = Vec<(Text, Text)>;

pub(super) fn set(tags: &mut Tags, key: &str, value: impl Into<Text>) {
    let value = value.into();
    match tags.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value,
        None => tags.push((key.into(), value)),
    }
}

pub(super) fn take(tags: &mut Tags, key: &str) -> Option<Text> {
    let at = tags.iter().position(|(known, _)| *known == key)?;
    Some(tags.remove(at).1)
}

pub(super) fn copy(bytes: &[u8]) -> Text {
    Text::new(Bytes::copy_from_slice(bytes))
}

/// All tags as texts; those with types where there is no other of the name.
pub(super) fn all_of(envelope: &v2::Envelope) -> Tags {
    let mut tags = envelope.tags.clone();
    for (key, value) in &envelope.deprecated_tags {
        if tags.iter().any(|(known, _)| known == key) {
            continue;
        }
        let text = match &value.data {
            Some(ValueData::Text(text)) => text.clone(),
            Some(ValueData::Integer(number)) => number.to_string().into(),
            Some(ValueData::Decimal(number)) => number.to_string().into(),
            None => continue,
        };
        tags.push((key.clone(), text));
    }
    tags
}
