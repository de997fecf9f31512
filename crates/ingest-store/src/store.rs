//! [`Store`]: a log's directory, opened for search.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest_entry::stored::Table;
use ingest_wal::{Directory, Lsn, StdFileSystem};

use crate::filter::Filter;
use crate::follow::Follow;
use crate::hit::{Report, Sink};
use crate::names::Names;
use crate::query::{Query, Sort};
use crate::search::{Search, arrival, time};
use crate::view::View;
use crate::watch::{Watch, Watching};

/// A log's directory, opened for search. Nothing is held open and nothing is locked.
#[derive(Clone, Debug)]
pub struct Store {
    dir: Directory,
    sort_memory: usize,
    watch: Option<Arc<Watch>>,
}

/// A search that could not be made. What was delivered before it stands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such directory.
    #[error("there is no directory {path}")]
    NoDirectory {
        /// What was asked for.
        path: PathBuf,
    },
    /// A file could not be read. Damaged content is no such error.
    #[error("cannot read {path}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Store {
    /// Bytes that a search in order of time gathers at once, if nothing else is said: 32 MiB.
    pub const SORT_MEMORY: usize = 32 << 20;

    /// Looks at the directory of a log.
    ///
    /// # Errors
    /// [`StoreError::NoDirectory`] if there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::with_directory(Directory::new(path.as_ref(), Arc::new(StdFileSystem)))
    }

    /// As [`Store::open`], on the file system of `dir`.
    ///
    /// # Errors
    /// [`StoreError::NoDirectory`] if there is none.
    pub fn with_directory(dir: Directory) -> Result<Self, StoreError> {
        match dir.segments() {
            Ok(_) => Ok(Self { dir, sort_memory: Self::SORT_MEMORY, watch: None }),
            Err(error) => Err(failed(&dir, error)),
        }
    }

    /// The same store, gathering so many bytes at once in a search in order of time (by default
    /// [`Store::SORT_MEMORY`]). Fewer bytes mean more passes over the log.
    #[must_use]
    pub fn with_sort_memory(self, bytes: usize) -> Self {
        Self { sort_memory: bytes, ..self }
    }

    /// The same store, which says in `watch` how far its searches are.
    #[must_use]
    pub fn watched(self, watch: Arc<Watch>) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// The names of tags and sources that the log defines.
    ///
    /// # Errors
    /// [`StoreError`] if the directory is gone or a file cannot be read.
    pub fn names(&self) -> Result<Table, StoreError> {
        let load = || {
            let view = View::take(&self.dir)?;
            Ok(Names::load(&self.dir, &view.segments)?.0.into_table())
        };
        load().map_err(|error| failed(&self.dir, error))
    }

    /// The directory, for [`missing_sidecars`](crate::missing_sidecars) and
    /// [`write_sidecar`](crate::write_sidecar).
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.dir
    }

    /// Hands every visible entry that matches to `sink`, in the order that is asked for, until the
    /// sink breaks.
    ///
    /// Visible is, while a process holds the log, what was durable when the search began; else
    /// everything valid. Each entry is handed out once. Segments that retention removes meanwhile
    /// are passed over, and so is damage: the report counts both.
    ///
    /// Memory stays below 64 MiB however large the log and the answer are, unless a single record
    /// is larger than a few MiB. In order of arrival the log is read once; with a limit its end is
    /// read backwards first, to find where the last so many begin. In order of time it is read
    /// once, and parts of it again for each [`Store::SORT_MEMORY`] of the answer: those whose times
    /// overlap.
    ///
    /// # Errors
    /// [`StoreError`] if the directory is gone or a file cannot be read.
    pub fn search(
        &self,
        query: &Query,
        sink: &mut dyn FnMut(crate::Hit<'_>) -> std::ops::ControlFlow<()>,
    ) -> Result<Report, StoreError> {
        self.run(query, sink).map_err(|error| failed(&self.dir, error))
    }

    fn run(&self, query: &Query, sink: &mut Sink<'_>) -> io::Result<Report> {
        let view = View::take(&self.dir)?;
        let (names, end) = Names::load(&self.dir, &view.segments)?;
        let filter = Filter::new(query, &names);
        let next = view.synced.unwrap_or(end);
        let report = Report { next, ..Report::default() };
        let watch = Watching::new(self.watch.clone(), &view.segments);
        let mut search = Search { dir: &self.dir, view, names, filter, report, sink, watch };
        match (query.sort, query.limit) {
            (Sort::Arrival, None) => arrival::all(&mut search)?,
            (Sort::Arrival, Some(limit)) => arrival::last(&mut search, limit)?,
            (Sort::Time, None) => time::all(&mut search, self.sort_memory)?,
            (Sort::Time, Some(limit)) => time::last(&mut search, limit, self.sort_memory)?,
        }
        Ok(search.report)
    }

    /// Goes on from `from` with what becomes durable; [`Report::next`] is where a search ended.
    #[must_use]
    pub fn follow(&self, query: &Query, from: Lsn) -> Follow {
        Follow::with_directory(self.dir.clone(), query, from)
    }
}

fn failed(dir: &Directory, source: io::Error) -> StoreError {
    let path = dir.path().to_owned();
    if source.kind() == io::ErrorKind::NotFound {
        return StoreError::NoDirectory { path };
    }
    StoreError::Io { path, source }
}
