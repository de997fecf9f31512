//! `ingestry wal verify`: everything is read, and what is not as it should be is said.

use std::io::{self, Write};

use ingest_entry::stored::{self, TableRef};
use ingest_store::{SidecarCheck, SidecarState};
use ingest_wal::{
    Directory, Finding, FindingKind, Kind, MissingCause, Observer, RecordRef, SegmentInfo, Verified,
};
use serde::Serialize;

use super::meter::{Meter, per_second, throughput};
use super::{VerifyArgs, count, counted, data_dir, held_by, is_gateways, note};
use crate::cli::Exit;

pub(super) fn run(dir: &Directory, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let log = dir.inspect(&mut |_| {})?;
    let meter = Meter::new("verifying");
    let held = held_by(log.holder);
    if let (Some(held), false) = (&held, args.json) {
        note(&format!("{}: {held}; what is durable now is verified.", dir.path().display()))?;
    }
    let mut print = |finding: &Finding| {
        if args.json || is_index_to_come(finding) {
            return Ok(());
        }
        meter.aside(|| print(finding, &mut io::stdout().lock()))
    };
    let mut judge = Judge::new(dir, Some(&meter), &mut print);
    let verified = dir.verify(&mut judge)?;
    let Judge { findings, failed, .. } = judge;
    let time = meter.end();
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut out = io::stdout().lock();
    if args.json {
        let report = Report {
            dir: dir.path().display().to_string(),
            id: log.log_id.map(|id| id.to_string()),
            in_use: log.holder.is_held(),
            clean: verified.problems == 0,
            problems: verified.problems,
            notes: verified.notes,
            segments: verified.segments,
            records: verified.records,
            entries: verified.entries,
            bytes: verified.bytes,
            seconds: time.as_secs_f64(),
            bytes_per_second: per_second(verified.bytes, time),
            findings: findings.iter().map(Said::new).collect(),
        };
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let to_come = findings.iter().filter(|finding| is_index_to_come(finding)).count();
        if to_come > 0 {
            let number = counted(to_come as u64, "segment has", "segments have");
            writeln!(out, "note: {number} no index yet: searches read all of them")?;
        }
        writeln!(
            out,
            "{}: {}, {} in {}, {}: {}",
            dir.path().display(),
            counted(verified.segments, "segment", "segments"),
            counted(verified.entries, "entry", "entries"),
            counted(verified.records, "record", "records"),
            throughput(verified.bytes, time),
            verdict(&verified)
        )?;
        if verified.problems > 0 {
            let dir = data_dir(dir.path());
            writeln!(out, "What can be done about it: ingestry wal repair{dir}")?;
        }
    }
    Ok(if verified.problems > 0 { Exit::Failed } else { Exit::Fine })
}

/// A gateway writes the index when a segment is finished, and the last one at its next start.
fn is_index_to_come(finding: &Finding) -> bool {
    finding.kind == FindingKind::Companion && finding.note
}

fn verdict(verified: &Verified) -> String {
    let notes = match verified.notes {
        0 => String::new(),
        notes => format!(" ({})", counted(notes, "note", "notes")),
    };
    match verified.problems {
        0 => format!("all is well{notes}"),
        problems => format!("{}{notes}", counted(problems, "problem", "problems")),
    }
}

/// What a verification came to, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    dir: String,
    id: Option<String>,
    in_use: bool,
    clean: bool,
    problems: u64,
    notes: u64,
    segments: u64,
    records: u64,
    entries: u64,
    bytes: u64,
    seconds: f64,
    bytes_per_second: u64,
    findings: Vec<Said<'a>>,
}

/// A finding as `--json` prints it. LSNs are inclusive.
#[derive(Debug, Serialize)]
struct Said<'a> {
    kind: &'static str,
    note: bool,
    file: &'a str,
    offset: Option<u64>,
    bytes: u64,
    first_lsn: Option<u64>,
    last_lsn: Option<u64>,
    cause: Option<&'static str>,
    detail: Option<&'a str>,
    means: String,
}

