//! Bytes of the protocol, taken apart by hand, and machines driven over them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ingest_entry::{Entry, EntryRef, Limits};
use ingest_wire::{Challenge, ClientEvent, ClientMachine, ProtocolError, ResponseHash, Secret};
use serde_json::Value;

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex is a string");
    assert!(text.len().is_multiple_of(2), "odd hex");
    let digit = |b: u8| char::from(b).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub(crate) const NEW_ENTRY: u32 = 0xC7C9_5ACB;
pub(crate) const PONG: u32 = 0x8877_0008;

/// An entry frame: its id and its entry.
pub(crate) fn entry_of(frame: &[u8]) -> (u64, Entry) {
    assert_eq!(u32_at(frame, 0), NEW_ENTRY);
    let stored = [&frame[4..38], &frame[46..]].concat();
    let (entry, used) = EntryRef::decode_stored(&stored, &Limits::FORMAT).unwrap();
    assert_eq!(used, stored.len());
    (u64_at(frame, 38), entry.to_entry())
}

/// A frame without what means nothing: the last 12 bytes of an IPv4 source.
pub(crate) fn masked(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if frame.len() >= 46 && u32_at(&frame, 0) == NEW_ENTRY && frame[7] & 0x80 != 0 {
        frame[26..38].fill(0);
    }
    frame
}

/// The commands of a server, each with its value.
pub(crate) fn server_commands(mut bytes: &[u8]) -> Vec<(u32, Option<u64>)> {
    let mut commands = Vec::new();
    while bytes.len() >= 4 {
        let word = u32_at(bytes, 0);
        let with_value =
            [0xF6E0_307E, 0xBDEA_CC1E, 0x1867_5301, 0x3344_5501, 0x5566_7788].contains(&word);
        // A stream configuration block of one byte is a word and that byte.
        let len = if with_value { 12 } else { 4 + usize::from(word == 1) };
        let value = with_value.then(|| u64_at(bytes, 4));
        commands.push((word, value));
        bytes = &bytes[len..];
    }
    assert!(bytes.is_empty());
    commands
}

/// That the entries are those of a row, whose `tag` is a number.
pub(crate) fn compare_received(found: &[Entry], want: &Value) {
    let want = want.as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(found.len(), want.len());
    for (entry, want) in found.iter().zip(want) {
        assert_eq!(entry.ts.wire_seconds(), want["ts"]["sec"].as_i64().unwrap());
        assert_eq!(u64::from(entry.ts.nanos()), want["ts"]["nsec"].as_u64().unwrap());
        let src = unhex(&want["src_hex"]);
        assert_eq!(entry.src.wire_bytes()[..src.len()], src);
        assert_eq!(entry.src.is_flagged_v4(), src.len() == 4);
        assert_eq!(u64::from(entry.tag.0), want["tag"].as_u64().unwrap());
        assert_eq!(entry.data, unhex(&want["data_hex"]));
        let values = want["evs"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(entry.values.len(), values.len());
        for (found, want) in entry.values.iter().zip(values) {
            assert_eq!(String::from_utf8_lossy(found.name()), want["name"].as_str().unwrap());
            assert_eq!(u64::from(found.kind().code()), want["type"].as_u64().unwrap());
            assert_eq!(found.data(), unhex(&want["data_hex"]));
        }
    }
}

/// What Snappy's framing holds.
pub(crate) fn unsnap(compressed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::copy(&mut snap::read::FrameDecoder::new(compressed), &mut plain).unwrap();
    plain
}

/// A secret's response, worked out once for each challenge: hashing takes its time.
pub(crate) fn respond(secret: &Secret, challenge: &Challenge) -> ResponseHash {
    type Known = Mutex<BTreeMap<([u8; 16], [u8; 36]), ResponseHash>>;
    static KNOWN: Known = Mutex::new(BTreeMap::new());
    let key = (*secret.hash(), challenge.encode());
    if let Some(known) = KNOWN.lock().unwrap().get(&key) {
        return *known;
    }
    let hash = secret.respond(challenge);
    KNOWN.lock().unwrap().insert(key, hash);
    hash
}

/// A client machine, its answers to challenges, its output, its clock.
pub(crate) struct Client {
    pub(crate) machine: ClientMachine,
    pub(crate) secret: Secret,
    pub(crate) now: Instant,
    pub(crate) events: Vec<ClientEvent>,
    pub(crate) error: Option<ProtocolError>,
    pub(crate) out: Vec<u8>,
}

impl Client {
    pub(crate) fn new(config: ingest_wire::ClientConfig, secret: Secret) -> Self {
        let now = Instant::now();
        let machine = ClientMachine::new(config, now);
        Self { machine, secret, now, events: Vec::new(), error: None, out: Vec::new() }
    }

    /// Bytes from the server, in pieces of so many.
    pub(crate) fn hear(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            let mut piece = piece;
            while !piece.is_empty() && self.error.is_none() {
                let taken = self.machine.feed(piece);
                piece = &piece[taken..];
                self.turn();
            }
        }
    }

    /// Polls until there is nothing left, answers challenges, and gathers output.
    pub(crate) fn turn(&mut self) {
        while self.error.is_none() {
            match self.machine.poll(self.now) {
                Ok(Some(ClientEvent::Challenge(challenge))) => {
                    let hash = respond(&self.secret, &challenge);
                    self.error = self.machine.respond(hash).err();
                }
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => break,
                Err(error) => self.error = Some(error),
            }
        }
        while let Some(bytes) = self.machine.transmit(self.now).unwrap() {
            self.out.extend_from_slice(&bytes);
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        while self.machine.deadline().is_some_and(|at| at <= self.now) && self.error.is_none() {
            self.error = self.machine.on_deadline(self.now).err();
            self.turn();
        }
    }
}
