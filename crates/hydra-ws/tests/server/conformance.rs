//! What RFC 6455 asks of a server, by section.

use hydra_ws::ServerConfig;

use crate::support::{Client, masked, start, unmasked};

/// 4.2.1, 4.2.2: what is no handshake is refused, and says how.
#[tokio::test]
async fn opening_handshakes() {
    let server = start(ServerConfig::default()).await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let upgrade = "Upgrade: websocket\r\n";
    let connection = "Connection: Upgrade\r\n";
    let all = [key, version, upgrade, connection].concat();
    for (what, first, fields, status) in [
        ("all is there", "GET /ws-ingest HTTP/1.1", all.clone(), 101),
        (
            "words in other cases",
            "GET /ws-ingest HTTP/1.1",
            format!("{key}{version}upgrade: WebSocket\r\nconnection: foo, UPGRADE\r\n"),
            101,
        ),
        ("no upgrade", "GET /ws-ingest HTTP/1.1", [key, version, connection].concat(), 400),
        (
            "another protocol",
            "GET /ws-ingest HTTP/1.1",
            format!("{key}{version}{connection}Upgrade: h2c\r\n"),
            400,
        ),
        ("no connection", "GET /ws-ingest HTTP/1.1", [key, version, upgrade].concat(), 400),
        ("no key", "GET /ws-ingest HTTP/1.1", [version, upgrade, connection].concat(), 400),
        (
            "a short key",
            "GET /ws-ingest HTTP/1.1",
            format!("{version}{upgrade}{connection}Sec-WebSocket-Key: abc\r\n"),
            400,
        ),
        ("two keys", "GET /ws-ingest HTTP/1.1", [&all, key].concat(), 400),
        ("no version", "GET /ws-ingest HTTP/1.1", [key, upgrade, connection].concat(), 426),
        (
            "another version",
            "GET /ws-ingest HTTP/1.1",
            format!("{key}{upgrade}{connection}Sec-WebSocket-Version: 8\r\n"),
            426,
        ),
        ("another method", "POST /ws-ingest HTTP/1.1", format!("{all}Content-Length: 0\r\n"), 400),
        ("an old HTTP", "GET /ws-ingest HTTP/1.0", all.clone(), 400),
    ] {
        let mut client = Client::raw(&server).await;
        client.send(format!("{first}\r\nHost: localhost\r\n{fields}\r\n").as_bytes()).await;
        let head = client.head().await;
        let code = head.split(' ').nth(1).unwrap();
        assert_eq!(code, status.to_string(), "{what}: {head}");
        if status == 426 {
            assert!(head.contains("sec-websocket-version: 13"), "{head}");
        }
    }
}

/// 4.2.2, 9: nothing that is offered is taken up.
#[tokio::test]
async fn offers_are_not_taken_up() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::raw(&server).await;
    let offers = "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let head = client.upgrade("/ws-ingest", offers).await;
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.contains("protocol:"), "{head}");
    assert!(!head.contains("extensions"), "{head}");
    assert!(client.say("-c HELP").await.contains("200"));
}

/// 4.1: what comes together with the handshake is not lost.
#[tokio::test]
async fn a_message_right_behind_the_handshake() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::raw(&server).await;
    let mut bytes = b"GET /ws-ingest HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend(masked(0x01, b"-i 1 ea"));
    bytes.extend(masked(0x80, b"rly"));
    client.send(&bytes).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    assert!(client.reply().await.contains("\"requestId\":\"1\""));
    assert_eq!(*server.keeper.got.lock().unwrap(), [" early"]);
}

/// 5.2: lengths in all three forms, and nothing that is between bytes matters.
#[tokio::test]
async fn lengths_and_pieces() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000] {
        let payload = "x".repeat(length);
        client.text(&payload).await;
        assert!(client.reply().await.contains("\"code\":200"), "{length}");
        assert_eq!(server.keeper.got.lock().unwrap().last().unwrap().len(), length);
    }
    for byte in masked(0x81, b"-i slow byte by byte") {
        client.send(&[byte]).await;
    }
    assert!(client.reply().await.contains("\"requestId\":\"slow\""));
}

/// 5.4: messages in pieces, with control frames between them.
#[tokio::test]
async fn fragments() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    client.send(&masked(0x01, b"-c set a")).await;
    client.send(&masked(0x89, b"between")).await;
    assert_eq!(client.frame().await, Some((0x8a, b"between".to_vec())));
    client.send(&masked(0x00, b"")).await;
    client.send(&masked(0x80, b" = b")).await;
    assert_eq!(client.reply().await, r#"{"status":200,"message":"OK[A=b]"}"#);
    // A character may be cut.
    let [first, second] = "é".as_bytes() else { unreachable!() };
    client.send(&masked(0x01, &[*first])).await;
    client.send(&masked(0x80, &[*second])).await;
    client.reply().await;
    assert_eq!(server.keeper.got.lock().unwrap().last().unwrap(), "é");
}

/// 5.5.2, 5.5.3: pings are answered with their payload; pongs nobody asked for are fine.
#[tokio::test]
async fn pings() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    for payload in [vec![], vec![0xff; 125]] {
        client.send(&masked(0x89, &payload)).await;
        assert_eq!(client.frame().await, Some((0x8a, payload)));
    }
    client.send(&masked(0x8a, b"unasked")).await;
    assert!(client.say("-c HELP").await.contains("200"));
}

