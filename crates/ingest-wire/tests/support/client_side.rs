//! A recorded session with our client in the place of the Go client.

use std::time::Duration;

use ingest_entry::{Entry, TagName};
use ingest_wire::{ClientConfig, ClientEvent, Identity, Secret};
use serde_json::Value;

use crate::differences;
use crate::wire::{Client, entry_of, masked, u32_at, u64_at, unhex, unsnap};

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The three texts of an identification frame.
fn identity(mut bytes: &[u8]) -> Identity {
    let mut next = || {
        let (len, rest) = (u32_at(bytes, 0) as usize, &bytes[4..]);
        bytes = &rest[len..];
        String::from_utf8(rest[..len].to_vec()).unwrap()
    };
    Identity { name: next(), version: next(), uuid: next() }
}

fn label(frame: &Value) -> &str {
    frame["frame"].as_str().unwrap()
}

/// Replays a session: how many frames were checked.
pub(crate) fn replay(meta: &Value, frames: &[Value], piece: usize) -> usize {
    let ours = |frame: &&Value| frame["dir"] == "c2s";
    let find = |name: &str| frames.iter().filter(ours).find(|frame| label(frame) == name);
    let who = find("ingester_id").map(|frame| identity(&unhex(&frame["hex"])[4..]));
    let config = ClientConfig {
        tags: texts(&meta["tags"]).iter().map(|tag| TagName::new(tag).unwrap()).collect(),
        tenant: meta["tenant"].as_str().map(|tenant| tenant.as_bytes().to_vec()),
        plain: who.is_none() && meta["client"] == "IngestConnection",
        identity: who.unwrap_or_default(),
        compression: meta["compression"] == true,
        ..ClientConfig::default()
    };
    let secret = Secret::new(meta["client_secret"].as_str().unwrap());
    let mut client = Client::new(config, secret);

    let (mut checked, mut at, mut left_out) = (0, 0, 0);
    // In a compressed stream the frames inside are compared, all together.
    let (mut inside, mut switched) = (Vec::new(), None);
    let mut ditto: Option<(usize, Vec<Entry>)> = None;
    for frame in frames {
        let bytes = unhex(&frame["hex"]);
        let on_wire = frame["wire"] == true;
        checked += 1;
        if frame["dir"] == "s2c" {
            if on_wire {
                client.hear(&bytes, piece);
            }
            continue;
        }
        if label(frame).starts_with("snappy_chunk") {
            // Both directions are compressed from the configuration on.
            switched.get_or_insert(at);
            continue;
        }
        if label(frame) == "force_ack" && !client.machine.is_ready() {
            println!("differs: {}", differences::SYNC_FIRST);
            left_out += 4;
            continue;
        }
        act(&mut client, label(frame), &bytes, &mut ditto);
        client.turn();
        if client.out.len() == at && switched.is_none() && ditto.is_none() {
            // Nothing to be said yet: time has to pass, as between two questions.
            client.wait(Duration::from_secs(10));
        }
        if !on_wire {
            inside.extend(masked(&bytes));
        } else if ditto.is_none() {
            let frames = ditto_frames(frames, frame).unwrap_or_else(|| masked(&bytes));
            let said = client.out.get(at..at + frames.len()).unwrap_or_else(|| {
                panic!("{}: nothing said, {:?}", label(frame), client.error);
            });
            assert_eq!(masked(said), frames, "{}", label(frame));
            at += frames.len();
        }
    }
    if let Some(switched) = switched {
        // The chunks may differ, what is in them not.
        let plain = unsnap(&client.out[switched..]);
        assert_eq!(plain, inside);
    } else {
        assert_eq!(at, client.out.len(), "more was said");
        if let Some(total) = meta["c2s_bytes"].as_u64() {
            assert_eq!((at + left_out) as u64, total, "bytes checked are not the bytes recorded");
        } else {
            println!("c2s_bytes: absent");
        }
    }
    finish(&client, meta);
    checked
}

/// Does what leads to a frame, if the machine does not do it by itself.
fn act(client: &mut Client, label: &str, bytes: &[u8], ditto: &mut Option<(usize, Vec<Entry>)>) {
    let now = client.now;
    match label {
        "new_entry" => {
            let (id, entry) = entry_of(bytes);
            if let Some((count, entries)) = ditto {
                entries.push(entry);
                if entries.len() == *count {
                    let entries: Vec<_> = entries.iter().map(Entry::as_ref).collect();
                    client.machine.send_ditto(&entries, now).unwrap();
                    *ditto = None;
                }
            } else {
                assert_eq!(client.machine.send(entry.as_ref()), Ok(id));
            }
        }
        "force_ack" => client.machine.force_ack().unwrap(),
        "tag_negotiate" => {
            let name = TagName::from_bytes(&bytes[8..]).unwrap();
            client.machine.ask_tag(name, now).unwrap();
        }
        "ingester_state" => {
            let json = std::str::from_utf8(&bytes[8..]).unwrap();
            client.machine.send_state(json, now).unwrap();
        }
        "ditto_block" => *ditto = Some((u64_at(bytes, 4) as usize, Vec::new())),
        _ => {}
    }
}

/// A whole ditto block, if this frame is its last one.
fn ditto_frames(frames: &[Value], last: &Value) -> Option<Vec<u8>> {
    let end = frames.iter().position(|frame| std::ptr::eq(frame, last))?;
    let begin = frames[..end].iter().rposition(|frame| label(frame) == "ditto_block")?;
    let count = u64_at(&unhex(&frames[begin]["hex"]), 4) as usize;
    if end != begin + count {
        return None;
    }
    Some(frames[begin..=end].iter().flat_map(|frame| masked(&unhex(&frame["hex"]))).collect())
}

fn finish(client: &Client, meta: &Value) {
    let refused = ClientEvent::Ditto { stored: false };
    let failed = client.error.is_some() || client.events.contains(&refused);
    assert_eq!(failed, meta.get("client_error").is_some(), "{:?}", client.error);
    if client.error.is_some() {
        return;
    }
    assert_eq!(client.machine.outstanding(), 0);
    assert_eq!(client.machine.counts().unknown_acks, 0);
    for (name, id) in client.machine.tags().filter(|_| meta.get("server_tags").is_some()) {
        assert_eq!(meta["server_tags"][name.as_str()].as_u64(), Some(u64::from(id.0)));
    }
}
