//! Memory for the bodies of records, used again when the log lets one go. A body is filled on
//! whichever thread decodes, and freed on the log's: an allocator that keeps what was freed with the
//! thread that asked for it would hold the most that was ever under way once for each of them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes that are kept for the next bodies.
const KEPT: usize = 8 * 1024 * 1024;

/// Bodies of one size that nobody uses. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    size: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Bodies {
    /// Of `size` bytes each; others are left to the allocator.
    pub(crate) fn new(size: usize) -> Self {
        Self { size, free: Arc::default() }
    }

    /// An empty body with room for `size` bytes.
    pub(crate) fn take(&self, size: usize) -> Body {
        let mut bytes = Vec::new();
        if size == self.size {
            bytes = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or(bytes);
        }
        bytes.reserve_exact(size);
        Body { bytes, home: self.clone() }
    }
}

/// One of them; its memory goes back when the last one who shares it lets go.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    home: Bodies,
}

impl Body {
    /// To be shared; and how much memory that keeps.
    pub(crate) fn share(self) -> (Bytes, usize) {
        let capacity = self.bytes.capacity();
        if capacity / 2 > self.bytes.len() {
            // It stays in memory for a while, among the newest records.
            return (Bytes::copy_from_slice(&self.bytes), self.bytes.len());
        }
        (Bytes::from_owner(self), capacity)
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.bytes.capacity() != self.home.size {
            return;
        }
        self.bytes.clear();
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if (free.len() + 1).saturating_mul(self.home.size) <= KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64 * 1024;

    fn filled(bodies: &Bodies, size: usize, byte: u8) -> Bytes {
        let mut body = bodies.take(size);
        body.bytes.resize(size, byte);
        body.share().0
    }

    #[test]
    fn what_is_let_go_is_used_again_and_never_while_it_is_used() {
        let bodies = Bodies::new(SIZE);
        let first = filled(&bodies, SIZE, 1);
        let (place, part) = (first.as_ptr(), first.slice(10..20));
        drop(first);
        let second = filled(&bodies, SIZE, 2);
        assert_eq!((&part[..], &second[..]), (&[1; 10][..], &[2; SIZE][..]));
        drop(part);
        let third = filled(&bodies, SIZE, 3);
        assert_eq!((third.as_ptr(), &third[..]), (place, &[3; SIZE][..]));
        assert_eq!(second[..], [2; SIZE]);
    }

    #[test]
    fn what_is_mostly_empty_is_copied_and_goes_back_at_once() {
        let bodies = Bodies::new(SIZE);
        let mut body = bodies.take(SIZE);
        body.bytes.extend_from_slice(b"little");
        let place = body.bytes.as_ptr();
        assert_eq!(body.share(), (Bytes::from_static(b"little"), 6));
        assert_eq!(bodies.take(SIZE).bytes.as_ptr(), place);
    }

    #[test]
    fn other_sizes_and_more_than_the_limit_are_left_to_the_allocator() {
        let bodies = Bodies::new(SIZE);
        drop(filled(&bodies, SIZE + 1, 1));
        assert!(bodies.free.lock().unwrap().is_empty());
        let many: Vec<_> = (0..2 * KEPT / SIZE).map(|_| filled(&bodies, SIZE, 1)).collect();
        drop(many);
        assert_eq!(bodies.free.lock().unwrap().len(), KEPT / SIZE);
    }
}
