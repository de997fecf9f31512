//! Vectors and sessions recorded from the real Go library: its bytes are our bytes, and our
//! machines stand in for either of its sides.
//!
//! Reads the folder `gravwell` below the directory named by `INGESTRY_VECTORS`, if set, else the
//! project's copy. What a folder or a row lacks is printed as absent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test tells what was absent")]

#[path = "support/client_side.rs"]
mod client_side;
#[path = "../../../testdata/support/folder.rs"]
mod folder;
#[path = "support/probes.rs"]
mod probes;
#[path = "../../../testdata/support/rows.rs"]
mod rows;
#[path = "support/serve.rs"]
mod serve;
#[path = "support/server_side.rs"]
mod server_side;
#[path = "support/wire.rs"]
mod wire;

use std::collections::BTreeMap;

use ingest_wire::{
    AuthResponse, Challenge, ClientConfig, IngesterState, ProtocolError, Secret, ServerConfig,
    StateResponse, TagRequest, TagResponse, Target,
};
use rows::{Row, Tally, each_row};
use serde_json::Value;
use wire::{Client, u32_at, unhex};

const FORMATS: [&str; 4] =
    ["auth.jsonl", "messages.jsonl", "server_probes.jsonl", "client_probes.jsonl"];

/// Where we differ on purpose, each with its line of the specification of the wire protocol.
mod differences {
    /// Section 5: "The FORCE_ACKs are a side effect of "sync first" in the Go client; we need not
    /// send them."
    pub(crate) const SYNC_FIRST: &str = "no FORCE_ACK in the set-up";
    /// Section 10.7: "Ours: close on the first unknown magic"; the Go server skips words.
    pub(crate) const UNKNOWN_WORD: &str = "an unknown or misplaced word closes";
    /// Section 6: "ours should map unknown numbers to an error or to `default` by policy".
    pub(crate) const UNKNOWN_TAG: &str = "a tag number that was not given out closes";
    /// Section 10.4: "Count 0 is never answered by the Go server [...]; ours should answer 0."
    pub(crate) const EMPTY_DITTO: &str = "an empty ditto block is answered";
    /// Section 13, client: "ack for unknown id [...] ignore, count"; section 9: the Go client does
    /// not find ids out of order.
    pub(crate) const ANY_ORDER: &str = "acknowledgements are found in any order";
    /// Section 9: "A second ack [...] breaks a following tag negotiation"; section 10.1: "a
    /// THROTTLE there is a hard error". Section 17: both are faults of the Go peer.
    pub(crate) const TAG_REPLY: &str = "a tag's reply is found behind other commands";
}

#[test]
fn the_folder_holds_a_format() {
    let folder = folder::folder("gravwell");
    let mut found: Vec<_> = FORMATS.iter().filter(|file| folder.join(file).exists()).collect();
    let transcripts = transcripts();
    println!("{}: {found:?} and {} transcripts", folder.display(), transcripts.len());
    if !transcripts.is_empty() {
        found.push(&"transcript_*.jsonl");
    }
    assert!(!found.is_empty(), "{} holds none of {FORMATS:?}", folder.display());
}

#[test]
fn auth() {
    each_row("auth.jsonl", |row, tally| match tally.column(row, "kind")?.as_str() {
        Some("challenge") => challenge(row, tally),
        Some("response_decode") => response_decode(row, tally),
        _ => Some(Row::Skipped("kind is not one of ours")),
    });
}

fn challenge(row: &Value, tally: &mut Tally) -> Option<Row> {
    let secret = Secret::new(unhex(tally.column(row, "secret_hex")?));
    if let Some(hash) = tally.column(row, "secret_hash_hex") {
        assert_eq!(secret.hash()[..], unhex(hash));
    }
    let bytes: [u8; Challenge::LEN] =
        unhex(tally.column(row, "challenge_hex")?).try_into().unwrap();
    let challenge = Challenge::decode(&bytes);
    assert_eq!(challenge.encode(), bytes);
    if let Some(iterate) = tally.column(row, "iterate") {
        assert_eq!(u64::from(challenge.iterate), iterate.as_u64().unwrap());
    }
    if let Some(rand) = tally.column(row, "rand_hex") {
        assert_eq!(challenge.rand[..], unhex(rand));
    }
    if let Some(version) = tally.column(row, "version") {
        assert_eq!(u64::from(challenge.version), version.as_u64().unwrap());
    }
    let hash = secret.respond(&challenge);
    if let Some(want) = tally.column(row, "response_hash_hex") {
        assert_eq!(hash.as_bytes()[..], unhex(want));
    }
    let tenant = tally.column(row, "tenant_hex").map(unhex).filter(|tenant| !tenant.is_empty());
    let response = AuthResponse { hash, tenant };
    let mut out = Vec::new();
    let encoded = response.encode(challenge.version, &mut out);
    if response.tenant.is_some() && challenge.version < 7 {
        // The row shows what the encoder alone would emit; a client must refuse.
        let version = challenge.version;
        assert_eq!(encoded, Err(ProtocolError::TenantUnsupported { version }));
        assert!(out.is_empty());
    } else if let Some(error) = row.get("response_error") {
        println!("{error}: {}", encoded.unwrap_err());
    } else {
        encoded.unwrap();
        assert_eq!(out, unhex(tally.column(row, "response_wire_hex")?));
        assert_eq!(AuthResponse::decode(&out), Ok(Some((response, out.len()))));
    }
    Some(Row::Checked)
}

