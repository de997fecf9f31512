//! What `wire_client` and `wire_server` say of the entries they sent or got, so that two ends can
//! be compared without knowing each other. `docs/interop.md` has the formats.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use ingest_entry::{EntryRef, Source, ValueRef};
use serde_json::{Value, json};

/// What was seen of one tag.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    entries: u64,
    bytes: u64,
    /// The sum of the entries' checksums: it does not depend on their order.
    sum: u64,
}

/// Counts entries, and writes them down if it is asked to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tags: BTreeMap<String, Tally>,
    scratch: Vec<u8>,
    journal: Option<BufWriter<File>>,
    dump: Option<BufWriter<File>>,
}

impl Report {
    /// Writes twelve bytes for each entry to `journal`, and a line to `dump`.
    pub(crate) fn new(journal: Option<&Path>, dump: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(BufWriter::new(file))
        };
        let (journal, dump) = (journal.map(open).transpose()?, dump.map(open).transpose()?);
        Ok(Self { journal, dump, ..Self::default() })
    }

    /// Takes note of an entry.
    pub(crate) fn add(&mut self, tag: &str, entry: &EntryRef<'_>) -> Result<()> {
        let sum = self.checksum(entry);
        if !self.tags.contains_key(tag) {
            self.tags.insert(tag.to_owned(), Tally::default());
        }
        if let Some(tally) = self.tags.get_mut(tag) {
            tally.entries += 1;
            tally.bytes += entry.data.len() as u64;
            tally.sum = tally.sum.wrapping_add(u64::from(sum));
        }
        if let Some(journal) = &mut self.journal {
            let number = entry.data.first_chunk::<8>().copied().unwrap_or_default();
            journal.write_all(&number)?;
            journal.write_all(&sum.to_le_bytes())?;
        }
        if let Some(dump) = &mut self.dump {
            writeln!(dump, "{}", describe(tag, entry))?;
        }
        Ok(())
    }

    /// Hands what was written down to the system, which keeps it though this process is killed.
    pub(crate) fn flush(&mut self) -> Result<()> {
        for file in [&mut self.journal, &mut self.dump].into_iter().flatten() {
            file.flush()?;
        }
        Ok(())
    }

    /// How many entries there were.
    pub(crate) fn entries(&self) -> u64 {
        self.tags.values().map(|tally| tally.entries).sum()
    }

    /// The tallies, by tag.
    pub(crate) fn tags(&self) -> Value {
        let tag = |(name, tally): (&String, &Tally)| {
            let Tally { entries, bytes, sum } = *tally;
            (name.clone(), json!({ "entries": entries, "bytes": bytes, "sum": sum.to_string() }))
        };
        self.tags.iter().map(tag).collect::<serde_json::Map<_, _>>().into()
    }

    /// The CRC-32C of all that has to come out as it went in.
    fn checksum(&mut self, entry: &EntryRef<'_>) -> u32 {
        self.scratch.clear();
        self.scratch.extend_from_slice(&entry.ts.wire_seconds().to_le_bytes());
        self.scratch.extend_from_slice(&entry.ts.nanos().to_le_bytes());
        self.scratch.extend_from_slice(&address(entry.src));
        for value in entry.values.iter() {
            self.scratch.push(value.kind().code());
            self.scratch.extend_from_slice(&(value.name().len() as u16).to_le_bytes());
            self.scratch.extend_from_slice(value.name());
            self.scratch.extend_from_slice(value.data());
        }
        crc32c::crc32c_append(crc32c::crc32c(&self.scratch), entry.data)
    }
}

/// Sixteen bytes, the same for an IPv4 address however it was written.
fn address(source: Source) -> [u8; 16] {
    if !source.is_flagged_v4() {
        return *source.wire_bytes();
    }
    let mut bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];
    let [.., a, b, c, d] = &mut bytes;
    (*a, *b, *c, *d) = match source.wire_bytes() {
        [w, x, y, z, ..] => (*w, *x, *y, *z),
    };
    bytes
}

/// An entry in one line, its values by what they mean and not by their bytes.
fn describe(tag: &str, entry: &EntryRef<'_>) -> Value {
    let values: Vec<String> = entry
        .values
        .iter()
        .map(|value| {
            let (name, code) = (hex(value.name()), value.kind().code());
            format!("{name} {code} {}", meaning(value.value()))
        })
        .collect();
    json!({
        "tag": tag,
        "ts": format!("{}.{:09}", entry.ts.wire_seconds(), entry.ts.nanos()),
        "src": entry.src.to_string(),
        "len": entry.data.len(),
        "crc": crc32c::crc32c(entry.data),
        "values": values,
    })
}

fn meaning(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Bytes(bytes) | ValueRef::Text(bytes) => hex(bytes),
        ValueRef::Bool(value) => value.to_string(),
        ValueRef::U8(value) => value.to_string(),
        ValueRef::I8(value) => value.to_string(),
        ValueRef::I16(value) => value.to_string(),
        ValueRef::U16(value) => value.to_string(),
        ValueRef::I32(value) => value.to_string(),
        ValueRef::U32(value) => value.to_string(),
        ValueRef::I64(value) | ValueRef::Duration(value) => value.to_string(),
        ValueRef::U64(value) => value.to_string(),
        ValueRef::F32(value) => format!("{:08x}", value.to_bits()),
        ValueRef::F64(value) => format!("{:016x}", value.to_bits()),
        ValueRef::Mac(mac) => hex(mac.as_bytes()),
        ValueRef::Ip(ip) => ip.to_canonical().to_string(),
        ValueRef::Timestamp(ts) => format!("{}.{:09}", ts.wire_seconds(), ts.nanos()),
        _ => "of a kind that this program does not know".to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Seconds of processor time of this process until now, where the system tells it (Linux).
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses; the 14th and 15th count hundredths of a second.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

/// One line of JSON on the standard output.
pub(crate) fn say(line: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("cannot write")?;
    out.flush().context("cannot write")
}
