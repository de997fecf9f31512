//! Writing the JSON of a message, with the names of the protocol's files.

use std::fmt::Write as _;

use super::base64;
use crate::wire::{Enumeration, Slice, Text};

/// A message with a JSON form.
pub trait ToJson {
    /// Writes its members.
    fn members(&self, writer: &mut JsonWriter<'_>);
}

/// The JSON of a message. With `defaults` also fields of proto3 that are at their default, as the
/// gateway writes them. White space: none.
pub fn to_json<M: ToJson>(message: &M, defaults: bool) -> String {
    let mut out = Vec::new();
    let mut writer = JsonWriter { out: &mut out, defaults, first: true };
    writer.message(message);
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes values one behind the other.
#[derive(Debug)]
pub struct JsonWriter<'o> {
    out: &'o mut Vec<u8>,
    defaults: bool,
    first: bool,
}

impl JsonWriter<'_> {
    /// Whether a field is to be written that is at its default, or not.
    #[must_use]
    pub const fn wants(&self, at_default: bool) -> bool {
        self.defaults || !at_default
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    /// The name of the member whose value is next.
    pub fn key(&mut self, name: &str) {
        self.comma();
        self.text(name.as_bytes());
        self.out.push(b':');
    }

    /// A message.
    pub fn message<M: ToJson>(&mut self, message: &M) {
        self.out.push(b'{');
        self.first = true;
        message.members(self);
        self.first = false;
        self.out.push(b'}');
    }

    /// A map; keys in order.
    pub fn map<B: Slice, V>(&mut self, map: &[(Text<B>, V)], write: impl Fn(&mut Self, &V)) {
        let mut sorted: Vec<_> = map.iter().collect();
        sorted.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
        self.out.push(b'{');
        self.first = true;
        for (key, value) in sorted {
            self.comma();
            self.text(key.as_bytes());
            self.out.push(b':');
            write(self, value);
        }
        self.first = false;
        self.out.push(b'}');
    }

    /// A list.
    pub fn list<V>(&mut self, list: &[V], write: impl Fn(&mut Self, &V)) {
        self.out.push(b'[');
        self.first = true;
        for value in list {
            self.comma();
            write(self, value);
        }
        self.first = false;
        self.out.push(b']');
    }

    /// A text; what is not UTF-8 becomes replacement characters.
    pub fn text(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.out.push(b'"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.out.extend_from_slice(&[b'\\', character as u8]),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '\0'..='\x1f' => self.print(format_args!("\\u{:04x}", character as u32)),
                _ => {
                    let mut buffer = [0; 4];
                    self.out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
        self.out.push(b'"');
    }

    fn print(&mut self, arguments: std::fmt::Arguments<'_>) {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = text.write_fmt(arguments);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Bytes in base64.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        base64::encode_into(bytes, self.out);
        self.out.push(b'"');
    }

    /// A number of 64 bits: with quotes.
    pub fn signed(&mut self, number: i64) {
        self.print(format_args!("\"{number}\""));
    }

    /// A number of 64 bits: with quotes.
    pub fn unsigned(&mut self, number: u64) {
        self.print(format_args!("\"{number}\""));
    }

    /// A number of 32 bits.
    pub fn small(&mut self, number: i32) {
        self.print(format_args!("{number}"));
    }

    /// A double; what JSON has no number for is a text.
    pub fn double(&mut self, number: f64) {
        let size = number.abs();
        if number.is_nan() {
            self.out.extend_from_slice(b"\"NaN\"");
        } else if number.is_infinite() {
            let text: &[u8] = if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" };
            self.out.extend_from_slice(text);
        } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
            self.print(format_args!("{number:e}"));
        } else {
            self.print(format_args!("{number}"));
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.print(format_args!("{value}"));
    }

    /// A name, or the number if it has none.
    pub fn enumeration<E: Enumeration>(&mut self, value: E) {
        match value.name() {
            Some(name) => self.text(name.as_bytes()),
            None => self.small(value.number()),
        }
    }
}
