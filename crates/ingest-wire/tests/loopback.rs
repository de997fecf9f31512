//! Our client and our server, over sockets of this machine and over pipes of memory.

#![cfg(all(feature = "tokio", feature = "tls", unix))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{Source, Timestamp, Values};
use ingest_wire::{
    Acceptor, ClientError, Connector, EntryRef, IngesterState, ProtocolError, Secret, ServerConfig,
    ServerError, SessionEvent, TagId, TagName, TlsOptions, connect, server_config,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::watch;

const SECRET: &str = "open sesame";
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// What a server has stored, and how its sessions ended.
#[derive(Debug, Clone)]
struct Store {
    entries: Arc<Mutex<Vec<ingest_entry::Entry>>>,
    tags: Arc<Mutex<BTreeMap<String, u16>>>,
    count: watch::Sender<usize>,
    errors: Arc<Mutex<Vec<String>>>,
    states: watch::Sender<usize>,
}

impl Store {
    fn new() -> Self {
        Self {
            entries: Arc::default(),
            tags: Arc::default(),
            count: watch::Sender::new(0),
            errors: Arc::default(),
            states: watch::Sender::new(0),
        }
    }

    /// Numbers for all tags but `forbidden`.
    fn numbers(&self) -> impl FnMut(&TagName) -> Option<TagId> + Send + use<> {
        let tags = self.tags.clone();
        move |name| {
            let mut tags = tags.lock().unwrap();
            let next = tags.len() as u16 + 1;
            let allowed = name.as_str() != "forbidden";
            allowed.then(|| TagId(*tags.entry(name.as_str().to_owned()).or_insert(next)))
        }
    }

    /// Serves one client until `stop_after` entries.
    async fn serve<T>(&self, acceptor: &Acceptor, stream: T, stop_after: usize)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let Err(error) = self.session(acceptor, stream, stop_after).await {
            self.errors.lock().unwrap().push(error.to_string());
        }
    }

    async fn session<T>(
        &self,
        acceptor: &Acceptor,
        stream: T,
        stop_after: usize,
    ) -> Result<(), ServerError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut session = acceptor.accept(stream, self.numbers()).await?;
        let mut taken = 0;
        while let Some(event) = session.next().await? {
            let batch = match event {
                SessionEvent::Entries(batch) => batch,
                SessionEvent::State(_) => {
                    self.states.send_modify(|states| *states += 1);
                    continue;
                }
                _ => continue,
            };
            let fails = batch.iter().any(|entry| entry.data == b"fail");
            taken += batch.len();
            let receipt = batch.receipt();
            self.entries.lock().unwrap().extend(batch.iter().map(|entry| entry.to_entry()));
            self.count.send_modify(|count| *count += batch.len());
            if taken >= stop_after {
                return Ok(());
            }
            if fails {
                session.fail_ditto(receipt);
            }
            session.confirm(receipt);
        }
        session.close().await
    }

    async fn until(&self, count: usize) {
        let mut watch = self.count.subscribe();
        let reached = watch.wait_for(|stored| *stored >= count);
        tokio::time::timeout(LONG, reached).await.expect("in time").unwrap();
    }
}

fn acceptor() -> Acceptor {
    Acceptor::new(Secret::new(SECRET)).iterations(1, 20)
}

/// A server on a port of this machine; each client may send so many entries.
async fn listen(store: &Store, stop_after: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let store = store.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let store = store.clone();
            tokio::spawn(async move { store.serve(&acceptor(), stream, stop_after).await });
        }
    });
    format!("tcp://{address}")
}

fn entry(tag: TagId, data: &[u8]) -> EntryRef<'_> {
    let ts = Timestamp::from_unix(1_700_000_000, 5).unwrap();
    EntryRef::new(ts, Source::from_ip("192.0.2.1".parse().unwrap()), tag, data)
}

