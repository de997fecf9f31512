//! Damage is found, and settled.

use std::path::Path;

use serde_json::Value;

use crate::support::process::{ended, printed};
use crate::tools::{
    content, data, feed, files, found, inspected, lines, problems, said, spoil, start, verified,
    wal, written,
};

/// Repairs, after seeing that a dry run changes nothing; what was printed comes back.
fn repaired(work: &Path) -> String {
    let before = content(&data(work));
    let (code, would, err) = wal(work, &["repair"]);
    assert_eq!(code, 0, "{would}{err}");
    assert!(would.contains("would ") && err.contains("nothing was changed"), "{would}{err}");
    assert_eq!(content(&data(work)), before);
    let (code, did, err) = wal(work, &["repair", "--yes"]);
    assert_eq!(code, 0, "{did}{err}");
    assert_eq!(would.lines().count() + 1, did.lines().count(), "{would}{did}");
    let (code, rest, err) = wal(work, &["repair"]);
    assert_eq!(code, 0, "{rest}{err}");
    assert!(rest.contains("nothing to repair"), "{rest}");
    did
}

/// Some problem of this kind.
fn problem(report: &Value, kind: &str) -> Value {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["kind"] == kind && one["note"] == false);
    found.unwrap_or_else(|| panic!("{report:#}")).clone()
}

#[test]
fn a_damaged_record_is_found_put_aside_and_counted_once() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 3000);
    let all = found(work);
    let segment = files(work, "log").remove(1);
    // Inside the body of a record in the middle.
    spoil(&segment, |bytes| bytes[30_000] ^= 1);
    let (code, report) = verified(work);
    assert_eq!((code, problems(&report)), (1, vec!["record-body".to_owned()]));
    let finding = problem(&report, "record-body");
    let number = |name: &str| finding[name].as_u64().unwrap();
    let lost = number("last_lsn") - number("first_lsn") + 1;
    let at = number("offset")..number("offset") + number("bytes");
    assert!(at.contains(&30_000), "{finding:#}");
    assert_eq!(finding["file"], segment.file_name().unwrap().to_str().unwrap());
    assert_eq!(finding["cause"], "damaged");
    let left = found(work);
    assert_eq!(left.len() as u64 + lost, all.len() as u64);
    let (code, text, _) = wal(work, &["verify"]);
    assert_eq!(code, 1);
    let which = format!("LSN {} to {}", number("first_lsn"), number("last_lsn"));
    assert!(text.contains(&which) && text.contains("ingestry wal repair"), "{text}");

    let damaged = std::fs::read(&segment).unwrap();
    let did = repaired(work);
    assert!(did.contains(&which), "{did}");
    let (code, report) = verified(work);
    assert_eq!((code, &report["problems"]), (0, &0.into()), "{report:#}");
    assert_eq!(inspected(work)["damaged"], lost);
    assert_eq!(inspected(work)["accepted"], 3005);
    assert_eq!(inspected(work)["entries"], left.len());
    let aside = files(work, "bad");
    assert_eq!(aside.len(), 1);
    let copy = std::fs::read(&aside[0]).unwrap();
    assert_eq!(copy, damaged[at.start as usize..at.end as usize]);
    assert_eq!(found(work), left);
    // The gateway counts it the same, and not again.
    start(work).stop();
    assert_eq!((&inspected(work)["damaged"], found(work)), (&lost.into(), left));
    assert_eq!(verified(work).0, 0);
    assert_eq!(files(work, "bad"), aside);
}

#[test]
fn damage_that_costs_no_entry_is_told_from_damage_that_does() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 3000);
    let all = found(work);
    let segments = files(work, "log");
    spoil(&segments[0], |bytes| bytes[20] ^= 1); // the header
    spoil(&segments[1], |bytes| bytes[70] ^= 1); // the table of names
    let end = std::fs::metadata(&segments[2]).unwrap().len() as usize;
    spoil(&segments[2], |bytes| bytes[end - 30] ^= 1); // the seal
    spoil(&data(work).join("cursor-0"), |bytes| bytes[40] ^= 1);
    spoil(&data(work).join("LOCK"), |bytes| bytes[3] ^= 1);
    let (code, report) = verified(work);
    assert_eq!(code, 1);
    let mut kinds = problems(&report);
    kinds.retain(|kind| kind != "companion"); // an index is bound to the seal
    kinds.sort_unstable();
    assert_eq!(kinds, ["cursor", "preamble", "record-body", "segment-header"], "{report:#}");
    for kind in ["preamble", "record-body", "segment-header"] {
        assert_eq!(problem(&report, kind)["first_lsn"], Value::Null, "{report:#}");
    }
    let (code, _, warned) = said(ended(work, &["check", "small.toml"]));
    assert_eq!(code, 0, "{warned}");
    assert!(warned.contains("header of seg-") && warned.contains("cursor-0"), "{warned}");
    repaired(work);
    let (code, report) = verified(work);
    assert_eq!((code, &report["problems"]), (0, &0.into()), "{report:#}");
    assert_eq!((found(work), &inspected(work)["damaged"]), (all, &0.into()));
}

