//! The sender over real sockets: back-pressure, breaks, and what is written again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use graphite_proto::{Link, MetricRef, Sender, SenderOptions, Tcp, Timestamp, Wire};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn options(keep: usize) -> SenderOptions {
    let mut options = SenderOptions::default();
    options.wire = Wire::Lines;
    options.batch = 1024;
    options.keep = keep;
    options
}

async fn numbers(sender: &mut Sender<Tcp>, range: std::ops::Range<u32>) {
    for n in range {
        let at = Timestamp::from_seconds(i64::from(n));
        sender.send(&MetricRef::new("n", f64::from(n), at)).await.unwrap();
    }
}

fn found(text: &[u8]) -> Vec<u32> {
    let line = |line: &str| line.rsplit(' ').next().unwrap().parse().unwrap();
    str::from_utf8(text).unwrap().lines().map(line).collect()
}

#[tokio::test]
async fn everything_arrives_in_order_and_the_end_is_awaited() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        found(&all)
    });
    let mut sender = Sender::new(Tcp(address), options(0));
    numbers(&mut sender, 0..5_000).await;
    sender.finish().await;
    assert_eq!(sender.connections(), 1);
    assert_eq!(server.await.unwrap(), (0..5_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_breaks_off_gets_what_was_under_way_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let mut all = BTreeSet::new();
        // Three connections are cut after some lines: by a reset, since there is more to read.
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = vec![0; 20_000];
            stream.read_exact(&mut some).await.unwrap();
            let whole = some.iter().rposition(|byte| *byte == b'\n').unwrap();
            all.extend(found(&some[..whole]));
        }
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        all.extend(found(&rest));
        all
    });
    // More is kept than a socket can hold here.
    let mut sender = Sender::new(Tcp(address), options(64 << 20));
    numbers(&mut sender, 0..200_000).await;
    sender.finish().await;
    assert_eq!(sender.connections(), 4);
    assert_eq!(server.await.unwrap(), (0..200_000).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn a_server_that_reads_nothing_holds_the_sender_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (read_on, wait) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        wait.await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        found(&all).len()
    });
    let mut sender = Sender::new(Tcp(address), options(0));
    // More than the buffers of both systems hold.
    let all = async {
        numbers(&mut sender, 0..2_000_000).await;
        sender.finish().await;
    };
    let mut all = std::pin::pin!(all);
    let held_up = tokio::time::timeout(Duration::from_millis(300), &mut all).await;
    assert!(held_up.is_err(), "nobody reads, and all was written");
    read_on.send(()).unwrap();
    all.await;
    assert_eq!(server.await.unwrap(), 2_000_000);
}

#[tokio::test]
async fn a_link_notices_that_the_other_side_has_closed() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut link = Link::new(ours);
    link.write_all(b"a 1 2\n").await.unwrap();
    theirs.write_all(b"what nobody asked for").await.unwrap();
    link.write_all(b"b 1 2\n").await.unwrap();
    drop(theirs);
    assert_eq!(link.ended().await.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(link.write(b"c 1 2\n").await.is_err());
}
