//! A recorded session with our server in the place of the Go server.

use std::collections::BTreeMap;
use std::time::Duration;

use ingest_wire::{Challenge, Receipt, Secret, ServerConfig};
use serde_json::Value;

use crate::serve::Server;
use crate::wire::{compare_received, u64_at, unhex, unsnap};

fn label(frame: &Value) -> &str {
    frame["frame"].as_str().unwrap()
}

/// The value of the next frame of the server with this label.
fn next_value(frames: &[Value], name: &str) -> Option<u64> {
    frames.iter().find(|frame| label(frame) == name).map(|frame| u64_at(&unhex(&frame["hex"]), 4))
}

/// Replays a session: how many frames were checked.
pub(crate) fn replay(meta: &Value, frames: &[Value], piece: usize) -> usize {
    let bytes: [u8; Challenge::LEN] = unhex(&frames[0]["hex"]).try_into().unwrap();
    let challenge = Challenge::decode(&bytes);
    let version = u16::try_from(meta["server_version"].as_u64().unwrap()).unwrap();
    let config = ServerConfig { version, ..ServerConfig::default() };
    let secret = Secret::new(meta["server_secret"].as_str().unwrap());
    let mut server = Server::new(config, secret, challenge.rand, challenge.iterate);
    server.confirms = false;
    let number =
        |tag: (&String, &Value)| (tag.0.clone(), u16::try_from(tag.1.as_u64().unwrap()).unwrap());
    server.tags =
        meta["server_tags"].as_object().unwrap().iter().map(number).collect::<BTreeMap<_, _>>();
    let start = server.now;
    server.turn();

    let (mut confirmed, mut switched, mut failed) = (0, None, u64::MAX);
    let (mut plain, mut inside) = (Vec::new(), Vec::new());
    for (index, frame) in frames.iter().enumerate() {
        let bytes = unhex(&frame["hex"]);
        server.until(start + Duration::from_millis(frame["t_ms"].as_u64().unwrap_or(0)));
        if frame["dir"] == "c2s" {
            if frame["wire"] != true {
                continue;
            }
            if label(frame) == "ingest_ok_query" {
                let accepting = next_value(&frames[index..], "confirm_ingest_ok") == Some(1);
                server.machine.set_accepting(accepting);
            }
            if let Some(state) = frames[index..].iter().find(|f| label(f) == "state_response") {
                let json: Value = serde_json::from_slice(&unhex(&state["hex"])[2..]).unwrap();
                server.info = json["Info"].as_str().unwrap().to_owned();
            }
            server.hear(&bytes, piece);
            continue;
        }
        match label(frame) {
            "confirm_entry" => {
                confirmed += 1;
                server.confirm(confirmed);
            }
            "confirm_ditto_block" => {
                confirmed = server.received.len() as u64;
                if u64_at(&bytes, 4) != 0 {
                    server.machine.fail_ditto(Receipt::from_count(confirmed));
                    // The recorded server kept nothing of the block that failed.
                    let count = next_value(&frames[..index], "ditto_block").unwrap();
                    failed = confirmed - count;
                }
                server.confirm(confirmed);
            }
            "throttle" => {
                server.machine.throttle(Duration::from_nanos(u64_at(&bytes, 4)));
                server.confirm(0);
            }
            _ => {}
        }
        if label(frame).starts_with("snappy_chunk") {
            switched.get_or_insert(plain.len());
        } else if frame["wire"] == true {
            plain.extend_from_slice(&bytes);
        } else {
            inside.extend_from_slice(&bytes);
        }
    }
    let said = switched.unwrap_or(server.out.len());
    assert_eq!(server.out[..said], plain);
    assert_eq!(unsnap(&server.out[said..]), inside);
    server.received.truncate(usize::try_from(failed).unwrap_or(usize::MAX));
    match meta.get("server_received") {
        Some(received) => compare_received(&server.received, received),
        None => println!("server_received: absent"),
    }
    let refused = server.machine.is_over();
    let turned_away = label(&frames[frames.len() - 1]);
    let meant = meta.get("client_error").is_some()
        && ["state_response", "tag_response"].contains(&turned_away)
        && meta["tags"].as_array().is_some_and(|tags| !tags.is_empty());
    assert_eq!(refused, meant);
    assert_eq!(server.error, None);
    frames.len()
}
