//! The inputs that fuzzing begins with, made from the recorded vectors. A row's own fields say
//! which target it is for; a file or column that is not there is no fault.

#[path = "seeds/loggregator.rs"]
mod loggregator;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Inputs by target.
pub(crate) type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// The directory of the Gravwell vectors: below `INGESTRY_VECTORS`, else the project's copy.
pub(crate) fn folder(root: &Path) -> PathBuf {
    match std::env::var_os("INGESTRY_VECTORS") {
        Some(given) if Path::new(&given).is_dir() => PathBuf::from(given),
        Some(given) => root.join(given),
        None => root.join("testdata/vectors"),
    }
    .join("gravwell")
}

/// All seeds that a directory of vectors has.
pub(crate) fn read(folder: &Path) -> Result<Seeds> {
    let mut seeds = Seeds::new();
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("no vectors to begin with in {}", folder.display()))?;
    let mut files: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    for path in files {
        let stem = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let rows: Vec<Value> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).with_context(|| path.display().to_string()))
            .collect::<Result<_>>()?;
        match stem {
            "entry_encode" | "entry_decode" => rows.iter().for_each(|row| entry(row, &mut seeds)),
            "entry_block" => rows.iter().for_each(|row| block(row, &mut seeds)),
            "server_probes" => rows.iter().for_each(|row| server_probe(row, &mut seeds)),
            "client_probes" => rows.iter().for_each(|row| client_probe(row, &mut seeds)),
            "messages" => rows.iter().for_each(|row| message(row, &mut seeds)),
            _ if stem.starts_with("transcript_") => transcript(&rows, &mut seeds),
            _ => {}
        }
    }
    stored(&mut seeds);
    if let Some(vectors) = folder.parent() {
        graphite(&vectors.join("graphite"), &mut seeds)?;
        hydra(&vectors.join("hydra"), &mut seeds)?;
        loggregator::read(&vectors.join("loggregator"), &mut seeds)?;
    }
    proxy(&mut seeds);
    gzip(&mut seeds);
    Ok(seeds)
}

/// The longest stream that becomes a seed: the fuzzer's own inputs are not longer.
const MAX_SEED: usize = 1500;
/// The same for lines, of which longer ones only make the fuzzer slow: its limit is 48 bytes then.
const MAX_LINES_SEED: usize = 160;

/// Streams of lines and of frames, for every profile; frames also without the length before them.
fn graphite(folder: &Path, seeds: &mut Seeds) -> Result<()> {
    for (file, column, target) in [
        ("plaintext.jsonl", "input_hex", "line"),
        ("pickle.jsonl", "stream_hex", "pickle"),
        ("pickle_hostile.jsonl", "stream_hex", "pickle"),
        ("protobuf.jsonl", "stream_hex", "protobuf"),
    ] {
        let path = folder.join(file);
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            let row: Value =
                serde_json::from_str(line).with_context(|| path.display().to_string())?;
            let most = if target == "line" { MAX_LINES_SEED } else { MAX_SEED };
            let Some(bytes) = hex(&row, column).filter(|bytes| bytes.len() <= most) else {
                continue;
            };
            // The profiles in turn.
            let profile = (number % 5) as u8;
            add(seeds, target, input([profile, 1], number as u16, &bytes));
            if let Some(content) = bytes.get(4..)
                && target != "line"
            {
                add(seeds, target, input([0, 0], number as u16, content));
            }
        }
    }
    Ok(())
}

/// Sessions, as texts and as frames, and HTTP requests, each in its dialect.
fn hydra(folder: &Path, seeds: &mut Seeds) -> Result<()> {
    for (number, dialect) in ["doc", "seed", "head"].into_iter().enumerate() {
        for kind in ["ws", "http"] {
            let path = folder.join(format!("{kind}-{dialect}.jsonl"));
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for (place, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
                let row: Value =
                    serde_json::from_str(line).with_context(|| path.display().to_string())?;
                let head = |flags| input([number as u8, flags], place as u16, &[]);
                if let Some(request) = row.get("request") {
                    let request = http_request(request);
                    add(seeds, "http", [head(0), request.clone()].concat());
                    add(seeds, "http", [head(0), request.clone(), request].concat());
                }
                let steps = row.get("steps").and_then(Value::as_array).into_iter().flatten();
                let sent = steps.filter_map(|step| step.get("send")?.as_str());
                let texts: Vec<_> = sent.filter(|text| text.len() < MAX_SEED / 4).collect();
                if !texts.is_empty() {
                    add(seeds, "command", [head(0), texts.join("\0").into()].concat());
                    let frames: Vec<_> = texts.iter().flat_map(|text| frame(text)).collect();
                    add(seeds, "frames", [head(0), frames.clone()].concat());
                    // With a ping, a message in two pieces, and the end.
                    let more = [
                        &[0x89, 0x80, 1, 2, 3, 4][..],
                        &[0x01, 0x81, 0, 0, 0, 0, b'a', 0x80, 0x81, 0, 0, 0, 0, b'b'],
                        &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8],
                    ];
                    add(seeds, "frames", [head(1), frames, more.concat()].concat());
                }
            }
        }
    }
    Ok(())
}

