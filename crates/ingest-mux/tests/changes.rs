//! Outputs that are put, replaced and removed while entries come in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, Timestamp};
use ingest_mux::{
    Destination, Durability, Filter, Leases, LinkError, LinkFuture, Muxer, Options, Output,
    OutputStatus, Sender, State, TagPattern,
};

const WITHIN: Duration = Duration::from_secs(20);

/// Takes everything that comes; says nothing while it is mute.
#[derive(Debug, Default)]
struct Memory {
    mute: AtomicBool,
    got: Mutex<Vec<String>>,
}

impl Memory {
    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

impl Destination for Memory {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            leases.connected();
            while let Some(lease) = leases.next().await {
                if self.mute.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                let texts = lease.entries().map(|(_, entry)| entry.data.to_vec());
                let texts = texts.map(|text| String::from_utf8(text).unwrap());
                self.got.lock().unwrap().extend(texts);
                // The answer takes its time.
                tokio::task::yield_now().await;
                lease.confirm();
            }
            Ok(())
        })
    }
}

/// Nobody is there.
#[derive(Debug)]
struct Down;

impl Destination for Down {
    fn run<'a>(&'a self, _leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async { Err(LinkError::passing("down")) })
    }
}

fn start(dir: &Path, outputs: Vec<Output>) -> Muxer {
    let mut options = Options::default();
    options.max_bytes = Some(64 << 20);
    options.min_free = Some(0);
    let builder = Muxer::builder().dir(dir).log(options).longest_wait(Duration::from_millis(100));
    outputs.into_iter().fold(builder, |builder, output| builder.output(output)).start().unwrap()
}

fn tags(names: &[&str]) -> Filter {
    Filter::Tags(names.iter().map(|name| name.parse::<TagPattern>().unwrap()).collect())
}