fn response_decode(row: &Value, tally: &mut Tally) -> Option<Row> {
    let bytes = unhex(tally.column(row, "hex")?);
    let decoded = AuthResponse::decode(&bytes);
    if tally.column(row, "ok")?.as_bool().unwrap() {
        let (response, _) = decoded.unwrap().unwrap();
        assert_eq!(response.hash.as_bytes()[..], unhex(tally.column(row, "response_hash_hex")?));
        let tenant = response.tenant.unwrap_or_default();
        assert_eq!(tenant, unhex(tally.column(row, "tenant_hex")?));
        for len in 0..bytes.len() {
            let cut = AuthResponse::decode(&bytes[..len]);
            assert!(matches!(cut, Ok(None | Some((_, 32)))), "{len}: {cut:?}");
        }
    } else {
        // Cut short: the stream ends there.
        assert!(matches!(decoded, Err(_) | Ok(None)), "{decoded:?}");
    }
    Some(Row::Checked)
}

#[test]
fn messages() {
    each_row("messages.jsonl", |row, tally| match tally.column(row, "kind")?.as_str()? {
        "state_response" => {
            let value = tally.column(row, "value")?;
            let id = value["ID"].as_u64().unwrap();
            let message = StateResponse { id, info: value["Info"].as_str().unwrap().to_owned() };
            let wire = unhex(tally.column(row, "wire_hex")?);
            let mut out = Vec::new();
            message.encode(4096, &mut out).unwrap();
            assert_eq!(out, wire);
            assert_eq!(StateResponse::decode(&wire, 4096).unwrap(), Ok((message, wire.len())));
            Some(Row::Checked)
        }
        "state_response_too_long" => {
            let len = tally.column(row, "value")?["Info_len"].as_u64().unwrap() as usize;
            let message = StateResponse { id: 1, info: "x".repeat(len) };
            message.encode(4096, &mut Vec::new()).unwrap_err();
            Some(Row::Checked)
        }
        "tag_request" => {
            let value = tally.column(row, "value")?;
            let names = |tags: &Vec<Value>| {
                tags.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
            };
            let tags = value["Tags"].as_array().map(names);
            let message = TagRequest { count: value["Count"].as_u64().unwrap(), tags };
            let wire = unhex(tally.column(row, "wire_hex")?);
            let mut out = Vec::new();
            message.encode(1 << 20, &mut out).unwrap();
            assert_eq!(out, wire);
            assert_eq!(TagRequest::decode(&wire, 1 << 20).unwrap(), Ok((message, wire.len())));
            Some(Row::Checked)
        }
        "tag_response" => {
            let value = tally.column(row, "value")?;
            let tags = value["Tags"].as_object().map(|tags| {
                let number = |tag: (&String, &Value)| {
                    (tag.0.clone(), u16::try_from(tag.1.as_u64().unwrap()).unwrap())
                };
                tags.iter().map(number).collect::<BTreeMap<_, _>>()
            });
            let message = TagResponse { count: value["Count"].as_u64().unwrap(), tags };
            let wire = unhex(tally.column(row, "wire_hex")?);
            let mut out = Vec::new();
            message.encode(1 << 20, &mut out).unwrap();
            assert_eq!(out, wire);
            assert_eq!(TagResponse::decode(&wire, 1 << 20).unwrap(), Ok((message, wire.len())));
            Some(Row::Checked)
        }
        "stream_configuration" => {
            let code = tally.column(row, "value")?["Compression"].as_u64().unwrap();
            let wire = unhex(tally.column(row, "wire_hex")?);
            let (client, server) = set_up(code == 0x10);
            assert!(client.ends_with(&wire));
            assert!(server.ends_with(&wire));
            Some(Row::Checked)
        }
        "stream_configuration_decode" => {
            let mut server = until_configuration();
            server.out.clear();
            server.hear(&unhex(tally.column(row, "wire_hex")?), 1);
            if tally.column(row, "ok")?.as_bool().unwrap() {
                let code = tally.column(row, "compression")?.as_u64().unwrap() as u8;
                assert_eq!(server.out, [1, 0, 0, 0, code]);
                assert!(!server.is_closed());
            } else {
                assert!(server.out.is_empty());
                assert!(server.is_closed() || server.machine.end().is_err());
            }
            Some(Row::Checked)
        }
        "ingester_state" => {
            let value = tally.column(row, "value")?.to_string();
            let state = IngesterState::from_json(value.as_bytes()).unwrap();
            let json = state.to_json().unwrap();
            let wire = unhex(tally.column(row, "wire_hex")?);
            assert_eq!(u32_at(&wire, 0) as usize, json.len());
            assert_eq!(String::from_utf8_lossy(&wire[4..]), json);
            Some(Row::Checked)
        }
        "destination" => {
            let found = Target::split(tally.column(row, "in")?.as_str().unwrap());
            if row.get("ok").and_then(Value::as_bool) == Some(true) {
                let scheme = tally.column(row, "scheme")?.as_str().unwrap();
                let target = tally.column(row, "target")?.as_str().unwrap();
                assert_eq!(found, Ok((scheme, target)));
            } else {
                println!("{:?}: {}", row.get("error"), found.unwrap_err());
            }
            Some(Row::Checked)
        }
        _ => Some(Row::Skipped("kind is not one of ours")),
    });
}

