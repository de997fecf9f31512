//! Bytes of the protocol for the targets of the machines.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use ingest_wire::{STATE_AUTHENTICATED, STATE_HOT, StateResponse, TagRequest, TagResponse};

use super::script::Choices;

/// What a client says up to the stream: a response, the tag `alpha`, that it is hot.
pub(crate) fn greeting(out: &mut Vec<u8>) {
    out.extend_from_slice(&[7; 32]);
    let request = TagRequest { count: 1, tags: Some(vec!["alpha".to_owned()]) };
    request.encode(4096, out).unwrap();
    StateResponse { id: STATE_HOT, info: String::new() }.encode(4096, out).unwrap();
}

/// What a client says up to a compressed stream.
pub(crate) fn set_up(out: &mut Vec<u8>) {
    let words: [&[u8]; 3] =
        [&[0x00, 0x44, 0x33, 0x22, 9, 0], &[0x00, 0x55, 0x44, 0x33], &[1, 0, 0, 0, 0x10]];
    words.iter().for_each(|word| out.extend_from_slice(word));
}

/// What a server says up to the set-up: a challenge, that the client is in, a tag's number.
pub(crate) fn welcome(version: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 34]);
    out.extend_from_slice(&version.to_le_bytes());
    StateResponse { id: STATE_AUTHENTICATED, info: String::new() }.encode(4096, out).unwrap();
    let tags = Some(BTreeMap::from([("alpha".to_owned(), 1)]));
    TagResponse { count: 1, tags }.encode(4096, out).unwrap();
}

/// What a server says to the set-up of a client, as far as its version goes.
pub(crate) fn settle(version: u16, compression: bool, out: &mut Vec<u8>) {
    if version >= 4 {
        out.extend_from_slice(&0x2233_4401_u32.to_le_bytes());
    }
    if version >= 3 {
        out.extend_from_slice(&0x2279_3401_u32.to_le_bytes());
    }
    if version >= 4 {
        out.extend_from_slice(&0x3344_5501_u32.to_le_bytes());
        out.extend_from_slice(&1u64.to_le_bytes());
    }
    if version >= 5 {
        out.extend_from_slice(&[1, 0, 0, 0, if compression { 0x10 } else { 0 }]);
    }
}

/// The bytes in chunks of Snappy's framing.
pub(crate) fn compress(mut bytes: &[u8], mut choices: Choices, out: &mut Vec<u8>) {
    let mut encoder = snap::write::FrameEncoder::new(out);
    while !bytes.is_empty() {
        let (now, later) = bytes.split_at(choices.piece(bytes.len()));
        encoder.write_all(now).and_then(|()| encoder.flush()).unwrap();
        bytes = later;
    }
}

/// What Snappy's framing holds.
pub(crate) fn expand(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    snap::read::FrameDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Words, each with its value.
pub(crate) type Words = Vec<(u32, u64)>;

/// The commands that a server wrote behind its handshake: acknowledgements, of ditto blocks too,
/// and all others.
pub(crate) fn replies(bytes: &[u8]) -> (Words, Words) {
    let (mut acks, mut others) = (Vec::new(), Vec::new());
    gather(bytes, &mut acks, &mut others);
    (acks, others)
}

fn gather(mut bytes: &[u8], acks: &mut Words, others: &mut Words) {
    while let Some((word, rest)) = bytes.split_first_chunk::<4>() {
        let word = u32::from_le_bytes(*word);
        bytes = rest;
        let value = match word {
            0xF6E0_307E | 0xBDEA_CC1E | 0x1867_5301 | 0x3344_5501 | 0x5566_7788 => {
                let (value, rest) = bytes.split_first_chunk::<8>().expect("a whole command");
                bytes = rest;
                u64::from_le_bytes(*value)
            }
            1 => {
                let (&code, rest) = bytes.split_first().expect("a whole configuration");
                others.push((word, u64::from(code)));
                if code == 0x10 {
                    return gather(&expand(rest), acks, others);
                }
                bytes = rest;
                continue;
            }
            0x8877_0008 | 0x1867_5302 | 0x2279_3401 | 0x2233_4401 | 0x4455_6601 => 0,
            word => panic!("a server wrote {word:#x}"),
        };
        let list =
            if matches!(word, 0xF6E0_307E | 0x5566_7788) { &mut *acks } else { &mut *others };
        list.push((word, value));
    }
    assert!(bytes.is_empty(), "a server wrote a part of a word");
}
