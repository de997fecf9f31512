//! The gateway on a file system of 3 MiB, which the test mounts: it has to run as root on Linux.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test says what it saw")]

#[allow(dead_code, reason = "a part of what the other tests use")]
#[path = "e2e/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::client::send;
use support::full::{SMALL, blocks_and_goes_on};
use support::gate::Gate;
use support::library::Library;
use support::wait::{until, until_still};

/// A small file system; dropping it unmounts.
struct SmallDisk {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=3m", "ingestry-small-disk"]).arg(&path);
        let mounted = mount.status().expect("the program mount");
        assert!(mounted.success(), "cannot mount a file system: this test has to run as root");
        Self { path, _dir: dir }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that it goes even while a failed test still has files open there.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
        if !std::thread::panicking() {
            assert!(unmounted.unwrap().success(), "cannot unmount {}", self.path.display());
        }
    }
}

/// A file that takes all the room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[0xA5; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

/// Connections of the second part, and lines of each.
const BATCHES: usize = 200;
const LINES: usize = 50;

fn batch(number: usize) -> Vec<String> {
    (0..LINES)
        .map(|n| format!("small.{number}.disk.a.name.of.the.usual.length {n} 1700000000"))
        .collect()
}

#[test]
fn a_small_disk_that_others_fill_stops_nothing_for_good() {
    let disk = SmallDisk::mount();
    let dir = disk.path.join("log");
    let gate = Gate::closed();
    let library = Library::start(&dir, SMALL, Some(gate.clone()));
    blocks_and_goes_on(&library, &gate, &dir);

    // The destination goes away again, and somebody else takes the room.
    gate.close();
    let ballast = disk.path.join("ballast");
    fill(&ballast);
    let before = gate.count();
    let address = library.address("graphite");
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&acknowledged);
    let client = std::thread::spawn(move || {
        for number in 0..BATCHES {
            let text = batch(number).join("\n") + "\n";
            // A connection that is reset was not acknowledged: the client sends it again.
            until("an acknowledgement", || send(address, text.as_bytes()).ok());
            progress.store(number + 1, Ordering::Relaxed);
        }
    });
    until("no room", || (library.status().log.health.as_str() != "accepting").then_some(()));
    let stalled = until_still("the client waits", Duration::from_millis(400), || {
        library.status();
        acknowledged.load(Ordering::Relaxed)
    });
    assert!(stalled < BATCHES, "the client was never held back");
    println!("{} after {stalled} connections", library.status().log.health.as_str());

    std::fs::remove_file(&ballast).unwrap();
    until("the client is through", || {
        library.status();
        client.is_finished().then_some(())
    });
    client.join().unwrap();
    gate.open();
    until("all is delivered", || (library.status().outputs[0].queued == 0).then_some(()));
    let got = gate.got().split_off(before);
    for number in 0..BATCHES {
        let name = format!("small.{number}.");
        let of_it: Vec<String> =
            got.iter().filter(|data| data.starts_with(&name)).cloned().collect();
        // Attempts that were reset may have come before.
        assert!(of_it.ends_with(&batch(number)), "connection {number}: {} lines", of_it.len());
    }
    let report = library.stop(Duration::from_secs(10));
    assert_eq!((report.close.outputs[0].queued, report.close.not_accepted), (0, 0));
    assert_eq!(report.stored, gate.count() as u64);
}
