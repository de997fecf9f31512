//! What `ingestry reload` asks of a gateway that runs, and what that answers: two files in the
//! log's directory, which is where both find each other. A signal says that the first is there.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::gateway::ReloadOptions;

/// What is asked for.
pub(crate) const REQUEST: &str = "reload-request";
/// What came of it.
pub(crate) const ANSWER: &str = "reload-answer";
/// A longer file is none of ours, in bytes.
const MOST: u64 = 1 << 20;

/// A request; its number comes back with the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) drop_undelivered: bool,
}

impl Request {
    pub(crate) const fn options(&self) -> ReloadOptions {
        ReloadOptions { drop_undelivered: self.drop_undelivered }
    }

    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        write(dir, REQUEST, self)
    }

    /// Takes the request out of the directory; `None`: somebody only sent the signal.
    pub(crate) fn take(dir: &Path) -> Option<Self> {
        let request = read(dir, REQUEST);
        let _ = std::fs::remove_file(dir.join(REQUEST));
        request
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    /// The new configuration runs.
    pub(crate) applied: bool,
    /// For the operator.
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        write(dir, ANSWER, self)
    }

    /// The answer to the request of this number, once it is there.
    pub(crate) fn take(dir: &Path, number: u64) -> Option<Self> {
        let answer = read::<Self>(dir, ANSWER).filter(|answer| answer.number == number)?;
        let _ = std::fs::remove_file(dir.join(ANSWER));
        Some(answer)
    }
}

/// Whole or not at all, and for nobody else to read.
fn write(dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    use std::io::Write as _;
    let beside = dir.join(format!("{name}.tmp"));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    std::fs::rename(&beside, dir.join(name))
}

fn read<T: for<'a> Deserialize<'a>>(dir: &Path, name: &str) -> Option<T> {
    let path = dir.join(name);
    if std::fs::metadata(&path).ok()?.len() > MOST {
        return None;
    }
    serde_json::from_slice(&std::fs::read(&path).ok()?).ok()
}

/// Whether a file of the log's directory is one of these.
pub(crate) fn is_ours(file: &str) -> bool {
    let file = file.strip_suffix(".tmp").unwrap_or(file);
    [REQUEST, ANSWER].contains(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_comes_once_and_the_answer_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Request::take(dir.path()), None);
        let request = Request { number: 7, drop_undelivered: true };
        request.write(dir.path()).unwrap();
        assert_eq!(Request::take(dir.path()), Some(request));
        assert_eq!(Request::take(dir.path()), None);
        let answer = Answer { number: 7, applied: true, text: "nothing".to_owned() };
        answer.write(dir.path()).unwrap();
        assert_eq!(Answer::take(dir.path(), 6), None);
        assert_eq!(Answer::take(dir.path(), 7), Some(answer));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::write(dir.path().join(REQUEST), "{").unwrap();
        assert_eq!(Request::take(dir.path()), None);
        assert!(is_ours("reload-answer.tmp") && is_ours(REQUEST) && !is_ours("seg-1"));
    }
}
