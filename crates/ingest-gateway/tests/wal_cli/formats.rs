//! A log of a later format is refused by name, and not touched.

use std::path::{Path, PathBuf};

use crate::support::process::ended;
use crate::tools::{content, data, files, inspected, problems, said, spoil, verified, wal};

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A log of format 1 from the repository, copied.
fn fixture(work: &Path, name: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/log/format-1");
    std::fs::create_dir(data(work)).unwrap();
    for entry in std::fs::read_dir(root.join(name)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), data(work).join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_later_format_is_refused_by_name_and_not_touched() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    fixture(work, "killed");
    let segment = files(work, "log").pop().unwrap();
    spoil(&segment, |bytes| {
        bytes[8..10].copy_from_slice(&7_u16.to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    });
    let before = content(&data(work));
    let config = "log.dir = \"ingestry-data\"\n[sources]\n[admin]\nenabled = false\n";
    std::fs::write(work.join("a.toml"), config).unwrap();
    let wanted = ["log format 7", "reads format 1", "the version that wrote it, or a later one"];
    for args in [
        &["run", "--config", "a.toml"][..],
        &["check", "a.toml"],
        &["wal", "repair"],
        &["wal", "repair", "--yes"],
    ] {
        let (code, _, err) = said(ended(work, args));
        assert_eq!(code, 1, "{args:?}: {err}");
        let name = segment.file_name().unwrap().to_str().unwrap();
        assert!(err.contains(name) && wanted.iter().all(|text| err.contains(text)), "{err}");
    }
    let (code, out, err) = wal(work, &["verify"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("format 7; this version reads 1"), "{out}");
    let (code, out, _) = wal(work, &["inspect"]);
    assert_eq!(code, 0);
    assert!(out.contains("format 7: a later version reads it"), "{out}");
    for args in
        [&["export"][..], &["replay", "--target", "tcp://127.0.0.1:1", "--secret", "literal:x"]]
    {
        let (code, _, err) = wal(work, args);
        assert_eq!(code, 1);
        assert!(err.contains("log format 7"), "{args:?}: {err}");
    }
    let after = content(&data(work));
    let segments = |all: &std::collections::BTreeMap<PathBuf, Vec<u8>>| {
        all.iter()
            .filter(|(path, _)| !path.ends_with("LOCK"))
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(segments(&after), segments(&before));
}

#[test]
fn the_logs_of_format_1_are_read() {
    for (name, entries, found) in [
        ("clean", 4, vec![]),
        ("killed", 4, vec![]),
        ("recovered", 5, vec![]),
        ("torn", 4, vec!["record-body".to_owned()]),
    ] {
        let work = tempfile::tempdir().unwrap();
        let work = work.path();
        fixture(work, name);
        let (code, report) = verified(work);
        assert_eq!((code, problems(&report)), (i32::from(!found.is_empty()), found), "{report:#}");
        assert_eq!(report["entries"], entries, "{name}");
        assert_eq!(inspected(work)["entries"], entries, "{name}");
        if name == "torn" {
            let finding = &report["findings"][0];
            assert_eq!(
                (&finding["first_lsn"], &finding["cause"]),
                (&5.into(), &"unwitnessed".into())
            );
        }
    }
}
