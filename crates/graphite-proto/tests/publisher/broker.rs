//! The other side of AMQP 0-9-1, as far as a publisher needs it: one connection with one channel on
//! a thread of its own, which answers everything but what is published.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const METHOD: u8 = 1;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;

/// Classes and methods, as the protocol numbers them.
mod number {
    pub(super) const START: (u16, u16) = (10, 10);
    pub(super) const START_OK: (u16, u16) = (10, 11);
    pub(super) const TUNE: (u16, u16) = (10, 30);
    pub(super) const TUNE_OK: (u16, u16) = (10, 31);
    pub(super) const OPEN: (u16, u16) = (10, 40);
    pub(super) const CLOSE: (u16, u16) = (10, 50);
    pub(super) const CHANNEL_OPEN: (u16, u16) = (20, 10);
    pub(super) const DECLARE: (u16, u16) = (40, 10);
    pub(super) const PUBLISH: (u16, u16) = (60, 40);
    pub(super) const ACK: (u16, u16) = (60, 80);
    pub(super) const NACK: (u16, u16) = (60, 120);
    pub(super) const SELECT: (u16, u16) = (85, 10);
}

/// A broker that says nothing of a message before it is told to.
#[derive(Debug)]
pub(crate) struct Broker {
    accepted: mpsc::Receiver<TcpStream>,
    stream: Option<TcpStream>,
    bodies: UnboundedReceiver<Vec<u8>>,
}

impl Broker {
    /// Starts one, and says at which port.
    pub(crate) fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (published, bodies) = unbounded_channel();
        let (accept, accepted) = mpsc::channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            accept.send(stream.try_clone().unwrap()).unwrap();
            // It ends with the connection, in order or not: what is missing then, the test sees.
            let _ = answer(stream, &published);
        });
        (Self { accepted, stream: None, bodies }, port)
    }

    /// Once somebody has connected.
    pub(crate) fn connected(mut self) -> Self {
        self.stream = Some(self.accepted.recv().unwrap());
        self
    }

    /// The bodies of this many messages, as they come.
    pub(crate) async fn published(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while found.len() < count {
            found.push(self.bodies.recv().await.unwrap());
        }
        found
    }

    /// Confirms a message, or with `multiple` all up to it.
    pub(crate) fn acknowledge(&mut self, tag: u64, multiple: bool) {
        self.say(number::ACK, &[&tag.to_be_bytes()[..], &[u8::from(multiple)]].concat());
    }

    /// Says that it did not take a message.
    pub(crate) fn refuse(&mut self, tag: u64) {
        self.say(number::NACK, &[&tag.to_be_bytes()[..], &[0]].concat());
    }

    /// Ends the connection without a word.
    pub(crate) fn break_off(self) {
        self.stream.unwrap().shutdown(Shutdown::Both).unwrap();
    }

    fn say(&mut self, method: (u16, u16), arguments: &[u8]) {
        write(self.stream.as_mut().unwrap(), 1, method, arguments).unwrap();
    }
}

/// Answers until the connection ends.
fn answer(mut stream: TcpStream, published: &UnboundedSender<Vec<u8>>) -> io::Result<()> {
    let mut hello = [0; 8];
    stream.read_exact(&mut hello)?;
    assert_eq!(&hello, b"AMQP\0\0\x09\x01");
    // Version 0-9, no properties, how to log in, which language.
    let start = [&[0, 9][..], &long(b""), &long(b"PLAIN"), &long(b"en_US")].concat();
    write(&mut stream, 0, number::START, &start)?;
    loop {
        let (kind, channel, payload) = read(&mut stream)?;
        if kind == BODY {
            // Nobody listens any more: the test is over.
            let _ = published.send(payload);
            continue;
        }
        if kind != METHOD {
            continue;
        }
        let (class, rest) = payload.split_first_chunk().unwrap();
        let (method, _) = rest.split_first_chunk().unwrap();
        let method = (u16::from_be_bytes(*class), u16::from_be_bytes(*method));
        // Each answer has the number that follows the question's.
        let ok = (method.0, method.1 + 1);
        match method {
            // No limit of channels, none of frames, which nobody may prepare for; no heartbeats.
            number::START_OK => write(&mut stream, 0, number::TUNE, &[0; 8])?,
            number::TUNE_OK | number::PUBLISH => {}
            number::OPEN => write(&mut stream, 0, ok, &[0])?,
            number::CHANNEL_OPEN => write(&mut stream, channel, ok, &long(b""))?,
            number::DECLARE | number::SELECT => write(&mut stream, channel, ok, &[])?,
            number::CLOSE => return write(&mut stream, 0, ok, &[]),
            other => panic!("a publisher has no use for {other:?}"),
        }
    }
}

/// Bytes behind their length.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn read(stream: &mut TcpStream) -> io::Result<(u8, u16, Vec<u8>)> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let [kind, c0, c1, l0, l1, l2, l3] = head;
    let mut payload = vec![0; u32::from_be_bytes([l0, l1, l2, l3]) as usize + 1];
    stream.read_exact(&mut payload)?;
    assert_eq!(payload.pop(), Some(FRAME_END));
    Ok((kind, u16::from_be_bytes([c0, c1]), payload))
}

/// A method, in one write: two threads use the stream.
fn write(
    stream: &mut TcpStream,
    channel: u16,
    (class, method): (u16, u16),
    arguments: &[u8],
) -> io::Result<()> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    let mut frame = vec![METHOD];
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&long(&payload));
    frame.push(FRAME_END);
    stream.write_all(&frame)
}
