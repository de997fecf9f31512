//! The wire format of protobuf: fields with a number and a type.

use crate::RejectReason;

/// Groups in groups, deeper than which a message is refused. Nothing in use has any.
const MAX_GROUPS: usize = 64;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'m> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'m [u8]),
    /// 32 bits, which no field of ours has.
    Fixed32,
    /// A group, whole: no field of ours is one.
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field<'m> {
    pub(super) number: u32,
    pub(super) wire: Wire<'m>,
    /// Where its content starts in the message; that of bytes behind their length.
    pub(super) at: usize,
}

/// The fields of a message, in order. Ends behind the first error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'m> {
    rest: &'m [u8],
    length: usize,
}

/// A field's number, and what its type says.
enum Key {
    Start(u32),
    End(u32),
    Varint(u32),
    Fixed64(u32),
    Bytes(u32),
    Fixed32(u32),
}

impl<'m> Fields<'m> {
    pub(super) fn new(message: &'m [u8]) -> Self {
        Self { rest: message, length: message.len() }
    }

    fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// At most ten bytes; bits beyond 64 are lost.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(place + 1..)?;
                return Some(value);
            }
        }
        None
    }

    fn key(&mut self) -> Option<Key> {
        let key = u32::try_from(self.varint()?).ok()?;
        let number = key >> 3;
        if number == 0 {
            return None;
        }
        Some(match key & 7 {
            0 => Key::Varint(number),
            1 => Key::Fixed64(number),
            2 => Key::Bytes(number),
            3 => Key::Start(number),
            4 => Key::End(number),
            5 => Key::Fixed32(number),
            _ => return None,
        })
    }

    /// Skips to the end of a group whose start was read.
    fn group(&mut self, number: u32) -> Option<()> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            match self.key()? {
                Key::Start(number) if open.len() < MAX_GROUPS => open.push(number),
                Key::End(number) if number == innermost => {
                    open.pop();
                }
                Key::Start(_) | Key::End(_) => return None,
                key => {
                    self.content(&key)?;
                }
            }
        }
        Some(())
    }

    #[inline]
    fn content(&mut self, key: &Key) -> Option<Wire<'m>> {
        Some(match key {
            Key::Varint(_) => Wire::Varint(self.varint()?),
            Key::Fixed64(_) => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            Key::Bytes(_) => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            Key::Fixed32(_) => {
                self.take(4)?;
                Wire::Fixed32
            }
            Key::Start(number) => {
                self.group(*number)?;
                Wire::Group
            }
            Key::End(_) => return None,
        })
    }

    fn field(&mut self) -> Option<Field<'m>> {
        let key = self.key()?;
        let start = self.length - self.rest.len();
        let wire = self.content(&key)?;
        let at = match wire {
            Wire::Bytes(bytes) => self.length - self.rest.len() - bytes.len(),
            _ => start,
        };
        let (Key::Start(number)
        | Key::End(number)
        | Key::Varint(number)
        | Key::Fixed64(number)
        | Key::Bytes(number)
        | Key::Fixed32(number)) = key;
        Some(Field { number, wire, at })
    }
}

impl<'m> Iterator for Fields<'m> {
    type Item = Result<Field<'m>, RejectReason>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(RejectReason::BadProtobuf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Option<Vec<Field<'_>>> {
        Fields::new(message).collect::<Result<_, _>>().ok()
    }

    #[test]
    fn fields_of_all_types() {
        let message =
            b"\x08\x96\x01\x11\x01\0\0\0\0\0\0\0\x1a\x02ab\x23\x2b\x08\x01\x2c\x24\x2d\0\0\0\0";
        let field = |number, wire, at| Field { number, wire, at };
        let expected = vec![
            field(1, Wire::Varint(150), 1),
            field(2, Wire::Fixed64(1), 4),
            field(3, Wire::Bytes(b"ab"), 14),
            field(4, Wire::Group, 17),
            field(5, Wire::Fixed32, 23),
        ];
        assert_eq!(read(message), Some(expected));
        assert_eq!(read(b""), Some(vec![]));
        let long = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(read(long), Some(vec![field(1, Wire::Varint(u64::MAX), 1)]));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for message in [
            &b"\x08"[..],
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x02\0",
            b"\x0e",
            b"\x0f",
            b"\x0c",
            b"\x0b",
            b"\x0b\x14",
            b"\x0b\x08",
            b"\x11\0\0\0\0\0\0\0",
            b"\x0d\0\0\0",
            b"\x0a\x01",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            b"\x88\x80\x80\x80\x80\x01\0",
        ] {
            assert_eq!(read(message), None, "{message:x?}");
        }
        let deep = |depth| [b"\x0b".repeat(depth), b"\x0c".repeat(depth)].concat();
        assert!(read(&deep(MAX_GROUPS)).is_some());
        assert_eq!(read(&deep(MAX_GROUPS + 1)), None);
    }
}
