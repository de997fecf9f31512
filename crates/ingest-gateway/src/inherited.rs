//! Sockets that a service manager bound before the program started (systemd's socket activation,
//! sd_listen_fds(3)). They stay bound while the program restarts, so that no connection is refused
//! and no datagram is lost meanwhile.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;

/// A socket that was there already.
#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// The sockets that were handed over, until their listeners have taken them.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, SocketAddr, Socket)>);

impl Inherited {
    /// What the service manager handed over: `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` of the
    /// environment. Nothing, when it was handed to another process or not at all.
    ///
    /// # Errors
    /// When a descriptor is neither a TCP listener nor a UDP socket: it would be closed, and nobody
    /// would know.
    pub fn from_env() -> io::Result<Self> {
        let mut given = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = Self::default();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let tcp = given.take_tcp_listener(index);
            let socket = match tcp {
                Ok(Some(listener)) => Socket::Tcp(listener),
                Ok(None) => continue,
                Err(_) => match given.take_udp_socket(index) {
                    Ok(Some(socket)) => Socket::Udp(socket),
                    Ok(None) => continue,
                    Err(error) => {
                        let number = index + 3;
                        return Err(io::Error::new(
                            error.kind(),
                            format!(
                                "descriptor {number} ({name:?}) of the service manager is neither \
                                 a TCP nor a UDP socket: {error}"
                            ),
                        ));
                    }
                },
            };
            sockets.add(name, socket)?;
        }
        Ok(sockets)
    }

    fn add(&mut self, name: String, socket: Socket) -> io::Result<()> {
        let bound = match &socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                listener.local_addr()?
            }
            Socket::Udp(socket) => {
                socket.set_nonblocking(true)?;
                socket.local_addr()?
            }
        };
        self.0.push((name, bound, socket));
        Ok(())
    }

    /// A TCP listener, as if a service manager had handed it over under this name.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub fn tcp(mut self, name: &str, listener: TcpListener) -> io::Result<Self> {
        self.add(name.to_owned(), Socket::Tcp(listener))?;
        Ok(self)
    }

    /// A UDP socket, as if a service manager had handed it over under this name.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub fn udp(mut self, name: &str, socket: UdpSocket) -> io::Result<Self> {
        self.add(name.to_owned(), Socket::Udp(socket))?;
        Ok(self)
    }

    /// The listener for a source (or `admin`): the one of that name, else the one at its address.
    pub(crate) fn take_tcp(&mut self, name: &str, listen: &str) -> Option<TcpListener> {
        let index = self.find(name, listen, |socket| matches!(socket, Socket::Tcp(_)))?;
        match self.0.remove(index) {
            (_, _, Socket::Tcp(listener)) => Some(listener),
            (_, _, Socket::Udp(_)) => None,
        }
    }

    /// The socket for a source of datagrams, likewise.
    pub(crate) fn take_udp(&mut self, name: &str, listen: &str) -> Option<UdpSocket> {
        let index = self.find(name, listen, |socket| matches!(socket, Socket::Udp(_)))?;
        match self.0.remove(index) {
            (_, _, Socket::Udp(socket)) => Some(socket),
            (_, _, Socket::Tcp(_)) => None,
        }
    }

    fn find(&self, name: &str, listen: &str, fits: impl Fn(&Socket) -> bool) -> Option<usize> {
        let address: Option<SocketAddr> = listen.parse().ok();
        let named = self.0.iter().position(|(n, _, socket)| n == name && fits(socket));
        named.or_else(|| {
            self.0.iter().position(|(_, bound, socket)| Some(*bound) == address && fits(socket))
        })
    }
}

/// What nobody has taken.
impl fmt::Display for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, bound, socket)) in self.0.iter().enumerate() {
            let protocol = match socket {
                Socket::Tcp(_) => "TCP",
                Socket::Udp(_) => "UDP",
            };
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{protocol} {bound} ({name:?})")?;
        }
        Ok(())
    }
}

impl Inherited {
    /// Whether everything was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_name_or_address() {
        let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, two, three) = (tcp(), tcp(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let at = |socket: &TcpListener| socket.local_addr().unwrap().to_string();
        let (first, second, third) = (at(&one), at(&two), three.local_addr().unwrap().to_string());
        let mut all = Inherited::default().tcp("graphite", one).unwrap();
        all = all.tcp("ingestry.socket", two).unwrap().udp("graphite", three).unwrap();
        // By name, wherever it is said to listen; of the right kind.
        assert_eq!(
            all.take_udp("graphite", "127.0.0.1:9").unwrap().local_addr().unwrap().to_string(),
            third
        );
        assert_eq!(at(&all.take_tcp("graphite", "127.0.0.1:9").unwrap()), first);
        assert!(all.take_tcp("graphite", "127.0.0.1:9").is_none());
        assert_eq!(all.to_string(), format!("TCP {second} (\"ingestry.socket\")"));
        // By address.
        assert!(all.take_udp("x", &second).is_none());
        assert_eq!(at(&all.take_tcp("x", &second).unwrap()), second);
        assert!(all.is_empty());
    }
}
