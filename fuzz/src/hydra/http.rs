//! The target `http`: requests with bodies, one after the other, to the real server.

use super::super::script::split;
use super::serve::serve;
use super::{normal, options};

/// Serves a client that sends this, whole and in pieces: the codes of the answers. Pieces change
/// nothing, whatever an ingestor got has an answer, and nothing that a client sends splits one.
pub fn http(input: &[u8]) -> Vec<u16> {
    let Some((flags, choices, input)) = split(input) else { return Vec::new() };
    super::super::within(512 * input.len() + 2 * 1024 * 1024, || {
        let mut options = options(flags[0]);
        if flags[1] & 1 != 0 {
            options.limits.message = 64;
        }
        let whole = serve(&options, input.to_vec(), None);
        let pieces = serve(&options, input.to_vec(), Some(choices));
        let (all, some) = (normal(&whole.written), normal(&pieces.written));
        assert_eq!(without_refusal(&all), without_refusal(&some));
        assert_eq!(whole.payloads, pieces.payloads);
        let longest = options.limits.message;
        assert!(whole.payloads.iter().all(|payload| (1..=longest).contains(&payload.len())));
        let codes = codes(&whole.written);
        let good = codes.iter().filter(|code| **code == 200).count();
        assert!(good >= whole.payloads.len(), "{codes:?} for {} payloads", whole.payloads.len());
        codes
    })
}

/// Without a refusal at the end that names nothing. It is the HTTP library's, and comes or not as
/// the pieces fall: for a head that is wrong and not complete when the client ends, and for the
/// first words of HTTP/2.
fn without_refusal(normal: &str) -> &str {
    let Some(start) = normal.rfind("HTTP/1.1 4") else { return normal };
    let (before, last) = normal.split_at(start);
    let is_bare = last.lines().count() == 3 && last.ends_with("\r\nconnection: close\r\n\r\n");
    if is_bare { before } else { normal }
}

/// The codes of answers, which say how long they are.
fn codes(mut written: &[u8]) -> Vec<u16> {
    let mut codes = Vec::new();
    while let Some(end) = written.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = std::str::from_utf8(&written[..end]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap();
        assert!(first.starts_with("HTTP/1."), "{first}");
        let code: u16 = first.split(' ').nth(1).unwrap().parse().unwrap();
        codes.push(code);
        if code == 101 {
            return codes;
        }
        let fields: Vec<_> = lines.map(|line| line.split_once(':').expect("a field")).collect();
        let length = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map_or(0, |(_, length)| length.trim().parse().unwrap());
        let behind = &written[end + 4..];
        // An answer to HEAD says how long it would be.
        written = if behind.starts_with(b"HTTP/1.") {
            behind
        } else {
            behind.get(length..).unwrap_or_default()
        };
    }
    codes
}
