//! Two connections that give the same envelopes for a while, without a shard: each is passed on as
//! often as the connection that has it more often, and nothing outside of the overlap is compared.

use std::collections::HashMap;

use tokio::time::Instant;

/// How many envelopes are compared at most; beyond that everything is passed on.
const MOST: usize = 1 << 20;

/// Counts of what each of two connections gave since the younger was asked for.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    counts: HashMap<u128, [u32; 2]>,
    /// Both gave one of the envelopes: the older one had not only what was on its way before the
    /// younger was made.
    caught_up: bool,
    /// There were other connections before, whose counts are among these.
    again: bool,
    /// When one of the two has ended: until when the other may bring what that had given.
    until: Option<Instant>,
}

impl Overlap {
    /// Whether an envelope of the connection in a slot is one that the other did not give before.
    pub(crate) fn is_new(&mut self, slot: usize, digest: u128) -> bool {
        if self.counts.len() >= MOST && !self.counts.contains_key(&digest) {
            return true;
        }
        let counts = self.counts.entry(digest).or_default();
        let before = counts.iter().copied().max().unwrap_or(0);
        let own = counts.get_mut(slot % 2);
        let new = own.is_none_or(|own| {
            *own = own.saturating_add(1);
            *own > before
        });
        self.caught_up |= !new;
        new
    }

    /// One of the two has ended.
    pub(crate) const fn end(&mut self, until: Instant) {
        self.until = Some(until);
    }

    /// Another connection takes the place of the one that has ended.
    pub(crate) const fn again(&mut self) {
        (self.until, self.again, self.caught_up) = (None, true, false);
    }

    /// Whether the other connection has brought all that the one had that has ended.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Whether the older connection has certainly given all that was sent before the younger was
    /// made.
    pub(crate) const fn is_caught_up(&self) -> bool {
        self.caught_up && !self.again
    }
}

/// A digest of an envelope's encoding.
pub(crate) fn digest(bytes: &[u8]) -> u128 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_passed_on_as_often_as_the_better_connection_has_it() {
        let mut overlap = Overlap::default();
        // The first gives a, a, b; the second a, b, b, c.
        let given = [(0, 1), (0, 1), (1, 1), (1, 2), (0, 2), (1, 2), (1, 3)];
        let new: Vec<_> = given.iter().map(|(c, d)| overlap.is_new(*c, *d)).collect();
        assert_eq!(new, [true, true, false, true, false, true, true]);
    }
}
