//! A server under attack, over sockets in memory and a clock that is stopped: what attackers get,
//! and what a good client still gets. How much throughput is left is measured by
//! `cargo xtask bench attack`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::net::IpAddr;
use std::time::Duration;

use ingest_wire::{
    AcceptLimits, Acceptor, AuthResponse, Challenge, ProtocolError, STATE_HOT, Secret, ServerError,
    Session, StateResponse, TagId, TagName, TagRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

const SECRET: &str = "open sesame";
const GOOD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const BAD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

type Numbers = fn(&TagName) -> Option<TagId>;
type Accepted = JoinHandle<Result<Session<DuplexStream, Numbers>, ServerError>>;

fn numbers(name: &TagName) -> Option<TagId> {
    (name.as_str() == "syslog").then_some(TagId(1))
}

fn acceptor(limits: AcceptLimits) -> Acceptor {
    Acceptor::new(Secret::new(SECRET)).iterations(0, 0).limits(limits)
}

/// A connection to the server: the client's end, and what becomes of it.
fn connect(acceptor: &Acceptor, from: IpAddr) -> (DuplexStream, Accepted) {
    let (client, server) = duplex(4096);
    let acceptor = acceptor.clone();
    let accepted =
        tokio::spawn(async move { acceptor.accept_from(from, server, numbers as Numbers).await });
    (client, accepted)
}

async fn respond(stream: &mut DuplexStream, secret: &str) {
    let mut challenge = [0; Challenge::LEN];
    stream.read_exact(&mut challenge).await.unwrap();
    let challenge = Challenge::decode(&challenge);
    let (hash, mut bytes) = (Secret::new(secret).respond(&challenge), Vec::new());
    AuthResponse { hash, tenant: None }.encode(challenge.version, &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
}

/// The whole handshake of somebody who knows the secret.
async fn enter(
    acceptor: &Acceptor,
    from: IpAddr,
) -> (DuplexStream, Session<DuplexStream, Numbers>) {
    let (mut stream, accepted) = connect(acceptor, from);
    respond(&mut stream, SECRET).await;
    let mut bytes = Vec::new();
    let tags = TagRequest { count: 1, tags: Some(vec!["syslog".to_owned()]) };
    tags.encode(4096, &mut bytes).unwrap();
    StateResponse { id: STATE_HOT, info: String::new() }.encode(4096, &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
    let session = accepted.await.unwrap().unwrap();
    (stream, session)
}

#[tokio::test(start_paused = true)]
async fn slow_handshakes_give_way_or_end_after_their_time() {
    let acceptor = acceptor(AcceptLimits { unauthenticated: 8, ..AcceptLimits::default() });
    let mut loris = Vec::new();
    for number in 0..40 {
        let (mut stream, accepted) = connect(&acceptor, BAD);
        // Half of them say nothing at all.
        let dripping = tokio::spawn(async move {
            while number % 2 == 0 && stream.write_all(&[7]).await.is_ok() {
                sleep(Duration::from_secs(1)).await; // tidy: sleep the clock is paused
            }
            while stream.read(&mut [0; 64]).await.is_ok_and(|len| len > 0) {}
        });
        loris.push((accepted, dripping));
        tokio::task::yield_now().await;
        assert!(acceptor.counts().unauthenticated <= 8);
    }
    // A good client is in at once, and stays.
    let start = Instant::now();
    let (good, session) = enter(&acceptor, GOOD).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    let (mut gave_way, mut late) = (0, 0);
    for (accepted, _) in &mut loris {
        match accepted.await.unwrap() {
            Err(ServerError::Crowded) => gave_way += 1,
            Err(ServerError::Protocol(ProtocolError::Timeout { .. })) => late += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gave_way, late), (33, 7));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    for (_, dripping) in loris {
        dripping.await.unwrap();
    }
    let counts = acceptor.counts();
    assert_eq!((counts.unauthenticated, counts.sessions, counts.gave_way), (0, 1, 33));
    drop((good, session));
    assert_eq!(acceptor.counts().sessions, 0);
}

#[tokio::test]
async fn who_guesses_waits_and_a_good_client_does_not() {
    let limits = AcceptLimits { penalty: Duration::from_secs(3), ..AcceptLimits::default() };
    let acceptor = acceptor(limits);
    // The first guess is answered.
    let (mut stream, accepted) = connect(&acceptor, BAD);
    respond(&mut stream, "guess").await;
    assert!(matches!(accepted.await.unwrap(), Err(ServerError::Unauthenticated)));
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    assert!(String::from_utf8_lossy(&said).contains("16706897"));
    // More of them are on their way: they wait, or are refused since they would wait too long.
    let mut guesses = JoinSet::new();
    for _ in 0..20 {
        let (mut stream, accepted) = connect(&acceptor, BAD);
        respond(&mut stream, "guess").await;
        guesses.spawn(async move {
            let accepted = accepted.await.unwrap().map(drop);
            drop(stream);
            accepted
        });
    }
    for _ in 0..16 {
        let refused = guesses.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(ServerError::Suspect)), "{refused:?}");
    }
    // From another address one is in while they wait.
    let (_good, session) = enter(&acceptor, GOOD).await;
    assert!(guesses.len() == 4);
    assert_eq!((acceptor.counts().wrong, acceptor.counts().sessions), (1, 1));
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn no_more_clients_than_allowed_are_in() {
    let acceptor = acceptor(AcceptLimits { sessions: 2, ..AcceptLimits::default() });
    let one = enter(&acceptor, GOOD).await;
    let _two = enter(&acceptor, GOOD).await;
    let (_stream, accepted) = connect(&acceptor, GOOD);
    assert!(matches!(accepted.await.unwrap(), Err(ServerError::Full)));
    drop(one);
    let _three = enter(&acceptor, GOOD).await;
    assert_eq!(acceptor.counts().admitted, 3);
}

#[tokio::test(start_paused = true)]
async fn a_declared_gigabyte_ends_the_connection_or_waits_for_its_bytes() {
    let acceptor = acceptor(AcceptLimits::default());
    let head = |word: u32, len: u32| [word.to_le_bytes(), len.to_le_bytes()].concat();
    for (bytes, refused) in [
        ([head(0xC7C9_5ACB, 0x3FFF_FFFF), vec![0; 100]].concat(), true),
        (head(0x4455_6600, 0x0010_0001), true),
        ([head(0xDDCC_BBAA, u32::MAX), vec![0xFF; 4]].concat(), true),
        ([head(0xC7C9_5ACB, 16 << 20), vec![0; 100]].concat(), false),
        (head(0x4455_6600, 0x0010_0000), false),
    ] {
        let (mut stream, mut session) = enter(&acceptor, BAD).await;
        stream.write_all(&bytes).await.unwrap();
        // What never comes is waited for until the client has said nothing for too long.
        let (start, ended) = (Instant::now(), session.next_batch());
        let discard = async {
            let mut said = [0; 256];
            while stream.read(&mut said).await.is_ok_and(|len| len > 0) {}
        };
        let ended = tokio::select! {
            ended = ended => ended.map(|batch| batch.is_some()),
            () = discard => panic!("the session holds its end"),
        };
        let waited = start.elapsed();
        match ended {
            Err(ServerError::Protocol(ProtocolError::TooLong { .. } | ProtocolError::Entry(_))) => {
                assert!(refused && waited < Duration::from_secs(1));
            }
            Err(ServerError::Protocol(ProtocolError::Timeout { .. })) => {
                assert!(!refused && waited >= Duration::from_secs(600));
            }
            other => panic!("{other:?} after {waited:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_is_not_read() {
    let acceptor = acceptor(AcceptLimits::default());
    let (mut stream, mut session) = enter(&acceptor, BAD).await;
    let serving = tokio::spawn(async move {
        let ended = session.next_batch().await.map(|batch| batch.is_some());
        (ended, session.counts())
    });
    // State messages of nothing, each to be confirmed.
    let asks = [0x00, 0x66, 0x55, 0x44, 0, 0, 0, 0].repeat(512);
    let mut sent = 0;
    while let Ok(Ok(())) = timeout(Duration::from_secs(2), stream.write_all(&asks)).await {
        sent += asks.len();
        assert!(sent < 8 << 20, "a server that goes on answering");
    }
    assert!(sent >= 2 << 20, "{sent}");
    let (ended, _) = serving.await.unwrap();
    let late = matches!(ended, Err(ServerError::Protocol(ProtocolError::Timeout { .. })));
    assert!(late, "{ended:?}");
}
