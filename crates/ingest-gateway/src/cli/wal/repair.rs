//! `ingestry wal repair`: what the start of the gateway would do, now and in words, and what it
//! would leave to whoever comes across it.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Context as _;
use ingest_store::{SidecarCheck, missing_sidecars, write_sidecar};
use ingest_wal::{
    DirEntry, Directory, Finding, FindingKind, Hold, Inspection, Item, Log, OpenError, Options,
    SegmentHead, SegmentInfo, SegmentName, SegmentState, SnapshotState,
};

use super::book::Book;
use super::meter::Meter;
use super::verify::Judge;
use super::{RepairArgs, count, counted, hold, note};
use crate::cli::Exit;

pub(super) fn run(dir: &Directory, args: &RepairArgs) -> anyhow::Result<Exit> {
    let held = hold(dir)?;
    let (outside, dir) = (dir, &held.directory().clone());
    let log = dir.inspect(&mut |_| {})?;
    refuse_later_formats(dir, &log)?;
    let meter = Meter::new("reading");
    let mut silent = |_: &Finding| Ok(());
    let mut judge = Judge::new(dir, Some(&meter), &mut silent);
    dir.verify(&mut judge)?;
    let plan = Plan::new(&log, judge.findings);
    meter.end();
    let mut out = io::stdout().lock();
    for step in &plan.steps {
        writeln!(out, "{}", step.text(args.yes))?;
    }
    for beyond in &plan.beyond {
        writeln!(out, "Cannot be repaired here: {beyond}")?;
    }
    let path = dir.path().display();
    if plan.steps.is_empty() {
        writeln!(out, "{path}: nothing to repair")?;
    } else if args.yes {
        plan.carry_out(outside, held, &log)?;
        writeln!(out, "{path}: {} done", counted(plan.steps.len() as u64, "step", "steps"))?;
    } else {
        out.flush()?;
        note(&format!(
            "{path}: nothing was changed; with --yes {} done",
            if plan.steps.len() == 1 { "this is" } else { "these are" }
        ))?;
    }
    Ok(if plan.beyond.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// A log of a later format is not touched, as a start would not.
fn refuse_later_formats(dir: &Directory, log: &Inspection) -> Result<(), OpenError> {
    let later = |info: &SegmentInfo| matches!(info.head, SegmentHead::UnknownFormat(_));
    if log.segments.iter().any(later) {
        let mut options = Options::default();
        everything_fits(&mut options, log);
        dir.check_opening(&options)?;
    }
    Ok(())
}

/// Limits under which nothing is refused and nothing removed: those of the configuration are not
/// known here.
fn everything_fits(options: &mut Options, log: &Inspection) {
    options.max_bytes = Some(log.space.total);
    options.min_free = Some(0);
    options.memory = Some(16 << 20);
    options.keep_all = true;
}

/// One thing to be done.
enum Step {
    /// Bytes go to the quarantine.
    PutAside { segment: SegmentName, finding: Finding },
    /// LSNs are counted as damaged.
    Count(Finding),
    /// Segments without an end are read, and numbering goes on behind them.
    Recover { segments: Vec<String> },
    /// A file that is no segment of this log goes.
    Clear { file: String, foreign: bool },
    /// The outputs' positions are written again.
    Cursors { file: String },
    /// LOCK is written again.
    Lock,
    /// An index is written again.
    Index { info: SegmentInfo },
    /// What the writing of an index left.
    Remove { file: String },
}

impl Step {
    fn text(&self, done: bool) -> String {
        let will = |what: &str| if done { what.to_owned() } else { format!("would {what}") };
        match self {
            Self::PutAside { segment, finding } => {
                let bytes = &finding.bytes;
                let lost = match finding.lsns.end - finding.lsns.start {
                    0 => "no entry is lost by them".to_owned(),
                    _ => format!("and count {} as gone", lsns(finding)),
                };
                let what = will("put aside");
                format!(
                    "{what} {} at byte {} of {segment}.log, {lost}",
                    counted(bytes.end - bytes.start, "byte", "bytes"),
                    bytes.start
                )
            }
            Self::Count(finding) => {
                format!("{} {} of {} as gone", will("count"), lsns(finding), finding.file)
            }
            Self::Recover { segments } => {
                let which = match segments.as_slice() {
                    [] => "the end of the log".to_owned(),
                    names => names.join(", "),
                };
                format!(
                    "{} {which}: it was not closed in order, and numbering goes on higher up",
                    will("settle")
                )
            }
            Self::Clear { file, foreign: true } => {
                format!("{} {file}, of another log, to the quarantine", will("move"))
            }
            Self::Clear { file, foreign: false } => {
                format!("{} {file}, whose header names another segment", will("remove"))
            }
            Self::Cursors { file } => format!("{} {file} again", will("write")),
            Self::Lock => format!("{} LOCK again", will("write")),
            Self::Index { info } => {
                format!("{} the index {}", will("write"), info.segment.name.companion("idx"))
            }
            Self::Remove { file } => format!("{} {file}, which belongs to nothing", will("remove")),
        }
    }

    /// Whether the log has to be opened for it.
    const fn opens(&self) -> bool {
        match self {
            Self::PutAside { finding, .. } => finding.lsns.start < finding.lsns.end,
            Self::Index { .. } | Self::Remove { .. } => false,
            _ => true,
        }
    }
}

fn lsns(finding: &Finding) -> String {
    let lsns = &finding.lsns;
    match lsns.end - lsns.start {
        1 => format!("LSN {}", lsns.start),
        entries => format!("LSN {} to {} ({})", lsns.start, lsns.end - 1, count(entries)),
    }
}

/// What is to be done, in order, and what is beyond it.
struct Plan {
    steps: Vec<Step>,
    beyond: Vec<String>,
}

impl Plan {
    fn new(log: &Inspection, findings: Vec<Finding>) -> Self {
        let (mut steps, mut beyond) = (Vec::new(), Vec::new());
        let unsettled = |info: &&SegmentInfo| info.state == SegmentState::Unsealed;
        let own = |info: &SegmentInfo| info.state != SegmentState::Foreign;
        if !log.clean && log.segments.iter().any(own) {
            let names = log.segments.iter().filter(unsettled);
            let segments: Vec<String> = names.map(|info| info.segment.name.file_name()).collect();
            // All of them recovered and nothing written since: nothing is left to settle.
            if !segments.is_empty() {
                steps.push(Step::Recover { segments });
            }
        }
        let valid =
            log.snapshots.iter().any(|have| matches!(have.state, SnapshotState::Valid { .. }));
        for finding in findings {
            let segment = SegmentName::parse(&finding.file);
            match (finding.kind, segment) {
                (FindingKind::Companion, _) => {
                    let name = SegmentName::split(&finding.file).map(|(name, _)| name);
                    let info = log.segments.iter().find(|info| Some(info.segment.name) == name);
                    let holds = |info: &&SegmentInfo| {
                        info.account.as_ref().is_some_and(|account| account.entries > 0)
                    };
                    // One without entries goes at the next start, and needs none.
                    if let Some(info) = info.filter(|info| holds(info) || !finding.note) {
                        steps.push(Step::Index { info: info.clone() });
                    }
                }
                (FindingKind::Lock, _) => steps.push(Step::Lock),
                _ if finding.note => {}
                (FindingKind::OtherName, _) => {
                    steps.push(Step::Clear { file: finding.file, foreign: false });
                }
                (FindingKind::ForeignSegment, _) => {
                    steps.push(Step::Clear { file: finding.file, foreign: true });
                }
                (FindingKind::Cursor, _) if valid => {
                    steps.push(Step::Cursors { file: finding.file });
                }
                (FindingKind::Cursor, _) => beyond.push(format!(
                    "{}: no snapshot is valid, so every output begins at the oldest entry",
                    finding.file
                )),
                (
                    FindingKind::SegmentHeader
                    | FindingKind::Preamble
                    | FindingKind::RecordBody
                    | FindingKind::Bytes
                    | FindingKind::TornTail,
                    Some(segment),
                ) => steps.push(Step::PutAside { segment, finding }),
                (FindingKind::MissingEntries, _) => steps.push(Step::Count(finding)),
                _ => {
                    let detail = finding.detail.unwrap_or_default();
                    beyond.push(format!("{}: {detail}", finding.file));
                }
            }
        }
        let left = |file: &&DirEntry| {
            SegmentName::split(&file.name)
                .is_some_and(|(_, ending)| SidecarCheck::ENDINGS.contains(&ending))
        };
        let unfinished = log.segments.iter().flat_map(|info| &info.companions);
        let unfinished = unfinished.filter(|file| file.name.ends_with(".tmp"));
        for file in log.strangers.iter().chain(unfinished).filter(left) {
            steps.push(Step::Remove { file: file.name.clone() });
        }
        Self { steps, beyond }
    }

    fn carry_out(&self, dir: &Directory, hold: Hold, log: &Inspection) -> anyhow::Result<()> {
        // Bytes first: they are copied before anything is written.
        for step in &self.steps {
            if let Step::PutAside { segment, finding } = step {
                hold.put_aside(*segment, finding.bytes.clone())
                    .with_context(|| format!("cannot put aside a part of {segment}"))?;
            }
        }
        drop(hold);
        if self.steps.iter().any(Step::opens) {
            self.open(dir, log)?;
        }
        let hold = super::hold(dir)?;
        let dir = hold.directory();
        for step in &self.steps {
            if let Step::Remove { file } = step {
                let gone = dir.file_system().remove(&dir.path().join(file));
                gone.with_context(|| format!("cannot remove {file}"))?;
            }
        }
        for step in &self.steps {
            if let Step::Index { info } = step {
                let segments = dir.segments()?;
                let now = segments.iter().find(|now| now.name == info.segment.name);
                write_sidecar(dir, now.unwrap_or(&info.segment))?;
            }
        }
        // Those of segments that had no end before.
        let log = dir.inspect(&mut |_| {})?;
        for segment in missing_sidecars(dir)? {
            let holds = |info: &SegmentInfo| {
                info.segment.name == segment.name
                    && info.account.as_ref().is_some_and(|account| account.entries > 0)
            };
            if log.segments.iter().any(holds) {
                write_sidecar(dir, &segment)?;
            }
        }
        Ok(())
    }

    /// Opens the log, which recovers it; goes to what is missing, which counts it; closes it.
    fn open(&self, dir: &Directory, log: &Inspection) -> anyhow::Result<()> {
        let mut options = Options::default();
        everything_fits(&mut options, log);
        options.file_system = Arc::clone(dir.file_system());
        let open = Log::open(dir.path(), options, Arc::new(Book::default()))?;
        for step in &self.steps {
            let (Step::PutAside { finding, .. } | Step::Count(finding)) = step else { continue };
            let mut reader = open.reader(finding.lsns.start);
            while reader.position() < finding.lsns.end {
                match reader.next_item()? {
                    Some(Item::Record(_) | Item::Missing(_) | Item::Expired(_)) => {}
                    _ => break,
                }
            }
        }
        // Twice: both files know of it.
        for _ in 0..2 {
            open.snapshot().context("cannot keep what was counted")?;
        }
        let unwritten = open.close();
        anyhow::ensure!(unwritten == ingest_wal::Unwritten::default(), "not all could be written");
        Ok(())
    }
}
