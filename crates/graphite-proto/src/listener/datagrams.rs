//! Plaintext datagrams, over UDP and unix sockets.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// The largest datagram that is received, in bytes: the largest there is.
pub const MAX_DATAGRAM: usize = 65_535;

/// A UDP socket that gives out datagrams in batches.
///
/// What the system drops before they are received, no program sees; its own counters tell.
///
/// ```no_run
/// # use graphite_proto::{Datagrams, Options, Timestamp, decode_datagram};
/// # async fn serve(socket: tokio::net::UdpSocket, now: Timestamp) -> std::io::Result<()> {
/// let mut datagrams = Datagrams::new(socket);
/// let options = Options::default();
/// loop {
///     datagrams
///         .receive(64, &mut |datagram, sender| {
///             decode_datagram(&options, datagram, now, &mut |event| { /* keep it */ });
///         })
///         .await?;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    buffer: Box<[u8]>,
}

impl Datagrams {
    /// Takes over a bound socket.
    #[must_use]
    pub fn new(socket: UdpSocket) -> Self {
        Self { socket, buffer: vec![0; MAX_DATAGRAM].into_boxed_slice() }
    }

    /// Waits for a datagram, gives it to the sink with its sender's address, and after it those
    /// that have already arrived, `max` together. Says how many there were: at least one, unless
    /// `max` is 0.
    ///
    /// # Errors
    /// As [`receive_ready`](Self::receive_ready).
    ///
    /// # Cancel safety
    /// Nothing is lost: a datagram is received and given out in one step.
    pub async fn receive(
        &mut self,
        max: usize,
        sink: &mut impl FnMut(&[u8], SocketAddr),
    ) -> io::Result<usize> {
        let mut count = 0;
        while count == 0 && max > 0 {
            self.socket.readable().await?;
            count = self.receive_ready(max, sink)?;
        }
        Ok(count)
    }

    /// Gives out what has already arrived, `max` datagrams at most, without waiting.
    ///
    /// # Errors
    /// Those of the socket where nothing was received before them. Behind a datagram they only end
    /// the batch.
    pub fn receive_ready(
        &mut self,
        max: usize,
        sink: &mut impl FnMut(&[u8], SocketAddr),
    ) -> io::Result<usize> {
        for count in 0..max {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, sender)) => {
                    sink(self.buffer.get(..length).unwrap_or_default(), sender);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock || count > 0 => {
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(max)
    }

    /// The socket, for its address and options.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

/// As [`Datagrams`], over a unix socket. The system drops nothing there: a sender waits until there
/// is room.
#[cfg(unix)]
#[derive(Debug)]
pub struct UnixDatagrams {
    socket: tokio::net::UnixDatagram,
    buffer: Box<[u8]>,
}

#[cfg(unix)]
impl UnixDatagrams {
    /// Takes over a bound socket.
    #[must_use]
    pub fn new(socket: tokio::net::UnixDatagram) -> Self {
        Self { socket, buffer: vec![0; MAX_DATAGRAM].into_boxed_slice() }
    }

    /// Waits for a datagram, gives it to the sink, and after it those that have already arrived,
    /// `max` together. Says how many there were. What of one lies beyond [`MAX_DATAGRAM`] is cut off.
    ///
    /// # Errors
    /// Those of the socket where nothing was received before them.
    ///
    /// # Cancel safety
    /// Nothing is lost: a datagram is received and given out in one step.
    pub async fn receive(&mut self, max: usize, sink: &mut impl FnMut(&[u8])) -> io::Result<usize> {
        let mut count = 0;
        while count == 0 && max > 0 {
            self.socket.readable().await?;
            while count < max {
                match self.socket.try_recv(&mut self.buffer) {
                    Ok(length) => sink(self.buffer.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock || count > 0 => break,
                    Err(error) => return Err(error),
                }
                count += 1;
            }
        }
        Ok(count)
    }
}
