//! TLS to a registry, by rustls with ring: verified against the system's authorities, or those of
//! the options.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::error::RegistryError;

pub(super) fn connector(authority: Option<&[u8]>) -> Result<TlsConnector, RegistryError> {
    let wrong = |error: &dyn std::fmt::Display| {
        RegistryError::Settings(format!("TLS to the registry: {error}"))
    };
    let mut roots = RootCertStore::empty();
    if let Some(pem) = authority {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(wrong(&"no authority to trust"));
    }
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
