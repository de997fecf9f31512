//! Clients of the sources, as simple as a user's.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};

use super::wait::DEADLINE;

/// The time that lines carry.
pub(crate) const TIME: u64 = 1_700_000_000;

/// A connection that does not wait for ever.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Ends our side and waits until the gateway ends its own: the acknowledgement. Anything else
/// than an end of file is an error.
pub(crate) fn acknowledged(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    match stream.read(&mut [0; 16])? {
        0 => Ok(()),
        _ => Err(io::Error::other("the gateway answered with bytes")),
    }
}

/// Sends everything on a connection of its own, and gets it acknowledged.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(bytes)?;
    acknowledged(stream)
}

/// Sends one datagram.
pub(crate) fn send_datagram(address: SocketAddr, bytes: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(socket.send_to(bytes, address).unwrap(), bytes.len());
}

/// The body that the admin pages have at a path.
pub(crate) fn page(admin: SocketAddr, path: &str) -> String {
    let mut stream = connect(admin).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    body.to_owned()
}

/// `/status`, which must say of itself that it adds up.
pub(crate) fn status(admin: SocketAddr) -> serde_json::Value {
    let status: serde_json::Value = serde_json::from_str(&page(admin, "/status")).unwrap();
    assert_eq!(status["balanced"], true, "{status:#}");
    status
}

/// The row of a source in [`status`].
pub(crate) fn source_row(status: &serde_json::Value, name: &str) -> serde_json::Value {
    let rows = status["sources"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap().clone()
}
