//! Outputs over a real log: order, return of leases, restarts, filters, a destination that is down.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, TagName, Timestamp};
use ingest_mux::{
    Destination, Filter, From, Leases, Level, LinkError, LinkFuture, LinkPhase, Lsn, Muxer,
    Options, Output, Policy,
};

/// Takes everything that comes, or nothing while it is down.
#[derive(Debug, Default)]
struct Memory {
    down: AtomicBool,
    /// Breaks the link, unconfirmed, after this many leases.
    break_after: AtomicUsize,
    got: Mutex<Vec<(Lsn, String)>>,
    changed: tokio::sync::Notify,
}

impl Memory {
    async fn wait_for(&self, count: usize) -> Vec<(Lsn, String)> {
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let changed = self.changed.notified();
                let got = self.got.lock().unwrap().clone();
                if got.len() >= count {
                    return got;
                }
                changed.await;
            }
        })
        .await
        .expect("the entries arrive")
    }
}

impl Destination for Memory {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            if self.down.load(Ordering::Relaxed) {
                return Err(LinkError::passing("down"));
            }
            leases.connected();
            while let Some(lease) = leases.next().await {
                {
                    let mut got = self.got.lock().unwrap();
                    for (id, entry) in lease.entries() {
                        got.push((id.lsn, String::from_utf8_lossy(entry.data).into_owned()));
                    }
                }
                self.changed.notify_waiters();
                if self.break_after.load(Ordering::Relaxed) > 0
                    && self.break_after.fetch_sub(1, Ordering::Relaxed) == 1
                {
                    return Err(LinkError::passing("broke before it confirmed"));
                }
                lease.confirm();
            }
            Ok(())
        })
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.max_bytes = Some(8 << 20);
    options.min_free = Some(0);
    options
}

fn start(dir: &Path, outputs: Vec<Output>) -> Muxer {
    let builder = Muxer::builder().dir(dir).log(options()).longest_wait(Duration::from_millis(200));
    outputs.into_iter().fold(builder, |builder, output| builder.output(output)).start().unwrap()
}

async fn send(muxer: &Muxer, tag: &str, data: &[String]) {
    send_at(muxer, tag, data, 5).await;
}

async fn send_at(muxer: &Muxer, tag: &str, data: &[String], arrival: i64) {
    let source = muxer.source("test", 1 << 20).unwrap();
    let tag = muxer.tag(&TagName::new(tag).unwrap()).unwrap();
    let grant = source.grant(64 * 1024).await;
    let mut batch = source.batch(grant, arrival, Level::Disk);
    for data in data {
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, data.as_bytes());
        batch.push(&entry).unwrap();
    }
    let sent = batch.finish();
    assert_eq!(sent.entries, data.len() as u64);
    source.done(&sent.ticket.unwrap()).await.unwrap();
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

