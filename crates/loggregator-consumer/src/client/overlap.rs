//! Two connections that give the same envelopes for a while, without a shard: each is passed on as
//! often as the connection that has it more often, and nothing outside of the overlap is compared.

use std::collections::HashMap;

/// How many envelopes are compared at most; beyond that everything is passed on.
const MOST: usize = 1 << 20;

/// Counts of what each connection gave since both were open.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    counts: HashMap<u128, [u32; 2]>,
}

impl Overlap {
    /// Whether an envelope of a connection is one that the other did not give before.
    pub(crate) fn is_new(&mut self, connection: usize, digest: u128) -> bool {
        if self.counts.len() >= MOST && !self.counts.contains_key(&digest) {
            return true;
        }
        let counts = self.counts.entry(digest).or_default();
        let before = counts.iter().copied().max().unwrap_or(0);
        let own = counts.get_mut(connection % 2);
        own.is_none_or(|own| {
            *own = own.saturating_add(1);
            *own > before
        })
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
