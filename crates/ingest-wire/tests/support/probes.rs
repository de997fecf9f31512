//! Bytes that were sent to the real server and the real client, sent to ours.

use std::collections::BTreeMap;
use std::time::Duration;

use ingest_entry::{EntryRef, Source, TagId, TagName, Timestamp};
use ingest_wire::{
    AuthResponse, ClientConfig, ClientEvent, ProtocolError, Secret, ServerConfig, StateResponse,
    TagRequest, TagResponse,
};
use serde_json::Value;

use crate::differences::{ANY_ORDER, EMPTY_DITTO, TAG_REPLY, UNKNOWN_TAG, UNKNOWN_WORD};
use crate::rows::{Row, Tally};
use crate::serve::Server;
use crate::wire::{
    Client, NEW_ENTRY, PONG, compare_received, server_commands, u32_at, u64_at, unhex,
};

/// The server of the probes: secret `probe`, tag `alpha` is 1, `refused-tag` is refused.
pub(crate) fn server(config: ServerConfig) -> Server {
    let mut server = Server::new(config, Secret::new("probe"), [0x5A; 32], 3);
    server.tags = BTreeMap::from([("alpha".to_owned(), 1), ("default".to_owned(), 0)]);
    server.refused = Some("refused-tag".to_owned());
    server
}

fn response(server: &Server) -> AuthResponse {
    AuthResponse { hash: server.secret.respond(server.machine.challenge()), tenant: None }
}

/// Plays the handshake, with the bytes that the row has for it.
pub(crate) fn greet(server: &mut Server, row: &Value) {
    let mut bytes = Vec::new();
    response(server).encode(9, &mut bytes).unwrap();
    match row.get("tag_request_hex") {
        Some(request) => bytes.extend(unhex(request)),
        None => {
            let tags = Some(vec!["alpha".to_owned()]);
            TagRequest { count: 1, tags }.encode(1 << 20, &mut bytes).unwrap();
        }
    }
    match row.get("hot_hex") {
        Some(hot) => bytes.extend(unhex(hot)),
        None => StateResponse { id: ingest_wire::STATE_HOT, info: String::new() }
            .encode(4096, &mut bytes)
            .unwrap(),
    }
    server.hear(&bytes, 11);
}

pub(crate) fn server_probe(row: &Value, tally: &mut Tally) -> Option<Row> {
    let stage = tally.column(row, "stage")?.as_str().unwrap();
    let closed = tally.column(row, "server_closed")?.as_bool().unwrap();
    let mut server = server(ServerConfig::default());
    if stage == "auth" {
        return authentication(server, row, closed);
    }
    greet(&mut server, row);
    if stage == "post_handshake" {
        assert!(server.machine.is_hot(), "{:?}", server.error);
    }
    server.out.clear();
    let sent = unhex(tally.column(row, "send_hex")?);
    server.hear(&sent, 13);
    let at_once = server.out.clone();
    if let Some(waited) = row.get("reply_last_ms") {
        server.wait(Duration::from_millis(waited.as_u64().unwrap()));
    }
    let (mut ours, theirs) = (server_commands(&server.out), row.get("reply_hex").map(unhex));
    // A client that pings is answered, by the Go server when its timer fires.
    let pongs = server_commands(&at_once).iter().filter(|command| command.0 == PONG).count();
    let walk = walk(&sent);
    assert_eq!(pongs, walk.pings, "a PING is answered at once, nothing else with a PONG");
    let mut theirs = server_commands(&theirs.unwrap_or_default());
    ours.retain(|command| command.0 != PONG);
    theirs.retain(|command| command.0 != PONG);

    let received = tally.column(row, "received")?;
    let unfit = matches!(
        server.error,
        Some(ProtocolError::UnknownCommand { .. } | ProtocolError::OutOfPlace { .. })
    );
    if unfit && !closed {
        assert!(walk.unknown_word);
        tally.differs(UNKNOWN_WORD);
        assert!(theirs.starts_with(&ours));
        return Some(Row::Checked);
    }
    if let Some(ProtocolError::UnknownTag { tag }) = server.error {
        assert!(walk.tags.contains(&tag.0) && tag.0 != 1);
        tally.differs(UNKNOWN_TAG);
        assert!(theirs.starts_with(&ours) && !closed);
        return Some(Row::Checked);
    }
    if walk.empty_ditto {
        tally.differs(EMPTY_DITTO);
        let at = ours.iter().position(|&command| command == (0x5566_7788, Some(0)));
        ours.remove(at.expect("an answer"));
    }
    assert_eq!(ours, theirs);
    compare_received(&server.received, received);
    assert_eq!(server.is_closed(), closed, "{:?}", server.error);
    Some(Row::Checked)
}