#[tokio::test]
async fn entries_arrive_with_tags_and_values() {
    let store = Store::new();
    let target = listen(&store, usize::MAX).await;
    let connection = connect(&target, SECRET, &["alpha", "beta"]).await.unwrap();
    let alpha = connection.tag("alpha").await.unwrap();
    let beta = connection.tag("beta").await.unwrap();
    assert_ne!(alpha, beta);

    let mut values = Values::new();
    values.add("host", "web1").unwrap();
    for n in 0..20_000u32 {
        let data = n.to_le_bytes();
        let mut entry = entry(if n % 2 == 0 { alpha } else { beta }, &data);
        if n % 3 == 0 {
            entry.values = values.as_ref();
        }
        connection.send(entry).await.unwrap();
    }
    connection.sync(LONG).await.unwrap();
    assert_eq!(connection.outstanding(), 0);

    // A tag that comes late, and one that is refused, with entries around them.
    connection.send(entry(alpha, b"before")).await.unwrap();
    let late = connection.tag("late").await.unwrap();
    let refused = connection.tag("forbidden").await.unwrap_err();
    assert!(matches!(&refused, ClientError::TagRefused { .. }) && refused.can_continue());
    let all: Vec<_> = [b"a", b"b", b"c"].iter().map(|data| entry(late, *data)).collect();
    connection.send_all(all).await.unwrap();
    connection.send_state(&IngesterState::default()).await.unwrap();
    assert_eq!(*store.states.borrow(), 1);

    let closed = connection.close(LONG).await;
    assert!(closed.unacknowledged.is_empty() && closed.error.is_none());
    let stored = store.entries.lock().unwrap();
    assert_eq!(stored.len(), 20_004);
    for (n, entry) in stored[..20_000].iter().enumerate() {
        assert_eq!(entry.data, (n as u32).to_le_bytes()[..]);
        assert_eq!(entry.tag, if n % 2 == 0 { alpha } else { beta });
        assert_eq!(entry.values.is_empty(), n % 3 != 0);
    }
    assert_eq!(stored[20_003].tag, late);
    assert_eq!(*store.errors.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn entries_without_a_source_get_our_address() {
    let (mapped, other): (std::net::IpAddr, std::net::IpAddr) =
        ("::ffff:127.0.0.1".parse().unwrap(), "198.51.100.9".parse().unwrap());
    for (choice, expected) in [
        (None, Source::from_ip(mapped)),
        (Some(Source::NONE), Source::NONE),
        (Some(Source::from_ip(other)), Source::from_ip(other)),
    ] {
        let store = Store::new();
        let target = listen(&store, usize::MAX).await;
        let mut connector = Connector::new(&target, SECRET).unwrap().tag("alpha").unwrap();
        if let Some(source) = choice {
            connector = connector.source(source);
        }
        let connection = connector.connect().await.unwrap();
        let alpha = connection.tag("alpha").await.unwrap();
        let with = entry(alpha, b"x");
        let without = EntryRef { src: Source::NONE, ..with };
        connection.send(without).await.unwrap();
        connection.send_all([with, without]).await.unwrap();
        connection.send_ditto(&[without]).await.unwrap();
        assert!(connection.close(LONG).await.unacknowledged.is_empty());
        let sources: Vec<_> = store.entries.lock().unwrap().iter().map(|entry| entry.src).collect();
        assert_eq!(sources, [expected, with.src, expected, Source::NONE]);
    }
}

#[tokio::test]
async fn compressed_both_ways() {
    let store = Store::new();
    let target = listen(&store, usize::MAX).await;
    let connector = Connector::new(&target, SECRET).unwrap().tag("alpha").unwrap();
    let connection = connector.compression(true).window(500).connect().await.unwrap();
    let alpha = connection.tag("alpha").await.unwrap();
    let data = b"the same again and again ".repeat(100);
    for _ in 0..3_000 {
        connection.send(entry(alpha, &data)).await.unwrap();
    }
    let closed = connection.close(LONG).await;
    assert!(closed.unacknowledged.is_empty(), "{:?}", closed.error);
    let stored = store.entries.lock().unwrap();
    assert_eq!(stored.len(), 3_000);
    assert!(stored.iter().all(|entry| entry.data == data));
}

#[tokio::test]
async fn over_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let store = Store::new();
    let server = store.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        server.serve(&acceptor(), stream, usize::MAX).await;
    });
    let target = format!("pipe://{}", path.display());
    let connection = connect(&target, SECRET, &["alpha"]).await.unwrap();
    let alpha = connection.tag("alpha").await.unwrap();
    let without = EntryRef { src: Source::NONE, ..entry(alpha, b"x") };
    connection.send(without).await.unwrap();
    assert!(connection.close(LONG).await.unacknowledged.is_empty());
    let stored = store.entries.lock().unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].src, Source::from(std::net::Ipv6Addr::LOCALHOST));
}

struct Certificates {
    authority: String,
    chain: String,
    key: String,
}

fn certificates() -> Certificates {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    Certificates { authority: authority.pem(), chain: leaf.pem(), key: key.serialize_pem() }
}

