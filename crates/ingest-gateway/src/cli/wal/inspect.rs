//! `ingestry wal inspect`: what a log holds.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ingest_entry::stored::{self, Summary, Table};
use ingest_entry::{TagId, Timestamp};
use ingest_store::Store;
use ingest_wal::{
    Directory, Holder, Inspection, Kind, Missing, MissingCause, SegmentHead, SegmentInfo,
    SegmentState, SnapshotState,
};
use serde::Serialize;

use super::outputs::{self, Standing};
use super::{InspectArgs, count, counted, held_by, is_gateways};
use crate::cli::Exit;
use crate::units::format_size_rounded;

pub(super) fn run(dir: &Directory, args: &InspectArgs) -> anyhow::Result<Exit> {
    let mut live = Summary::new();
    let log = dir.inspect(&mut |record| {
        if record.header.kind == Kind::Entries {
            stored::entries(record.body).flatten().for_each(|entry| live.add(entry.tag, 1));
        }
    })?;
    // A later format is shown, and its names are not.
    let names = Store::with_directory(dir.clone())?.names().unwrap_or_default();
    let report = Report::new(dir, &log, &names, live);
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report.print(&mut out)?;
    }
    Ok(Exit::Fine)
}

/// All of it, as `--json` prints it. LSNs are inclusive, sizes in bytes, times RFC 3339.
#[derive(Debug, Serialize)]
struct Report {
    dir: String,
    id: Option<String>,
    /// The format of the newest segment.
    format: Option<u16>,
    epoch: u32,
    /// Whether a process has the log open.
    in_use: bool,
    /// That process, if it is known.
    pid: Option<u32>,
    /// Closed in order.
    clean: bool,
    /// The oldest LSN that may still be there.
    oldest_lsn: u64,
    /// The last durable LSN; 0 for none.
    synced_lsn: u64,
    /// Entries in the life of the directory, as in `/status`.
    accepted: u64,
    void: u64,
    unwitnessed: u64,
    damaged: u64,
    expired: u64,
    /// Entries that are there.
    entries: u64,
    segments: Vec<Segment>,
    outputs: Vec<Output>,
    tags: Vec<Tag>,
    sources: Vec<Source>,
    snapshots: Vec<Snapshot>,
    quarantine: Files,
    free_files: Files,
    other_files: Files,
    disk: Disk,
}