async fn send(
    sender: &Sender,
    tag: &str,
    numbers: std::ops::Range<u64>,
    durability: Durability,
) -> State {
    let tag = sender.tag(tag).unwrap();
    let data: Vec<_> = numbers.map(|number| number.to_string()).collect();
    let entry =
        |data| EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, str::as_bytes(data));
    let entries: Vec<_> = data.iter().map(|data| entry(data)).collect();
    sender.send_all(&entries, durability).await.unwrap().state
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn status(muxer: &Muxer, name: &str) -> OutputStatus {
    let outputs = muxer.status().outputs;
    outputs.into_iter().find(|output| output.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_goes_on_where_the_other_was() {
    let dir = tempfile::tempdir().unwrap();
    let all = [(); 5].map(|()| Arc::new(Memory::default()));
    let muxer = start(dir.path(), vec![Output::new("out").link(all[0].clone())]);
    let sender = muxer.sender("test").unwrap();
    // Batches that may be written: some while an output is replaced, some when it has been.
    let (meanwhile, then) = (60, 25);
    let allowed = Arc::new(tokio::sync::Semaphore::new(meanwhile));
    let permits = Arc::clone(&allowed);
    let writing = tokio::spawn(async move {
        for batch in 0..400 {
            permits.acquire().await.unwrap().forget();
            let range = batch * 50..(batch + 1) * 50;
            // Whoever waits for a delivery gets it from the one that took the other's place.
            let state = send(&sender, "a", range, Durability::Delivered(WITHIN)).await;
            assert_eq!(state, State::Delivered);
        }
    });
    let mut written = meanwhile;
    for next in &all[1..] {
        while status(&muxer, "out").confirmed < written as u64 * 50 {
            tokio::task::yield_now().await;
        }
        let output = Output::new("out").link(next.clone());
        allowed.add_permits(meanwhile);
        muxer.change_outputs(vec![output], &[], WITHIN).await.unwrap();
        allowed.add_permits(then);
        written += meanwhile + then;
    }
    writing.await.unwrap();
    let got: Vec<_> = all.iter().flat_map(|memory| memory.got()).collect();
    assert_eq!(got, numbers(0..20_000), "nothing twice, nothing missing, in order");
    assert!(all.iter().all(|memory| !memory.got().is_empty()));
    let account = status(&muxer, "out");
    assert_eq!((account.confirmed, account.queued, account.resent), (20_000, 0, 0));
    assert!(account.balanced, "{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mute_destination_holds_goes_to_its_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let (mute, next) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    mute.mute.store(true, Ordering::Relaxed);
    let muxer = start(dir.path(), vec![Output::new("out").link(mute.clone())]);
    let sender = muxer.sender("test").unwrap();
    send(&sender, "a", 0..1000, Durability::Disk).await;
    while status(&muxer, "out").leased == 0 {
        tokio::task::yield_now().await;
    }
    let output = Output::new("out").link(next.clone());
    muxer.change_outputs(vec![output], &[], Duration::from_millis(1)).await.unwrap();
    muxer.flush(WITHIN).await.unwrap();
    assert_eq!(next.got(), numbers(0..1000));
    let account = status(&muxer, "out");
    assert_eq!((account.confirmed, account.leased), (1000, 0));
    assert!(account.balanced, "{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_hold_from_where_the_replacement_begins() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    let muxer = start(dir.path(), vec![Output::new("out").filter(tags(&["a"])).link(one.clone())]);
    let sender = muxer.sender("test").unwrap();
    send(&sender, "a", 0..10, Durability::Disk).await;
    send(&sender, "b", 10..20, Durability::Disk).await;
    muxer.flush(WITHIN).await.unwrap();
    let output = Output::new("out").filter(tags(&["b"])).link(two.clone());
    muxer.change_outputs(vec![output], &[], WITHIN).await.unwrap();
    send(&sender, "a", 20..30, Durability::Disk).await;
    send(&sender, "b", 30..40, Durability::Disk).await;
    muxer.flush(WITHIN).await.unwrap();
    assert_eq!((one.got(), two.got()), (numbers(0..10), numbers(30..40)));
    let account = status(&muxer, "out");
    assert_eq!((account.confirmed, account.filtered), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_left_is_kept_and_may_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, back) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    let outputs =
        vec![Output::new("kept").link(kept.clone()), Output::new("out").link(Arc::new(Down))];
    let muxer = start(dir.path(), outputs);
    let sender = muxer.sender("test").unwrap();
    send(&sender, "a", 0..100, Durability::Disk).await;
    muxer.change_outputs(Vec::new(), &["out".to_owned()], WITHIN).await.unwrap();
    let gone = status(&muxer, "out");
    assert_eq!((gone.configured, gone.queued, gone.balanced), (false, 100, true));
    send(&sender, "a", 100..200, Durability::Disk).await;
    // Nobody waits for it meanwhile.
    muxer.flush(WITHIN).await.unwrap();
    muxer.change_outputs(vec![Output::new("out").link(back.clone())], &[], WITHIN).await.unwrap();
    muxer.flush(WITHIN).await.unwrap();
    assert_eq!((kept.got(), back.got()), (numbers(0..200), numbers(0..200)));
    assert!(muxer.status().balanced);
    // And after a restart it is where it was.
    let report = muxer.close(WITHIN).await;
    assert!(report.outputs.iter().all(|output| output.queued == 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_output_begins_with_what_comes_next() {
    let dir = tempfile::tempdir().unwrap();
    let new = Arc::new(Memory::default());
    let muxer = start(dir.path(), Vec::new());
    let sender = muxer.sender("test").unwrap();
    send(&sender, "a", 0..100, Durability::Disk).await;
    let output = || Output::new("new").link(new.clone());
    muxer.change_outputs(vec![output()], &[], WITHIN).await.unwrap();
    send(&sender, "a", 100..110, Durability::Disk).await;
    muxer.flush(WITHIN).await.unwrap();
    assert_eq!(new.got(), numbers(100..110));
    drop((sender, muxer));
    // Its start is durable: nothing is forgotten, nothing repeated.
    let muxer = start(dir.path(), vec![output()]);
    send(&muxer.sender("test").unwrap(), "a", 110..120, Durability::Disk).await;
    muxer.flush(WITHIN).await.unwrap();
    assert_eq!(*new.got().last().unwrap(), "119");
    assert!(!new.got().contains(&"99".to_owned()));
}
