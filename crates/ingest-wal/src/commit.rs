//! The log thread: takes what producers handed over, writes all of it at once, syncs, says so.

mod full;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::active::ActiveSegment;
use crate::catalog::Tally;
use crate::error::RefusedError;
use crate::format::{
    Kind, LockFile, Missing, RecordHeader, SYNCED_AT, SegmentName, VoidBody, stride,
};
use crate::fs::write_all_at;
use crate::lane::Lane;
use crate::missing::Totals;
use crate::pace::Pace;
use crate::plant::Plant;
use crate::progress::Progress;
use crate::shared::{Chore, Counters, Shared, lock};
use crate::status::Health;
use crate::tail::Record;
use crate::ticket::Place;
use crate::turns::Turns;
use crate::{Level, Lsn, Permit};

/// How long the thread waits before it looks for room, or tries a failed disk, again.
const RETRY: Duration = Duration::from_millis(50);
/// Most records of one write.
const MAX_RECORDS: usize = 512;
static PADDING: [u8; 8] = [0; 8];

/// A record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Given when it goes into a group.
    pub(crate) first: Lsn,
    pub(crate) count: u16,
    pub(crate) kind: Kind,
    pub(crate) source: u16,
    pub(crate) arrival: i64,
    pub(crate) body: Bytes,
    pub(crate) body_crc: u32,
    pub(crate) level: Level,
    pub(crate) tally: Tally,
    #[expect(dead_code, reason = "held until the record is durable, and given back by its drop")]
    pub(crate) permits: Vec<Permit>,
    /// Of entries: whose they are.
    pub(crate) owner: Option<Owner>,
}

/// Whose entries a record holds.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) lane: Arc<Lane>,
    /// Their places in the lane.
    pub(crate) entries: Range<u64>,
    /// Where the record's place in the log is told.
    pub(crate) place: Arc<Place>,
}

impl Submission {
    fn bytes(&self) -> u64 {
        let copies = if self.kind == Kind::Definitions { 2 } else { 1 };
        stride(self.body.len() as u32) * copies
    }

    const fn end(&self) -> Lsn {
        self.first.saturating_add(self.count as u64)
    }

    fn header(&self, synced: Lsn, epoch: u32) -> RecordHeader {
        RecordHeader {
            body_len: self.body.len() as u32,
            count: self.count,
            kind: self.kind,
            flags: 0,
            first: self.first,
            synced,
            arrival: self.arrival,
            source: self.source,
            epoch,
            body_crc: self.body_crc,
        }
    }
}

/// What comes to the log thread.
#[derive(Debug)]
pub(crate) enum Message {
    Append(Submission),
    /// Sync what is written, whatever its level.
    Sync,
    /// Write what is there, end in order, and say what could not be written any more.
    Close(Sender<Unwritten>),
}

/// What a closing log could not write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unwritten {
    /// Entries of level `memory` among them: acknowledged, and lost.
    pub acknowledged: u64,
    /// Entries that nobody was told were accepted.
    pub unacknowledged: u64,
}

