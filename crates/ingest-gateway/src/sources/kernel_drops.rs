//! Datagrams that the kernel dropped because a socket's buffer was full: Linux tells in
//! `/proc/net/udp` and `/proc/net/udp6`.

use std::net::{IpAddr, SocketAddr};

/// Drops of the socket bound to `local` so far; `None` where the system does not tell.
pub(crate) fn read(local: SocketAddr) -> Option<u64> {
    let path = if local.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    parse(&std::fs::read_to_string(path).ok()?, local)
}

fn parse(table: &str, local: SocketAddr) -> Option<u64> {
    let wanted = match local.ip() {
        // Addresses are printed as native words, here of a little-endian machine.
        IpAddr::V4(ip) => format!("{:08X}:{:04X}", u32::from_le_bytes(ip.octets()), local.port()),
        IpAddr::V6(ip) => {
            let words = ip.octets();
            let words = words.chunks_exact(4).map(|word| {
                let word: [u8; 4] = word.try_into().unwrap_or_default();
                format!("{:08X}", u32::from_le_bytes(word))
            });
            format!("{}:{:04X}", words.collect::<String>(), local.port())
        }
    };
    let mut found = None;
    for line in table.lines().skip(1) {
        let mut fields = line.split_ascii_whitespace();
        if fields.nth(1) == Some(wanted.as_str()) {
            let drops: u64 = fields.last()?.parse().ok()?;
            found = Some(found.unwrap_or(0) + drops);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_socket_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             1: 0100007F:07D3 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000 17\n\
             2: 0100007F:07D4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000 3\n";
        assert_eq!(parse(table, "127.0.0.1:2003".parse().unwrap()), Some(17));
        assert_eq!(parse(table, "127.0.0.1:2005".parse().unwrap()), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_live_socket_is_in_the_system_s_table() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = std::net::UdpSocket::bind(host) else { continue };
            assert_eq!(read(socket.local_addr().unwrap()), Some(0), "{host}");
        }
    }
}