/// The rows of authentication tell what was sent only by what came of it.
fn authentication(mut server: Server, row: &Value, closed: bool) -> Option<Row> {
    let error = row.get("server_error").and_then(Value::as_str).unwrap_or_default();
    let mut good = Vec::new();
    response(&server).encode(9, &mut good).unwrap();
    server.turn();
    server.out.clear();
    if let Some(state) = row.get("state_id") {
        good[0] ^= 1;
        server.hear(&good, 5);
        let (said, _) = StateResponse::decode(&server.out, 4096).unwrap().unwrap();
        assert_eq!(said.id, state.as_u64().unwrap());
        assert_eq!(server.machine.is_over(), closed);
    } else if error.contains("version") {
        let mut form = b"gravwell\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0tenant01".to_vec();
        form.extend_from_slice(&good);
        form.extend_from_slice(&[6, 0, 1, 0, b'x']);
        server.hear(&form, 5);
        assert_eq!((server.is_closed(), server.out.len()), (closed, 0));
    } else if error.contains("complete buffer") {
        server.hear(&good[..31], 5);
        assert_eq!((server.machine.end().is_err(), server.out.len()), (closed, 0));
    } else {
        return Some(Row::Skipped("does not tell what was sent"));
    }
    Some(Row::Checked)
}

/// What a client's bytes hold, as far as they are commands in their place.
#[derive(Default)]
struct Walk {
    unknown_word: bool,
    empty_ditto: bool,
    pings: usize,
    tags: Vec<u16>,
}

fn walk(bytes: &[u8]) -> Walk {
    let mut walk = Walk::default();
    let (mut at, mut setup, mut version) = (0, true, 3);
    while at + 4 <= bytes.len() {
        let word = u32_at(bytes, at);
        let rest = &bytes[at..];
        let in_setup = setup;
        setup &= matches!(word, 0x1ADF_7350 | 0x2279_3400 | 0x2233_4400);
        at += match word {
            NEW_ENTRY if rest.len() >= 46 => {
                walk.tags.push(u16::from_le_bytes([rest[20], rest[21]]));
                let values = if rest[7] & 0x40 != 0 { 18 } else { 0 };
                46 + (u32_at(rest, 4) & 0x3FFF_FFFF) as usize + values
            }
            NEW_ENTRY => break,
            0x8877_0001 => {
                walk.pings += 1;
                4
            }
            0x1ADF_7350 | 0x8877_0008 | 0x2279_3401 => 4,
            0x1867_5300 | 0x4455_6600 => 8 + u32_at(rest, 4) as usize,
            0x2279_3400 if in_setup => {
                let mut len = 4;
                for _ in 0..3 {
                    len += 4 + u32_at(rest, len) as usize;
                }
                len
            }
            0x2233_4400 if in_setup => {
                version = rest[4];
                6
            }
            0x3344_5500 if in_setup => 4 + if version >= 5 { 5 } else { 0 },
            0xDDCC_BBAA => {
                walk.empty_ditto |= u64_at(rest, 4) == 0;
                12
            }
            _ => {
                walk.unknown_word = true;
                break;
            }
        };
    }
    walk
}