/// 5.1, 5.2, 5.4, 5.5, 8.1, 7.4.1: what breaks the protocol ends the connection with its code.
#[tokio::test]
async fn violations() {
    let server = start(ServerConfig::default()).await;
    let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    for (what, bytes, code) in [
        ("unmasked", unmasked(0x81, b"x"), 1002),
        ("RSV1", masked(0xc1, b"x"), 1002),
        ("RSV2", masked(0xa1, b"x"), 1002),
        ("RSV3", masked(0x91, b"x"), 1002),
        ("opcode 3", masked(0x83, b"x"), 1002),
        ("opcode 7", masked(0x87, b"x"), 1002),
        ("opcode 11", masked(0x8b, b"x"), 1002),
        ("opcode 15", masked(0x8f, b"x"), 1002),
        ("stray continuation", masked(0x80, b"x"), 1002),
        ("a message in a message", two(masked(0x01, b"x"), masked(0x81, b"y")), 1002),
        ("a ping in pieces", masked(0x09, b"x"), 1002),
        ("a close in pieces", masked(0x08, &[3, 232]), 1002),
        ("a long ping", masked(0x89, &[0; 126]), 1002),
        ("a long close", masked(0x88, &[0; 126]), 1002),
        ("half a code", masked(0x88, &[3]), 1002),
        ("a length with the top bit", two(vec![0x81, 0xff], vec![0xff; 12]), 1009),
        ("bad UTF-8", masked(0x81, b"a\xff"), 1007),
        ("a surrogate", masked(0x81, b"\xed\xa0\x80"), 1007),
        ("too long an encoding", masked(0x81, b"\xc0\xaf"), 1007),
        ("a cut character", masked(0x81, b"\xc3"), 1007),
        ("bad UTF-8 in a piece", masked(0x01, b"\xff"), 1007),
        ("a character cut at the end", two(masked(0x01, b"\xe2"), masked(0x80, b"\x82")), 1007),
        ("too large a frame", masked(0x81, &vec![b'x'; (1 << 20) + 1]), 1009),
        ("too large a message", two(masked(0x01, &vec![b'x'; 1 << 20]), masked(0x80, b"x")), 1009),
    ] {
        let mut client = Client::open(&server, "/ws-ingest").await;
        client.text("-i before x").await;
        assert!(client.reply().await.contains("before"), "{what}");
        // The server may stop reading before all is sent.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes).await;
        assert_eq!(client.close_code().await, code, "{what}");
    }
    assert_eq!(server.server.stats().violations, 24);
}

/// 5.5.1, 7.1.5, 7.4: the close frame is answered with its code.
#[tokio::test]
async fn closing_handshakes() {
    let server = start(ServerConfig::default()).await;
    for (what, payload, code) in [
        ("no code", vec![], 1005),
        ("1000", vec![3, 232], 1000),
        ("1001 and a reason", [&[3, 233], "bye".as_bytes()].concat(), 1001),
        ("3000", 3000_u16.to_be_bytes().to_vec(), 3000),
        ("4999", 4999_u16.to_be_bytes().to_vec(), 4999),
        ("999", 999_u16.to_be_bytes().to_vec(), 1002),
        ("1004", 1004_u16.to_be_bytes().to_vec(), 1002),
        ("1005", 1005_u16.to_be_bytes().to_vec(), 1002),
        ("1006", 1006_u16.to_be_bytes().to_vec(), 1002),
        ("2000", 2000_u16.to_be_bytes().to_vec(), 1002),
        ("5000", 5000_u16.to_be_bytes().to_vec(), 1002),
        ("a reason that is not UTF-8", vec![3, 232, 0xff], 1007),
    ] {
        let mut client = Client::open(&server, "/ws-ingest").await;
        client.send(&masked(0x88, &payload)).await;
        assert_eq!(client.close_code().await, code, "{what}");
    }
}

/// 5.5.1: what was sent before the close frame is answered before ours.
#[tokio::test]
async fn reports_come_before_the_end() {
    let server = start(ServerConfig::default()).await;
    let mut client = Client::open(&server, "/ws-ingest").await;
    client.text("-i 1 hang").await;
    client.text("-i 2 x").await;
    assert!(client.reply().await.contains("\"requestId\":\"2\""));
    client.send(&masked(0x88, &[3, 232])).await;
    server.keeper.go.notify_one();
    assert!(client.reply().await.contains("\"requestId\":\"1\""));
    assert_eq!(client.close_code().await, 1000);
}

/// 7.1.4: a client that just goes costs nothing but itself.
#[tokio::test]
async fn abrupt_ends() {
    let server = start(ServerConfig::default()).await;
    let whole = masked(0x81, b"whole message");
    for cut in 0..whole.len() {
        let mut client = Client::open(&server, "/ws-ingest").await;
        client.send(&whole[..cut]).await;
        drop(client);
    }
    let mut client = Client::open(&server, "/ws-ingest").await;
    assert!(client.say("-i still here").await.contains("still"));
    while server.server.stats().sessions_open > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.server.stats().broken, whole.len() as u64);
    assert_eq!(*server.keeper.got.lock().unwrap(), [" here"]);
}
