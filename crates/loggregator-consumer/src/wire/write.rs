//! Putting a message together.

use super::{Message, Slice, Text};

/// The zigzag number of a number.
pub(crate) const fn unzigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

pub(crate) fn write_raw_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn write_varint(out: &mut Vec<u8>, tag: u32, value: u64) {
    write_raw_varint(out, u64::from(tag));
    write_raw_varint(out, value);
}

pub(crate) fn write_double(out: &mut Vec<u8>, tag: u32, value: f64) {
    write_raw_varint(out, u64::from(tag));
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn write_bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    write_varint(out, tag, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn write_message<B: Slice, M: Message<B>>(out: &mut Vec<u8>, tag: u32, message: &M) {
    write_nested(out, tag, |out| message.write(out));
}

/// Writes something in front of which its length stands.
fn write_nested(out: &mut Vec<u8>, tag: u32, write: impl FnOnce(&mut Vec<u8>)) {
    write_raw_varint(out, u64::from(tag));
    let at = out.len();
    out.push(0);
    write(out);
    let len = out.len() - at - 1;
    let mut prefix = Vec::with_capacity(10);
    write_raw_varint(&mut prefix, len as u64);
    out.splice(at..=at, prefix);
}

fn sorted<B: Slice, V>(entries: &[(Text<B>, V)]) -> Vec<&(Text<B>, V)> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    sorted
}

pub(crate) fn write_text_map<B: Slice>(
    out: &mut Vec<u8>,
    tag: u32,
    entries: &[(Text<B>, Text<B>)],
) {
    for (key, value) in sorted(entries) {
        write_nested(out, tag, |out| {
            write_bytes(out, 10, key.as_bytes());
            write_bytes(out, 18, value.as_bytes());
        });
    }
}

pub(crate) fn write_message_map<B: Slice, M: Message<B>>(
    out: &mut Vec<u8>,
    tag: u32,
    entries: &[(Text<B>, M)],
) {
    for (key, value) in sorted(entries) {
        write_nested(out, tag, |out| {
            write_bytes(out, 10, key.as_bytes());
            write_message(out, 18, value);
        });
    }
}
