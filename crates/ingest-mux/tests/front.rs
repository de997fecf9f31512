//! What writers see: levels, flushes, deadlines, limits, and a muxer without a directory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, TagId, TagName, Timestamp, ValueRef, Values};
use ingest_mux::{
    AttachValue, Builder, Destination, Durability, Filter, Identity, Leases, LinkFuture, Muxer,
    OnLag, Options, Output, SendError, Sender, Severity, State,
};
use tokio::sync::Notify;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(60);

/// Keeps what it gets; confirms it while it is open.
#[derive(Debug)]
struct Gate {
    open: AtomicBool,
    opened: Notify,
    got: Mutex<Vec<(String, Address, Vec<String>)>>,
}

impl Gate {
    fn new(open: bool) -> Arc<Self> {
        Arc::new(Self { open: open.into(), opened: Notify::new(), got: Mutex::default() })
    }

    fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
        self.opened.notify_waiters();
    }

    fn texts(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(text, ..)| text.clone()).collect()
    }
}

impl Destination for Gate {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            leases.connected();
            while let Some(lease) = leases.next().await {
                loop {
                    let mut opened = std::pin::pin!(self.opened.notified());
                    opened.as_mut().enable();
                    if self.open.load(Ordering::Relaxed) {
                        break;
                    }
                    opened.await;
                }
                let mut got = self.got.lock().unwrap();
                for (_, entry) in lease.entries() {
                    let names = entry.values.iter().map(|value| text(value.name())).collect();
                    got.push((text(entry.data), entry.src, names));
                }
                drop(got);
                lease.confirm();
            }
            Ok(())
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn on_disk(dir: &tempfile::TempDir) -> Builder {
    let mut options = Options::default();
    options.max_bytes = Some(4 << 20);
    options.min_free = Some(0);
    Muxer::builder().dir(dir.path()).log(options)
}

fn entry(tag: TagId, data: &str) -> EntryRef<'_> {
    EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, data.as_bytes())
}

