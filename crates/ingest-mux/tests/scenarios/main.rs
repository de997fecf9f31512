//! What gets lost, and what comes twice, scenario by scenario, here and with the Go library that
//! speaks the same protocol. Its figures were measured with a window of 4,095 entries and a queue of
//! 128; where its source alone says so, the text does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "each scenario says what came of it")]

mod indexer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, TagId, Timestamp};
use ingest_mux::{
    Confirm, Destination, Durability, Leases, LinkError, LinkFuture, Muxer, Output, SendError,
    StartError, State,
};
use ingest_wal::OpenError;

use self::indexer::Indexer;
use self::support::{
    Cut, LONG, Place, front, killed, on, options, report, segments, send, text, to,
};

#[tokio::test(flavor = "multi_thread")]
async fn s1_one_of_several_indexers_dies_and_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Place::new(), Place::new());
    one.breaks.store(3, Ordering::Relaxed);
    let muxer = on(dir.path()).output(to(&one).link(two.clone())).start().unwrap();
    send(&muxer, 0..20_000).await;
    muxer.flush(LONG).await.unwrap();
    let resent = muxer.status().outputs[0].resent;
    let count = one.got().len() + two.got().len();
    assert_eq!(count as u64, 20_000 + resent, "copies are those that were sent again");
    assert!(resent <= 4 * 4_096, "{resent}");
    muxer.close(LONG).await;
    report("S1", &format!("lost 0, copies {resent}"), "lost 0, copies 0, 0, 623");
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_the_only_indexer_dies_and_returns() {
    let dir = tempfile::tempdir().unwrap();
    let indexer = Indexer::start("127.0.0.1:0", Some(5_000)).await;
    let output = indexer.output(Confirm::Acknowledged);
    let muxer = on(dir.path()).output(output).start().unwrap();
    send(&muxer, 0..20_000).await;
    indexer.has(5_000).await;
    // It hung up after 5,000 entries, and takes the next connection, which it keeps.
    let start = std::time::Instant::now();
    muxer.flush(LONG).await.unwrap();
    let took = start.elapsed();
    let (there, copies) = indexer.count(20_000);
    assert_eq!(there, 20_000);
    assert!(copies <= 4_095, "{copies}");
    muxer.close(LONG).await;
    let ours = format!("lost 0, copies {copies}, back after {} ms", took.as_millis());
    report("S2", &ours, "lost 0, copies 0, 0, 1259, 4095, back after 10 s at least");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_an_indexer_acknowledges_and_crashes_before_it_has_stored() {
    let mut ours = Vec::new();
    for confirm in [Confirm::Acknowledged, Confirm::Stored] {
        let dir = tempfile::tempdir().unwrap();
        let indexer = Indexer::start("127.0.0.1:0", None).await;
        let muxer = on(dir.path()).output(indexer.output(confirm)).start().unwrap();
        send(&muxer, 0..3_000).await;
        muxer.flush(LONG).await.unwrap();
        // What it acknowledged entry by entry is in its memory, what came in ditto blocks on disk.
        let address = indexer.crash().await;
        let again = indexer.restart(&address).await;
        send(&muxer, 3_000..3_100).await;
        muxer.flush(LONG).await.unwrap();
        again.store().await;
        let (there, _) = again.count(3_100);
        ours.push(3_100 - there);
        muxer.close(LONG).await;
    }
    assert_eq!(ours[1], 0);
    assert_eq!(ours[0], 3_000, "an acknowledgement alone promises no more");
    let text = format!("lost {} acknowledged, {} with ditto blocks", ours[0], ours[1]);
    report("S3", &text, "all that was acknowledged and not stored is lost (source)");
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_kill_without_a_cache() {
    let muxer = Muxer::builder().output(to(&Place::shut())).start().unwrap();
    let (sender, tag) = front(&muxer);
    let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, b"x");
    let refused = sender.send(entry, Durability::Disk).await;
    assert_eq!(refused, Err(SendError::NoDirectory));
    let soon = Durability::Delivered(Duration::from_millis(20));
    assert_eq!(sender.send(entry, soon).await.unwrap().state, State::Queued);
    muxer.close(Duration::ZERO).await;
    let ours =
        "nothing is said to be safe without a directory: disk is refused, delivered is waited for";
    report("S4", ours, "up to 4095 an indexer, and 2 x 128 (source)");
}

/// Kills a sender with entries in flight; says what is lost and how often something comes again.
async fn kill(sent: usize, confirmed_first: usize) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new();
    let muxer = on(dir.path()).output(to(&place)).start().unwrap();
    send(&muxer, 0..confirmed_first).await;
    muxer.flush(LONG).await.unwrap();
    place.shut.store(true, Ordering::Relaxed);
    send(&muxer, confirmed_first..sent).await;
    place.has((confirmed_first + 1).min(sent)).await;
    let left = killed(dir.path());
    let before = place.got();
    muxer.close(Duration::ZERO).await;
    let after = Place::new();
    let muxer = on(left.path()).output(to(&after)).start().unwrap();
    muxer.flush(LONG).await.unwrap();
    let status = muxer.status();
    assert!(status.balanced && status.outputs[0].lost.is_empty(), "{status:?}");
    muxer.close(LONG).await;
    let mut all = before;
    all.extend(after.got());
    let known: std::collections::BTreeSet<_> = all.iter().map(|(_, data)| data.clone()).collect();
    let there = (0..sent).filter(|n| known.contains(&text(*n))).count();
    (sent - there, all.len() - there)
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_kill_with_the_indexer_up() {
    let (lost, copies) = kill(20_000, 10_000).await;
    assert_eq!(lost, 0);
    // In flight, and confirmed since the last snapshot.
    assert!(copies <= 4 * 4_096 + 10_000, "{copies}");
    let ours = format!("lost {lost}, copies {copies}");
    report("S5", &ours, "lost 1472, 129, 128, 1; copies 0, 9293, 0, 26773");
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_kill_with_the_cache_paused() {
    // There is no pause: all that is accepted goes through the log.
    let (lost, copies) = kill(5_000, 2_500).await;
    assert_eq!(lost, 0);
    report("S6", &format!("lost {lost}, copies {copies}"), "lost 614, 1498");
}

#[tokio::test(flavor = "multi_thread")]
async fn s6b_kill_while_the_indexer_is_down() {
    let (lost, copies) = kill(20_000, 0).await;
    assert_eq!(lost, 0);
    let theirs = "lost 3601, 4224, 4224 (cache fail), 2092, 2251, 1797 (cache always)";
    report("S6b", &format!("lost {lost}, copies {copies}"), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_an_orderly_stop_with_room_left_and_without() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new();
    let muxer = on(dir.path()).output(to(&place)).start().unwrap();
    send(&muxer, 0..10_000).await;
    let report_of_close = muxer.close(LONG).await;
    assert_eq!(report_of_close.outputs[0].queued, 0);
    let again = Place::new();
    let muxer = on(dir.path()).output(to(&again)).start().unwrap();
    muxer.flush(LONG).await.unwrap();
    muxer.close(LONG).await;
    assert_eq!((place.count(10_000), again.got().len()), ((10_000, 0), 0));
    // Full, with nobody to take anything: the stop keeps its deadline.
    let full = tempfile::tempdir().unwrap();
    let muxer = Muxer::builder().dir(full.path()).log(options(1 << 20));
    let muxer = muxer.output(to(&Place::shut())).start().unwrap();
    let accepted = fill(&muxer, 40_000).await;
    let start = tokio::time::Instant::now();
    let closed = muxer.close(Duration::from_secs(2)).await;
    assert!(start.elapsed() < Duration::from_millis(2_900), "{:?}", start.elapsed());
    assert_eq!(closed.stored, accepted);
    let ours = "copies 0, and with a full log the stop ends by its deadline";
    report("S7", ours, "1635 copies in one of three runs; with a full cache the stop hangs");
}

/// Sends until nothing is accepted within a while, or all is: how much was.
async fn fill(muxer: &Muxer, most: u64) -> u64 {
    let (sender, tag) = front(muxer);
    let data = [b'x'; 256];
    let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, &data);
    let batch = [entry; 100];
    let mut accepted = 0;
    while accepted < most {
        let sending = sender.send_all(&batch, Durability::Disk);
        match tokio::time::timeout(Duration::from_secs(1), sending).await {
            Ok(done) => accepted += done.unwrap().entries,
            Err(_) => break,
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_an_orderly_stop_without_a_cache_while_the_indexer_is_down() {
    let muxer = Muxer::builder().output(to(&Place::shut())).start().unwrap();
    let (sender, tag) = front(&muxer);
    let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, b"x");
    for _ in 0..100 {
        sender.send(entry, Durability::Memory).await.unwrap();
    }
    let closed = muxer.close(Duration::from_millis(200)).await;
    assert_eq!((closed.lost_in_memory, closed.outputs[0].queued), (100, 100));
    report("S8", "100 of 100 only in memory, and the stop says so", "lost 100 of 100, no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_a_flush_and_then_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::shut();
    let muxer = on(dir.path()).output(to(&place)).start().unwrap();
    send(&muxer, 0..5_000).await;
    let left = muxer.flush(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((left.on_disk, &left.outputs[..]), (true, &[("out".to_owned(), 5_000)][..]));
    place.open();
    muxer.flush(LONG).await.unwrap();
    assert_eq!(place.count(5_000), (5_000, 0), "at the very return of the flush");
    muxer.close(LONG).await;
    let theirs = "59690 to 114711 of 1000000 not delivered when Sync returned without error";
    report("S9", "0 not delivered when the flush returned without error", theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::shut();
    let muxer = Muxer::builder().dir(dir.path()).log(options(3 << 20));
    let muxer = muxer.output(to(&place)).start().unwrap();
    let accepted = fill(&muxer, 40_000).await;
    assert!((5_000..40_000).contains(&accepted), "{accepted}");
    place.open();
    muxer.flush(LONG).await.unwrap();
    // What waited for room when it was given up may have come as well.
    let got = place.got().len() as u64;
    assert!(got >= accepted && muxer.status().balanced, "{got} of {accepted}");
    muxer.close(LONG).await;
    let ours = format!("accepted {accepted} of 40000, then writers wait; lost 0 of them");
    report("S10", &ours, "lost 29931 of 40000, none reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_the_power_fails() {
    let (dir, cut) = (tempfile::tempdir().unwrap(), Cut::default());
    let mut options = options(64 << 20);
    options.file_system = Arc::new(cut.clone());
    let shut = Place::shut();
    let muxer = Muxer::builder().dir(dir.path()).log(options).output(to(&shut)).start().unwrap();
    send(&muxer, 0..5_000).await;
    let left = cut.left();
    muxer.close(Duration::ZERO).await;
    let place = Place::new();
    let muxer = on(left.path()).output(to(&place)).start().unwrap();
    muxer.flush(LONG).await.unwrap();
    muxer.close(LONG).await;
    assert_eq!(place.count(5_000).0, 5_000);
    let theirs = "all that the system had not written by itself: nothing is synced (source)";
    report("S11", "lost 0 of 5000 accepted at disk", theirs);
}

/// Damages the log of 10,000 entries that nobody has taken, and says what became of them.
async fn damaged(harm: impl Fn(&std::path::Path)) -> (usize, u64) {
    let dir = tempfile::tempdir().unwrap();
    let muxer = Muxer::builder().dir(dir.path()).log(options(8 << 20));
    let muxer = muxer.output(to(&Place::shut())).start().unwrap();
    send(&muxer, 0..10_000).await;
    let left = killed(dir.path());
    muxer.close(Duration::ZERO).await;
    harm(left.path());
    let place = Place::new();
    let muxer = on(left.path()).output(to(&place)).start().unwrap();
    muxer.flush(LONG).await.unwrap();
    let status = muxer.status();
    assert!(status.balanced, "{status:?}");
    let said = status.log.damaged + status.log.unwitnessed;
    muxer.close(LONG).await;
    // Each that came is as it was sent.
    (place.count(10_000).0, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_a_torn_last_record() {
    let (there, said) = damaged(|dir| {
        let last = segments(dir).pop().unwrap();
        let mut bytes = std::fs::read(&last).unwrap();
        // The head of one more record, as a write that was cut leaves it.
        let head = bytes[bytes.len() - 48..].to_vec();
        bytes.extend(&head[..20]);
        std::fs::write(&last, bytes).unwrap();
    })
    .await;
    // The number that the torn head may have stood for was never accepted: unwitnessed, at most.
    assert_eq!(there, 10_000);
    assert!(said <= 1, "{said}");
    report("S12", "lost 0: what was torn was never accepted", "lost 1 record");
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_two_torn_files() {
    let (there, said) = damaged(|dir| {
        for segment in segments(dir).into_iter().rev().take(2) {
            let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
            let len = file.metadata().unwrap().len();
            file.set_len(len - 700).unwrap();
        }
    })
    .await;
    assert_eq!(there as u64 + said, 10_000, "it starts, and the numbers add up");
    assert!(said > 0 && said <= 400, "{said}");
    report("S13", &format!("it starts; {said} entries lost, and counted"), "it never starts again");
}

/// Overwrites four bytes in the middle of the first segment that holds this text.
fn overwrite(dir: &std::path::Path, needle: &str, back: usize) {
    for segment in segments(dir) {
        let mut bytes = std::fs::read(&segment).unwrap();
        let found = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
        if let Some(at) = found {
            let at = at - back;
            bytes[at..at + 4].copy_from_slice(b"????");
            std::fs::write(&segment, bytes).unwrap();
            return;
        }
    }
    panic!("{needle:?} is nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_damaged_bytes_in_a_payload() {
    let (there, said) = damaged(|dir| overwrite(dir, &text(4_250), 0)).await;
    assert_eq!((there, said), (9_900, 100), "the record of a hundred, and no other");
    let theirs = "delivered changed, and nobody knows";
    report("S14", "100 entries lost (their record), counted; none delivered changed", theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_a_damaged_frame_in_the_middle() {
    // The first entry of a record lies 34 bytes behind its header of 48.
    let (there, said) = damaged(|dir| overwrite(dir, &text(4_200), 34 + 40)).await;
    assert_eq!((there, said), (9_900, 100));
    report("S15", "lost 100 of 10000 (a record), counted", "lost 10000 of 20000, silently");
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_two_processes_on_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let muxer = on(dir.path()).start().unwrap();
    let second = tokio::task::block_in_place(|| on(dir.path()).start());
    let Err(StartError::Log(OpenError::InUse { pid, .. })) = second else { panic!("{second:?}") };
    assert_eq!(pid, Some(std::process::id()));
    muxer.close(LONG).await;
    let theirs = "undefined: files are renamed before the lock is taken (source)";
    report("S16", "the second is refused before it touches a file, by the holder's pid", theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn s17_the_table_of_tags_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let muxer = on(dir.path()).output(to(&Place::shut())).start().unwrap();
    let (sender, _) = front(&muxer);
    for name in ["alpha", "beta", "gamma"] {
        let tag = sender.tag(name).unwrap();
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, name.as_bytes());
        sender.send(entry, Durability::Disk).await.unwrap();
    }
    let left = killed(dir.path());
    muxer.close(Duration::ZERO).await;
    // The kept state and one of the two copies of each definition.
    for cursor in ["cursor-0", "cursor-1"] {
        let _ = std::fs::remove_file(left.path().join(cursor));
    }
    overwrite(left.path(), "beta", 0);
    let place = Place::new();
    let muxer = on(left.path()).output(to(&place)).start().unwrap();
    // Others come first this time.
    let sender = muxer.sender("test").unwrap();
    for name in ["gamma", "new", "beta"] {
        sender.tag(name).unwrap();
    }
    muxer.flush(LONG).await.unwrap();
    muxer.close(LONG).await;
    let got = place.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|(tag, data)| tag == data), "{got:?}");
    report("S17", "every entry under its own tag", "entries under wrong tags (source)");
}

/// Takes a lease, and says nothing for ever; the next time it is away.
#[derive(Debug, Default)]
struct Silent(AtomicBool);

impl Destination for Silent {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            if self.0.swap(true, Ordering::Relaxed) {
                return Err(LinkError::passing("away"));
            }
            leases.connected();
            let lease = leases.next().await;
            std::future::pending::<()>().await;
            drop(lease);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s18_an_indexer_stalls_without_closing() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new();
    let output = to(&place).link(Arc::new(Silent::default()));
    let muxer = on(dir.path()).output(output).start().unwrap();
    let start = tokio::time::Instant::now();
    send(&muxer, 0..2_000).await;
    // The runtime's clock runs ahead while it waits for the disk.
    muxer.flush(Duration::from_secs(24 * 3_600)).await.unwrap();
    assert_eq!(place.count(2_000), (2_000, 0));
    let status = muxer.status().outputs.remove(0);
    assert!(status.resent > 0 && start.elapsed() > Duration::from_secs(60), "{status:?}");
    muxer.close(Duration::ZERO).await;
    let ours = "lost 0; what it held goes to another after 60 s";
    report("S18", ours, "lost 0; seen after up to 60 s, then a pause of 60 s (source)");
}

#[tokio::test(flavor = "multi_thread")]
async fn s19_an_entry_that_cannot_be_sent() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new();
    let muxer = on(dir.path()).output(to(&place)).start().unwrap();
    let (sender, tag) = front(&muxer);
    let large = vec![0; 70 << 20];
    let entry = |tag, data| EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, data);
    let refused = sender.send(entry(tag, &large), Durability::Disk).await.unwrap_err();
    assert!(refused.can_continue(), "{refused}");
    let refused = sender.send(entry(TagId(77), b"x"), Durability::Disk).await.unwrap_err();
    assert!(refused.can_continue(), "{refused}");
    send(&muxer, 0..100).await;
    muxer.flush(LONG).await.unwrap();
    assert_eq!(place.count(100), (100, 0));
    let refused: Vec<_> = muxer.status().refused.into_iter().collect();
    assert_eq!(refused, [("too-large", 1), ("unknown-tag", 1)]);
    muxer.close(LONG).await;
    let theirs = "the entry is lost, and the connection that it came by (source)";
    report("S19", "the entry is refused with a reason, counted; all others go on", theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_is_wrong() {
    use ingest_mux::{Gravwell, Trouble};
    use ingest_wire::Connector;
    let dir = tempfile::tempdir().unwrap();
    let indexer = Indexer::start("127.0.0.1:0", None).await;
    let target = indexer.target();
    // One that guesses secrets is made to wait, and so is its address.
    let other = Indexer::start("127.0.0.1:0", None).await;
    let wrong = Gravwell::new(Connector::new(&other.target(), "wrong").unwrap());
    let old = Gravwell::new(Connector::new(&target, indexer::SECRET).unwrap()).min_version(99);
    let picky = Gravwell::new(Connector::new(&target, indexer::SECRET).unwrap());
    let output = |name: &str, link| Output::new(name).link(Arc::new(link));
    let muxer = on(dir.path())
        .output(output("wrong", wrong))
        .output(output("old", old))
        .output(output("picky", picky))
        .start()
        .unwrap();
    let sender = muxer.sender("test").unwrap();
    let tag = sender.tag(indexer::REFUSED).unwrap();
    let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, b"x");
    sender.send(entry, Durability::Disk).await.unwrap();
    let expected = [Trouble::WrongSecret, Trouble::OldServer, Trouble::TagRefused];
    // Each at some moment: a server that was shown a wrong secret does not answer the next time.
    let mut seen = [false; 3];
    while seen != [true; 3] {
        for ((output, expected), seen) in muxer.status().outputs.iter().zip(expected).zip(&mut seen)
        {
            let link = &output.links[0];
            *seen |= link.trouble == Some(expected) && link.last_error.is_some();
        }
        tokio::task::yield_now().await;
    }
    muxer.close(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_not_confirmed_with_what_was() {
    let dir = tempfile::tempdir().unwrap();
    let indexer = Indexer::start("127.0.0.1:0", None).await;
    let muxer = on(dir.path()).output(indexer.output(Confirm::Acknowledged)).start().unwrap();
    let sender = muxer.sender("test").unwrap();
    let tags = ["taken", indexer::REFUSED].map(|name| sender.tag(name).unwrap());
    let texts: Vec<_> = (0..20).map(text).collect();
    let entry = |n: usize| {
        EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tags[n / 10], texts[n].as_bytes())
    };
    // One write, one lease: the link breaks in the middle of it, and all before that is acknowledged.
    let entries: Vec<_> = (0..20).map(entry).collect();
    sender.send_all(&entries, Durability::Disk).await.unwrap();
    indexer.has(10).await;
    while muxer.status().outputs[0].links[0].trouble != Some(ingest_mux::Trouble::TagRefused) {
        tokio::task::yield_now().await;
    }
    let report = muxer.close(Duration::ZERO).await;
    let output = &report.outputs[0];
    assert_eq!((output.confirmed, output.queued), (10, 10));
    assert_eq!(indexer.count(10), (10, 0), "and what was acknowledged does not come again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_behind_a_gap_does_not_come_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (shut, open) = (Place::shut(), Place::new());
    let muxer = on(dir.path()).output(to(&shut).link(open.clone())).start().unwrap();
    send(&muxer, 0..100).await;
    // One of the two holds what comes first, and confirms nothing.
    while shut.got().is_empty() && open.got().is_empty() {
        tokio::task::yield_now().await;
    }
    send(&muxer, 100..20_000).await;
    while shut.got().len() + open.got().len() < 20_000 {
        tokio::task::yield_now().await;
    }
    let held = shut.got().len();
    let report = muxer.close(Duration::from_millis(500)).await;
    assert_eq!(report.outputs[0].confirmed + held as u64, 20_000);
    let muxer = on(dir.path()).output(to(&open)).start().unwrap();
    muxer.flush(LONG).await.unwrap();
    assert_eq!(open.count(20_000), (20_000, 0), "only what was held comes");
    muxer.close(LONG).await;
}