#[tokio::test]
async fn tls_is_verified() {
    let own = certificates();
    let config =
        server_config(own.chain.as_bytes(), own.key.as_bytes(), Some(own.authority.as_bytes()));
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tls://{}", listener.local_addr().unwrap());
    let store = Store::new();
    let server = store.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (server, tls) = (server.clone(), tls.clone());
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    server.serve(&acceptor(), stream, usize::MAX).await;
                }
            });
        }
    });
    let connector = Connector::new(&target, SECRET).unwrap().tag("alpha").unwrap();
    let shown = TlsOptions::default().certificate(own.chain.clone(), own.key.clone());

    // Not one of the system's authorities, not another's; not without a certificate of ours.
    connector.clone().tls(shown.clone()).connect().await.unwrap_err();
    let other = shown.clone().authority(certificates().authority);
    connector.clone().tls(other).connect().await.unwrap_err();
    let without = TlsOptions::default().authority(own.authority.clone());
    connector.clone().tls(without).connect().await.unwrap_err();

    let good = shown.clone().authority(own.authority.clone());
    for options in [good, shown.dangerous_accept_any_certificate()] {
        let connection = connector.clone().tls(options).connect().await.unwrap();
        let alpha = connection.tag("alpha").await.unwrap();
        for n in 0..5_000u32 {
            connection.send(entry(alpha, &n.to_le_bytes())).await.unwrap();
        }
        assert!(connection.close(LONG).await.unacknowledged.is_empty());
    }
    assert_eq!(store.entries.lock().unwrap().len(), 10_000);
}

#[tokio::test]
async fn what_a_stopping_server_did_not_acknowledge_comes_back() {
    let store = Store::new();
    let target = listen(&store, 1_000).await;
    let connection = connect(&target, SECRET, &["alpha"]).await.unwrap();
    let alpha = connection.tag("alpha").await.unwrap();
    let mut sent = 0u32;
    let error = loop {
        match connection.send(entry(alpha, &sent.to_le_bytes())).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(!error.can_continue(), "{error}");
    let counts = connection.counts();
    let closed = connection.close(LONG).await;
    assert!(closed.error.is_some());
    assert_eq!(counts.sent, u64::from(sent));
    assert_eq!(closed.unacknowledged.len() as u64, counts.sent - counts.acknowledged);
    // In order, without gaps up to the last one, and under the name of their tag.
    let first = sent - closed.unacknowledged.len() as u32;
    for (n, returned) in (first..).zip(&closed.unacknowledged) {
        assert_eq!(returned.entry.data, n.to_le_bytes()[..]);
        assert_eq!(returned.tag.as_ref().unwrap().as_str(), "alpha");
    }
    // Nothing was acknowledged that the server has not stored.
    assert!(counts.acknowledged <= store.entries.lock().unwrap().len() as u64);
}

#[tokio::test]
async fn a_dropped_connection_counts_what_it_loses() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut session = acceptor().accept(theirs, |_: &TagName| Some(TagId(1))).await.unwrap();
        // Takes entries and confirms none.
        while let Ok(Some(_)) = session.next_batch().await {}
    });
    let connection = over(ours).await;
    for _ in 0..3 {
        connection.send(entry(TagId(1), b"x")).await.unwrap();
    }
    let timeout = connection.sync(Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(timeout, ClientError::SyncTimeout { outstanding: 3 }));
    let counters = connection.counters();
    drop(connection);
    assert_eq!(counters.abandoned(), 3);
}

async fn over(stream: DuplexStream) -> ingest_wire::Connection {
    let connector = Connector::new("tcp://memory", SECRET).unwrap().tag("alpha").unwrap();
    connector.over(stream).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lone_entry_waits_for_the_linger_and_no_longer() {
    let store = Store::new();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let server = store.clone();
    tokio::spawn(async move { server.serve(&acceptor(), theirs, usize::MAX).await });
    let connection = over(ours).await;
    let alpha = connection.tag("alpha").await.unwrap();
    for n in 1..=3 {
        let start = tokio::time::Instant::now();
        connection.send(entry(alpha, b"lone")).await.unwrap();
        store.until(n).await;
        let took = start.elapsed();
        assert!((9..=11).contains(&took.as_millis()), "{took:?}");
    }
    // Acknowledged at once, without being asked and without a timer.
    let start = tokio::time::Instant::now();
    connection.send(entry(alpha, b"lone")).await.unwrap();
    connection.sync(LONG).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn ditto_blocks_are_confirmed_when_stored() {
    let store = Store::new();
    let target = listen(&store, usize::MAX).await;
    let connection = connect(&target, SECRET, &["alpha"]).await.unwrap();
    let alpha = connection.tag("alpha").await.unwrap();
    connection.send(entry(alpha, b"before")).await.unwrap();
    connection.send_ditto(&[entry(alpha, b"1"), entry(alpha, b"2")]).await.unwrap();
    let error = connection.send_ditto(&[entry(alpha, b"fail")]).await.unwrap_err();
    assert!(matches!(&error, ClientError::DittoFailed) && error.can_continue());
    connection.send_ditto(&[]).await.unwrap();
    assert!(connection.close(LONG).await.unacknowledged.is_empty());
    assert_eq!(store.entries.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn who_does_not_know_the_secret_is_turned_away() {
    let store = Store::new();
    let target = listen(&store, usize::MAX).await;
    let error = connect(&target, "open barley", &["alpha"]).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(ProtocolError::BadSecret)), "{error}");
    let error = connect(&target, SECRET, &["alpha", "forbidden"]).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(ProtocolError::TagsRefused)), "{error}");
    // Another secret can be good, too.
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let acceptor = Acceptor::new(Secret::new("new")).also(Secret::new(SECRET)).iterations(0, 0);
        let mut session = acceptor.accept(theirs, |_: &TagName| Some(TagId(1))).await.unwrap();
        session.next_batch().await.unwrap();
    });
    over(ours).await;
}

