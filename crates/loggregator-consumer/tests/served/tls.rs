//! The server behind TLS, and behind a proxy that wants a password. On real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loggregator_consumer::client::{
    ClientError, Consumer, Gateway, Item, Messages, Proxy, Query, Reason, TlsOptions,
    TrafficController,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::Fake;
use crate::fake::messages::{self, Numbered};

/// The server behind TLS, with a certificate for `localhost`: its port, and the certificate in PEM.
async fn behind_tls(fake: &Arc<Fake>) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fake = Arc::clone(fake);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (fake, acceptor) = (Arc::clone(&fake), acceptor.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    fake.serve(stream).await;
                }
            });
        }
    });
    (port, pem)
}

/// A proxy that knows `us%er` with `pass:word`, and counts whom it lets through.
async fn proxy() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let passed = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let passed = Arc::clone(&passed);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.ok()?);
                }
                let head = String::from_utf8(head).unwrap();
                let words: Vec<_> = head.split(' ').collect();
                assert_eq!(words[0], "CONNECT", "{head}");
                // `us%er:pass:word`
                if !head.contains("\r\nProxy-Authorization: Basic dXMlZXI6cGFzczp3b3Jk\r\n") {
                    let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                        Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
                    return client.write_all(refusal).await.ok();
                }
                let mut server = TcpStream::connect(words[1]).await.ok()?;
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
                passed.fetch_add(1, Ordering::Relaxed);
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
            });
        }
    });
    (address, count)
}

/// The first message of a stream, or why there is none.
async fn first<M: Numbered>(fake: &Fake, mut stream: Messages<M>) -> Result<u64, String> {
    loop {
        match stream.next().await.unwrap() {
            Item::Connected => {
                fake.opened(1).await;
                fake.send(42);
            }
            Item::Message(message) => return Ok(message.number()),
            Item::Ended(reason) | Item::Retrying { error: reason, .. } => {
                return Err(reason.to_string());
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn all_generations_are_read_over_tls() {
    let fake = Fake::start();
    let (port, pem) = behind_tls(&fake).await;
    let trusting = || TlsOptions::default().authority(pem.as_bytes());
    let (wss, https) = (format!("wss://localhost:{port}"), format!("https://localhost:{port}"));
    let consumer = Consumer::builder(&wss).tls(trusting()).proxy(Proxy::None).build();
    let mut tail = consumer.tail(messages::APP, &fake.token()).await.unwrap();
    fake.opened(1).await;
    fake.send(1);
    assert_eq!(tail.message().await.unwrap().number(), 1);
    drop(tail);
    let recent = consumer.recent(messages::APP, &fake.token()).await.unwrap();
    assert_eq!(recent.messages, [Numbered::sent(1)]);
    let controller = TrafficController::builder(&wss).tls(trusting()).token(fake.token());
    let controller = controller.proxy(Proxy::None).build();
    assert_eq!(first(&fake, controller.stream(messages::APP)).await, Ok(42));
    let gateway = Gateway::builder(&https).tls(trusting()).token(fake.token());
    let gateway = gateway.proxy(Proxy::None).build();
    assert_eq!(first(&fake, gateway.stream(Query::everything())).await, Ok(42));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_not_the_hosts_is_refused() {
    let fake = Fake::start();
    let (port, pem) = behind_tls(&fake).await;
    let read = async |host: &str, tls: TlsOptions| {
        let client = TrafficController::builder(format!("wss://{host}:{port}")).tls(tls);
        let client = client.token(fake.token()).proxy(Proxy::None).build();
        first(&fake, client.stream(messages::APP)).await
    };
    let (_, other) = behind_tls(&fake).await;
    let stranger = read("localhost", TlsOptions::default().authority(other.as_bytes())).await;
    assert!(stranger.as_ref().is_err_and(|text| text.contains("certificate")), "{stranger:?}");
    let name = read("127.0.0.1", TlsOptions::default().authority(pem.as_bytes())).await;
    assert!(name.as_ref().is_err_and(|text| text.contains("certificate")), "{name:?}");
    let any = read("127.0.0.1", TlsOptions::default().dangerous_accept_any_certificate()).await;
    assert_eq!(any, Ok(42));
}

#[tokio::test]
async fn a_proxy_is_told_user_and_password_and_its_refusal_is() {
    let fake = Fake::start();
    let (port, pem) = behind_tls(&fake).await;
    let (proxy, passed) = proxy().await;
    let with = |user: &str| Proxy::Url(format!("http://{user}{proxy}"));
    let tls = || TlsOptions::default().authority(pem.as_bytes());
    let (wss, https) = (format!("wss://localhost:{port}"), format!("https://localhost:{port}"));
    let good = "us%25er:pass%3Aword@";
    let controller = |user: &str| {
        let client = TrafficController::builder(&wss).tls(tls()).token(fake.token());
        client.proxy(with(user)).build()
    };
    assert_eq!(first(&fake, controller(good).stream(messages::APP)).await, Ok(42));
    let gateway = Gateway::builder(&https).tls(tls()).token(fake.token()).proxy(with(good)).build();
    assert_eq!(first(&fake, gateway.stream(Query::everything())).await, Ok(42));
    let consumer = Consumer::builder(&wss).tls(tls()).proxy(with(good)).build();
    assert!(consumer.recent(messages::APP, &fake.token()).await.is_ok());
    // Without TLS, and chosen by a function.
    let plain = fake.listen().await.unwrap();
    let url = format!("http://{good}{proxy}");
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let function = Proxy::Function(Arc::new(move |server: &str| {
        seen.lock().unwrap().push(server.to_owned());
        Ok(Some(url.clone()))
    }));
    let client = Consumer::builder(format!("ws://{plain}")).proxy(function).build();
    drop(client.tail(messages::APP, &fake.token()).await.unwrap());
    assert_eq!(*asked.lock().unwrap(), [format!("http://{plain}")]);
    assert_eq!(passed.load(Ordering::Relaxed), 4);
    for user in ["", "us%25er:wrong@"] {
        let refused = first(&fake, controller(user).stream(messages::APP)).await;
        let text = refused.unwrap_err();
        assert!(text.contains("Proxy Authentication Required"), "{text}");
        assert!(!text.contains("wrong"), "{text}");
    }
    let refused = Consumer::builder(&wss).tls(tls()).proxy(with("")).build();
    let refused = refused.tail(messages::APP, &fake.token()).await.unwrap_err();
    assert!(matches!(Reason::Error(refused), Reason::Error(ClientError::Dial(_))));
}
