//! Memory for large bodies that a reader reads from files, used again when they are let go: fresh
//! memory from the system costs more than the copying into it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Smaller bodies are left to the allocator.
const LARGE: usize = 64 * 1024;
/// Larger ones as well: they are rare, and would keep much.
const LARGEST: usize = 1024 * 1024;
/// Bytes that are kept for the next ones.
const KEPT: usize = 4 * 1024 * 1024;

/// Buffers that nobody uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A copy of `body`.
    pub(crate) fn copy(&self, body: &[u8]) -> Bytes {
        if !(LARGE..=LARGEST).contains(&body.len()) {
            return Bytes::copy_from_slice(body);
        }
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = buffer.take().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(body);
        Bytes::from_owner(Lent { bytes, home: self.clone() })
    }
}

/// Goes back when the last one who shares it lets go.
struct Lent {
    bytes: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = free.iter().map(Vec::capacity).sum();
        if kept + self.bytes.capacity() <= KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_is_used_again_and_never_while_it_is_used() {
        let buffers = Buffers::default();
        let body = |byte: u8, len: usize| vec![byte; len];
        let first = buffers.copy(&body(1, LARGE));
        let part = first.slice(10..20);
        drop(first);
        let second = buffers.copy(&body(2, LARGE));
        assert_eq!((&part[..], &second[..]), (&[1; 10][..], &body(2, LARGE)[..]));
        let place = second.as_ptr();
        drop(second);
        let third = buffers.copy(&body(3, LARGE));
        assert_eq!((third.as_ptr(), &third[..]), (place, &body(3, LARGE)[..]));
        assert_eq!(&part[..], [1; 10]);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..100).map(|_| buffers.copy(&vec![1; LARGE * 2])).collect();
        drop(many);
        let kept: usize = buffers.0.lock().unwrap().iter().map(Vec::capacity).sum();
        assert!(kept > KEPT / 2 && kept <= KEPT, "{kept}");
    }
}
