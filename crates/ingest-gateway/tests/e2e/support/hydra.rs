//! A web-socket client, as simple as can be: text frames out, text frames in.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value as Json;

use super::client::connect;

/// A web socket.
pub(crate) struct Socket(TcpStream);

impl Socket {
    pub(crate) fn open(address: SocketAddr, path: &str, fields: &str) -> io::Result<Self> {
        let mut stream = connect(address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if head.starts_with("HTTP/1.1 101 ") {
            Ok(Self(stream))
        } else {
            Err(io::Error::other(head))
        }
    }

    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        let mut frame = vec![0x81];
        match u8::try_from(text.len()) {
            Ok(short @ 0..126) => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            }
        }
        // A mask of zeros leaves the bytes as they are.
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.0.write_all(&frame)
    }

    /// The next frame: its first byte, and its payload.
    pub(crate) fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut start = [0; 2];
        self.0.read_exact(&mut start)?;
        let length = match start[1] {
            126 => {
                let mut long = [0; 2];
                self.0.read_exact(&mut long)?;
                usize::from(u16::from_be_bytes(long))
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload)?;
        Ok((start[0], payload))
    }

    pub(crate) fn reply(&mut self) -> io::Result<String> {
        let (first, payload) = self.frame()?;
        if first != 0x81 {
            return Err(io::Error::other(format!("a frame {first:#x}")));
        }
        Ok(String::from_utf8(payload).unwrap())
    }

    pub(crate) fn say(&mut self, text: &str) -> String {
        self.send(text).unwrap();
        self.reply().unwrap()
    }

    /// What a payload is reported as.
    pub(crate) fn report(&mut self, text: &str) -> Json {
        serde_json::from_str(&self.say(text)).unwrap()
    }

    /// Another handle, to read while the first one writes.
    pub(crate) fn twin(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }
}

/// Posts a body: the code, and what is answered.
pub(crate) fn post(address: SocketAddr, path: &str, fields: &str, body: &str) -> (u16, String) {
    let mut stream = connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
