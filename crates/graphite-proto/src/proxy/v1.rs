//! Version 1: a line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::{all_consuming, map_opt, rest, value};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::{ProxyError, ProxyHeader};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// Bytes of the longest line, with its CR LF.
const MAX_LINE: usize = 107;

pub(super) fn read(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let invalid = ProxyError::Invalid { version: 1 };
    let window = input.get(..MAX_LINE).unwrap_or(input);
    let Some(end) = memchr::memmem::find(window, b"\r\n") else {
        // A CR may be the last byte so far; anywhere else it begins no end of line.
        let odd = window.contains(&b'\n')
            || window.split_last().is_some_and(|(_, before)| before.contains(&b'\r'));
        let full = window.len() == MAX_LINE;
        return if odd || full { Err(invalid) } else { Ok(None) };
    };
    let line = window.get(..end).and_then(|line| str::from_utf8(line).ok()).ok_or(invalid)?;
    if line.contains(['\r', '\n']) {
        return Err(invalid);
    }
    let header = all_consuming(header).parse(line).map_err(|_| invalid)?.1;
    Ok(Some((header, end + 2)))
}

/// `PROXY UNKNOWN` and anything, or `PROXY TCP4 source destination port port`.
fn header(line: &str) -> IResult<&str, ProxyHeader> {
    let unknown = value(ProxyHeader::Unknown, (tag("UNKNOWN"), rest));
    let four =
        preceded(tag("TCP4 "), addresses(|text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)));
    let six =
        preceded(tag("TCP6 "), addresses(|text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)));
    preceded(tag("PROXY "), alt((unknown, four, six))).parse(line)
}

fn addresses<'l>(
    address: fn(&str) -> Option<IpAddr>,
) -> impl Parser<&'l str, Output = ProxyHeader, Error = nom::error::Error<&'l str>> {
    let word = || take_while1(|c: char| c != ' ');
    let host = move || terminated(map_opt(word(), address), char(' '));
    let parts =
        (host(), host(), terminated(map_opt(word(), port), char(' ')), map_opt(word(), port));
    parts.map(|(source, destination, from, to)| ProxyHeader::Inet {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

/// Decimal, without sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let inet = |source: &str, destination: &str| ProxyHeader::Inet {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        };
        for (line, header) in [
            ("PROXY TCP4 1.2.3.4 5.6.7.8 9 65535", inet("1.2.3.4:9", "5.6.7.8:65535")),
            ("PROXY TCP6 ::1 2001:db8::2 0 1", inet("[::1]:0", "[2001:db8::2]:1")),
            ("PROXY UNKNOWN", ProxyHeader::Unknown),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2", ProxyHeader::Unknown),
        ] {
            let input = format!("{line}\r\nrest");
            assert_eq!(read(input.as_bytes()), Ok(Some((header, line.len() + 2))), "{line}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 10 \r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 10 11\r\n",
            "PROXY TCP4 1.2.3.4  5.6.7.8 9 10\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 09 10\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +9 10\r\n",
            "PROXY TCP4 ::1 ::2 9 10\r\n",
            "PROXY TCP6 1.2.3.4 5.6.7.8 9 10\r\n",
            "PROXY TCP4 01.2.3.4 5.6.7.8 9 10\r\n",
            "PROXY TCP5 1.2.3.4 5.6.7.8 9 10\r\n",
            "PROXY tcp4 1.2.3.4 5.6.7.8 9 10\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n",
            "PROXY UNKNOWN\rx",
        ] {
            assert_eq!(read(line.as_bytes()), Err(ProxyError::Invalid { version: 1 }), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!(
            read(&long.as_bytes()[..107]).map(|read| read.map(|read| read.1)),
            Ok(Some(107))
        );
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(read(long.as_bytes()), Err(ProxyError::Invalid { version: 1 }));
    }
}
