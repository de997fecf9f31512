//! HTTP over sockets.

use std::time::Duration;

use hydra_ws::{Options, ServerConfig, Token};

use crate::support::{Client, start};

fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn payloads_one_after_the_other() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::raw(&server).await;
    client.send(post("/ingest", "hydra-request-id: a b\r\n", "one\ntwo").as_bytes()).await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    assert_eq!(
        body,
        r#"{"requestId":"a b","status":{"code":200,"message":"OK"},"ingestors":{"keeper":{"code":200,"message":"OK"}}}"#
    );
    client.send(post("/ingest/keeper", "", "explode").as_bytes()).await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{head}");
    assert!(body.contains("boom"));
    client.send(post("/ingest/nobody", "", "x").as_bytes()).await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert_eq!(body, r#"{"status":404,"message":"Ingestor nobody not found."}"#);
    client.send(post("/ingest", "hydra-ingestor: nope\r\n", "x").as_bytes()).await;
    let (head, _) = client.answer().await;
    let reason = "HTTP/1.1 404 No ingestor named nope was found in the registry.\r\n";
    assert!(head.starts_with(reason), "{head}");
    client.send(post("/ingest", "", "").as_bytes()).await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(body, "Request entity expected but not supplied");
    assert_eq!(*server.keeper.got.lock().unwrap(), ["one\ntwo", "explode"]);
}

#[tokio::test]
async fn what_a_client_names_cannot_break_the_status_line() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::raw(&server).await;
    client.send(post("/ingest", "hydra-ingestor: é\u{2028}x\r\n", "x").as_bytes()).await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert!(body.contains("No ingestor named é\u{2028}x was found"), "{body}");
}

#[tokio::test]
async fn a_request_that_nobody_answers_times_out() {
    let mut options = Options::default();
    options.ingest_timeout = Duration::from_millis(50);
    let server = start(ServerConfig::new(options)).await;
    let mut client = Client::raw(&server).await;
    client.send(post("/ingest", "", "hang").as_bytes()).await;
    let (head, body) = client.answer().await;
    let reason = "HTTP/1.1 408 No ingestors completed the request in 50 milliseconds.\r\n";
    assert!(head.starts_with(reason), "{head}");
    assert!(body.contains(r#""keeper":{"code":408,"message":"Request Timeout"}"#), "{body}");
}

#[tokio::test]
async fn bodies_are_limited() {
    let mut options = Options::default();
    options.limits.message = 10;
    let server = start(ServerConfig::new(options)).await;
    for (body, code) in [("0123456789", 200), ("0123456789a", 413)] {
        let mut client = Client::raw(&server).await;
        client.send(post("/ingest", "", body).as_bytes()).await;
        let (head, _) = client.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{head}");
    }
    let mut client = Client::raw(&server).await;
    let chunked = "POST /ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
                   8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n";
    client.send(chunked.as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn the_page_the_list_and_nothing() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::raw(&server).await;
    client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(body.contains("new WebSocket("), "{body}");
    client.send(b"GET /ingestors HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (_, body) = client.answer().await;
    let list: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["path"]), (&"keeper".into(), &"/ingest/keeper".into()));
    client.send(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (head, _) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    client.send(b"GET /ingest HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: POST\r\n"), "{head}");
    assert_eq!(body, "HTTP method not allowed, supported methods: POST");
}

#[tokio::test]
async fn strangers_are_refused_on_sockets_and_http_alike() {
    let server = start(ServerConfig::default()).await;
    let from = async |field: &str| {
        let mut client = Client::raw(&server).await;
        let socket = client.upgrade("/ws-ingest", field).await;
        let mut client = Client::raw(&server).await;
        client.send(post("/ingest", field, "x").as_bytes()).await;
        let (http, _) = client.answer().await;
        let code = |head: &str| head.split(' ').nth(1).unwrap().to_owned();
        (code(&socket), code(&http))
    };
    let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(from("").await, both("101", "200"));
    assert_eq!(from("Origin: http://localhost\r\n").await, both("101", "200"));
    let extension = "Origin: chrome-extension://omalebghpgejjiaoknljcfmglgbpocdp\r\n";
    assert_eq!(from(extension).await, both("101", "200"));
    assert_eq!(from("Origin: http://evil.example\r\n").await, both("403", "403"));
    assert_eq!(from("Origin: null\r\n").await, both("403", "403"));
    assert_eq!(server.keeper.got.lock().unwrap().len(), 3);
    let mut client = Client::raw(&server).await;
    client.send(b"GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 403 "));
    assert_eq!(server.server.stats().refused, 5);
}

#[tokio::test]
async fn an_answer_before_the_body_ends_the_connection() {
    let mut options = Options::default();
    options.limits.message = 4;
    let server = start(ServerConfig::new(options)).await;
    let refused = "POST /ingest HTTP/1.1\r\nOrigin: http://evil.example\r\n";
    let next = "12345GET /ingestors HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (head, body, code) in [
        (refused, "", "403"),
        // Whether or not the body came with the head.
        (refused, next, "403"),
        // One that is too long is not read to its end.
        ("POST /nothing HTTP/1.1\r\n", next, "404"),
    ] {
        let mut client = Client::raw(&server).await;
        let text = format!("{head}Host: localhost\r\nContent-Length: 5\r\n\r\n{body}");
        client.send(text.as_bytes()).await;
        let (answer, _) = client.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(client.frame().await.is_none(), "{code}: nothing more is answered");
    }
}

#[tokio::test]
async fn a_token_is_asked_for() {
    let mut config = ServerConfig::default();
    config.access.token = Some(Token::new("s3cret"));
    let server = start(config).await;
    let mut client = Client::raw(&server).await;
    let head = client.upgrade("/ws-ingest", "").await;
    assert!(
        head.starts_with("HTTP/1.1 401 ") && head.contains("www-authenticate: Bearer"),
        "{head}"
    );
    let mut client = Client::raw(&server).await;
    let head = client.upgrade("/ws-ingest", "Authorization: Bearer s3cret\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test]
async fn web_sockets_can_be_off() {
    let mut config = ServerConfig::default();
    config.websocket_enabled = false;
    let server = start(config).await;
    let mut client = Client::raw(&server).await;
    let head = client.upgrade("/ws-ingest", "").await;
    assert!(head.starts_with("HTTP/1.1 409 Conflict\r\n"), "{head}");
    let mut client = Client::raw(&server).await;
    client.send(post("/ingest", "", "x").as_bytes()).await;
    let (head, _) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}
