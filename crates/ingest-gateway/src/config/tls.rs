//! Certificates, keys and authorities: PEM files that are read when the configuration is.

use std::path::PathBuf;
use std::sync::Arc;

use ingest_wire::{TlsError, TlsOptions};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, RootCertStore};

use super::walk::{Node, Table};

/// The largest PEM file, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// `tls` of a source: what it shows, and whom it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Only clients with a certificate of these authorities, PEM, are let in. `None`: all are.
    pub client_ca: Option<PathBuf>,
}

/// `tls` of a destination: whom it trusts, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTls {
    /// The authorities that are trusted, PEM. `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The certificate chain that is shown and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// `verify = false`: any certificate is accepted.
    pub accept_any: bool,
}

/// Why the files of a `tls` table cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFileError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// What they hold does not fit.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

pub(crate) fn pem(path: &PathBuf) -> Result<Vec<u8>, TlsFileError> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_PEM).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(TlsFileError::Read { path: path.display().to_string(), error }),
    }
}

impl ServerTls {
    /// The configuration of a server that these files make.
    ///
    /// # Errors
    /// [`TlsFileError`].
    pub fn load(&self) -> Result<rustls::ServerConfig, TlsFileError> {
        let clients = self.client_ca.as_ref().map(pem).transpose()?;
        Ok(ingest_wire::server_config(&pem(&self.cert)?, &pem(&self.key)?, clients.as_deref())?)
    }
}

impl ClientTls {
    /// The options of a client that these files make.
    ///
    /// # Errors
    /// [`TlsFileError`].
    pub fn load(&self) -> Result<TlsOptions, TlsFileError> {
        let mut options = TlsOptions::default();
        if let Some(ca) = &self.ca {
            options = options.authority(pem(ca)?);
        }
        if let Some((cert, key)) = &self.identity {
            options = options.certificate(pem(cert)?, pem(key)?);
        }
        if self.accept_any {
            options = options.dangerous_accept_any_certificate();
        }
        Ok(options)
    }

    /// The options of a Loggregator client that these files make. It shows no certificate.
    ///
    /// # Errors
    /// [`TlsFileError`].
    pub fn load_for_loggregator(
        &self,
    ) -> Result<loggregator_consumer::client::TlsOptions, TlsFileError> {
        let mut options = loggregator_consumer::client::TlsOptions::default();
        if let Some(ca) = &self.ca {
            options = options.authority(pem(ca)?);
        }
        if self.accept_any {
            options = options.dangerous_accept_any_certificate();
        }
        Ok(options)
    }
}

/// What a PEM file has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Certificate,
    Key,
}

impl Holds {
    const fn allowed(self) -> &'static str {
        match self {
            Self::Certificate => "a PEM file with certificates",
            Self::Key => "a PEM file with a private key",
        }
    }

    /// What is wrong with a file, as far as that shows by itself.
    fn fault(self, path: &PathBuf) -> Option<String> {
        let text = match pem(path) {
            Ok(text) => text,
            Err(TlsFileError::Read { error, .. }) => return Some(error.to_string()),
            Err(error) => return Some(error.to_string()),
        };
        let text = String::from_utf8_lossy(&text);
        let certificate = text.contains("-----BEGIN CERTIFICATE-----");
        let key = text.contains("PRIVATE KEY-----");
        match self {
            Self::Certificate if certificate => None,
            Self::Key if key => None,
            Self::Certificate if key => Some("it holds a private key, and no certificate".into()),
            Self::Key if certificate => Some("it holds a certificate, and no private key".into()),
            _ if text.is_empty() => Some("it is empty".into()),
            _ => Some("it holds no PEM".into()),
        }
    }
}

/// The path of a PEM file, and whether it holds what it should.
fn pem_path(node: &Node<'_>, holds: Holds, usable: &mut bool) -> Option<PathBuf> {
    let path = node.path();
    let fault = path.as_ref().and_then(|path| holds.fault(path));
    *usable &= path.is_some() && fault.is_none();
    if let (Some(path), Some(fault)) = (&path, fault) {
        let mut allowed = holds.allowed().to_owned();
        if path.is_relative() {
            allowed.push_str("; relative paths begin where ingestry is started");
        }
        node.wrong(format!("{} ({fault})", node.found()), allowed, None);
    }
    path
}

/// Reads `ca`, where that is all that can be said of TLS.
pub(super) fn read_ca(table: &mut Table<'_>) -> Option<PathBuf> {
    let mut usable = true;
    table.key("ca").and_then(|node| pem_path(&node, Holds::Certificate, &mut usable))
}

