//! The client against the server, over sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "server/support.rs"]
#[allow(dead_code, reason = "the tests of the server use more of it")]
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hydra_ws::{
    ClientError, ClientOptions, Dialect, HydraClient, Options, ServerConfig, Target, Token,
};
use support::{Running, start};

fn target(server: &Running, path: &str) -> Target {
    format!("ws://{}{path}", server.address).parse().unwrap()
}

#[tokio::test]
async fn metadata_and_reports_in_every_dialect() {
    for dialect in [Dialect::Doc, Dialect::Seed, Dialect::Head] {
        let server = start(ServerConfig::new(Options::new(dialect))).await;
        let target = target(&server, "/ws-ingest/keeper");
        let client = HydraClient::connect(&target, ClientOptions::default()).await.unwrap();
        client.set("hydra-kafka-topic", "t").await.unwrap();
        assert_eq!(client.list().await.unwrap()["HYDRA-KAFKA-TOPIC"], "t");
        assert!(matches!(client.set("a", "b=c").await, Err(ClientError::Metadata)));
        let report = client.send("{\"a\":1}").await.unwrap();
        assert_eq!((report.code, report.ingestors["keeper"].0), (200, 200), "{dialect:?}");
        let report = client.send("explode").await.unwrap();
        assert!(report.code >= 500, "{report:?}");
        assert!(matches!(client.send("a\nb").await, Err(ClientError::LineTerminator)));
        assert_eq!(*server.keeper.got.lock().unwrap(), [" {\"a\":1}", " explode"]);
    }
}

#[tokio::test]
async fn a_refused_command_says_so() {
    let server = start(ServerConfig::new(Options::new(Dialect::Head))).await;
    let options = ClientOptions::default();
    let client = HydraClient::connect(&target(&server, "/ws-ingest"), options).await.unwrap();
    let refused = client.set("hydra-ack", "explicit").await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(reply) if reply.status == 400), "{refused}");
    client.set("hydra-ack", "persisted").await.unwrap();
}

/// Reports overtake each other, and many are on their way at once.
#[tokio::test]
async fn requests_overlap() {
    const COUNT: usize = 2000;
    let server = start(ServerConfig::default()).await;
    let options = ClientOptions::default();
    let client = HydraClient::connect(&target(&server, "/ws-ingest"), options).await.unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.send("hang").await }
    });
    while server.server.stats().requests == 0 {
        tokio::task::yield_now().await;
    }
    let payload = "x".repeat(1000);
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..COUNT {
        let (client, payload) = (client.clone(), payload.clone());
        sends.spawn(async move { client.send(&payload).await.unwrap().code });
    }
    while let Some(code) = sends.join_next().await {
        assert_eq!(code.unwrap(), 200);
    }
    server.keeper.go.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().code, 200);
    assert_eq!(server.server.stats().reports, COUNT as u64 + 1);
}

#[tokio::test]
async fn who_waits_too_long_is_told_and_the_connection_goes_on() {
    let server = start(ServerConfig::default()).await;
    let mut options = ClientOptions::default();
    options.timeout = Duration::from_millis(100);
    options.reconnect = None;
    let client = HydraClient::connect(&target(&server, "/ws-ingest"), options).await.unwrap();
    assert!(matches!(client.send("hang").await, Err(ClientError::TimedOut)));
    server.keeper.go.notify_one();
    assert_eq!(client.send("next").await.unwrap().code, 200);
    server.stop.send_replace(true);
    while !matches!(client.send("after").await, Err(ClientError::Closed)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_no_web_socket_is_told() {
    let mut config = ServerConfig::default();
    config.access.token = Some(Token::new("s3cret"));
    let server = start(config).await;
    let target = target(&server, "/ws-ingest");
    let refused = HydraClient::connect(&target, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Handshake(line) if line.contains("401")), "{refused}");
    let mut options = ClientOptions::default();
    options.fields.push(("Authorization".into(), "Bearer s3cret".into()));
    options.fields.push(("hydra-a".into(), "1".into()));
    let client = HydraClient::connect(&target, options).await.unwrap();
    assert_eq!(client.list().await.unwrap()["HYDRA-A"], "1");
    let mut options = ClientOptions::default();
    options.fields.push(("a".into(), "b\r\nc: d".into()));
    assert!(HydraClient::connect(&target, options).await.is_err());
    let tls = "wss://localhost/".parse().unwrap();
    let error = HydraClient::connect(&tls, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::NeedsTls));
}

/// A console gets every answer, also those that come after it has closed.
#[tokio::test]
async fn a_console_reads_all_before_the_end() {
    let server = start(ServerConfig::default()).await;
    let target = target(&server, "/ws-ingest");
    let (client, mut others) =
        HydraClient::console(&target, ClientOptions::default()).await.unwrap();
    for line in ["-c SET a = b", "-i 1 x", "-c WHAT"] {
        client.raw(line).await.unwrap();
    }
    client.close().await;
    let mut lines = Vec::new();
    while let Some(line) = others.recv().await {
        lines.push(line);
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("OK[A=b]")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("\"requestId\":\"1\"")), "{lines:?}");
}

/// The server goes, and another one comes at its address: what was set is set again, and what
/// waited meanwhile is sent.
#[tokio::test]
async fn a_lost_connection_is_opened_again_with_its_metadata() {
    let first = start(ServerConfig::default()).await;
    let second = start(ServerConfig::default()).await;
    let addresses = [first.address, second.address];
    let mut connections = 0;
    let handles: Arc<Mutex<Vec<std::net::TcpStream>>> = Arc::default();
    let kept = Arc::clone(&handles);
    let mut options = ClientOptions::default();
    options.timeout = Duration::from_secs(30);
    let target = target(&first, "/ws-ingest/keeper");
    let connect = move || {
        // The second time nobody is there.
        let refused = connections == 1;
        let address = addresses[usize::from(connections > 0)];
        connections += 1;
        let kept = Arc::clone(&kept);
        async move {
            if refused {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            let stream = tokio::net::TcpStream::connect(address).await?.into_std()?;
            kept.lock().unwrap().push(stream.try_clone()?);
            tokio::net::TcpStream::from_std(stream)
        }
    };
    let (client, _others) = HydraClient::connect_with(connect, &target, options).await.unwrap();
    client.set("hydra-a", "1").await.unwrap();
    client.set("hydra-b", "2").await.unwrap();
    client.set("hydra-a", "3").await.unwrap();
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.send("hang").await }
    });
    while first.server.stats().requests == 0 {
        tokio::task::yield_now().await;
    }
    handles.lock().unwrap()[0].shutdown(std::net::Shutdown::Both).unwrap();
    // Nobody knows what became of it, so it is not sent again.
    assert!(matches!(hanging.await.unwrap(), Err(ClientError::Closed)));
    assert_eq!(client.send("behind the break").await.unwrap().code, 200);
    let list = client.list().await.unwrap();
    assert_eq!((list["HYDRA-A"].as_str(), list["HYDRA-B"].as_str()), ("3", "2"));
    assert_eq!(*second.keeper.got.lock().unwrap(), [" behind the break"]);
}
