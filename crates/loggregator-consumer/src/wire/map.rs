//! Maps as lists of pairs.

use std::collections::HashMap;

use super::{Slice, Text};

/// Up to here comparing each with each is quicker than a table.
const FEW: usize = 16;

/// Whether the keys differ at a glance, in their lengths and some of their bytes.
fn all_differ<B: Slice, V>(entries: &[(Text<B>, V)]) -> bool {
    // A bit for each of 256 kinds of key.
    let mut seen = [0_u64; 4];
    entries.iter().all(|(key, _)| {
        let key = key.as_bytes();
        let byte = |at: usize| key.get(at).map_or(0, |byte| usize::from(*byte));
        let kind = key.len() * 37
            + byte(0) * 11
            + byte(key.len() / 2) * 5
            + byte(key.len().saturating_sub(1));
        let Some(word) = seen.get_mut(kind / 64 % 4) else { return false };
        let bit = 1 << (kind % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    })
}

/// Keeps the last value of each key, in the place of the first.
pub(crate) fn last_of_each_key<B: Slice, V>(entries: &mut Vec<(Text<B>, V)>) {
    if all_differ(entries) {
        return;
    }
    let repeated = if entries.len() <= FEW {
        let before = |index| entries.get(..index).unwrap_or_default();
        let known = |(index, one): (usize, &(Text<B>, V))| {
            before(index).iter().any(|other| other.0 == one.0)
        };
        entries.iter().enumerate().any(known)
    } else {
        let keys: std::collections::HashSet<&[u8]> =
            entries.iter().map(|(key, _)| key.as_bytes()).collect();
        keys.len() != entries.len()
    };
    if !repeated {
        return;
    }
    let mut kept: Vec<(Text<B>, V)> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    for (key, value) in entries.drain(..) {
        match places.get(key.as_bytes()).and_then(|place| kept.get_mut(*place)) {
            Some(entry) => entry.1 = value,
            None => {
                places.insert(key.as_bytes().to_vec(), kept.len());
                kept.push((key, value));
            }
        }
    }
    *entries = kept;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_last_value_stays_in_the_first_place() {
        for count in [3_u16, 40] {
            let mut entries: Vec<(Text<Bytes>, u16)> = (0..count * 2)
                .map(|number| {
                    (Text::new(Bytes::copy_from_slice(&(number % count).to_be_bytes())), number)
                })
                .collect();
            last_of_each_key(&mut entries);
            let values: Vec<_> = entries.iter().map(|entry| entry.1).collect();
            assert_eq!(values, (count..count * 2).collect::<Vec<_>>());
        }
    }
}
