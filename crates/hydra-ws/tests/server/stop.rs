//! The end of a server.

use hydra_ws::ServerConfig;
use tokio::io::AsyncWriteExt;

use crate::support::{Client, masked, start};

#[tokio::test]
async fn sessions_are_closed_with_1001_after_their_reports() {
    let server = start(ServerConfig::default()).await;
    let mut idle = Client::open(&server, "/ws-ingest").await;
    let mut busy = Client::open(&server, "/ws-ingest").await;
    busy.text("-i 1 hang").await;
    while server.server.stats().requests < 1 {
        tokio::task::yield_now().await;
    }
    server.stop.send_replace(true);
    // What had been sent is read still.
    busy.text("-i 2 x").await;
    assert!(busy.reply().await.contains("\"requestId\":\"2\""));
    server.keeper.go.notify_one();
    assert!(busy.reply().await.contains("\"requestId\":\"1\""));
    for client in [&mut idle, &mut busy] {
        let (first, payload) = client.frame().await.unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
        client.send(&masked(0x88, &payload[..2])).await;
        assert!(client.frame().await.is_none());
    }
    while server.server.stats().sessions_open > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_answer_the_close_is_left() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    server.stop.send_replace(true);
    assert_eq!(client.frame().await.unwrap().0, 0x88);
    assert!(client.frame().await.is_none());
    let _ = client.stream.shutdown().await;
}

#[tokio::test]
async fn an_http_request_under_way_is_answered() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::raw(&server).await;
    client.send(b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nhang").await;
    while server.server.stats().requests < 1 {
        tokio::task::yield_now().await;
    }
    server.stop.send_replace(true);
    server.keeper.go.notify_one();
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.contains("\"keeper\":{\"code\":200"), "{body}");
}
