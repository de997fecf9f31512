//! The handshake's proof: [`Challenge`], [`Secret`], [`AuthResponse`].

use core::fmt;

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::error::{Piece, ProtocolError};
use super::limits::MAX_TENANT;

/// The 32 bytes before a response that carries a tenant.
const TENANT_MARKER: [u8; 32] = *b"gravwell\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0tenant01";
/// The first version with tenants.
pub(crate) const TENANT_VERSION: u16 = 7;

/// What a server asks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// How often the response is hashed. Go servers pick 10,000 to 19,999; any number is honoured.
    pub iterate: u16,
    /// Random bytes.
    pub rand: [u8; 32],
    /// The server's version of the protocol.
    pub version: u16,
}

impl Challenge {
    /// The length of a challenge in bytes.
    pub const LEN: usize = 36;

    /// The challenge's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (iterate, rest) = bytes.split_at_mut(2);
        let (rand, version) = rest.split_at_mut(32);
        iterate.copy_from_slice(&self.iterate.to_le_bytes());
        rand.copy_from_slice(&self.rand);
        version.copy_from_slice(&self.version.to_le_bytes());
        bytes
    }

    /// Reads a challenge: any 36 bytes are one.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let [i0, i1, rand @ .., v0, v1] = *bytes;
        let (iterate, version) = (u16::from_le_bytes([i0, i1]), u16::from_le_bytes([v0, v1]));
        Self { iterate, rand, version }
    }
}

/// A shared secret, in the hashed form in which the protocol uses it. It is never printed.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// Takes a secret, byte for byte. The empty secret is legal.
    #[must_use]
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            rounds(&[secret.as_ref()], 16);
        Self(first)
    }

    /// The hashed form.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 16] {
        &self.0
    }

    /// What a client with this secret answers to a challenge. Takes two hashes for each of the
    /// challenge's iterations: 5 to 20 ms for a Go server's, so not on a thread that serves others.
    #[must_use]
    pub fn respond(&self, challenge: &Challenge) -> ResponseHash {
        ResponseHash(rounds(&[&challenge.rand, &self.0], challenge.iterate))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-512 of the parts, then `times` the SHA-256 of the MD5; the first 32 bytes of that.
fn rounds(parts: &[&[u8]], times: u16) -> [u8; 32] {
    let mut first = Sha512::new();
    for part in parts {
        first.update(part);
    }
    let first: [u8; 64] = first.finalize().into();
    if times == 0 {
        let mut cut = [0; 32];
        cut.iter_mut().zip(first).for_each(|(to, from)| *to = from);
        return cut;
    }
    let mut hash: [u8; 32] = Sha256::digest(Md5::digest(first)).into();
    for _ in 1..times {
        hash = Sha256::digest(Md5::digest(hash)).into();
    }
    hash
}

/// The proof that a client knows the secret. Compared in constant time, never printed.
#[derive(Clone, Copy)]
pub struct ResponseHash([u8; 32]);

impl ResponseHash {
    /// The proof's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for ResponseHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ResponseHash {}

impl fmt::Debug for ResponseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseHash(..)")
    }
}

/// What a client answers to a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthResponse {
    /// The proof.
    pub hash: ResponseHash,
    /// The tenant, if the client names one: any bytes.
    pub tenant: Option<Vec<u8>>,
}

impl AuthResponse {
    /// Whether the response proves that the client knows this secret. Takes as long as
    /// [`Secret::respond`].
    #[must_use]
    pub fn proves(&self, secret: &Secret, challenge: &Challenge) -> bool {
        self.hash == secret.respond(challenge)
    }

    /// Appends the response, all of which has to go out in one write. `version` is that of the
    /// challenge; it is written with a tenant only.
    ///
    /// # Errors
    /// [`ProtocolError::TenantUnsupported`] before version 7, [`ProtocolError::TooLong`] for a
    /// tenant of more than 512 bytes.
    pub fn encode(&self, version: u16, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        if let Some(tenant) = self.tenant.as_deref().filter(|name| !name.is_empty()) {
            if version < TENANT_VERSION {
                return Err(ProtocolError::TenantUnsupported { version });
            }
            let len = tenant_len(tenant.len() as u64)?;
            out.extend_from_slice(&TENANT_MARKER);
            out.extend_from_slice(&self.hash.0);
            out.extend_from_slice(&version.to_le_bytes());
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(tenant);
        } else {
            out.extend_from_slice(&self.hash.0);
        }
        Ok(())
    }

    /// Reads the response at the start of `input`: it and how many bytes it takes, or `None` if
    /// there is more to come.
    ///
    /// # Errors
    /// [`ProtocolError::Tenant`] or [`ProtocolError::TooLong`] for a bad tenant form.
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((first, rest)) = input.split_first_chunk::<32>() else { return Ok(None) };
        if *first != TENANT_MARKER {
            return Ok(Some((Self { hash: ResponseHash(*first), tenant: None }, 32)));
        }
        let Some((hash, rest)) = rest.split_first_chunk::<32>() else { return Ok(None) };
        let Some((version, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
        if u16::from_le_bytes(*version) < TENANT_VERSION {
            return Err(ProtocolError::Tenant);
        }
        let Some((len, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
        let len = tenant_len(u64::from(u16::from_le_bytes(*len)))?;
        if len == 0 {
            return Err(ProtocolError::Tenant);
        }
        let Some(tenant) = rest.get(..usize::from(len)) else { return Ok(None) };
        let used = 68 + tenant.len();
        Ok(Some((Self { hash: ResponseHash(*hash), tenant: Some(tenant.to_vec()) }, used)))
    }
}

fn tenant_len(len: u64) -> Result<u16, ProtocolError> {
    let max = MAX_TENANT;
    match u16::try_from(len) {
        Ok(len) if len <= max => Ok(len),
        _ => Err(ProtocolError::TooLong { piece: Piece::Tenant, len, max: u64::from(max) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let challenge = Challenge { iterate: 3, rand: [7; 32], version: 9 };
        let secret = Secret::new("open sesame");
        let hash = secret.respond(&challenge);
        let response = AuthResponse { hash, tenant: None };
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert!(format!("{response:?}").contains("ResponseHash(..)"));
        assert!(response.proves(&secret, &challenge));
        assert!(!response.proves(&Secret::new("open  sesame"), &challenge));
    }
}
