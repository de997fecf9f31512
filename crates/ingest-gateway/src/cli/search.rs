//! `ingestry search` and `ingestry tail`: what is stored, and what arrives.
//!
//! Three formats, a line an entry:
//!
//! * `text`: time (RFC 3339 with nanoseconds), source, tag and data, a space in between. No source
//!   is `-`. So that an entry is one line, in the data `\n`, `\r` and `\t` stand for these
//!   characters, `\xHH` for other ASCII control characters and for bytes that are not UTF-8, and
//!   `\u{HH}` for the control characters from U+0080 on. A backslash stands for itself: what must
//!   be read back exactly is asked for as `json`.
//! * `json`: the object of [`EntryJson`].
//! * `raw`: the bytes of the data as they are, and a line feed.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::time::SystemTime;

use anyhow::Context as _;
use ingest_entry::{EntryJson, Timestamp};
use ingest_store::{Follow, Hit, Query, Report, Store, StoreError};

use super::{Conditions, Format, SearchArgs, Sort, Times};

/// Bytes gathered for one write.
const BUFFER: usize = 64 * 1024;

/// Prints the entries that are asked for on `out` and, with `--follow`, goes on with what arrives
/// until the program is ended. Notes on damage go to `err`.
///
/// What is printed is flushed at the end of the search and after each batch that arrives. When
/// nobody reads `out` any more, that is a fine end. A directory that does not exist is an error,
/// except with `--follow`, which waits for it.
///
/// # Errors
/// What the search says, and a failure to write other than a closed pipe.
pub(super) fn search(
    args: &SearchArgs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<()> {
    search_while(args, out, err, || {
        std::thread::sleep(Follow::INTERVAL);
        true
    })
}

/// As [`search`], following only as long as `pause`, called after each look, says so.
fn search_while(
    args: &SearchArgs,
    out: &mut impl Write,
    err: &mut impl Write,
    pause: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let mut printer = Printer::new(args.filter.format, out);
    let result = run(args, &mut printer, err, pause);
    match printer.failed {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(error).context("cannot write the entries"),
        None => result,
    }
}

fn run<W: Write>(
    args: &SearchArgs,
    printer: &mut Printer<W>,
    err: &mut impl Write,
    mut pause: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let query = query_of(args)?;
    let dir = &args.filter.data_dir;
    let from = match Store::open(dir) {
        Ok(store) => {
            let report = store.search(&query, &mut |hit| printer.print(&hit))?;
            printer.flush();
            note(&report, err)?;
            report.next
        }
        Err(StoreError::NoDirectory { path }) if args.follow => {
            writeln!(err, "There is no directory {} yet: waiting for it.", path.display())?;
            0
        }
        Err(error) => return Err(error.into()),
    };
    if !args.follow {
        return Ok(());
    }
    let mut follow = Follow::new(dir, &query, from);
    while printer.failed.is_none() {
        let shown = follow
            .poll(&mut |hit| printer.print(&hit))
            .with_context(|| format!("cannot follow {}", dir.display()))?;
        if shown > 0 {
            printer.flush();
        }
        if !pause() {
            break;
        }
    }
    Ok(())
}

fn query_of(args: &SearchArgs) -> anyhow::Result<Query> {
    let mut query = query(&args.filter.conditions, &args.times)?;
    query.limit = args.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    query.sort = match args.sort {
        Sort::Arrival => ingest_store::Sort::Arrival,
        Sort::Time => ingest_store::Sort::Time,
    };
    Ok(query)
}

/// The query that searches and exports share.
pub(super) fn query(conditions: &Conditions, times: &Times) -> anyhow::Result<Query> {
    let Conditions { tags, src, contains } = conditions;
    let Times { since, until, arrived_since } = *times;
    let now = Timestamp::from_system_time(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut query = Query::new();
    query.tags.clone_from(tags);
    query.src = match src {
        Some(net) => Some(net.to_string().parse()?),
        None => None,
    };
    query.contains = contains.as_ref().map(|text| text.as_bytes().to_vec());
    [query.since, query.until, query.arrived_since] =
        [since, until, arrived_since].map(|time| time.map(|time| time.resolve(now)));
    Ok(query)
}

pub(super) fn note(report: &Report, err: &mut impl Write) -> io::Result<()> {
    if report.damaged_bytes > 0 {
        writeln!(err, "Damage was passed over: {} bytes.", report.damaged_bytes)?;
    }
    if report.undecodable > 0 {
        writeln!(err, "Entries that cannot be decoded were passed over: {}.", report.undecodable)?;
    }
    Ok(())
}

/// Prints hits, and remembers the failure that ended it.
struct Printer<W: Write> {
    format: Format,
    out: BufWriter<W>,
    failed: Option<io::Error>,
}

impl<W: Write> Printer<W> {
    fn new(format: Format, out: W) -> Self {
        Self { format, out: BufWriter::with_capacity(BUFFER, out), failed: None }
    }

    fn print(&mut self, hit: &Hit<'_>) -> ControlFlow<()> {
        let written = print(self.format, hit, &mut self.out);
        self.settle(written)
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            let flushed = self.out.flush();
            let _ = self.settle(flushed);
        }
    }

    fn settle(&mut self, result: io::Result<()>) -> ControlFlow<()> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Writes one entry with the line feed behind it.
pub(super) fn print(format: Format, hit: &Hit<'_>, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Text => text(hit, out),
        Format::Json => json(hit, out),
        Format::Raw => out.write_all(hit.entry.data),
    }?;
    out.write_all(b"\n")
}

fn json(hit: &Hit<'_>, out: &mut impl Write) -> io::Result<()> {
    let Hit { entry, tag_name, .. } = *hit;
    let line = EntryJson { entry, tag_name, lsn: Some(hit.lsn), arrived: Some(hit.arrived) };
    serde_json::to_writer(out, &line).map_err(io::Error::from)
}

fn text(hit: &Hit<'_>, out: &mut impl Write) -> io::Result<()> {
    let Hit { entry, tag_name, .. } = hit;
    if entry.src.is_none() {
        write!(out, "{} - {tag_name} ", entry.ts)?;
    } else {
        write!(out, "{} {} {tag_name} ", entry.ts, entry.src)?;
    }
    escape(entry.data, out)
}

/// Writes data as one line of text.
fn escape(data: &[u8], out: &mut impl Write) -> io::Result<()> {
    if data.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return out.write_all(data);
    }
    for chunk in data.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((at, found)) = rest.char_indices().find(|(_, c)| c.is_control()) {
            let (before, behind) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            match found {
                '\n' => out.write_all(b"\\n")?,
                '\r' => out.write_all(b"\\r")?,
                '\t' => out.write_all(b"\\t")?,
                c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c))?,
                c => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            }
            rest = behind.strip_prefix(found).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())?;
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use ingest_entry::stored::Definition;
    use ingest_entry::{EntryRef, Source, TagId};
    use ingest_wal::{Entries, Level, Log, NoCatalog, Options, Tally};

    use super::*;
    use crate::cli::{Command, parse};

    fn args(dir: &Path, text: &str) -> SearchArgs {
        let line = ["ingestry", "search", "--data-dir", dir.to_str().unwrap()];
        match parse(line.into_iter().chain(text.split_whitespace())).unwrap() {
            Command::Search(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn open(dir: &Path) -> Log {
        let mut options = Options::default();
        options.max_bytes = Some(1 << 20);
        options.min_free = Some(0);
        Log::open(dir, options, Arc::new(NoCatalog)).unwrap()
    }

    fn write(log: &Log, seconds: i64, src: &str, data: &[u8]) {
        let mut definition = Vec::new();
        Definition::Tag { id: TagId(1), name: "app" }.encode(&mut definition).unwrap();
        let ts = Timestamp::from_unix(seconds, 5).unwrap();
        let src = src.parse().map_or(Source::NONE, Source::from_ip);
        let mut body = Vec::new();
        EntryRef::new(ts, src, TagId(1), data).encode_stored(&mut body).unwrap();
        let writer = log.writer();
        writer.define(definition.into()).unwrap();
        let permits = vec![writer.permits().acquire_blocking(body.len() as u64)];
        let (count, source, arrival) = (1, 0, 1_700_000_000_000_000_000);
        let (tally, level, body) = (Tally::new(), Level::Disk, Bytes::from(body));
        let entries = Entries { count, source, arrival, body, level, tally, permits };
        let ticket = writer.append(entries).unwrap();
        writer.done(&ticket).wait().unwrap();
    }

    fn found(args: &SearchArgs) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        search(args, &mut out, &mut err).unwrap();
        assert_eq!(String::from_utf8(err).unwrap(), "");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_formats() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        write(&log, 1, "10.0.0.1", b"one two\\");
        write(&log, 2, "", b"a\nb\xff\x1b");
        let search = |text: &str| found(&args(dir.path(), text));
        assert_eq!(
            search(""),
            "1970-01-01T00:00:01.000000005Z 10.0.0.1 app one two\\\n\
             1970-01-01T00:00:02.000000005Z - app a\\nb\\xff\\x1b\n"
        );
        assert_eq!(
            search("--format json --limit 1"),
            concat!(
                r#"{"ts":"1970-01-01T00:00:02.000000005Z","src":"","tag":"app","data":"YQpi/xs=","#,
                r#""encoding":"base64","values":{},"lsn":2,"arrived":"2023-11-14T22:13:20.000000000Z"}"#,
                "\n"
            )
        );
        assert_eq!(search("--format raw --src 10.0.0.0/8 --until 2"), "one two\\\n");
        assert_eq!(search("--tag app --contains nothing"), "");
    }

    #[test]
    fn text_is_one_line() {
        let text = |data: &[u8]| {
            let mut out = Vec::new();
            escape(data, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(b""), "");
        assert_eq!(text("gr\u{fc}\u{df}e\r\t".as_bytes()), "gr\u{fc}\u{df}e\\r\\t");
        assert_eq!(text(b"\0a\x7f\xc3("), "\\x00a\\x7f\\xc3(");
        assert_eq!(text("\u{85}\n\n".as_bytes()), "\\u{85}\\n\\n");
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none");
        let args = args(&missing, "");
        let error = search(&args, &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_closed_pipe_is_a_fine_end() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        write(&open(dir.path()), 1, "", b"x");
        for text in ["", "--follow"] {
            search(&args(dir.path(), text), &mut Closed, &mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn following_shows_what_was_there_and_what_comes() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("later");
        let args = args(&data, "--follow --format raw");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut looks = 0;
        let mut log = None;
        search_while(&args, &mut out, &mut err, || {
            looks += 1;
            match looks {
                1 => log = Some(open(&data)),
                2..5 => write(log.as_ref().unwrap(), looks, "", looks.to_string().as_bytes()),
                _ => return looks < 8,
            }
            true
        })
        .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "2\n3\n4\n");
        assert!(String::from_utf8(err).unwrap().contains("waiting"));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut looks = 0;
        search_while(&args, &mut out, &mut err, || {
            looks += 1;
            if looks == 1 {
                write(log.as_ref().unwrap(), 5, "", b"5");
            }
            looks < 4
        })
        .unwrap();
        assert_eq!((out, err), (b"2\n3\n4\n5\n".to_vec(), Vec::new()));
    }
}