pub(crate) fn client_probe(row: &Value, tally: &mut Tally) -> Option<Row> {
    let tags = vec![TagName::new("alpha").unwrap()];
    let config = ClientConfig { tags, plain: true, ..ClientConfig::default() };
    let mut client = Client::new(config, Secret::new("probe"));
    let mut greeting = vec![0; 36];
    greeting[34] = 9;
    let state = StateResponse { id: ingest_wire::STATE_AUTHENTICATED, info: String::new() };
    state.encode(4096, &mut greeting).unwrap();
    let numbers = Some(BTreeMap::from([("alpha".to_owned(), 1)]));
    TagResponse { count: 1, tags: numbers }.encode(4096, &mut greeting).unwrap();
    client.hear(&greeting, 9);

    let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), b"probe");
    let before = tally.column(row, "entries_acked_before")?.as_u64().unwrap();
    for id in 1..=before {
        assert_eq!(client.machine.send(entry), Ok(id));
        client.hear(&[&0xF6E0_307E_u32.to_le_bytes()[..], &id.to_le_bytes()].concat(), 64);
    }
    let entries = tally.column(row, "entries")?.as_u64().unwrap();
    for _ in 0..entries {
        client.machine.send(entry).unwrap();
    }
    client.machine.force_ack().unwrap();
    client.turn();
    let reply = unhex(tally.column(row, "reply_hex")?);
    client.hear(&reply, 7);
    let closes = row.get("server_closes").is_some_and(|closes| closes == true);
    if row.get("pongs_every_500ms").is_some_and(|pongs| pongs == true) {
        for _ in 0..20 {
            client.wait(Duration::from_millis(500));
            client.hear(&PONG.to_le_bytes(), 4);
        }
    }

    let acked: Vec<_> = server_commands_lenient(&reply);
    let synced = client.error.is_none() && client.machine.outstanding() == 0;
    let finished = tally.column(row, "sync_finished")?.as_bool().unwrap();
    let go_synced = finished && row.get("sync_error").is_none_or(Value::is_null);
    let all = (before + 1..=before + entries).all(|id| acked.contains(&id));
    if all && !go_synced && client.error.is_none() {
        assert!(!acked.is_sorted(), "all came in order");
        tally.differs(ANY_ORDER);
        assert!(synced);
    } else {
        assert_eq!(synced, go_synced, "{:?}", client.error);
    }
    if closes {
        client.machine.end().unwrap();
        assert_eq!(client.machine.take_unacknowledged().len() as u64, entries - 1);
    }
    if let Some(reply) = row.get("tag_reply_hex") {
        let name = TagName::new("late").unwrap();
        client.machine.ask_tag(name.clone(), client.now).unwrap();
        client.hear(&unhex(reply), 3);
        let number = client.machine.tag(&name).map(|id| u64::from(id.0));
        let refused = client.events.contains(&ClientEvent::Tag { name, id: None });
        assert_eq!(client.error, None);
        if row["tag_error"].is_null() {
            assert_eq!(number, row["tag"].as_u64());
        } else if let Some(number) = number {
            tally.differs(TAG_REPLY);
            let reply = unhex(reply);
            assert_eq!(reply[reply.len() - 8..], number.to_le_bytes());
        } else {
            assert!(refused);
        }
    }
    Some(Row::Checked)
}

/// The ids acknowledged by commands up to one that is unknown.
fn server_commands_lenient(bytes: &[u8]) -> Vec<u64> {
    let words = [0xF6E0_307E, 0xBDEA_CC1E, PONG, 0x1ADF_7350];
    let (mut at, mut ids) = (0, Vec::new());
    while at + 4 <= bytes.len() && words.contains(&u32_at(bytes, at)) {
        let word = u32_at(bytes, at);
        if word == 0xF6E0_307E {
            ids.push(u64_at(bytes, at + 4));
        }
        at += if word == PONG || word == 0x1ADF_7350 { 4 } else { 12 };
    }
    ids
}
