//! The signature of an envelope of the first generation (`loggregator.md` 1.8).

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use sha2::{Digest as _, Sha256};

use crate::legacy::LogEnvelope;

const BLOCK: usize = 16;
/// The digest, and the byte that ends it with zeros behind, in whole blocks.
const PADDED: usize = 48;

impl<B: crate::wire::Slice> LogEnvelope<B> {
    /// How long a signature is, in bytes.
    pub const SIGNATURE_LEN: usize = BLOCK + PADDED;

    /// The signature of a line; `start` must be random. Nothing but the line is signed, and the
    /// cipher is not authenticated: this is for old peers, not for keeping anyone out.
    #[must_use]
    pub fn signature_of(message: &[u8], secret: &str, start: [u8; BLOCK]) -> Vec<u8> {
        let cipher = cipher(secret);
        let mut before = start;
        let mut out = start.to_vec();
        let padded = padded(message);
        for block in padded.as_chunks::<BLOCK>().0 {
            let mixed = std::array::from_fn(|i| {
                block.get(i).copied().unwrap_or(0) ^ before.get(i).copied().unwrap_or(0)
            });
            let mut encrypted = mixed.into();
            cipher.encrypt_block(&mut encrypted);
            before = encrypted.into();
            out.extend_from_slice(&before);
        }
        out
    }

    /// Whether the envelope's signature is that of its message's line under this secret.
    #[must_use]
    pub fn verifies(&self, secret: &str) -> bool {
        let (Some(signature), Some(message)) = (&self.signature, &self.log_message) else {
            return false;
        };
        let signature = signature.as_ref();
        if signature.len() != Self::SIGNATURE_LEN {
            return false;
        }
        let cipher = cipher(secret);
        let blocks = signature.as_chunks::<BLOCK>().0;
        let mut plain = Vec::with_capacity(PADDED);
        for pair in blocks.windows(2) {
            let [before, block] = pair else { continue };
            let mut decrypted = (*block).into();
            cipher.decrypt_block(&mut decrypted);
            plain.extend(decrypted.iter().zip(before).map(|(one, other)| one ^ other));
        }
        // Every byte is compared, whichever differ.
        let wanted = padded(message.message());
        plain.iter().zip(&wanted).fold(0, |all, (one, other)| all | (one ^ other)) == 0
    }
}

fn cipher(secret: &str) -> Aes128 {
    let digest = Sha256::digest(secret.as_bytes());
    let mut key = [0; BLOCK];
    key.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    Aes128::new(&key.into())
}

fn padded(message: &[u8]) -> [u8; PADDED] {
    let mut padded = [0; PADDED];
    let digest = Sha256::digest(message);
    padded.iter_mut().zip(digest.iter().chain(&[0x80])).for_each(|(to, from)| *to = *from);
    padded
}
