//! `ingestry wal export`: stored entries, written out.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ingest_store::{Report, Store, Watch};
use ingest_wal::Directory;

use super::meter::{Meter, throughput};
use super::{ExportArgs, counted, note, usage};
use crate::cli::{Exit, search};
use crate::units::format_size_rounded;

/// Bytes gathered for one write.
const BUFFER: usize = 256 * 1024;

pub(super) fn run(dir: &Directory, args: &ExportArgs) -> anyhow::Result<Exit> {
    let exported = match &args.output {
        None => {
            let mut out = io::stdout().lock();
            export(dir, args, &mut out)?
        }
        Some(path) => {
            if path.exists() {
                return usage(&format!("{} is there already", path.display()));
            }
            let part = Part::create(path)?;
            let exported = export(dir, args, &mut &part.file)?;
            part.finish(path)?;
            exported
        }
    };
    search::note(&exported.report, &mut io::stderr().lock())?;
    note(&format!(
        "{}, {}; read {}. A later export goes on with --after {}",
        counted(exported.report.hits, "entry", "entries"),
        format_size_rounded(exported.bytes),
        throughput(exported.report.scanned_bytes, exported.time),
        exported.report.next.saturating_sub(1)
    ))?;
    Ok(Exit::Fine)
}

struct Exported {
    report: Report,
    bytes: u64,
    time: std::time::Duration,
}

fn export(dir: &Directory, args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<Exported> {
    let watch = Arc::new(Watch::new());
    let store = Store::with_directory(dir.clone())?.watched(Arc::clone(&watch));
    let query = args.select.query()?;
    let meter = Meter::new("exporting");
    let mut out = Counted { out: BufWriter::with_capacity(BUFFER, out), bytes: 0 };
    let mut failed = None;
    let report = meter.follow(&watch, || {
        store.search(&query, &mut |hit| match search::print(args.format, &hit, &mut out) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })
    });
    let time = meter.end();
    if let Some(error) = failed {
        return Err(written(error));
    }
    out.flush().map_err(written)?;
    Ok(Exported { report: report?, bytes: out.bytes, time })
}

/// A closed pipe stays what it is: it is a fine end.
fn written(error: io::Error) -> anyhow::Error {
    if super::is_closed_pipe(&error) {
        return error.into();
    }
    anyhow::Error::new(error).context("cannot write the entries")
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file under another name until it is whole. What is not finished is removed.
struct Part {
    file: File,
    path: PathBuf,
    whole: bool,
}

impl Part {
    fn create(target: &Path) -> anyhow::Result<Self> {
        let mut name: OsString = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { file, path, whole: false })
    }

    fn finish(mut self, target: &Path) -> anyhow::Result<()> {
        let name = || format!("cannot finish {}", target.display());
        self.file.sync_all().with_context(name)?;
        fs::rename(&self.path, target).with_context(name)?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.whole {
            let _ = fs::remove_file(&self.path);
        }
    }
}