#[test]
fn what_a_kill_leaves_is_settled() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let ingestry = start(work);
    feed(&ingestry, "graphite", &lines(0..500));
    ingestry.kill();
    let last = files(work, "log").pop().unwrap();
    assert_eq!(inspected(work)["clean"], false);
    let (code, report) = verified(work);
    assert_eq!((code, &report["entries"]), (0, &500.into()), "{report:#}");
    // Half a group of which nobody was told.
    spoil(&last, |bytes| bytes.extend([0x5a; 100]));
    let (code, report) = verified(work);
    assert_eq!((code, problems(&report)), (1, vec!["torn-tail".to_owned()]));
    let did = repaired(work);
    assert!(did.contains("not closed in order") && did.contains("100 bytes"), "{did}");
    assert_eq!(verified(work).0, 0);
    let report = inspected(work);
    assert_eq!((&report["clean"], &report["accepted"]), (&true.into(), &500.into()), "{report:#}");
    assert_eq!(found(work), lines(0..500));
    // Names and numbering go on.
    let ingestry = start(work);
    feed(&ingestry, "graphite", &lines(500..600));
    ingestry.stop();
    assert_eq!(found(work), lines(0..600));
    assert_eq!(printed(work, &["search", "--tag", "graphite"]).lines().count(), 600);
    assert_eq!(verified(work).0, 0);
}

#[test]
fn indexes_are_written_again_and_leftovers_go() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 3000);
    wal(work, &["repair", "--yes"]);
    let sidecars = files(work, "idx");
    let bytes: Vec<_> = sidecars.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(sidecars.len() >= 3);
    std::fs::remove_file(&sidecars[0]).unwrap();
    spoil(&sidecars[1], |bytes| bytes.truncate(50));
    // Valid, and of another segment.
    std::fs::write(&sidecars[2], &bytes[0]).unwrap();
    let dir = data(work);
    std::fs::write(sidecars[0].with_extension("idx.tmp"), "half").unwrap();
    std::fs::write(dir.join("seg-00000000000f0000-00000001.idx"), "of nothing").unwrap();
    std::fs::write(dir.join("mine.txt"), "not the log's").unwrap();
    let (code, report) = verified(work);
    assert_eq!((code, problems(&report)), (1, vec!["companion".to_owned(); 2]), "{report:#}");
    assert_eq!(found(work).len(), 3005);
    let did = repaired(work);
    assert_eq!(did.lines().filter(|line| line.contains("the index")).count(), 3, "{did}");
    assert_eq!(files(work, "idx"), sidecars);
    let again: Vec<_> = sidecars.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(again, bytes);
    assert_eq!((files(work, "tmp").len(), files(work, "txt").len()), (0, 1));
    assert_eq!(verified(work).0, 0);
}

#[test]
fn foreign_files_are_moved_and_nothing_is_ever_removed_from_the_quarantine() {
    let work = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (work, other) = (work.path(), other.path());
    written(work, 3000);
    written(other, 10);
    let all = found(work);
    let foreign = files(other, "log").remove(0);
    let name = "seg-0000000000100000-00000007";
    let target = data(work).join(format!("{name}.log"));
    // Its header names another segment, so it is none: a copy under a wrong name.
    std::fs::copy(&foreign, &target).unwrap();
    let (code, report) = verified(work);
    assert_eq!((code, problems(&report)), (1, vec!["other-name".to_owned()]));
    repaired(work);
    assert!(!target.exists());
    // Under its own name it is of another log.
    let second = files(work, "log").remove(1);
    std::fs::rename(&second, work.join("kept")).unwrap();
    let (code, report) = verified(work);
    assert_eq!((code, problems(&report)), (1, vec!["missing-entries".to_owned()]), "{report:#}");
    std::fs::rename(work.join("kept"), &second).unwrap();
    std::fs::create_dir_all(data(work).join("quarantine")).unwrap();
    let evidence = data(work).join("quarantine/evidence.bad");
    std::fs::write(&evidence, "x").unwrap();
    let own = files(work, "log").remove(0);
    let aside = work.join("own");
    std::fs::rename(&own, &aside).unwrap();
    std::fs::copy(&foreign, &own).unwrap();
    let (code, report) = verified(work);
    assert_eq!(code, 1);
    assert!(problems(&report).contains(&"foreign-segment".to_owned()), "{report:#}");
    let (code, did, err) = wal(work, &["repair", "--yes"]);
    assert_eq!(code, 0, "{did}{err}");
    assert_eq!(files(work, "foreign").len(), 1);
    assert_eq!(std::fs::read_to_string(&evidence).unwrap(), "x");
    assert!(found(work).iter().all(|line| all.contains(line)));
    assert_eq!(verified(work).0, 0);
}

#[test]
fn repair_removes_no_history() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 5000);
    let all = found(work);
    // Nobody says how much may be kept: the limits that are configured are not repair's.
    spoil(&files(work, "log")[1], |bytes| bytes[40_000] ^= 1);
    repaired(work);
    let left = found(work);
    assert!(left.len() > 4900 && left.len() < all.len());
    assert_eq!(left[0], all[0]);
}