pub(crate) struct Committer {
    shared: Arc<Shared>,
    inbox: Receiver<Message>,
    active: Option<ActiveSegment>,
    /// Ranges that the first segment of this run names.
    announce: Vec<Missing>,
    /// Of these, the ones that stand in front of a spare file's first group, until that is durable.
    in_front: Vec<Missing>,
    /// What the opening found witnessed, until that segment is begun.
    found_synced: Option<Lsn>,
    /// This run has a segment of its own: its epoch stands in a durable name. Only then may a
    /// spare file be used, so that what a crash leaves in one has an epoch that is never given
    /// again with the same first LSN.
    begun: bool,
    next: Lsn,
    /// Handed over and without numbers.
    waiting: Turns<Submission>,
    /// How large a group is that others wait for.
    pace: Pace,
    /// The last group was of those alone who had little.
    went_before: bool,
    /// With numbers: the next group, or what one has left over.
    pending: VecDeque<Submission>,
    pending_bytes: u64,
    /// Written, not yet synced.
    unsynced: Vec<Submission>,
    unsynced_since: Option<Instant>,
    sync_wanted: bool,
    /// How far the lanes are to come for that.
    sync_until: Vec<(Arc<Lane>, u64)>,
    /// Highest LSN that a record or mark on disk witnesses as durable.
    witnessed: Lsn,
    last_activity: Instant,
    closing: Option<Sender<Unwritten>>,
    /// When room was last asked for.
    room_asked: Option<Instant>,
    plant: Option<Plant>,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inbox: Receiver<Message>,
        next: Lsn,
        announce: Vec<Missing>,
        found_synced: Lsn,
    ) -> Self {
        Self {
            shared,
            inbox,
            active: None,
            announce,
            in_front: Vec::new(),
            found_synced: Some(found_synced),
            begun: false,
            next,
            waiting: Turns::new(),
            pace: Pace::new(),
            went_before: false,
            pending: VecDeque::new(),
            pending_bytes: 0,
            unsynced: Vec::new(),
            unsynced_since: None,
            sync_wanted: false,
            sync_until: Vec::new(),
            witnessed: next.saturating_sub(1),
            last_activity: Instant::now(),
            closing: None,
            room_asked: None,
            plant: Plant::active(),
        }
    }

    /// Begins this run's first segment; done before anything is accepted.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        // The totals in front of every segment: should all before it be removed, and every
        // snapshot be lost, the account still holds.
        // What they count is named with them, so that it is not counted again by whoever knows
        // the totals from here and the ranges from nowhere.
        let (totals, newest) = {
            let table = lock(&self.shared.missing);
            (table.totals(), table.newest())
        };
        let void = if self.announce.is_empty() && totals == Totals::default() {
            None
        } else {
            let mut missing = self.announce.clone();
            missing.extend(newest.into_iter().filter(|range| !self.announce.contains(range)));
            Some(VoidBody {
                void_total: totals.void,
                unwitnessed_total: totals.unwitnessed,
                damaged_total: totals.damaged,
                missing,
            })
        };
        let first =
            self.unsynced.first().or_else(|| self.pending.front()).map_or(self.next, |s| s.first);
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        let twice = |name: SegmentName| name.first == first && u64::from(name.epoch) == epoch;
        if self.shared.segments().iter().any(|segment| twice(segment.name)) {
            // What stands in front of it alone has filled a segment.
            self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        }
        // Until the void record is whole, what is in front of it must not make of gaps that nobody
        // was told to be durable ones that somebody was.
        let synced = self.found_synced.unwrap_or_else(|| self.sayable());
        let active = ActiveSegment::create(&self.shared, first, void.as_ref(), synced, self.begun)?;
        // Later segments do not repeat it: it is durable now, or will be with the first group.
        let named = std::mem::take(&mut self.announce);
        if active.awaits_its_name() {
            self.in_front = named;
        }
        self.found_synced = None;
        self.begun = true;
        self.active = Some(active);
        Ok(())
    }

    /// The thread's life.
    pub(crate) fn run(mut self) {
        loop {
            self.receive();
            if self.plant == Some(Plant::AckBeforeWrite) && !self.pending.is_empty() {
                let end = self.pending.back().map_or(self.next, Submission::end);
                self.shared.synced.advance(end);
                reached(&lane_ends(&self.pending), |lane| &lane.synced);
                std::thread::sleep(Duration::from_millis(20));
            }
            if let Err(error) = self.commit() {
                self.failed(&error);
                if self.closing.is_none() {
                    continue;
                }
            }
            if self.closing.is_some() && (self.is_idle() || self.stuck()) {
                self.end();
                return;
            }
        }
    }

    fn stuck(&self) -> bool {
        self.shared.health() != Health::Accepting
    }

    /// Whether nothing waits to be written.
    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.waiting.is_empty()
    }

    /// Waits for work, takes all that is there, and gives numbers to one group of it.
    fn receive(&mut self) {
        if self.is_idle() && self.closing.is_none() {
            let now = Instant::now();
            let message = match self.deadline() {
                Some(deadline) => self.inbox.recv_timeout(deadline.saturating_duration_since(now)),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(message) => self.take(message, Instant::now()),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => {
                    let (sender, _) = crossbeam_channel::bounded(1);
                    self.closing = Some(sender);
                }
            }
        }
        let now = Instant::now();
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message, now);
        }
        let shared = self.waiting.is_shared(now);
        self.shared.several.store(shared, Ordering::Relaxed);
        let most = self.shared.options.group_bytes;
        let most = if shared { most.min(self.pace.limit()) } else { most };
        // Those who have little are written by themselves first, which is quickest. Then it is the
        // others' turn, whoever comes meanwhile.
        self.went_before = shared && !self.went_before && self.number_little(most);
        if !self.went_before {
            while self.is_below(most) && self.number_next() {}
        }
    }

    /// Whether a group may still grow.
    fn is_below(&self, most: u64) -> bool {
        self.pending_bytes < most && self.pending.len() < MAX_RECORDS
    }

    /// Gives numbers to what sources have that have little; says whether there was any.
    fn number_little(&mut self, most: u64) -> bool {
        let mut any = false;
        while self.is_below(most)
            && let Some(next) = self.waiting.pop_little()
        {
            self.number(next);
            any = true;
        }
        any
    }

    fn take(&mut self, message: Message, now: Instant) {
        match message {
            Message::Append(submission) if submission.owner.is_some() => {
                let (source, bytes) = (submission.source, submission.bytes());
                self.waiting.put(source, bytes, submission, now);
            }
            // Definitions are in front of all that has no number yet.
            Message::Append(submission) => self.number(submission),
            Message::Sync => {
                self.sync_wanted = true;
                // What has a number is in the next groups anyway.
                add_ends(&mut self.sync_until, self.waiting.iter());
            }
            Message::Close(sender) => self.closing = Some(sender),
        }
    }

    /// Gives the next record that waits its numbers, if there is one.
    fn number_next(&mut self) -> bool {
        let next = self.waiting.pop();
        let found = next.is_some();
        next.into_iter().for_each(|submission| self.number(submission));
        found
    }

    /// From here on the record has its place.
    fn number(&mut self, mut submission: Submission) {
        submission.first = self.next;
        self.next = submission.end();
        if let Some(owner) = &submission.owner {
            owner.place.set(submission.first);
        }
        self.pending_bytes += submission.bytes();
        self.pending.push_back(submission);
    }

    /// When something is due though nothing arrives.
    fn deadline(&self) -> Option<Instant> {
        let options = &self.shared.options;
        let sync = self.unsynced_since.map(|since| since + options.os_sync);
        let mark = (self.needs_mark() && self.unsynced.is_empty())
            .then(|| self.last_activity + options.idle_mark);
        [sync, mark].into_iter().flatten().min()
    }

    fn needs_mark(&self) -> bool {
        self.markable().is_some_and(|synced| synced > self.witnessed)
    }

    /// The LSN that a mark may witness, if one may be written.
    fn markable(&self) -> Option<Lsn> {
        let open = self.announce.is_empty() || self.begun && self.active.is_some();
        open.then(|| self.sayable())
    }

    /// The LSN up to which a record may say that all is durable. What was dropped has to be named
    /// first: until then it is the last one in front of that.
    fn sayable(&self) -> Lsn {
        let unnamed = self.in_front.first().or_else(|| self.dropped_unnamed().first());
        let end = unnamed.map_or_else(|| self.shared.synced.end(), |dropped| dropped.range.start);
        end.saturating_sub(1)
    }

    /// Writes the next group, syncs where that is due, marks where it is idle.
    fn commit(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let (mut waiting, mut written) = (false, 0);
        // A segment's begin and end take longer, whatever the size of the group.
        let segment = self.active.as_ref().filter(|active| !active.awaits_its_name());
        let segment = segment.map(ActiveSegment::name);
        if !self.pending.is_empty() {
            match self.room()? {
                Some(count) => {
                    written = self.pending_bytes;
                    self.write(count)?;
                    written = written.saturating_sub(self.pending_bytes);
                    self.last_activity = now;
                }
                None => waiting = true,
            }
        }
        let options = &self.shared.options;
        let overdue =
            self.unsynced_since.is_some_and(|since| now.duration_since(since) >= options.os_sync);
        let wanted = self.sync_wanted || self.unsynced.iter().any(|s| s.level >= Level::Disk);
        // What is not synced holds its permits: producers must not wait for a clock.
        let held: u64 = self.unsynced.iter().map(Submission::bytes).sum();
        let short = held >= options.group_bytes.min(self.shared.limits.memory / 8);
        if !self.unsynced.is_empty() && (wanted || overdue || short || self.closing.is_some()) {
            self.sync()?;
            if written > 0 && segment == self.active.as_ref().map(ActiveSegment::name) {
                self.pace.took(written, now.elapsed());
            }
        }
        // It is for all that was handed over before, in however many groups.
        self.sync_until.retain(|(lane, end)| lane.synced.end() < *end);
        self.sync_wanted &= !(self.pending.is_empty() && self.sync_until.is_empty());
        if self.is_idle()
            && self.unsynced.is_empty()
            && self.needs_mark()
            && now.duration_since(self.last_activity) >= self.shared.options.idle_mark
        {
            self.mark()?;
        }
        if waiting {
            self.wait_for_room()?;
        } else if self.shared.set_health(Health::Accepting) {
            self.shared.refuse(None);
            tracing::info!("The log accepts again.");
        }
        Ok(())
    }

    /// How many pending records go into the next write; `None` when there is no room.
    fn room(&mut self) -> io::Result<Option<usize>> {
        let first = self.pending.front().map_or(0, Submission::bytes);
        // What was dropped is named in front of the next segment.
        let names = !self.dropped_unnamed().is_empty();
        if self.active.as_ref().is_some_and(|active| names || active.is_over(first)) {
            self.rotate(false)?;
        }
        // A spare file is taken before room is looked for: else it might be given back meanwhile.
        if self.active.is_none() && self.any_spare() {
            self.begin()?;
        }
        let mut room = self.room_in_bytes()?;
        if room < first
            && self.any_spare()
            && self.active.as_ref().is_some_and(ActiveSegment::is_half)
        {
            // There is none behind this segment, but in a file that waits.
            self.rotate(false)?;
            self.begin()?;
            room = self.room_in_bytes()?;
        }
        let limits = &self.shared.limits;
        let open = self.active.as_ref().map_or_else(|| limits.segment_bytes(), ActiveSegment::left);
        let mut bytes = 0;
        let mut count = 0;
        for submission in &self.pending {
            bytes += submission.bytes();
            if bytes > room || (count > 0 && bytes > open) {
                break;
            }
            count += 1;
            if bytes >= self.shared.options.group_bytes {
                break;
            }
        }
        Ok((count > 0).then_some(count))
    }

    fn any_spare(&self) -> bool {
        self.begun && lock(&self.shared.spares).any_ready()
    }

    /// How much may be written: what the limits and the disk leave, and what a file has beyond its
    /// last record, which is counted already.
    fn room_in_bytes(&self) -> io::Result<u64> {
        let limits = &self.shared.limits;
        let space = self.shared.fs.space(&self.shared.dir)?;
        let slack = self.active.as_ref().map_or(0, ActiveSegment::slack);
        let by_limit = limits.max_bytes.saturating_sub(self.shared.used_bytes());
        let by_space = space.available.saturating_sub(limits.min_free);
        let room = by_limit.min(by_space).saturating_add(slack);
        Ok(room.saturating_sub(limits.reserve()))
    }

    /// Writes the first `count` pending records, in one vectored write.
    fn write(&mut self, count: usize) -> io::Result<()> {
        if self.active.is_none() {
            self.begin()?;
        }
        let synced = self.sayable();
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        let mut headers = Vec::with_capacity(count);
        for submission in self.pending.iter().take(count) {
            headers.push(submission.header(synced, active.epoch()));
        }
        let encoded: Vec<_> = headers.iter().map(|header| active.encode(header)).collect();
        let mut slices = Vec::with_capacity(count * 3);
        for (submission, header) in self.pending.iter().zip(&encoded) {
            let copies = if submission.kind == Kind::Definitions { 2 } else { 1 };
            let pad = submission.body.len().wrapping_neg() % 8;
            for _ in 0..copies {
                slices.push(IoSlice::new(header));
                slices.push(IoSlice::new(&submission.body));
                slices.push(IoSlice::new(PADDING.get(..pad).unwrap_or_default()));
            }
        }
        let mut offset = active.offset();
        active.write(&mut slices)?;
        // In a spare file nothing counts, of whatever level, before it has its name.
        active.publish()?;
        self.in_front.clear();
        self.witnessed = synced;
        let counters = &self.shared.counters;
        Counters::add(&counters.groups, 1);
        Counters::add(&counters.records, count as u64);
        let before = self.unsynced.len();
        for (submission, header) in self.pending.drain(..count).zip(&headers) {
            active.note(header, &submission.tally);
            if submission.kind == Kind::Definitions {
                active.note_definitions(offset);
                active.note_definitions(offset + header.stride());
            }
            offset += submission.bytes();
            self.pending_bytes = self.pending_bytes.saturating_sub(submission.bytes());
            Counters::add(&counters.written_bytes, submission.bytes());
            self.unsynced.push(submission);
        }
        self.unsynced_since.get_or_insert_with(Instant::now);
        let end = self.unsynced.last().map_or(self.next, Submission::end);
        self.shared.written.advance(end);
        let written = self.unsynced.get(before..).unwrap_or_default();
        reached(&lane_ends(written), |lane| &lane.written);
        Ok(())
    }

    /// Makes everything written durable, and says so.
    fn sync(&mut self) -> io::Result<()> {
        if self.plant == Some(Plant::AckBeforeFsync)
            && let Some(last) = self.unsynced.last()
        {
            self.shared.synced.advance(last.end());
            reached(&lane_ends(&self.unsynced), |lane| &lane.synced);
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.plant == Some(Plant::ReuseLsn) {
            self.show();
            std::thread::sleep(Duration::from_millis(20));
        }
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        active.sync()?;
        self.unsynced_since = None;
        let Some(last) = self.unsynced.last() else { return Ok(()) };
        let end = last.end();
        if self.plant != Some(Plant::ReuseLsn) {
            self.show();
        }
        let lanes = lane_ends(&self.unsynced);
        self.unsynced.clear();
        let bytes = LockFile::encode_synced(self.shared.log_id, end.saturating_sub(1));
        // For readers beside this process, and before anybody is told: what is durable does not
        // depend on it, but after a kill it says how far the acknowledgements had come.
        if let Err(error) =
            write_all_at(&*self.shared.lock_file, &mut [IoSlice::new(&bytes)], SYNCED_AT)
        {
            tracing::debug!(%error, "Cannot write the synced LSN into LOCK.");
        }
        self.shared.synced.advance(end);
        reached(&lanes, |lane| &lane.synced);
        Ok(())
    }

    /// Puts what was written where readers find the newest records.
    fn show(&self) {
        let Some(active) = &self.active else { return };
        let (synced, epoch) = (self.shared.synced.end().saturating_sub(1), active.epoch());
        let records = self.unsynced.iter().filter(|s| s.kind == Kind::Entries);
        let records: Vec<_> = records
            .map(|s| Record { header: s.header(synced, epoch), body: s.body.clone() })
            .collect();
        if let Some(onlooker) = &self.shared.options.onlooker {
            records.iter().for_each(|record| onlooker.see(record));
        }
        self.shared.tail.push(records);
        if self.plant == Some(Plant::ReuseLsn)
            && let Some(last) = self.unsynced.last()
        {
            self.shared.shown.advance(last.end());
        }
    }

    fn mark(&mut self) -> io::Result<()> {
        if self.active.is_none() {
            // The segment was given up before its mark: the next one has it.
            self.begin()?;
        }
        let Some(synced) = self.markable() else { return Ok(()) };
        let next = if self.announce.is_empty() { self.next } else { synced.saturating_add(1) };
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        active.control(Kind::Mark, next, synced, &[])?;
        active.sync()?;
        self.in_front.clear();
        self.witnessed = synced;
        Counters::add(&self.shared.counters.marks, 1);
        Ok(())
    }

    /// Ends the segment with a seal. `clean`: the log ends with it.
    fn rotate(&mut self, clean: bool) -> io::Result<()> {
        if !self.unsynced.is_empty() {
            self.sync()?;
        }
        let synced = self.sayable();
        let mut next = self.pending.front().map_or(self.next, |s| s.first);
        if let Some(mut active) = self.active.take() {
            // What was dropped is the next segment's to tell: this one ends before it.
            let dropped = self.dropped_unnamed();
            if let Some(first) = dropped.first() {
                next = first.range.start;
            }
            let void = dropped.iter().map(Missing::count).sum();
            active.seal(synced, next, clean, void)?;
            self.in_front.clear();
            self.witnessed = synced;
        }
        let _ = self.shared.chores.try_send(Chore::Look);
        Ok(())
    }

    /// A write or sync failed: the segment is given up as it is; what it did not cover goes to a
    /// new one. If that cannot be begun either, the log is full or failed until it can.
    fn failed(&mut self, error: &io::Error) {
        if let Some(active) = self.active.take() {
            tracing::error!(
                segment = %active.name(), %error,
                "Writing failed: the segment is given up, a new one is begun."
            );
            let again: Vec<_> =
                self.unsynced.iter().map(|record| record.header(0, active.epoch())).collect();
            active.abandon(&again);
            Counters::add(&self.shared.counters.segments_abandoned, 1);
            self.shared.epoch.fetch_add(1, Ordering::AcqRel);
            let mut again: VecDeque<_> = std::mem::take(&mut self.unsynced).into();
            self.pending_bytes += again.iter().map(Submission::bytes).sum::<u64>();
            again.append(&mut self.pending);
            self.pending = again;
            self.unsynced_since = None;
            let mut unnamed = std::mem::take(&mut self.in_front);
            unnamed.append(&mut self.announce);
            self.announce = unnamed;
            return;
        }
        if is_no_room(error) {
            if let Err(error) = self.wait_for_room() {
                tracing::warn!(%error, "What was written cannot be synced.");
            }
            return;
        }
        if self.shared.set_health(Health::Failed) {
            tracing::error!(%error, "The log has failed: records are refused until it works again.");
        }
        let refused =
            RefusedError::Failed(Arc::new(io::Error::new(error.kind(), error.to_string())));
        self.shared.refuse(Some(&refused));
        std::thread::sleep(RETRY);
    }

    /// Ends in order: a mark, a seal, and the account of what could not be written.
    fn end(&mut self) {
        let mut unwritten = Unwritten::default();
        for submission in self.pending.iter().chain(&self.unsynced).chain(self.waiting.iter()) {
            let entries = u64::from(submission.count);
            match submission.level {
                Level::Memory => unwritten.acknowledged += entries,
                _ => unwritten.unacknowledged += entries,
            }
        }
        let clean = self.is_idle() && self.unsynced.is_empty();
        let ended = (|| {
            if !self.dropped_unnamed().is_empty() {
                self.rotate(false)?;
                self.begin()?;
            }
            if self.active.is_some() {
                self.mark()?;
            }
            self.rotate(clean)
        })();
        if let Err(error) = ended {
            tracing::error!(%error, "The log could not be ended in order; opening recovers it.");
        }
        let _ = self.shared.chores.send(Chore::Stop);
        self.shared.refuse(Some(&RefusedError::Closed));
        if let Some(sender) = self.closing.take() {
            let _ = sender.send(unwritten);
        }
    }
}

/// How far each lane comes with these records, which are in the order of each. Most of them are one
/// source's, one after the other.
fn lane_ends<'a>(records: impl IntoIterator<Item = &'a Submission>) -> Vec<(Arc<Lane>, u64)> {
    let mut ends = Vec::new();
    add_ends(&mut ends, records);
    ends
}

fn add_ends<'a>(
    ends: &mut Vec<(Arc<Lane>, u64)>,
    records: impl IntoIterator<Item = &'a Submission>,
) {
    for owner in records.into_iter().filter_map(|record| record.owner.as_ref()) {
        match ends.iter_mut().rfind(|(lane, _)| Arc::ptr_eq(lane, &owner.lane)) {
            Some((_, end)) => *end = owner.entries.end.max(*end),
            None => ends.push((Arc::clone(&owner.lane), owner.entries.end)),
        }
    }
}

/// Tells those who wait in these lanes.
fn reached(lanes: &[(Arc<Lane>, u64)], progress: impl Fn(&Lane) -> &Arc<Progress>) {
    lanes.iter().for_each(|(lane, end)| progress(lane).advance(*end));
}

/// Whether an error says that the disk is full rather than broken.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