/// Reads `tls` of a source.
pub(super) fn read_server(table: &mut Table<'_>) -> Option<ServerTls> {
    let node = table.key("tls")?;
    if !node.is_table() {
        let allowed = "a table such as { cert = \"server.pem\", key = \"server.key\" }";
        node.wrong(node.found(), allowed, None);
        return None;
    }
    let mut tls = node.table()?;
    let mut usable = true;
    let mut file =
        |node: Option<Node<'_>>, holds| node.and_then(|node| pem_path(&node, holds, &mut usable));
    let cert = file(tls.required("cert", Holds::Certificate.allowed()), Holds::Certificate);
    let key = file(tls.required("key", Holds::Key.allowed()), Holds::Key);
    let client_ca = file(tls.key("client_ca"), Holds::Certificate);
    let read = cert.zip(key).map(|(cert, key)| ServerTls { cert, key, client_ca });
    if let (Some(read), true) = (&read, usable) {
        check(&tls.node, read.load().err());
        if let Some(oddity) = oddity(&read.cert) {
            tls.node.warn(oddity);
        }
    }
    tls.finish(&[]);
    read
}

/// What clients that verify will have against a certificate, as far as it shows without them.
fn oddity(path: &PathBuf) -> Option<&'static str> {
    let text = pem(path).ok()?;
    let cert = CertificateDer::pem_slice_iter(&text).next()?.ok()?;
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    // That it is not for this name, or from somebody else, is no fault.
    let fault = verifier.verify_server_cert(&cert, &[], &name, &[], UnixTime::now()).err()?;
    let text = fault.to_string();
    [
        (
            "CaUsedAsEndEntity",
            "the certificate is one of an authority (CA:TRUE): clients that verify refuse it; they \
             want one that it has signed, or a self-signed one with basicConstraints CA:FALSE",
        ),
        ("expired", "the certificate has expired: clients that verify refuse it"),
        ("not valid yet", "the certificate is not valid yet: clients that verify refuse it"),
    ]
    .into_iter()
    .find_map(|(mark, oddity)| text.contains(mark).then_some(oddity))
}

/// Reads `tls` of a destination.
pub(super) fn read_client(table: &mut Table<'_>) -> ClientTls {
    read_client_if_named(table).unwrap_or_default()
}

/// Reads `tls` of a destination for which the table alone means TLS.
pub(super) fn read_client_if_named(table: &mut Table<'_>) -> Option<ClientTls> {
    let mut read = ClientTls::default();
    let mut tls = table.sub_table("tls")?;
    let mut usable = true;
    read.ca = tls.key("ca").and_then(|node| pem_path(&node, Holds::Certificate, &mut usable));
    let verify = tls.key("verify");
    read.accept_any = verify.as_ref().and_then(Node::boolean) == Some(false);
    if let (Some(node), true) = (&verify, read.accept_any) {
        node.warn("certificates are not verified: whoever sits between reads and changes all");
    }
    match (tls.key("cert"), tls.key("key")) {
        (Some(cert), Some(key)) => {
            let cert = pem_path(&cert, Holds::Certificate, &mut usable);
            read.identity = cert.zip(pem_path(&key, Holds::Key, &mut usable));
        }
        (Some(one), None) => one.wrong(one.found(), "a \"key\" beside it", None),
        (None, Some(one)) => one.wrong(one.found(), "a \"cert\" beside it", None),
        (None, None) => {}
    }
    if usable {
        let loaded = read.load().and_then(|options| Ok(options.client_config().map(drop)?));
        check(&tls.node, loaded.err());
    }
    tls.finish(&[]);
    Some(read)
}

fn check(node: &Node<'_>, error: Option<TlsFileError>) {
    if let Some(error) = error {
        node.wrong(error.to_string(), "PEM files that fit each other", None);
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> (tempfile::TempDir, PathBuf) {
        let mut params = CertificateParams::new(vec!["gw.example.org".to_owned()]).unwrap();
        change(&mut params);
        let cert = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cert.pem");
        std::fs::write(&path, cert.pem()).unwrap();
        (dir, path)
    }

    #[test]
    fn what_clients_will_refuse_is_known_before() {
        let (_dir, fine) = certificate(|_| {});
        assert_eq!(oddity(&fine), None);
        let (_dir, authority) =
            certificate(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        assert!(oddity(&authority).unwrap().contains("CA:FALSE"));
        let (_dir, old) = certificate(|params| params.not_after = date_time_ymd(2001, 1, 1));
        assert!(oddity(&old).unwrap().contains("has expired"));
        let (_dir, new) = certificate(|params| params.not_before = date_time_ymd(4000, 1, 1));
        assert!(oddity(&new).unwrap().contains("not valid yet"));
    }

    #[test]
    fn a_key_in_the_place_of_a_certificate_is_said_to_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        std::fs::write(&path, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let fault = Holds::Certificate.fault(&path).unwrap();
        assert_eq!(fault, "it holds a private key, and no certificate");
        assert_eq!(Holds::Key.fault(&path), None);
    }
}
