//! A server that is tungstenite on a socket, and nothing else: what it reads, it writes back.
//!
//! It writes out only when there is nothing to read, which is the quickest way to use it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Bytes that are read, and gathered to be written, in one go.
const BUFFER: usize = 128 << 10;

pub(crate) fn run() -> Result<()> {
    let (listener, address) = listen()?;
    say(&address)?;
    say(&serve(&listener)?)
}

pub(super) fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves one connection up to its end.
pub(super) fn serve(listener: &TcpListener) -> Result<Spent> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    let accepted = tungstenite::accept_with_config(stream, Some(config));
    let mut socket = accepted.map_err(|error| anyhow::anyhow!("{error}"))?;
    socket.get_ref().set_nonblocking(true)?;
    let (meter, mut count) = (Meter::start(), 0);
    loop {
        match socket.read() {
            Ok(message @ Message::Text(_)) => {
                count += 1;
                until_done(&mut socket, |socket| socket.write(message.clone()))?;
            }
            Ok(Message::Close(_)) => {
                // It ends in an error that says so.
                let _ = until_done(&mut socket, WebSocket::flush);
                return meter.stop(count);
            }
            Ok(other) => bail!("{other:?} came"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                until_done(&mut socket, WebSocket::flush)?;
                wait(&socket, PollFlags::IN)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes, however long the client takes to read.
fn until_done(
    socket: &mut WebSocket<TcpStream>,
    first: impl FnOnce(&mut WebSocket<TcpStream>) -> tungstenite::Result<()>,
) -> Result<()> {
    let mut done = first(socket);
    loop {
        match done {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                wait(socket, PollFlags::OUT)?;
                done = socket.flush();
            }
            other => return Ok(other?),
        }
    }
}

fn wait(socket: &WebSocket<TcpStream>, what: PollFlags) -> Result<()> {
    poll(&mut [PollFd::new(socket.get_ref(), what)], None)?;
    Ok(())
}
