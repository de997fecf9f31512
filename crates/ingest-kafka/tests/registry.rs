//! The client of a schema registry against one on loopback: what is asked how often, what is
//! remembered, and what a registry that does not answer does.
#![cfg(feature = "avro")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use ingest_kafka::{Registry, RegistryError, RegistryOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

#[path = "../../../testdata/support/registry.rs"]
mod server;

use server::Mood;

const SCHEMA: &str =
    r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long","default":1}]}"#;

fn started() -> server::Registry {
    let server = server::Registry::start().unwrap();
    server.add("t-value", 11, SCHEMA);
    server
}

/// A client that believes an answer for so long.
fn client(server: &server::Registry, fresh: Duration) -> Registry {
    let mut options = RegistryOptions::new(server.url());
    options.fresh = fresh;
    options.timeout = Duration::from_secs(20);
    Registry::new(options).unwrap()
}

#[tokio::test]
async fn a_schema_is_asked_for_once() {
    let server = started();
    server.add("t-value", 12, SCHEMA);
    let registry = client(&server, Duration::from_secs(3600));
    // Twenty at the same time, one request.
    let all: Vec<_> = (0..20)
        .map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.schema("t-value", None).await.unwrap().id() })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 12);
    }
    for _ in 0..2 {
        assert_eq!(registry.schema("t-value", Some(1)).await.unwrap().id(), 11);
    }
    let asked = ["/subjects/t-value/versions/latest", "/subjects/t-value/versions/1"];
    assert_eq!(server.state().asked, asked);
    // What is not fresh any more is asked for again; a version never changes.
    let registry = client(&server, Duration::ZERO);
    for id in [12, 13] {
        assert_eq!(registry.schema("t-value", None).await.unwrap().id(), id);
        assert_eq!(registry.schema("t-value", Some(1)).await.unwrap().id(), 11);
        server.add("t-value", 13, SCHEMA);
    }
    assert_eq!(server.state().asked.len(), 2 + 3);
}

#[tokio::test]
async fn what_is_not_there_is_the_request_s_fault_and_is_not_asked_for_again_at_once() {
    let server = started();
    let registry = client(&server, Duration::from_secs(3600));
    for _ in 0..5 {
        let error = registry.schema("no/such", None).await.unwrap_err();
        assert_eq!(error.to_string(), "Subject 'no%2Fsuch' not found.; error code: 40401");
        assert!(error.is_of_request());
    }
    let error = registry.schema("t-value", Some(9)).await.unwrap_err();
    assert_eq!(error.to_string(), "Version 9 not found.; error code: 40402");
    server.add("bad-value", 1, r#"{"type":"record"}"#);
    server.add("bytes-value", 2, &SCHEMA.replace("\"long\",\"default\":1", "\"bytes\""));
    for subject in ["bad-value", "bytes-value"] {
        let error = registry.schema(subject, None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Schema(_)) && error.is_of_request(), "{error}");
    }
    assert_eq!(server.state().asked.len(), 4, "{:?}", server.state().asked);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_told_from_one_that_refuses() {
    let server = started();
    let ask = async |mood, change: fn(&mut RegistryOptions)| {
        server.state().mood = mood;
        let mut options = RegistryOptions::new(server.url());
        change(&mut options);
        Registry::new(options).unwrap().schema("t-value", None).await
    };
    let time = Duration::from_millis(50);
    let error = ask(Mood::Silent, |options| options.timeout = Duration::from_millis(50)).await;
    assert_eq!(error.unwrap_err(), RegistryError::TimedOut(time));
    let error = ask(Mood::Gone, |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable(_)) && !error.is_of_request(), "{error}");
    let odd = |text: &str| Mood::Odd(text.to_owned());
    let error = ask(odd("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"), |_| {}).await;
    assert_eq!(error.unwrap_err(), RegistryError::Answer("no".to_owned()));
    let error = ask(odd("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"), |_| {}).await;
    let error = error.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_of_request()), ("no; error code: 401", false));
    let error = ask(Mood::Well, |options| options.max_answer = 100).await.unwrap_err();
    assert_eq!(error, RegistryError::TooLarge(100));
    // Not ours to follow.
    let away = "HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let error = ask(odd(away), |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::Refused { status: 302, .. }), "{error}");
}

#[tokio::test]
async fn what_is_known_is_used_on_while_the_registry_is_away() {
    let server = started();
    let registry = client(&server, Duration::ZERO);
    assert_eq!(registry.schema("t-value", None).await.unwrap().id(), 11);
    server.state().mood = Mood::Gone;
    for _ in 0..3 {
        assert_eq!(registry.schema("t-value", None).await.unwrap().id(), 11);
    }
    // The second request failed, and there was no third within a second.
    assert_eq!(server.state().asked.len(), 2);
    let error = registry.schema("other-value", None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn the_least_used_makes_room() {
    let server = started();
    server.add("u-value", 2, SCHEMA);
    server.add("v-value", 3, SCHEMA);
    let mut options = RegistryOptions::new(server.url());
    options.most = 2;
    let registry = Registry::new(options).unwrap();
    for subject in ["t-value", "u-value", "t-value", "v-value", "t-value", "u-value"] {
        registry.schema(subject, None).await.unwrap();
    }
    let asked = ["t", "u", "v", "u"].map(|name| format!("/subjects/{name}-value/versions/latest"));
    assert_eq!(server.state().asked, asked);
}

#[tokio::test]
async fn credentials_go_along_and_are_not_shown() {
    let server = started();
    let mut options = RegistryOptions::new(server.url());
    options.credentials = Some(("user".to_owned(), "secret".to_owned()));
    let registry = Registry::new(options).unwrap();
    registry.schema("t-value", None).await.unwrap();
    assert_eq!(server.state().authorization.as_deref(), Some("Basic dXNlcjpzZWNyZXQ="));
    assert!(!format!("{registry:?}").contains("secret"), "{registry:?}");
}

#[tokio::test]
async fn tls_is_verified() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            let body =
                format!("{{\"id\":7,\"schema\":{}}}", serde_json::to_string(SCHEMA).unwrap());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    let mut options = RegistryOptions::new(format!("https://localhost:{port}"));
    options.authority = Some(key.cert.pem().into_bytes());
    let registry = Registry::new(options.clone()).unwrap();
    assert_eq!(registry.schema("t-value", None).await.unwrap().id(), 7);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    options.authority = Some(other.cert.pem().into_bytes());
    let error = Registry::new(options).unwrap().schema("t-value", None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable(_)), "{error}");
    serving.abort();
}
