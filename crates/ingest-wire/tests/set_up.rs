//! Servers that get the end of the set-up wrong, as Go servers do at times: two of their tasks
//! share a write buffer without a lock.
#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(feature = "tokio")]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ingest_wire::{Acceptor, ClientError, Connector, Secret, TagId, TagName, connect};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "open sesame";
/// `CONFIRM_INGEST_OK`, as it is on the wire.
const CONFIRM_INGEST_OK: [u8; 4] = [0x01, 0x55, 0x44, 0x33];

/// The reply to the stream configuration: Snappy.
const CONFIGURATION: [u8; 5] = [1, 0, 0, 0, 0x10];

/// Writes the permission to ingest a second time, behind this.
struct Stutter(TcpStream, &'static [u8]);

impl AsyncRead for Stutter {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stutter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !bytes.starts_with(self.1) {
            return Pin::new(&mut self.0).poll_write(cx, bytes);
        }
        let twice = [bytes, &CONFIRM_INGEST_OK].concat();
        Pin::new(&mut self.0).poll_write(cx, &twice).map_ok(|len| {
            assert_eq!(len, twice.len(), "an empty socket takes a few bytes at once");
            bytes.len()
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
    let acceptor = Acceptor::new(Secret::new(SECRET)).iterations(0, 0);
    let mut session = acceptor.accept(stream, |_: &TagName| Some(TagId(1))).await.unwrap();
    while let Ok(Some(batch)) = session.next_batch().await {
        let receipt = batch.receipt();
        session.confirm(receipt);
    }
}

#[tokio::test]
async fn a_reply_that_comes_twice_is_no_reason_to_give_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            serve(Stutter(stream, &CONFIRM_INGEST_OK)).await;
        }
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    let connection = connect(&target, SECRET, &["alpha"]).await.unwrap();
    assert_eq!(connection.error().map(|error| error.to_string()), None);
}

#[tokio::test]
async fn nor_is_one_where_the_compressed_stream_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            serve(Stutter(stream, &CONFIGURATION)).await;
        }
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    let connector = Connector::new(&target, SECRET).unwrap().tag("alpha").unwrap();
    let connection = connector.compression(true).connect().await.unwrap();
    let tag = connection.tag("alpha").await.unwrap();
    let entry = ingest_entry::EntryRef::new(
        ingest_entry::Timestamp::UNIX_EPOCH,
        ingest_entry::Source::NONE,
        tag,
        b"hello",
    );
    connection.send(entry).await.unwrap();
    connection.sync(std::time::Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_gets_it_right_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut times = 0;
        while let Ok((stream, _)) = listener.accept().await {
            serve(Stutter(stream, &CONFIRM_INGEST_OK)).await;
            times += 1;
            if times == 6 {
                break;
            }
        }
        times
    });
    let error = connect(&target, SECRET, &["alpha"]).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(_)), "{error}");
    assert_eq!(served.await.unwrap(), 6);
}
