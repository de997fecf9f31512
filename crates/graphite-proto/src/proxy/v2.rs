//! Version 2: binary.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAX_HEADER, ProxyError, ProxyHeader};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, and length.
const HEAD: usize = 16;

pub(super) fn read(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let invalid = ProxyError::Invalid { version: 2 };
    match input.get(12) {
        Some(0x20 | 0x21) | None => {}
        Some(_) => return Err(invalid),
    }
    match input.get(13) {
        Some(0x00 | 0x11 | 0x12 | 0x21 | 0x22 | 0x31 | 0x32) | None => {}
        Some(_) => return Err(invalid),
    }
    let Some([.., command, family, high, low]) = input.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = HEAD + usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_HEADER {
        return Err(ProxyError::TooLong);
    }
    // What is behind the addresses are extensions, which nothing here asks for.
    let least = match family {
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => 0,
    };
    let local = *command == 0x20;
    if !local && length < HEAD + least {
        return Err(invalid);
    }
    let Some(content) = input.get(HEAD..length) else { return Ok(None) };
    let header = match family {
        _ if local => ProxyHeader::Local,
        0x11 | 0x12 => four(content).ok_or(invalid)?,
        0x21 | 0x22 => six(content).ok_or(invalid)?,
        _ => ProxyHeader::Unknown,
    };
    Ok(Some((header, length)))
}

fn four(content: &[u8]) -> Option<ProxyHeader> {
    let [a, b, c, d, e, f, g, h, from, from_low, to, to_low] = *content.first_chunk()?;
    Some(ProxyHeader::Inet {
        source: SocketAddr::new(
            Ipv4Addr::new(a, b, c, d).into(),
            u16::from_be_bytes([from, from_low]),
        ),
        destination: SocketAddr::new(
            Ipv4Addr::new(e, f, g, h).into(),
            u16::from_be_bytes([to, to_low]),
        ),
    })
}

fn six(content: &[u8]) -> Option<ProxyHeader> {
    let (source, rest) = content.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let [from, from_low, to, to_low] = *rest.first_chunk()?;
    Some(ProxyHeader::Inet {
        source: SocketAddr::new(
            Ipv6Addr::from(*source).into(),
            u16::from_be_bytes([from, from_low]),
        ),
        destination: SocketAddr::new(
            Ipv6Addr::from(*destination).into(),
            u16::from_be_bytes([to, to_low]),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, content].concat()
    }

    #[test]
    fn families() {
        let four = [1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x34, 0, 80];
        let inet = ProxyHeader::Inet {
            source: "1.2.3.4:4660".parse().unwrap(),
            destination: "5.6.7.8:80".parse().unwrap(),
        };
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[35]) = (1, 2, 9, 10);
        let inet6 = ProxyHeader::Inet {
            source: "[::1]:9".parse().unwrap(),
            destination: "[::2]:10".parse().unwrap(),
        };
        let extended = [&four[..], b"\x04\0\x02ab"].concat();
        for (command, family, content, expected) in [
            (0x21, 0x11, &four[..], inet),
            (0x21, 0x12, &four, inet),
            (0x21, 0x11, &extended, inet),
            (0x21, 0x21, &six, inet6),
            (0x21, 0x31, &[0; 216], ProxyHeader::Unknown),
            (0x21, 0x00, b"", ProxyHeader::Unknown),
            (0x20, 0x00, b"", ProxyHeader::Local),
            (0x20, 0x11, &four, ProxyHeader::Local),
        ] {
            let input = header(command, family, content);
            let read_whole = read(&[&input[..], b"a.b 1 7\n"].concat());
            assert_eq!(read_whole, Ok(Some((expected, input.len()))), "{command} {family}");
            assert_eq!(read(&input[..input.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let invalid = Err(ProxyError::Invalid { version: 2 });
        assert_eq!(read(&header(0x31, 0x11, &[0; 12])), invalid);
        assert_eq!(read(&header(0x22, 0x11, &[0; 12])), invalid);
        assert_eq!(read(&header(0x21, 0x41, &[0; 12])), invalid);
        assert_eq!(read(&header(0x21, 0x13, &[0; 12])), invalid);
        assert_eq!(read(&header(0x21, 0x11, &[0; 11])), invalid);
        assert_eq!(read(&header(0x21, 0x21, &[0; 35])), invalid);
        assert_eq!(read(&header(0x21, 0x31, &[0; 215])), invalid);
        assert_eq!(read(&header(0x21, 0x11, &[0; 4081])), Err(ProxyError::TooLong));
        assert!(read(&header(0x21, 0x11, &[0; 4080])).is_ok_and(|read| read.is_some()));
    }
}
