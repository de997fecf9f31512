//! What is found in a directory.

use std::ops::ControlFlow;
use std::path::Path;

use ingest_store::{Query, Store};

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) lsn: u64,
    pub(crate) tag: String,
    pub(crate) data: String,
}

/// Everything whose data holds `text`, as it arrived. Nothing may be damaged, and every entry is
/// found once.
pub(crate) fn search(dir: &Path, text: &str) -> Vec<Found> {
    let mut query = Query::new();
    query.contains = Some(text.as_bytes().to_vec());
    let mut found: Vec<Found> = Vec::new();
    let report = Store::open(dir)
        .unwrap()
        .search(&query, &mut |hit| {
            assert!(found.last().is_none_or(|last| last.lsn < hit.lsn), "{} again", hit.lsn);
            found.push(Found {
                lsn: hit.lsn,
                tag: hit.tag_name.to_owned(),
                data: String::from_utf8(hit.entry.data.to_vec()).unwrap(),
            });
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((report.damaged_bytes, report.undecodable), (0, 0));
    found
}

/// As [`search`], the data alone.
pub(crate) fn lines(dir: &Path, text: &str) -> Vec<String> {
    search(dir, text).into_iter().map(|found| found.data).collect()
}