fn set_up(builder: Builder) -> (Muxer, Sender, TagId) {
    let muxer = builder.start().unwrap();
    let sender = muxer.sender("test").unwrap();
    let tag = sender.tag("tag").unwrap();
    (muxer, sender, tag)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_says_how_safe_it_has_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new(false);
    let (muxer, sender, tag) = set_up(on_disk(&dir).output(Output::new("out").link(gate.clone())));
    let levels = [
        (Durability::Memory, State::Memory),
        (Durability::Os, State::Os),
        (Durability::Disk, State::Disk),
        (Durability::Delivered(Duration::from_millis(20)), State::Queued),
    ];
    for (n, (durability, state)) in levels.into_iter().enumerate() {
        let accepted = sender.send(entry(tag, "x"), durability).await.unwrap();
        assert_eq!((accepted.state, accepted.entries), (state, 1), "{durability:?}");
        // What is in memory may wait for its number.
        let lsns = n as u64 + 1..n as u64 + 2;
        assert!(accepted.lsns == Some(lsns) || state == State::Memory && accepted.lsns.is_none());
    }
    gate.open();
    let accepted = sender.send(entry(tag, "y"), Durability::Delivered(LONG)).await.unwrap();
    assert_eq!(accepted.state, State::Delivered);
    assert_eq!(gate.texts(), ["x", "x", "x", "x", "y"]);
    assert!(muxer.close(LONG).await.complete);
    let refused = sender.send(entry(tag, "z"), Durability::Memory).await.unwrap_err();
    assert_eq!((refused.reason(), refused.can_continue()), ("closed", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn delivered_waits_for_the_outputs_that_are_meant_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (open, shut) = (Gate::new(true), Gate::new(false));
    let other = Filter::Tags(vec!["other".parse().unwrap()]);
    let builder = on_disk(&dir)
        .output(Output::new("open").link(open))
        .output(Output::new("shut").filter(other).link(shut));
    let (muxer, sender, tag) = set_up(builder);
    let accepted = sender.send(entry(tag, "x"), Durability::Delivered(LONG)).await.unwrap();
    assert_eq!(accepted.state, State::Delivered);
    let other = sender.tag("other").unwrap();
    let soon = Durability::Delivered(Duration::from_millis(20));
    assert_eq!(sender.send(entry(other, "x"), soon).await.unwrap().state, State::Queued);
    muxer.close(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_threads_write_too() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new(true);
    let (muxer, sender, tag) = set_up(on_disk(&dir).output(Output::new("out").link(gate.clone())));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for n in 0..50 {
                    let data = format!("{thread} {n:02}");
                    let done = sender.send_blocking(entry(tag, &data), Durability::Disk).unwrap();
                    assert_eq!(done.state, State::Disk);
                }
                let last = [entry(tag, "last"), entry(tag, "last")];
                let durability = Durability::Delivered(LONG);
                sender.send_all_blocking(&last, durability, Some(LONG)).unwrap().state
            })
        })
        .collect();
    let join = || threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>();
    assert_eq!(tokio::task::block_in_place(join), [State::Delivered; 4]);
    let texts = gate.texts();
    assert_eq!(texts.len(), 4 * 52);
    for thread in 0..4 {
        let of: Vec<_> = texts.iter().filter(|t| t.starts_with(&format!("{thread} "))).collect();
        assert!(of.len() == 50 && of.is_sorted(), "each writer's own order is kept");
    }
    tokio::task::block_in_place(|| sender.flush_blocking(LONG)).unwrap();
    muxer.close(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_means_delivered_and_says_what_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new(false);
    let (muxer, sender, tag) = set_up(on_disk(&dir).output(Output::new("out").link(gate.clone())));
    for _ in 0..3 {
        sender.send(entry(tag, "x"), Durability::Memory).await.unwrap();
    }
    muxer.flush_to_disk().await.unwrap();
    assert_eq!(muxer.status().log.synced_end, 4);
    let left = muxer.flush(Duration::from_millis(20)).await.unwrap_err();
    assert!(left.on_disk);
    assert_eq!(left.outputs, [("out".to_owned(), 3)]);
    gate.open();
    muxer.flush(LONG).await.unwrap();
    assert_eq!(gate.texts().len(), 3);
    muxer.close(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_keeps_its_deadline_and_gives_an_account() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new(false);
    let (muxer, sender, tag) = set_up(on_disk(&dir).output(Output::new("out").link(gate)));
    for _ in 0..20 {
        sender.send(entry(tag, "x"), Durability::Disk).await.unwrap();
    }
    let report = muxer.close(Duration::from_secs(3)).await;
    assert!(report.complete && report.outputs[0].balanced);
    assert_eq!((report.stored, report.lost_in_memory, report.not_accepted), (20, 0, 0));
    assert_eq!((report.outputs[0].confirmed, report.outputs[0].queued), (0, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_accepted_is_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (muxer, sender, tag) = set_up(on_disk(&dir));
    let unknown = [entry(tag, "fine"), entry(TagId(999), "not")];
    let error = sender.send_all(&unknown, Durability::Disk).await.unwrap_err();
    assert_eq!(error, SendError::UnknownTag(TagId(999)));
    let large = "x".repeat(1 << 20);
    let error = sender.send(entry(tag, &large), Durability::Disk).await.unwrap_err();
    assert_eq!((error.reason(), error.can_continue()), ("too-large", true));
    // All of the budget is in use.
    let held = sender.source().grant(u64::MAX).await;
    let error = sender.try_send(&[entry(tag, "x")], Durability::Disk).unwrap_err();
    assert_eq!(error, SendError::Busy);
    let soon = Some(Duration::from_millis(5));
    let late = || sender.send_all_blocking(&[entry(tag, "x")], Durability::Disk, soon);
    let error = tokio::task::block_in_place(late).unwrap_err();
    assert_eq!(error, SendError::Timeout { handed_over: false });
    drop(held);
    let handed = sender.try_send(&[entry(tag, "x")], Durability::Disk).unwrap();
    assert_eq!(sender.finish(&handed).await.unwrap().state, State::Disk);
    let status = muxer.status();
    assert_eq!(status.log.accepted, 1, "nothing of a refused batch is there");
    let refused: Vec<_> = status.refused.into_iter().collect();
    assert_eq!(refused, [("busy", 1), ("too-large", 1), ("unknown-tag", 2)]);
    muxer.close(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_directory_memory_is_bounded_and_disk_is_not_claimed() {
    let gate = Gate::new(false);
    let builder = Muxer::builder().memory(1 << 20).output(Output::new("out").link(gate.clone()));
    let (muxer, sender, tag) = set_up(builder);
    for durability in [Durability::Disk, Durability::Os] {
        let error = sender.send(entry(tag, "x"), durability).await.unwrap_err();
        assert_eq!(error, SendError::NoDirectory);
    }
    assert_eq!(muxer.flush_to_disk().await, Err(SendError::NoDirectory));
    // Nobody takes anything: at some point there is no room.
    let data = "x".repeat(1_000);
    let mut taken = 0;
    while let Ok(sent) = {
        let batch = [entry(tag, &data)];
        let sending = sender.hand_over(&batch, Durability::Memory);
        tokio::time::timeout(Duration::from_millis(500), sending).await
    } {
        let _ = sent.unwrap();
        taken += 1;
        assert!(taken < 3_000, "3 MB in a ring of 1 MiB");
    }
    assert!(taken > 200, "{taken}");
    gate.open();
    let last = sender.send(entry(tag, "last"), Durability::Delivered(LONG)).await.unwrap();
    assert_eq!(last.state, State::Delivered);
    assert!(gate.texts().len() > taken);
    // A ring that went round many times.
    for _ in 0..40 {
        let batch = vec![entry(tag, &data); 100];
        sender.send_all(&batch, Durability::Memory).await.unwrap();
    }
    muxer.flush(LONG).await.unwrap();
    let report = muxer.close(LONG).await;
    assert!(report.complete && report.outputs[0].balanced, "{report:?}");
    assert_eq!((report.lost_in_memory, report.stored), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_in_memory_is_called_lost() {
    let gate = Gate::new(false);
    let builder = Muxer::builder().output(Output::new("out").link(gate));
    let (muxer, sender, tag) = set_up(builder);
    for _ in 0..100 {
        sender.send(entry(tag, "x"), Durability::Memory).await.unwrap();
    }
    let report = muxer.close(Duration::from_millis(200)).await;
    assert_eq!(report.lost_in_memory, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_attached_and_sources_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new(true);
    let from = |last| Address::from(std::net::Ipv4Addr::new(10, 0, 0, last));
    let builder = on_disk(&dir)
        .attach("site", AttachValue::Text("north".to_owned()))
        .attach("at", AttachValue::Now)
        .source_override(from(1))
        .output(Output::new("out").link(gate.clone()));
    let (muxer, sender, tag) = set_up(builder);
    let mut values = Values::new();
    values.add("own", ValueRef::Bool(true)).unwrap();
    let with = EntryRef { values: values.as_ref(), ..entry(tag, "with") };
    sender.send(with, Durability::Disk).await.unwrap();
    let other = sender.clone().address(Some(from(2)));
    other.send(entry(tag, "other"), Durability::Disk).await.unwrap();
    let none = sender.clone().address(None);
    none.send(entry(tag, "none"), Durability::Disk).await.unwrap();
    muxer.flush(LONG).await.unwrap();
    let got = gate.got.lock().unwrap().clone();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(got[0], ("with".into(), from(1), names(&["own", "site", "at"])));
    assert_eq!(got[1], ("other".into(), from(2), names(&["site", "at"])));
    assert_eq!(got[2].1, Address::NONE);
    muxer.close(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_kept_for_one_output_and_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let (slow, fast) = (Gate::new(true), Gate::new(true));
    // Each entry is 1,000 bytes: 34 of its header, the data.
    let builder = on_disk(&dir)
        .output(Output::new("slow").link(slow.clone()).rate_limit("40 kB/s".parse().unwrap()))
        .output(Output::new("fast").link(fast.clone()));
    let (muxer, sender, tag) = set_up(builder);
    let data = "x".repeat(966);
    let start = Instant::now();
    for _ in 0..30 {
        sender.send(entry(tag, &data), Durability::Disk).await.unwrap();
    }
    let fast_done = async {
        while fast.texts().len() < 30 {
            tokio::task::yield_now().await;
        }
        start.elapsed()
    };
    let fast_done = fast_done.await;
    muxer.flush(LONG).await.unwrap();
    let slow_done = start.elapsed();
    // What was sent first is paid for before the last entry may go.
    assert!(slow_done >= Duration::from_millis(500), "{slow_done:?}");
    assert!(fast_done < slow_done, "{fast_done:?} and {slow_done:?}");
    muxer.close(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_output_gives_its_oldest_up_before_it_stops_a_healthy_one() {
    let dir = tempfile::tempdir().unwrap();
    let (dead, healthy) = (Gate::new(false), Gate::new(true));
    let mut options = Options::default();
    options.max_bytes = Some(2 << 20);
    options.min_free = Some(0);
    let builder = Muxer::builder()
        .dir(dir.path())
        .log(options)
        .output(Output::new("dead").max_lag(Some(512 << 10), OnLag::DropOldest).link(dead))
        .output(Output::new("healthy").link(healthy.clone()));
    let (muxer, sender, tag) = set_up(builder);
    let data = "x".repeat(966);
    // Three times what the log holds.
    for _ in 0..60 {
        sender.send_all(&vec![entry(tag, &data); 100], Durability::Disk).await.unwrap();
    }
    let report = muxer.close(Duration::from_secs(5)).await;
    assert_eq!(healthy.texts().len(), 6_000);
    let [dead, healthy] = &report.outputs[..] else { panic!("{report:?}") };
    assert!(dead.balanced && healthy.balanced, "{report:?}");
    let lost = dead.lost["lag"];
    assert!(lost > 3_000 && dead.queued > 0, "{lost} lost, {} queued", dead.queued);
    assert_eq!((lost + dead.queued, healthy.confirmed), (6_000, 6_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programs_own_log_goes_where_all_goes() {
    let dir = tempfile::tempdir().unwrap();
    let place = Gate::new(true);
    let identity = Identity { name: "our relay".into(), uuid: "u-1".into(), ..Identity::default() };
    let output = Output::new("out").link(place.clone());
    let muxer = on_disk(&dir).identity(identity).output(output).start().unwrap();
    let relay = muxer.relay().unwrap();
    let link = [("indexer", "a\\b]\"c")];
    assert!(relay.line(Severity::Warning, "mux:link", &link, "reconnecting\n"));
    muxer.flush(LONG).await.unwrap();
    let line = place.texts().remove(0);
    let (start, rest) = line.split_once(' ').unwrap();
    let (time, rest) = rest.split_once(' ').unwrap();
    assert_eq!(start, "<12>1");
    assert!(time.ends_with('Z') && time.len() <= "2026-11-21T07:48:48.218214Z".len(), "{time}");
    let (_host, rest) = rest.split_once(' ').unwrap();
    let expected = r#"ourrelay - mux:link [gw@1 indexer="a\\b\]\"c" ingester="our relay" ingesteruuid="u-1"] reconnecting"#;
    assert_eq!(rest, expected);
    muxer.close(LONG).await;
    // It never waits.
    assert!(!relay.line(Severity::Info, "mux", &[], "too late"));
    assert_eq!(relay.dropped(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_can_be_there_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["one", "two"].map(|name| TagName::new(name).unwrap());
    let (muxer, sender, _) = set_up(on_disk(&dir).tags(names.clone()));
    assert_eq!(muxer.status().tags, 3);
    assert_eq!(sender.tag("two").unwrap(), muxer.tag(&names[1]).unwrap());
    assert!(sender.tag("not allowed").is_err());
    muxer.close(LONG).await;
}
