//! SHA-256, because vectors name long paths by it.

/// The lower-case hexadecimal digest.
pub(crate) fn digest(data: &[u8]) -> String {
    let constants: Vec<u32> = primes(64).map(|prime| fraction(prime, 3)).collect();
    let mut state: Vec<u32> = primes(8).map(|prime| fraction(prime, 2)).collect();
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - data.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(data.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut w: Vec<u32> =
            block.chunks(4).map(|four| u32::from_be_bytes(four.try_into().unwrap())).collect();
        for i in 16..64 {
            let (a, b) = (w[i - 15], w[i - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let one = [v[7], s1, choice, constants[i], w[i]].into_iter().fold(0, u32::wrapping_add);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(one);
            v[0] = one.wrapping_add(s0).wrapping_add(majority);
        }
        state.iter_mut().zip(v).for_each(|(sum, part)| *sum = sum.wrapping_add(part));
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

fn primes(count: usize) -> impl Iterator<Item = u128> {
    (2_u128..).filter(|n| (2..*n).all(|d| !n.is_multiple_of(d))).take(count)
}

/// The first 32 bits behind the point of a number's square or cube root.
fn fraction(number: u128, root: u32) -> u32 {
    let wanted = number << (32 * root);
    let (mut low, mut high) = (0_u128, 1 << 40);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if middle.checked_pow(root).is_some_and(|power| power <= wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low & 0xffff_ffff) as u32
}

#[test]
fn known_digests() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest(b"abc"), abc);
    let name = digest(b"some.metric;tag1=value2;tag2=value.2");
    assert!(name.starts_with("effaae"), "{name}");
    let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    assert_eq!(digest(&[b'a'; 1_000_000]), million);
}