/// A server that waits for a stream configuration.
fn until_configuration() -> serve::Server {
    let mut server = probes::server(ServerConfig::default());
    probes::greet(&mut server, &Value::Null);
    server.hear(&[0x00, 0x44, 0x33, 0x22, 9, 0, 0x00, 0x55, 0x44, 0x33], 3);
    server
}

/// What a client and a server of ours write to each other up to the stream configuration.
fn set_up(compression: bool) -> (Vec<u8>, Vec<u8>) {
    let tags = vec!["alpha".parse_tag()];
    let config = ClientConfig { compression, tags, ..ClientConfig::default() };
    let mut client = Client::new(config, Secret::new("probe"));
    let mut server = probes::server(ServerConfig::default());
    let (mut heard, mut said) = (0, 0);
    server.turn();
    while heard < server.out.len() || said < client.out.len() {
        let bytes = server.out[heard..].to_vec();
        heard = server.out.len();
        client.hear(&bytes, 7);
        let bytes = client.out[said..].to_vec();
        said = client.out.len();
        server.hear(&bytes, 7);
    }
    assert!(client.machine.is_ready());
    (client.out, server.out)
}

/// A text as a tag's name.
trait ParseTag {
    fn parse_tag(&self) -> ingest_entry::TagName;
}

impl ParseTag for str {
    fn parse_tag(&self) -> ingest_entry::TagName {
        ingest_entry::TagName::new(self).unwrap()
    }
}

/// The files of sessions.
fn transcripts() -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(folder::folder("gravwell")) else { return Vec::new() };
    let mut names: Vec<_> = folder
        .filter_map(|file| file.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("transcript_") && name.ends_with(".jsonl"))
        .collect();
    names.sort();
    names
}

/// The meta line of a session and its frames.
fn session(file: &str) -> (Value, Vec<Value>) {
    let text = rows::text(file).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let meta = lines.next().unwrap_or_else(|| panic!("{file} holds no row"))["meta"].clone();
    let frames: Vec<_> = lines.collect();
    assert!(!frames.is_empty(), "{file} holds no frame");
    (meta, frames)
}

#[test]
fn transcripts_from_the_client_side() {
    for file in transcripts() {
        let (meta, frames) = session(&file);
        for piece in [usize::MAX, 1, 5] {
            let checked = client_side::replay(&meta, &frames, piece);
            println!("{file}: {checked} of {} frames, pieces of {piece}", frames.len());
            assert_eq!(checked, frames.len(), "{file}: frames checked are not the frames read");
        }
    }
}

#[test]
fn transcripts_from_the_server_side() {
    for file in transcripts() {
        let (meta, frames) = session(&file);
        for piece in [usize::MAX, 1, 5] {
            let checked = server_side::replay(&meta, &frames, piece);
            println!("{file}: {checked} of {} frames, pieces of {piece}", frames.len());
            assert_eq!(checked, frames.len(), "{file}: frames checked are not the frames read");
        }
    }
}

#[test]
fn server_probes() {
    each_row("server_probes.jsonl", probes::server_probe);
}

#[test]
fn client_probes() {
    each_row("client_probes.jsonl", probes::client_probe);
}