#[derive(Debug, Serialize)]
struct Segment {
    file: String,
    first_lsn: u64,
    /// The last LSN with an entry; below `first_lsn` for none.
    last_lsn: u64,
    epoch: u32,
    bytes: u64,
    entries: u64,
    state: &'static str,
    /// What is wrong with its first bytes.
    head: Option<String>,
    created: Option<String>,
    sidecar: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    name: String,
    state: &'static str,
    start_lsn: u64,
    low_lsn: u64,
    queued: u64,
    queued_bytes: u64,
    confirmed: u64,
    filtered: u64,
    lost: BTreeMap<String, u64>,
    absent_since: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tag {
    name: String,
    number: u16,
    entries: u64,
}

#[derive(Debug, Serialize)]
struct Source {
    name: String,
    number: u16,
}

#[derive(Debug, Serialize)]
struct Snapshot {
    file: String,
    state: String,
    sequence: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
struct Files {
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Disk {
    /// What the directory takes, quarantine left out.
    used_bytes: u64,
    available_bytes: u64,
    total_bytes: u64,
}

impl Files {
    fn of<'a>(files: impl Iterator<Item = &'a ingest_wal::DirEntry>) -> Self {
        files.fold(Self::default(), |sum, file| Self {
            files: sum.files + 1,
            bytes: sum.bytes + file.len,
        })
    }
}

/// Entries of a segment that can be read, as far as it is known. A seal says how many were written: what
/// was found damaged since is not among those that are there.
fn there(info: &SegmentInfo, log: &Inspection) -> u64 {
    let Some(account) = &info.account else { return 0 };
    if !matches!(info.state, SegmentState::Sealed { .. }) {
        return account.entries;
    }
    let damaged = log.missing.iter().filter(|missing| missing.cause == MissingCause::Damaged);
    let gone = damaged.map(|Missing { range, .. }| {
        range.end.min(account.end).saturating_sub(range.start.max(account.start))
    });
    account.entries.saturating_sub(gone.sum())
}

impl Segment {
    fn new(info: &SegmentInfo, log: &Inspection) -> Self {
        let name = info.segment.name;
        let (head, created) = match info.head {
            SegmentHead::Valid { created, .. } => (None, Some(created)),
            SegmentHead::Damaged => (Some("damaged header".to_owned()), None),
            SegmentHead::OtherName => (Some("names another segment".to_owned()), None),
            SegmentHead::UnknownFormat(format) => {
                (Some(format!("format {format}: a later version reads it")), None)
            }
            _ => (Some("unknown".to_owned()), None),
        };
        let account = info.account.as_ref();
        let end = account.map_or(name.first, |account| account.end);
        Self {
            file: name.file_name(),
            first_lsn: name.first,
            last_lsn: end.saturating_sub(1),
            epoch: name.epoch,
            bytes: info.segment.len,
            entries: there(info, log),
            state: info.state.as_str(),
            head,
            created: created.map(|at| Timestamp::from_unix_nanos(at).to_string()),
            sidecar: info.companions.iter().any(|file| file.name.ends_with(".idx")),
        }
    }
}

impl Output {
    fn new(standing: Standing) -> Self {
        let state = standing.state();
        let Standing { kept, queued, queued_bytes } = standing;
        let since = kept.absent_since.and_then(|at| Timestamp::from_unix(at, 0));
        Self {
            name: kept.name,
            state,
            start_lsn: kept.start,
            low_lsn: kept.low,
            queued,
            queued_bytes,
            confirmed: kept.confirmed,
            filtered: kept.filtered,
            lost: kept.lost,
            absent_since: since.map(|at| at.to_string()),
        }
    }
}

impl Report {
    fn new(dir: &Directory, log: &Inspection, names: &Table, live: Summary) -> Self {
        let mut counts = live;
        for account in log.segments.iter().filter_map(|segment| segment.account.as_ref()) {
            if let Ok(summary) = Summary::decode(&account.summary) {
                counts.merge(&summary);
            }
        }
        let mut tags: Vec<Tag> = names
            .tags()
            .map(|(id, name)| Tag {
                name: name.to_string(),
                number: id.0,
                entries: counts.count(id),
            })
            .collect();
        let nameless = counts.iter().filter(|(id, _)| names.tag_name(*id).is_none());
        tags.extend(nameless.map(|(TagId(number), entries)| Tag {
            name: format!("#{number}"),
            number,
            entries,
        }));
        let sources =
            names.sources().map(|(number, name)| Source { name: name.to_owned(), number });
        let format = log.segments.iter().rev().find_map(|segment| match segment.head {
            SegmentHead::Valid { format, .. } | SegmentHead::UnknownFormat(format) => Some(format),
            _ => None,
        });
        let pid = match log.holder {
            Holder::Process(pid) => pid,
            Holder::Nobody => None,
        };
        Self {
            dir: dir.path().display().to_string(),
            id: log.log_id.map(|id| id.to_string()),
            format,
            epoch: log.epoch,
            in_use: log.holder.is_held(),
            pid,
            clean: log.clean,
            oldest_lsn: log.oldest(),
            synced_lsn: log.durable_end.saturating_sub(1),
            accepted: log.accepted(),
            void: log.void,
            unwitnessed: log.unwitnessed,
            damaged: log.damaged,
            expired: log.expired,
            entries: log.segments.iter().map(|info| there(info, log)).sum(),
            segments: log.segments.iter().map(|info| Segment::new(info, log)).collect(),
            outputs: outputs::all(log).into_iter().map(Output::new).collect(),
            tags,
            sources: sources.collect(),
            snapshots: log.snapshots.iter().map(Snapshot::new).collect(),
            quarantine: Files::of(log.quarantine.iter()),
            free_files: Files::of(log.spare.iter()),
            other_files: Files::of(log.strangers.iter().filter(|file| !is_gateways(&file.name))),
            disk: Disk {
                used_bytes: log.used_bytes,
                available_bytes: log.space.available,
                total_bytes: log.space.total,
            },
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let id = self.id.as_deref().unwrap_or("of unknown identity");
        let holder = if self.in_use { Holder::Process(self.pid) } else { Holder::Nobody };
        let state = match held_by(holder) {
            Some(held) => held,
            None if self.clean => "closed in order".to_owned(),
            None => "not closed in order: the next run recovers it".to_owned(),
        };
        writeln!(out, "log {id}")?;
        row(out, "directory", &format!("{}, {state}", self.dir))?;
        let format = self.format.map_or_else(|| "unknown".to_owned(), |format| format.to_string());
        row(out, "format", &format!("{format}, epoch {}", self.epoch))?;
        row(
            out,
            "entries",
            &format!(
                "{} here, {} accepted since the log was made",
                count(self.entries),
                count(self.accepted)
            ),
        )?;
        row(out, "durable", &format!("LSN {} to {}", self.oldest_lsn, self.synced_lsn))?;
        row(
            out,
            "without entry",
            &format!(
                "{} void (never given), {} unwitnessed, {} damaged; {} expired",
                count(self.void),
                count(self.unwitnessed),
                count(self.damaged),
                count(self.expired)
            ),
        )?;
        let Disk { used_bytes, available_bytes, total_bytes } = self.disk;
        row(
            out,
            "disk",
            &format!(
                "{} used here; {} of {} free",
                format_size_rounded(used_bytes),
                format_size_rounded(available_bytes),
                format_size_rounded(total_bytes)
            ),
        )?;
        for (what, files, more) in [
            ("quarantine", &self.quarantine, ": copies of damaged bytes, never removed by the log"),
            ("free files", &self.free_files, ", to be used again"),
            ("other files", &self.other_files, ", no part of the log"),
        ] {
            if files.files > 0 {
                let number = counted(files.files, "file", "files");
                let size = format_size_rounded(files.bytes);
                row(out, what, &format!("{number}, {size}{more}"))?;
            }
        }
        for snapshot in self.snapshots.iter().filter(|snapshot| snapshot.state != "valid") {
            row(out, &snapshot.file, &snapshot.state)?;
        }
        if self.snapshots.is_empty() {
            row(out, "cursors", "none: no output was ever configured, or its state is lost")?;
        }
        self.print_segments(out)?;
        self.print_outputs(out)?;
        if !self.tags.is_empty() {
            writeln!(out, "\ntags")?;
            for tag in &self.tags {
                writeln!(out, "  {:<32} {:>15} entries", tag.name, count(tag.entries))?;
            }
        }
        if !self.sources.is_empty() {
            let names: Vec<&str> = self.sources.iter().map(|source| &*source.name).collect();
            writeln!(out, "\nsources\n  {}", names.join(", "))?;
        }
        out.flush()
    }

    fn print_segments(&self, out: &mut impl Write) -> io::Result<()> {
        let bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        let number = counted(self.segments.len() as u64, "segment", "segments");
        writeln!(out, "\n{number}, {}", format_size_rounded(bytes))?;
        if self.segments.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "  {:>15} {:>15} {:>5} {:>9} {:>13} {:<9} {:<19} index  file",
            "first LSN", "last LSN", "epoch", "size", "entries", "state", "created"
        )?;
        for segment in &self.segments {
            let last = match segment.entries {
                0 => "-".to_owned(),
                _ => segment.last_lsn.to_string(),
            };
            let state = if self.in_use && segment.state == SegmentState::Unsealed.as_str() {
                "open"
            } else {
                segment.state
            };
            let created = segment.created.as_deref().and_then(|at| at.get(..19)).unwrap_or("-");
            writeln!(
                out,
                "  {:>15} {last:>15} {:>5} {:>9} {:>13} {state:<9} {created:<19} {:<5}  {}{}",
                segment.first_lsn,
                segment.epoch,
                format_size_rounded(segment.bytes),
                count(segment.entries),
                if segment.sidecar { "yes" } else { "-" },
                segment.file,
                segment.head.as_ref().map_or_else(String::new, |head| format!("  ({head})")),
            )?;
        }
        Ok(())
    }