fn texts(got: &[(Lsn, String)]) -> Vec<String> {
    got.iter().map(|(_, text)| text.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_in_order_and_the_accounts_hold() {
    let dir = tempfile::tempdir().unwrap();
    let out = Arc::new(Memory::default());
    let muxer = start(dir.path(), vec![Output::new("out").link(out.clone())]);
    for n in 0..10 {
        send(&muxer, "graphite", &lines(n * 500..(n + 1) * 500)).await;
    }
    let got = out.wait_for(5000).await;
    assert_eq!(texts(&got), lines(0..5000));
    let report = muxer.close(Duration::from_secs(10)).await;
    let account = &report.outputs[0];
    assert_eq!((account.confirmed, account.queued, account.resent), (5000, 0, 0));
    assert!(account.balanced, "{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broken_link_held_is_sent_again_from_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let out = Arc::new(Memory { break_after: 2.into(), ..Memory::default() });
    out.down.store(true, Ordering::Relaxed);
    let muxer = start(dir.path(), vec![Output::new("out").link(out.clone())]);
    send(&muxer, "graphite", &lines(0..9000)).await;
    out.down.store(false, Ordering::Relaxed);
    // Two leases of 4,096 or fewer; the second is repeated.
    let status = loop {
        let status = muxer.status();
        if status.outputs[0].confirmed == 9000 {
            break status;
        }
        tokio::task::yield_now().await;
    };
    let got = out.got.lock().unwrap().clone();
    let resent = status.outputs[0].resent as usize;
    assert!(resent > 0 && got.len() == 9000 + resent, "{} and {resent}", got.len());
    let mut firsts = got.clone();
    let mut seen = std::collections::HashSet::new();
    firsts.retain(|(lsn, _)| seen.insert(*lsn));
    assert_eq!(texts(&firsts), lines(0..9000));
    assert!(status.balanced);
    muxer.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_survives_a_restart_and_a_new_output_starts_where_it_should() {
    let dir = tempfile::tempdir().unwrap();
    let down = Arc::new(Memory { down: true.into(), ..Memory::default() });
    let muxer = start(dir.path(), vec![Output::new("out").link(down.clone())]);
    send(&muxer, "graphite", &lines(0..100)).await;
    let report = muxer.close(Duration::from_millis(50)).await;
    assert_eq!((report.outputs[0].queued, report.outputs[0].confirmed), (100, 0));

    let out = Arc::new(Memory::default());
    let late = Arc::new(Memory::default());
    let all = Arc::new(Memory::default());
    let outputs = vec![
        Output::new("out").link(out.clone()),
        Output::new("late").link(late.clone()),
        Output::new("all").from(From::Oldest).link(all.clone()),
    ];
    let muxer = start(dir.path(), outputs);
    send(&muxer, "graphite", &lines(100..120)).await;
    assert_eq!(texts(&out.wait_for(120).await), lines(0..120));
    assert_eq!(texts(&late.wait_for(20).await), lines(100..120));
    assert_eq!(texts(&all.wait_for(120).await), lines(0..120));
    let report = muxer.close(Duration::from_secs(5)).await;
    assert!(report.outputs.iter().all(|output| output.balanced && output.queued == 0));

    // One that is not configured any more is kept and reported.
    let muxer = start(dir.path(), vec![]);
    let names: Vec<_> =
        muxer.status().outputs.into_iter().map(|o| (o.name, o.configured)).collect();
    assert_eq!(names, [("all".into(), false), ("late".into(), false), ("out".into(), false)]);
    muxer.close(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_can_begin_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let muxer = start(dir.path(), vec![]);
    for batch in 0..9 {
        let lines = lines(batch * 10..batch * 10 + 10);
        send_at(&muxer, "graphite", &lines, batch as i64 * 1_000).await;
    }
    muxer.close(Duration::ZERO).await;
    for (at, first) in [(i64::MIN, 0), (0, 0), (1, 10), (5_000, 50), (7_999, 80), (9_000, 90)] {
        let out = Arc::new(Memory::default());
        let output = Output::new(format!("from {at}")).from(From::Arrived(at)).link(out.clone());
        let muxer = start(dir.path(), vec![output]);
        assert_eq!(texts(&out.wait_for(90 - first).await), lines(first..90), "from {at}");
        let report = muxer.close(Duration::from_secs(5)).await;
        let output = report.outputs.iter().find(|output| output.configured).unwrap();
        assert!(output.balanced && output.accepted == 90 - first as u64, "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_passes_over_what_is_not_meant() {
    let dir = tempfile::tempdir().unwrap();
    let rare = Arc::new(Memory::default());
    let filter = Filter::Tags(vec!["ra*".parse().unwrap()]);
    let muxer = start(dir.path(), vec![Output::new("rare").filter(filter).link(rare.clone())]);
    send(&muxer, "graphite", &lines(0..3000)).await;
    send(&muxer, "rare", &lines(3000..3002)).await;
    send(&muxer, "graphite", &lines(3002..3100)).await;
    assert_eq!(texts(&rare.wait_for(2).await), lines(3000..3002));
    let report = muxer.close(Duration::from_secs(5)).await;
    let account = &report.outputs[0];
    assert_eq!((account.confirmed, account.filtered, account.queued), (2, 3098, 0));
    assert!(account.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_is_seen_and_does_not_hold_the_healthy_one() {
    let dir = tempfile::tempdir().unwrap();
    let dead = Arc::new(Memory { down: true.into(), ..Memory::default() });
    let healthy = Arc::new(Memory::default());
    let outputs =
        vec![Output::new("dead").link(dead.clone()), Output::new("healthy").link(healthy.clone())];
    let muxer = start(dir.path(), outputs);
    send(&muxer, "graphite", &lines(0..1000)).await;
    healthy.wait_for(1000).await;
    let link = loop {
        let link = muxer.status().outputs[0].links[0].clone();
        if link.phase == LinkPhase::Down {
            break link;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(link.last_error.as_deref(), Some("down"));
    let report = muxer.close(Duration::from_millis(50)).await;
    assert_eq!((report.outputs[0].queued, report.outputs[1].queued), (1000, 0));
    assert!(report.outputs.iter().all(|output| output.balanced));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_share_and_each_entry_arrives_once() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    let muxer = start(dir.path(), vec![Output::new("out").link(one.clone()).link(two.clone())]);
    for n in 0..20 {
        send(&muxer, "graphite", &lines(n * 100..(n + 1) * 100)).await;
    }
    let report = muxer.close(Duration::from_secs(10)).await;
    assert_eq!(report.outputs[0].queued, 0);
    let mut got: Vec<_> = one.got.lock().unwrap().clone();
    got.extend(two.got.lock().unwrap().iter().cloned());
    got.sort();
    assert_eq!(texts(&got), lines(0..2000));
}

/// Takes a few entries of each lease, says so, and breaks.
#[derive(Debug, Default)]
struct Partial(Mutex<Vec<(Lsn, String)>>);

impl Destination for Partial {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        const FEW: usize = 7;
        Box::pin(async move {
            leases.connected();
            let Some(mut lease) = leases.next().await else { return Ok(()) };
            let text = |entry: &EntryRef<'_>| String::from_utf8_lossy(entry.data).into_owned();
            let few = lease.entries().take(FEW).map(|(id, entry)| (id.lsn, text(&entry)));
            self.0.lock().unwrap().extend(few);
            lease.confirm_first(FEW as u64);
            Err(LinkError::passing("broke in the middle"))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_of_a_lease_does_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = Arc::new(Partial::default());
    let filter = Filter::Tags(vec!["meant".parse().unwrap()]);
    let muxer = start(dir.path(), vec![Output::new("out").filter(filter).link(out.clone())]);
    for n in 0..10 {
        send(&muxer, "meant", &lines(n * 10..(n + 1) * 10)).await;
        send(&muxer, "other", &lines(0..3)).await;
    }
    let report = muxer.close(Duration::from_secs(20)).await;
    let account = &report.outputs[0];
    assert_eq!((account.confirmed, account.filtered, account.queued), (100, 30, 0));
    assert!(account.balanced && account.leased == 0, "{account:?}");
    assert_eq!(texts(&out.0.lock().unwrap()), lines(0..100), "in order, and nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fail_over_the_first_that_is_up_gets_all() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    one.down.store(true, Ordering::Relaxed);
    let output = Output::new("out").policy(Policy::FailOver).link(one.clone()).link(two.clone());
    let muxer = start(dir.path(), vec![output]);
    send(&muxer, "graphite", &lines(0..500)).await;
    assert_eq!(texts(&two.wait_for(500).await), lines(0..500));
    one.down.store(false, Ordering::Relaxed);
    while muxer.status().outputs[0].links[0].phase != LinkPhase::Up {
        tokio::task::yield_now().await;
    }
    for n in 5..15 {
        send(&muxer, "graphite", &lines(n * 100..(n + 1) * 100)).await;
    }
    assert_eq!(texts(&one.wait_for(1000).await), lines(500..1500));
    assert_eq!(two.got.lock().unwrap().len(), 500);
    let report = muxer.close(Duration::from_secs(5)).await;
    assert_eq!(report.outputs[0].queued, 0);
}
