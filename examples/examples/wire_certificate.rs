//! Makes an authority, and a certificate from it for `localhost` and `127.0.0.1`: what TLS needs
//! for a try on one machine.
//!
//! ```sh
//! cargo run -p examples --example wire_certificate -- DIRECTORY
//! cargo run -p examples --example wire_server -- --listen tls://127.0.0.1:4024 \
//!     --cert DIRECTORY/chain.pem --key DIRECTORY/key.pem --secret 'open sesame' &
//! cargo run -p examples --example wire_client -- tls://localhost:4024 \
//!     --ca DIRECTORY/authority.pem --secret 'open sesame'
//! ```

use std::path::PathBuf;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from).context("a directory is needed")?;
    let authority_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority for one try");
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::from_params(&params, &authority_key);

    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    std::fs::create_dir_all(&dir)?;
    let write = |name, text: String| std::fs::write(dir.join(name), text).context("cannot write");
    write("authority.pem", authority.pem())?;
    write("chain.pem", leaf.pem())?;
    write("key.pem", key.serialize_pem())
}
