//! What a client can make a session hold, and how long it may be silent.

use std::time::Duration;

use hydra_ws::{Dialect, Options, ServerConfig};

use crate::support::{Client, masked, start};

#[tokio::test]
async fn too_many_frames_cost_the_message_and_not_the_session() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    client.say("-c set a = b").await;
    for frames in [50, 51] {
        client.send(&masked(0x01, b"x")).await;
        for _ in 2..frames {
            client.send(&masked(0x00, b"x")).await;
        }
        client.send(&masked(0x80, b"x")).await;
        let reply = client.reply().await;
        match frames {
            50 => assert!(reply.contains("\"code\":200"), "{reply}"),
            _ => assert!(reply.contains("Frame limit reached after frame number 50."), "{reply}"),
        }
    }
    client.send(&masked(0x82, b"bin")).await;
    assert!(client.reply().await.contains("Binary messages are not supported."));
    assert!(client.say("-c set").await.contains("A -> b"));
    assert_eq!(server.server.stats().bad_messages, 2);
}

#[tokio::test]
async fn a_slow_message_is_refused_and_its_rest_dropped() {
    let mut options = Options::default();
    options.limits.message_time = Duration::from_millis(50);
    let server = start(ServerConfig::new(options)).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    client.send(&masked(0x01, b"slow")).await;
    assert!(client.reply().await.contains("Timeout on frame buffer reached."));
    client.send(&masked(0x80, b"er")).await;
    assert!(client.say("-i 1 quick").await.contains("\"requestId\":\"1\""));
    assert_eq!(*server.keeper.got.lock().unwrap(), [" quick"]);
}

#[tokio::test]
async fn silence_is_pinged_and_then_closed() {
    let mut config = ServerConfig::default();
    config.ping = Some(Duration::from_millis(40));
    config.idle = Some(Duration::from_millis(150));
    let server = start(config).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    let mut pings = 0;
    let last = loop {
        match client.frame().await.unwrap() {
            (0x89, payload) if payload.is_empty() => pings += 1,
            other => break other,
        }
    };
    assert!(pings >= 1, "{pings}");
    assert_eq!((last.0, &last.1[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    client.send(&masked(0x88, &[3, 233])).await;
    assert!(client.frame().await.is_none());
}

#[tokio::test]
async fn an_answered_ping_is_a_sign_of_life() {
    let mut config = ServerConfig::default();
    config.ping = Some(Duration::from_millis(40));
    config.idle = Some(Duration::from_millis(400));
    let server = start(config).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    // Longer than may be silent.
    for _ in 0..15 {
        assert_eq!(client.frame().await, Some((0x89, vec![])));
        client.send(&masked(0x8a, b"")).await;
    }
    assert!(client.say("-c HELP").await.contains("200"));
}

/// A client that reads nothing is not read from: what waits for it is bounded, and nothing is
/// lost when it reads after all.
#[tokio::test]
async fn a_client_that_does_not_read_is_held_back_and_loses_nothing() {
    const COUNT: usize = 20_000;
    let server = start(ServerConfig::default()).await;
    let client = Client::open(&server, "/ws-ingest").await;
    let (read, mut write) = client.stream.into_split();
    let sender = tokio::spawn(async move {
        for number in 0..COUNT {
            let text = format!("-i {number} {}", "x".repeat(400));
            let frame = masked(0x81, text.as_bytes());
            tokio::io::AsyncWriteExt::write_all(&mut write, &frame).await.unwrap();
        }
        write
    });
    // The sender gets stuck: the buffers of both sides are full, and the server takes no more.
    let mut before = u64::MAX;
    loop {
        let now = server.server.stats().messages;
        if now == before && now > 0 {
            break;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(200)).await; // tidy: sleep until nothing moves, which has no event
    }
    let taken = usize::try_from(before).unwrap();
    assert!(taken < COUNT || sender.is_finished(), "{taken}");
    let mut ids = vec![false; COUNT];
    let mut reader = Reader { read };
    for _ in 0..COUNT {
        let report: serde_json::Value = serde_json::from_slice(&reader.text().await).unwrap();
        let id: usize = report["requestId"].as_str().unwrap().parse().unwrap();
        assert!(!std::mem::replace(&mut ids[id], true), "{id} twice");
    }
    assert!(ids.iter().all(|seen| *seen));
    drop(sender.await.unwrap());
}

struct Reader {
    read: tokio::net::tcp::OwnedReadHalf,
}

impl Reader {
    async fn text(&mut self) -> Vec<u8> {
        use tokio::io::AsyncReadExt;
        let mut start = [0; 2];
        self.read.read_exact(&mut start).await.unwrap();
        let length = match start[1] {
            126 => usize::from(self.read.read_u16().await.unwrap()),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.read.read_exact(&mut payload).await.unwrap();
        payload
    }
}

/// Requests without a report are bounded: past it nothing is read, and everything is served.
#[tokio::test]
async fn requests_under_way_are_bounded() {
    let mut config = ServerConfig::default();
    config.in_flight = 4;
    let server = start(config).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    for number in 0..6 {
        client.text(&format!("-i {number} hang")).await;
    }
    while server.server.stats().requests < 4 {
        tokio::task::yield_now().await;
    }
    client.text("-i last x").await;
    assert_eq!(server.server.stats().requests, 4);
    let mut replies = Vec::new();
    for _ in 0..7 {
        server.keeper.go.notify_one();
        replies.push(client.reply().await);
    }
    assert!(replies.iter().skip(1).any(|reply| reply.contains("last")), "{replies:?}");
    assert_eq!(server.server.stats().reports, 7);
}

/// The recorded `head` restarts a session that misbehaved: its metadata is gone, and what comes
/// meanwhile waits.
#[tokio::test]
async fn the_recorded_head_restarts_sessions() {
    let server = start(ServerConfig::new(Options::recorded(Dialect::Head))).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    client.say("-c set a = b").await;
    client.send(&masked(0x82, b"bin")).await;
    assert!(client.reply().await.contains("Binary"));
    let since = tokio::time::Instant::now();
    assert_eq!(client.say("-c set").await, r#"{"message":"","status":200}"#);
    assert!(since.elapsed() >= Duration::from_millis(2900));
}
