//! The input: whole lines in pieces, read ahead by a thread.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use tokio::sync::mpsc;

/// Bytes of a piece.
const PIECE: usize = 64 << 10;
/// Pieces read ahead.
const AHEAD: usize = 8;
/// A longer line is refused: no protocol here takes it.
const LONGEST: usize = 16 << 20;

/// Whole lines with their ends; the last one of a file may have none.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

impl Piece {
    /// The lines without their ends; empty ones are left out.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        let bare = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        bare.filter(|line| !line.is_empty())
    }
}

/// Reads the files, or standard input, on a thread of its own. `most`: lines of a piece.
pub(super) fn read(
    files: Vec<PathBuf>,
    repeat: u64,
    most: u64,
) -> mpsc::Receiver<anyhow::Result<Piece>> {
    let (pieces, input) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let result = if files.is_empty() {
            pieces_of(io::stdin().lock(), "standard input", most, &pieces)
        } else {
            read_files(&files, repeat, most, &pieces)
        };
        if let Err(error) = result {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    input
}

type Pieces = mpsc::Sender<anyhow::Result<Piece>>;

fn read_files(files: &[PathBuf], repeat: u64, most: u64, pieces: &Pieces) -> anyhow::Result<()> {
    for _ in 0..repeat {
        for path in files {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
            pieces_of(BufReader::with_capacity(PIECE, file), &name, most, pieces)?;
        }
    }
    Ok(())
}

fn pieces_of(mut from: impl BufRead, name: &str, most: u64, pieces: &Pieces) -> anyhow::Result<()> {
    let mut piece = Piece::default();
    loop {
        let before = piece.bytes.len();
        let read = io::Read::take(&mut from, LONGEST as u64).read_until(b'\n', &mut piece.bytes);
        let read = read.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let line = piece.bytes.get(before..).unwrap_or_default();
        anyhow::ensure!(
            line.len() < LONGEST || line.ends_with(b"\n"),
            "{name}: a line is longer than {LONGEST} bytes"
        );
        // A file whose last line has no end does not run into the next.
        if read > 0 && !line.ends_with(b"\n") {
            piece.bytes.push(b'\n');
        }
        piece.lines += u64::from(read > 0);
        // What somebody types goes at once.
        let full = piece.bytes.len() >= PIECE || piece.lines >= most;
        if (read == 0 || full) && piece.lines > 0 {
            let full = std::mem::take(&mut piece);
            if pieces.blocking_send(Ok(full)).is_err() {
                return Ok(());
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, most: u64) -> Vec<(String, u64)> {
        let (pieces, mut input) = mpsc::channel(100);
        pieces_of(text.as_bytes(), "test", most, &pieces).unwrap();
        drop(pieces);
        let mut all = Vec::new();
        while let Some(piece) = input.blocking_recv() {
            let piece = piece.unwrap();
            all.push((String::from_utf8(piece.bytes).unwrap(), piece.lines));
        }
        all
    }

    #[test]
    fn pieces_are_whole_lines() {
        assert_eq!(all("a\nb\nc", 2), [("a\nb\n".to_owned(), 2), ("c\n".to_owned(), 1)]);
        assert_eq!(all("", 2), []);
        let long = format!("{}\n", "x".repeat(40 << 10));
        let pieces = all(&long.repeat(5), u64::MAX);
        assert_eq!(pieces.iter().map(|(_, lines)| lines).sum::<u64>(), 5);
        assert!(pieces.len() == 3 && pieces.iter().all(|(text, _)| text.ends_with('\n')));
    }

    #[test]
    fn empty_lines_are_no_items() {
        let piece = Piece { bytes: b"a\r\n\n\nb\n".to_vec(), lines: 4 };
        assert_eq!(piece.lines().collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