impl<'a> Said<'a> {
    fn new(finding: &'a Finding) -> Self {
        let (bytes, lsns) = (&finding.bytes, &finding.lsns);
        Self {
            kind: finding.kind.as_str(),
            note: finding.note,
            file: &finding.file,
            offset: (!bytes.is_empty()).then_some(bytes.start),
            bytes: bytes.end.saturating_sub(bytes.start),
            first_lsn: (!lsns.is_empty()).then_some(lsns.start),
            last_lsn: (!lsns.is_empty()).then(|| lsns.end - 1),
            cause: finding.cause.map(MissingCause::as_str),
            detail: finding.detail.as_deref(),
            means: means(finding),
        }
    }
}

/// Where it is, what it is, and in a second line what that means.
fn print(finding: &Finding, out: &mut impl Write) -> io::Result<()> {
    let note = if finding.note { "note: " } else { "" };
    let bytes = &finding.bytes;
    let place = if bytes.is_empty() {
        finding.file.clone()
    } else {
        let len = counted(bytes.end - bytes.start, "byte", "bytes");
        format!("{} at byte {} ({len})", finding.file, bytes.start)
    };
    let detail = finding.detail.as_ref().map_or_else(String::new, |text| format!(": {text}"));
    writeln!(out, "{note}{place}: {}{detail}", what(finding.kind))?;
    writeln!(out, "    {}", means(finding))
}

const fn what(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::SegmentHeader => "the header of the segment is damaged",
        FindingKind::Preamble => "the table of names in front is damaged",
        FindingKind::OtherName => "the header names another segment than the file",
        FindingKind::ForeignSegment => "a segment of another log",
        FindingKind::UnknownFormat => "a format that this version does not know",
        FindingKind::RecordBody => "a record does not match its checksum",
        FindingKind::Bytes => "no record where one should be",
        FindingKind::TornTail => "bytes behind the last record of a log that was not closed",
        FindingKind::MissingEntries => "entries are missing",
        FindingKind::Repeated => "entries that stood before",
        FindingKind::Content => "the content cannot be decoded, though its checksums are right",
        FindingKind::Account => "the account at the end does not match the records",
        FindingKind::Cursor => "no valid snapshot of this log",
        FindingKind::Lock => "LOCK is not valid",
        FindingKind::Unreadable => "the system cannot read it",
        FindingKind::Companion => "the index",
        FindingKind::Stranger => "no part of the log",
        _ => "something unknown",
    }
}

/// What it means for who looks after the log.
fn means(finding: &Finding) -> String {
    let lsns = &finding.lsns;
    if !lsns.is_empty() {
        let which = match lsns.end - lsns.start {
            1 => format!("LSN {}", lsns.start),
            entries => {
                format!("LSN {} to {}, {} entries", lsns.start, lsns.end - 1, count(entries))
            }
        };
        let counted = if finding.note { " It has been counted before." } else { "" };
        return match (finding.kind, finding.cause) {
            (FindingKind::Content, _) => {
                format!("{which}: searches pass over what cannot be decoded.")
            }
            (_, Some(MissingCause::Void)) => format!("{which} were never given to an entry."),
            (_, Some(MissingCause::Unwitnessed)) => format!(
                "{which}: torn off and never acknowledged, or damaged in the last group before an \
                 unclean end; nobody can say which.{counted}"
            ),
            (FindingKind::Unreadable, _) => {
                format!("{which} cannot be read now; ask the disk before anything else.")
            }
            _ => format!("{which}: durable once, cannot be read any more.{counted}"),
        };
    }
    let text = match finding.kind {
        FindingKind::SegmentHeader => {
            "No entry is lost by this: the file's name and other files say the same."
        }
        FindingKind::Preamble => {
            "No entry is lost by this: the names stand a second time behind it."
        }
        FindingKind::OtherName => "What an earlier use of the file left; the next run removes it.",
        FindingKind::ForeignSegment => "The next run moves it to the quarantine, whole.",
        FindingKind::UnknownFormat => {
            "This version does not open the log, and changes nothing of it: use the version that \
             wrote it, or a later one."
        }
        FindingKind::TornTail => "The last write was cut short; none of it was acknowledged.",
        FindingKind::RecordBody | FindingKind::Bytes if finding.note => {
            "No entry is lost by this, and the bytes have been put aside."
        }
        FindingKind::RecordBody | FindingKind::Bytes => {
            "No entry is lost by this: it was a record of the log's own."
        }
        FindingKind::Cursor => {
            "The other snapshot holds, if it is valid; else every output begins at the oldest \
             entry, and delivers again."
        }
        FindingKind::Lock => "A power cut may leave it so; the next run writes it again.",
        FindingKind::Companion => {
            "Without it searches give the same answers, only slower; repair writes it again."
        }
        FindingKind::Stranger => "Its bytes count against log.max_bytes; it is left alone.",
        FindingKind::Unreadable => "Nothing can be said of it; ask the disk first.",
        FindingKind::Content => "Searches pass over what cannot be decoded.",
        FindingKind::Repeated | FindingKind::Account => {
            "No entry is missing, but this should never be: please report it."
        }
        _ => "Nobody knows what that means.",
    };
    text.to_owned()
}

