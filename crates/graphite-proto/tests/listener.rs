//! The tokio shells over loopback sockets.

use std::net::Ipv4Addr;

use graphite_proto::{Connection, Datagrams, Event, Format, Options, Timestamp, decode_datagram};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn text(event: Event<'_>) -> String {
    match event {
        Event::Metric(metric) => format!("{} {}", metric.path(), metric.value()),
        Event::Rejected(rejected) => format!("{}@{}", rejected.reason.as_str(), rejected.offset),
        _ => String::new(),
    }
}

#[tokio::test]
async fn a_stream_is_read_to_its_end_and_closed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for index in 0..20_000 {
            let line = format!("loop.back.{index} {index} 1700000000\n");
            stream.write_all(line.as_bytes()).await.unwrap();
        }
        stream.write_all(b"bad\ntail 1 1").await.unwrap();
        stream.shutdown().await.unwrap();
        // The end of the server's side is the acknowledgement.
        stream.read(&mut [0; 1]).await.unwrap()
    });
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = Connection::new(stream, Format::Lines, Options::default());
    let mut found = Vec::new();
    let mut received = 0;
    while let Some(count) = connection.read(10_000).await.unwrap() {
        assert!(count <= 10_000);
        received += count;
        connection.drain(NOW, &mut |event| found.push(text(event))).unwrap();
        assert!(connection.pending() < 64, "only the beginning of a line is left");
    }
    assert!(connection.at_eof());
    connection.finish(NOW, &mut |event| found.push(text(event))).unwrap();
    assert_eq!(found.len(), 20_002);
    for (index, event) in found.iter().take(20_000).enumerate() {
        assert_eq!(*event, format!("loop.back.{index} {index}"));
    }
    let bad = received - "bad\ntail 1 1".len();
    assert_eq!(
        found[20_000..],
        [format!("field_count@{bad}"), format!("unterminated@{}", bad + 4)]
    );
    assert!(!client.is_finished());
    connection.close_after_eof().await.unwrap();
    assert_eq!(client.await.unwrap(), 0);
    assert_eq!(connection.read(1).await.unwrap(), None);
}

#[tokio::test]
async fn reads_are_bounded_and_can_be_put_off() {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut connection = Connection::new(server, Format::Lines, Options::default());
    let line = b"a 1 1\n";
    client.write_all(&line.repeat(100_000)).await.unwrap();
    drop(client);
    assert_eq!(connection.read(0).await.unwrap(), Some(0));
    let mut read = 0;
    loop {
        match connection.read(usize::MAX).await.unwrap() {
            Some(0) => break,
            Some(count) => read += count,
            None => panic!("the end came before the buffer was full"),
        }
    }
    assert_eq!((read, connection.pending()), (256 * 1024, 256 * 1024));
    let mut metrics = 0;
    connection.drain(NOW, &mut |_| metrics += 1).unwrap();
    while connection.read(usize::MAX).await.unwrap().is_some() {
        connection.drain(NOW, &mut |_| metrics += 1).unwrap();
    }
    connection.finish(NOW, &mut |_| metrics += 1).unwrap();
    assert_eq!(metrics, 100_000);
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let (mut client, server) = tokio::io::duplex(64);
    let mut connection = Connection::new(server, Format::Lines, Options::default());
    let mut found = Vec::new();
    for piece in ["a 1", " 1\nb ", "2 2\n"] {
        tokio::select! {
            biased;
            read = connection.read(64) => panic!("nothing was sent: {read:?}"),
            () = std::future::ready(()) => {}
        }
        client.write_all(piece.as_bytes()).await.unwrap();
        assert_eq!(connection.read(64).await.unwrap(), Some(piece.len()));
        connection.drain(NOW, &mut |event| found.push(text(event))).unwrap();
    }
    assert_eq!(found, ["a 1", "b 2"]);
}

#[tokio::test]
async fn datagrams_come_in_batches() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    client.connect(server.local_addr().unwrap()).await.unwrap();
    let mut datagrams = Datagrams::new(server);
    assert_eq!(datagrams.receive_ready(1, &mut |_, _| ()).unwrap(), 0);
    let long = format!("{} 1 1", "x".repeat(60_000));
    for datagram in ["a 1 1\nb 2 2", "bad", long.as_str()] {
        client.send(datagram.as_bytes()).await.unwrap();
    }
    let mut options = Options::default();
    (options.max_line, options.max_path) = (65_535, 65_535);
    let mut found = Vec::new();
    let mut received = 0;
    while received < 3 {
        received += datagrams
            .receive(2, &mut |datagram, sender| {
                assert_eq!(sender, client.local_addr().unwrap());
                decode_datagram(&options, datagram, NOW, &mut |event| found.push(text(event)));
            })
            .await
            .unwrap();
    }
    let long = format!("{} 1", "x".repeat(60_000));
    assert_eq!(found, ["a 1", "b 2", "field_count@0", &long]);
    assert_eq!(datagrams.receive(0, &mut |_, _| ()).await.unwrap(), 0);
}
