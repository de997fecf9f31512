//! What a text of an owned message is kept as.

use bytes::Bytes;

/// How many bytes are copied rather than shared: a GUID and a little more. Counting one more holder
/// of a buffer, and one less in the end, costs more than to copy so few.
const SHORT: usize = 38;

/// The bytes of a text: a copy, if they are few, or a part of the buffer that they came in.
#[derive(Clone, Default)]
pub struct Kept(Inner);

#[derive(Clone, Default)]
enum Inner {
    #[default]
    Empty,
    /// The first so many of the bytes.
    Short(u8, [u8; SHORT]),
    Shared(Bytes),
}

impl Kept {
    /// Becomes the `len` bytes of `source` from `at`; nothing if they are not all there.
    ///
    /// In place: what is moved right after it was written in other pieces makes a processor wait.
    #[inline]
    pub(super) fn become_part(&mut self, source: &Bytes, at: usize, len: usize) {
        let rest = source.get(at..).unwrap_or_default();
        if len <= SHORT {
            // A copy of a fixed length is a few moves; what is behind the text does not count.
            if let Some(all) = rest.first_chunk::<SHORT>() {
                self.0 = Inner::Short(len as u8, *all);
            } else {
                *self = rest.get(..len).map_or_else(Self::default, Self::short);
            }
        } else if len <= rest.len() {
            self.0 = Inner::Shared(source.slice(at..at + len));
        } else {
            self.0 = Inner::Empty;
        }
    }

    fn short(bytes: &[u8]) -> Self {
        let mut copy = [0; SHORT];
        match copy.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self(Inner::Short(bytes.len() as u8, copy))
            }
            None => Self(Inner::Shared(Bytes::copy_from_slice(bytes))),
        }
    }
}

impl From<Bytes> for Kept {
    fn from(bytes: Bytes) -> Self {
        if bytes.len() <= SHORT { Self::short(&bytes) } else { Self(Inner::Shared(bytes)) }
    }
}

impl From<Kept> for Bytes {
    fn from(kept: Kept) -> Self {
        match kept.0 {
            Inner::Shared(bytes) => bytes,
            _ => Self::copy_from_slice(kept.as_ref()),
        }
    }
}

impl AsRef<[u8]> for Kept {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Inner::Empty => &[],
            Inner::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Inner::Shared(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_is_the_bytes_of_the_part() {
        let source: Bytes = (0..=255).collect::<Vec<u8>>().into();
        for len in 0..=SHORT + 2 {
            for at in [0, 1, 100, 256 - len] {
                let expected = &source[at..at + len];
                let mut kept = Kept::default();
                kept.become_part(&source, at, len);
                assert_eq!(kept.as_ref(), expected, "{at} {len}");
                assert_eq!(Bytes::from(kept), expected);
                assert_eq!(Kept::from(source.slice(at..at + len)).as_ref(), expected);
            }
            for at in [257 - len, usize::MAX] {
                let mut kept = Kept::from(source.clone());
                kept.become_part(&source, at, len);
                assert_eq!(kept.as_ref(), b"");
            }
        }
        assert_eq!(size_of::<Kept>(), 40);
    }
}