/// A recorded request as a client sends it.
fn http_request(request: &Value) -> Vec<u8> {
    let text = |name| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", text("method"), text("path"));
    for field in request.get("headers").and_then(Value::as_array).into_iter().flatten() {
        let part = |at: usize| field.get(at).and_then(Value::as_str).unwrap_or_default();
        head.push_str(&format!("{}: {}\r\n", part(0), part(1)));
    }
    let body = text("body");
    head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    head.into_bytes()
}

/// A client's text frame.
fn frame(text: &str) -> Vec<u8> {
    let length = match text.len() {
        short @ 0..126 => vec![0x80 | short as u8],
        long => [&[0x80 | 126][..], &(long as u16).to_be_bytes()].concat(),
    };
    // A mask of zeros leaves the bytes as they are.
    [&[0x81], &length[..], &[0; 4], text.as_bytes()].concat()
}

/// Headers of both versions.
fn proxy(seeds: &mut Seeds) {
    for line in [
        "PROXY TCP4 192.0.2.1 192.0.2.2 4711 2003\r\na.b 1 7\n",
        "PROXY TCP6 2001:db8::1 2001:db8::2 4711 2003\r\n",
        "PROXY UNKNOWN\r\n",
    ] {
        add(seeds, "proxy", line.as_bytes().to_vec());
    }
    for (family, length) in [(0x11, 12), (0x21, 36), (0x31, 216), (0, 0)] {
        let head = [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[family, 0, length as u8]].concat();
        add(seeds, "proxy", [head, vec![7; length]].concat());
    }
}

/// Members of gzip: compressed with a name, stored, with every field, two in a row, a repetition.
fn gzip(seeds: &mut Seeds) {
    let compressed = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x02\xffm\x00K\xd4KR0T047\x80\x02\xaed\xeb\x14\xdbT\x05#=S\x84\xa0!\x17\x00u\x89\xa3\x00&\x00\x00\x00";
    let stored = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01&\x00\xd9\xffa.b 1 1700000000\x0ac;d=e 2.5 1700000001\x0au\x89\xa3\x00&\x00\x00\x00";
    let full = b"\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\xff\x04\x00extrname\x00comment\x00\x00\x00\x01&\x00\xd9\xffa.b 1 1700000000\x0ac;d=e 2.5 1700000001\x0au\x89\xa3\x00&\x00\x00\x00";
    let repeated = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xc21\x0d\x00\x00\x00\x02\xa0\xac\xda?\x84!|\x19\xa4\x01\x00\x00\x00\x00\x00N\x03\xe5\x9e\x14>p\x17\x00\x00";
    let two = [&compressed[..], stored].concat();
    for stream in [&compressed[..], stored, full, repeated, &two] {
        for choices in [0, 0x1234] {
            add(seeds, "gzip", input([8, 0], choices, stream));
        }
    }
}

fn add(seeds: &mut Seeds, target: &'static str, bytes: Vec<u8>) {
    let list = seeds.entry(target).or_default();
    if !list.contains(&bytes) {
        list.push(bytes);
    }
}

