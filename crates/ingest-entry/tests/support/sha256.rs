//! SHA-256, to compare with the digests that stand for long bytes in vectors.

/// The first 32 bits of the fractional part of the `root`-th root of `n`.
fn fraction(n: u32, root: u32) -> u32 {
    // The largest x with x^root <= n * 2^(32 * root), by bits; its low 32 bits are the fraction.
    let reaches = |x: u128| match root {
        2 => x * x <= u128::from(n) << 64,
        _ => x * x * x <= u128::from(n) << 96,
    };
    let mut x = 0u128;
    for bit in (0..37).rev() {
        if reaches(x | 1 << bit) {
            x |= 1 << bit;
        }
    }
    x as u32
}

fn primes() -> impl Iterator<Item = u32> {
    (2..).filter(|n| (2..*n).all(|d| n % d != 0))
}

/// The digest of `message` in lower-case hex.
pub(crate) fn hex_digest(message: &[u8]) -> String {
    let mut state: Vec<u32> = primes().take(8).map(|p| fraction(p, 2)).collect();
    let constants: Vec<u32> = primes().take(64).map(|p| fraction(p, 3)).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut w: Vec<u32> =
            block.chunks(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
        for i in 16..64 {
            let (a, b) = (w[i - 15], w[i - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for i in 0..64 {
            let e = v[4];
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & v[5]) ^ (!e & v[6]);
            let t1 = [s1, choice, constants[i], w[i]].into_iter().fold(v[7], u32::wrapping_add);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        for (sum, part) in state.iter_mut().zip(v) {
            *sum = sum.wrapping_add(part);
        }
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}
