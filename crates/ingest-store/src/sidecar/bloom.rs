//! The filters of sources.

const MIN_BITS: usize = 64;
const MAX_BITS: usize = 16_384;
const BITS_A_KEY: usize = 10;
const PROBES: u32 = 4;

fn bits(key: u64, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let mask = (words as u32).wrapping_mul(64).wrapping_sub(1);
    let step = (key >> 32) as u32 | 1;
    (0..PROBES).map(move |i| {
        let bit = (key as u32).wrapping_add(i.wrapping_mul(step)) & mask;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

/// Appends a filter of these keys, all different; says how many words it has.
pub(super) fn put(keys: &[u64], out: &mut Vec<u64>) -> u32 {
    if keys.is_empty() {
        return 0;
    }
    let size = (keys.len() * BITS_A_KEY).next_power_of_two().clamp(MIN_BITS, MAX_BITS);
    let (start, words) = (out.len(), size / 64);
    out.resize(start + words, 0);
    let filter = out.get_mut(start..).unwrap_or_default();
    for &key in keys {
        for (word, bit) in bits(key, words) {
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
        }
    }
    words as u32
}

/// Whether the filter, little-endian words, may have the key.
pub(super) fn may_have(filter: &[u8], key: u64) -> bool {
    let (words, _) = filter.as_chunks::<8>();
    bits(key, words.len())
        .all(|(word, bit)| words.get(word).is_some_and(|word| u64::from_le_bytes(*word) & bit != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u64, salt: u64) -> Vec<u64> {
        (1..=count).map(|n| (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
    }

    fn filter(keys: &[u64]) -> Vec<u8> {
        let mut out = vec![7]; // Another block's.
        let words = put(keys, &mut out);
        assert_eq!(out.len(), 1 + words as usize);
        out[1..].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn what_is_in_is_found_and_little_else() {
        for count in [1, 4, 6, 7, 100, 1600, 10_000] {
            let keys_in = keys(count, 0);
            let filter = filter(&keys_in);
            assert!(filter.len() * 8 <= MAX_BITS);
            assert!(keys_in.iter().all(|&key| may_have(&filter, key)), "{count}");
            let wrong = keys(1000, 1 << 20).iter().filter(|&&key| may_have(&filter, key)).count();
            assert!(wrong < 80 || count > 1600, "{count}: {wrong}");
        }
    }

    #[test]
    fn without_keys_there_is_no_filter() {
        assert_eq!(filter(&[]), []);
        assert!(!may_have(&[], 1));
    }
}