    fn print_outputs(&self, out: &mut impl Write) -> io::Result<()> {
        if self.outputs.is_empty() {
            return Ok(());
        }
        writeln!(out, "\noutputs")?;
        for output in &self.outputs {
            let lost: u64 = output.lost.values().sum();
            writeln!(
                out,
                "  {:<16} {}, at LSN {} (began at {}): {} behind, about {}; confirmed {}, passed \
                 over {}, lost {}",
                output.name,
                output.state,
                output.low_lsn,
                output.start_lsn,
                counted(output.queued, "entry", "entries"),
                format_size_rounded(output.queued_bytes),
                count(output.confirmed),
                count(output.filtered),
                count(lost)
            )?;
        }
        Ok(())
    }
}

impl Snapshot {
    fn new(info: &ingest_wal::SnapshotInfo) -> Self {
        let (state, sequence) = match info.state {
            SnapshotState::Valid { sequence, .. } => ("valid".to_owned(), Some(sequence)),
            SnapshotState::Damaged => ("damaged: not read".to_owned(), None),
            SnapshotState::Foreign(id) => (format!("of another log, {id}: not read"), None),
            SnapshotState::UnknownFormat(format) => {
                (format!("of format {format}: not read, a later version does"), None)
            }
            _ => ("unknown".to_owned(), None),
        };
        Self { file: info.file.name.clone(), state, sequence }
    }
}

fn row(out: &mut impl Write, what: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {what:<14} {text}")
}