/// A column of hexadecimal digits; `None` if it is not there, or not that.
fn hex(row: &Value, column: &str) -> Option<Vec<u8>> {
    let text = row.get(column)?.as_str()?;
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

fn entry(row: &Value, seeds: &mut Seeds) {
    for column in ["encoded_hex", "hex"] {
        if let Some(bytes) = hex(row, column) {
            add(seeds, "entry", bytes.clone());
            add(seeds, "block", bytes);
        }
    }
}

fn block(row: &Value, seeds: &mut Seeds) {
    for column in ["encoded_hex", "hex"] {
        if let Some(bytes) = hex(row, column) {
            add(seeds, "block", bytes);
        }
    }
}

/// A machine's input: its two bytes of flags, a choice of pieces, what is heard.
fn input(flags: [u8; 2], choices: u16, heard: &[u8]) -> Vec<u8> {
    let [c0, c1] = choices.to_le_bytes();
    [&[flags[0], flags[1], c0, c1], heard].concat()
}

/// Heard by a server from the start on, with large limits and small ones, confirmed at once and
/// late; and behind a handshake.
fn server(heard: &[u8], greeted: bool, version: u8, seeds: &mut Seeds) {
    let version = 9u8.saturating_sub(version);
    let stage = if greeted { 0x40 } else { 0 };
    add(seeds, "server", input([version, stage], 0, heard));
    add(seeds, "server", input([version | 0x20, stage | 1], 0x1234, heard));
    if greeted {
        // The same, compressed.
        add(seeds, "server", input([version, 0x80], 0x77, heard));
    } else {
        add(seeds, "server", input([version | 0xA0, 2 | 4], 0x4321, heard));
    }
}

/// Heard by a client: from the start on (0), behind the welcome (0x40) or behind the set-up
/// (0x80), plain and compressed.
fn client(heard: &[u8], stage: u8, version: u8, compression: bool, seeds: &mut Seeds) {
    let kind = stage | 9u8.saturating_sub(version);
    let flags = u8::from(compression);
    add(seeds, "client", input([flags, kind], 0x1111, heard));
    if stage == 0x80 {
        add(seeds, "client", input([flags ^ 1, kind], 0x2222, heard));
        add(seeds, "client", input([2 | 8, kind], 0x3333, heard));
    }
}

fn server_probe(row: &Value, seeds: &mut Seeds) {
    let Some(heard) = hex(row, "send_hex") else { return };
    let greeted = row.get("stage").and_then(Value::as_str) == Some("post_handshake");
    server(&heard, greeted, 9, seeds);
}

fn client_probe(row: &Value, seeds: &mut Seeds) {
    for column in ["reply_hex", "tag_reply_hex"] {
        if let Some(heard) = hex(row, column) {
            client(&heard, 0x80, 9, false, seeds);
        }
    }
}

fn message(row: &Value, seeds: &mut Seeds) {
    let (Some(wire), Some(kind)) = (hex(row, "wire_hex"), row.get("kind").and_then(Value::as_str))
    else {
        return;
    };
    match kind {
        "tag_request" => server(&[&[7; 32][..], &wire].concat(), false, 9, seeds),
        "tag_response" | "state_response" => {
            client(&[&[0; 34][..], &[9, 0], &wire].concat(), 0, 9, false, seeds);
        }
        _ => server(&wire, true, 9, seeds),
    }
}

/// What each side heard in a recorded connection.
fn transcript(rows: &[Value], seeds: &mut Seeds) {
    let heard = |direction: &str| {
        let ours = rows.iter().filter(|row| {
            row.get("dir").and_then(Value::as_str) == Some(direction)
                && row.get("wire").and_then(Value::as_bool) != Some(false)
        });
        ours.filter_map(|row| hex(row, "hex")).collect::<Vec<_>>().concat()
    };
    let meta = rows.iter().find_map(|row| row.get("meta"));
    let compression = meta.and_then(|meta| meta.get("compression")?.as_bool()).unwrap_or(false);
    let (to_client, to_server) = (heard("s2c"), heard("c2s"));
    let version = to_client.get(34).copied().unwrap_or(9);
    if !to_server.is_empty() {
        server(&to_server, false, version, seeds);
    }
    if !to_client.is_empty() {
        client(&to_client, 0, version, compression, seeds);
    }
}

/// Bodies of log records are ours, so no vectors have them: a tag, a source and an unknown kind,
/// as definitions and as a table; and a summary.
fn stored(seeds: &mut Seeds) {
    let definitions: &[&[u8]] =
        &[&[1, 0, 7, 0, 6, 0], b"syslog", &[2, 0, 1, 0, 4, 0], b"main", &[9, 0, 0, 0, 1, 0], b"x"];
    let definitions = definitions.concat();
    add(seeds, "stored", [&[3, 0, 0, 0], &definitions[..]].concat());
    add(seeds, "stored", definitions);
    let row = |tag: u8| [&[tag, 0, 0, 0, 5][..], &[0; 7]].concat();
    add(seeds, "stored", [&[2, 0, 0, 0], &row(1)[..], &row(3)].concat());
}