/// Judges what the log holds, and gathers what is found.
pub(super) struct Judge<'a> {
    dir: &'a Directory,
    meter: Option<&'a Meter>,
    print: &'a mut dyn FnMut(&Finding) -> io::Result<()>,
    sidecar: Option<SidecarCheck>,
    pub(super) findings: Vec<Finding>,
    failed: Option<io::Error>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        dir: &'a Directory,
        meter: Option<&'a Meter>,
        print: &'a mut dyn FnMut(&Finding) -> io::Result<()>,
    ) -> Self {
        Self { dir, meter, print, sidecar: None, findings: Vec::new(), failed: None }
    }
}

impl Observer for Judge<'_> {
    fn finding(&mut self, finding: Finding) {
        if self.failed.is_none() {
            self.failed = (self.print)(&finding).err();
        }
        self.findings.push(finding);
    }

    fn progress(&mut self, done: u64, of: u64) {
        if let Some(meter) = self.meter {
            meter.set(done, of);
        }
    }

    fn knows(&self, file: &str) -> bool {
        is_gateways(file)
    }

    fn begin(&mut self, info: &SegmentInfo) {
        self.sidecar = Some(SidecarCheck::new(&info.segment));
    }

    fn preamble(&mut self, preamble: &[u8]) -> Result<(), String> {
        if preamble.is_empty() {
            return Ok(());
        }
        let table = TableRef::decode(preamble).map_err(|error| error.to_string())?;
        table
            .definitions()
            .try_for_each(|definition| definition.map(drop).map_err(|e| e.to_string()))
    }

    fn record(&mut self, record: RecordRef<'_>) -> Result<(), String> {
        if let Some(sidecar) = &mut self.sidecar {
            sidecar.record(&record);
        }
        if record.header.kind != Kind::Entries {
            let mut definitions = stored::definitions(record.body);
            return definitions.try_for_each(|one| one.map(drop).map_err(|e| e.to_string()));
        }
        let mut found = 0_u64;
        for entry in stored::entries(record.body) {
            entry.map_err(|error| error.to_string())?;
            found += 1;
        }
        let said = u64::from(record.header.count);
        if found == said { Ok(()) } else { Err(format!("{found} entries, {said} are said")) }
    }

    fn end(&mut self, info: &SegmentInfo, whole: bool) -> Vec<Finding> {
        let Some(sidecar) = self.sidecar.take() else { return Vec::new() };
        let file = info.segment.name.companion("idx");
        let finding = |text: &str| Finding::new(FindingKind::Companion, &file).with(text);
        let found = match sidecar.finish(self.dir, whole) {
            Ok(SidecarState::Missing) => finding("missing").noted(),
            Ok(SidecarState::Ignored) => finding("torn, damaged, or of another segment"),
            Ok(SidecarState::Wrong) => {
                finding("says something else than the segment, and searches may believe it")
            }
            Ok(_) => return Vec::new(),
            Err(error) => Finding::new(FindingKind::Unreadable, &file).with(error.to_string()),
        };
        vec![found]
    }
}