#[tokio::test]
async fn a_hang_up_in_the_set_up_is_tried_again_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let store = Store::new();
    let server = store.clone();
    tokio::spawn(async move {
        for _ in 0..3 {
            let (stream, _) = listener.accept().await.unwrap();
            // Behind the handshake, before the set-up.
            drop(acceptor().accept(stream, server.numbers()).await.unwrap());
        }
        let (stream, _) = listener.accept().await.unwrap();
        server.serve(&acceptor(), stream, usize::MAX).await;
    });
    let connection = connect(&target, SECRET, &["alpha"]).await.unwrap();
    assert_eq!(connection.server_version(), 9);
}

#[tokio::test]
async fn a_confirmer_confirms_from_elsewhere() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let config = ServerConfig { version: 4, ..ServerConfig::default() };
        let acceptor = acceptor().config(config);
        let mut session = acceptor.accept(theirs, |_: &TagName| Some(TagId(1))).await.unwrap();
        let confirmer = session.confirmer();
        let (disk, mut stored) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(receipt) = stored.recv().await {
                confirmer.confirm(receipt);
            }
        });
        while let Ok(Some(batch)) = session.next_batch().await {
            disk.send(batch.receipt()).unwrap();
        }
    });
    let connection = over(ours).await;
    assert_eq!(connection.server_version(), 4);
    for _ in 0..10_000 {
        connection.send(entry(TagId(1), b"x")).await.unwrap();
    }
    connection.sync(LONG).await.unwrap();
    assert!(connection.close(LONG).await.unacknowledged.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_waited_for() {
    // So small a pipe that nothing but the challenge fits.
    let (mut ours, theirs) = tokio::io::duplex(36);
    let server = tokio::spawn(async move {
        acceptor().accept(theirs, |_: &TagName| Some(TagId(1))).await.map(drop)
    });
    tokio::io::AsyncWriteExt::write_all(&mut ours, &[7; 32]).await.unwrap();
    let start = tokio::time::Instant::now();
    let error = server.await.unwrap().unwrap_err();
    assert!(matches!(error, ServerError::Io(_)), "{error}");
    assert!(start.elapsed() <= Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_its_time() {
    let (_ours, theirs) = tokio::io::duplex(1 << 10);
    let start = tokio::time::Instant::now();
    let error = acceptor().accept(theirs, |_: &TagName| Some(TagId(1))).await.unwrap_err();
    assert!(matches!(error, ServerError::Protocol(ProtocolError::Timeout { .. })), "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_held_comes_again_and_the_client_stays() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let server = tokio::spawn(async move {
        let mut session = acceptor().accept(theirs, |_: &TagName| Some(TagId(1))).await.unwrap();
        let seen = session.next_batch().await.unwrap().unwrap().len();
        session.hold();
        // Longer than a client may be silent: it is not the client that is.
        let held = tokio::time::timeout(Duration::from_secs(660), session.next_batch()).await;
        assert!(held.is_err(), "nothing is handed out");
        session.resume();
        let again = session.next_batch().await.unwrap().unwrap().len();
        assert_eq!(again, seen);
        let mut total = again;
        while let Some(batch) = session.next_batch().await.unwrap() {
            total += batch.len();
            let receipt = batch.receipt();
            session.confirm(receipt);
        }
        total
    });
    let connection = over(ours).await;
    for _ in 0..100 {
        connection.send(entry(TagId(1), &[7; 50])).await.unwrap();
    }
    connection.sync(Duration::from_secs(900)).await.unwrap();
    assert_eq!(connection.counts().acknowledged, 100);
    assert!(connection.close(LONG).await.unacknowledged.is_empty());
    assert_eq!(server.await.unwrap(), 100);
}
