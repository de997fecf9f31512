//! Unix sockets to listen on.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::Arc;

use crate::config::{GraphiteUnixSource, UnixSocket};
use crate::gateway::Socket;
use crate::sources::accept::SocketFile;

/// Who may send: the owner and the group.
const MODE: u32 = 0o660;

/// Binds the socket of a source. One that an earlier process left is replaced.
pub(crate) fn bind(config: &GraphiteUnixSource) -> io::Result<Socket> {
    let path = &config.path;
    remove_left_over(path)?;
    let file = || Arc::new(SocketFile(path.clone()));
    let socket = match config.socket {
        UnixSocket::Datagram => {
            let socket = UnixDatagram::bind(path)?;
            socket.set_nonblocking(true)?;
            Socket::UnixDatagram(socket, file())
        }
        UnixSocket::Stream => {
            let listener = UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            Socket::Unix(listener, file())
        }
    };
    std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
    Ok(socket)
}

/// Removes a socket that nobody listens on. Anything else stays, and is in the way.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let alive = || {
        let stream = std::os::unix::net::UnixStream::connect(path);
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        // A socket of datagrams answers a stream with another error, alive or not.
        match stream {
            Err(error) if refused(&error) => false,
            Err(_) => UnixDatagram::unbound().and_then(|socket| socket.connect(path)).is_ok(),
            Ok(_) => true,
        }
    };
    if is_socket && !alive() {
        return std::fs::remove_file(path);
    }
    let text = if is_socket { "somebody listens there" } else { "a file that is no socket" };
    Err(io::Error::new(io::ErrorKind::AddrInUse, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_listens_on_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert!(remove_left_over(&path).is_ok());
        let datagram = UnixDatagram::bind(&path).unwrap();
        assert!(remove_left_over(&path).is_err());
        drop(datagram);
        remove_left_over(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(remove_left_over(&path).is_err());
        drop(listener);
        remove_left_over(&path).unwrap();
        std::fs::write(&path, "text").unwrap();
        assert!(remove_left_over(&path).is_err());
        assert!(path.exists());
    }
}
