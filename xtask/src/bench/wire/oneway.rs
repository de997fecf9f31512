//! The same frames with nothing said in return: what a socket gives at best when each frame is
//! made by the sender.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ingest_entry::{EntryRef, Header, TagId};

use super::{Job, data, entry};
use crate::bench::process::say;
use crate::bench::usage::Meter;

/// Written and read in pieces of this size.
const PIECE: usize = 256 << 10;
/// A frame's bytes around header and data: the word of a new entry, and its id.
const AROUND: usize = 4 + 8;
const WORD: [u8; 4] = 0xC7C9_5ACB_u32.to_le_bytes();

/// Encodes frames one by one into a buffer and writes it when it is full.
pub(crate) fn sender(job: Job) -> Result<()> {
    let mut stream = TcpStream::connect(job.to)?;
    stream.set_nodelay(true)?;
    let (data, time) = (data(), Duration::from_secs_f64(job.seconds));
    let mut buffer = Vec::with_capacity(PIECE);
    let (meter, start) = (Meter::start(), Instant::now());
    let mut count = 0;
    while start.elapsed() < time {
        for _ in 0..4096 {
            let entry = entry(&data, TagId(1), count);
            count += 1;
            if buffer.len() + AROUND + entry.stored_len() > PIECE {
                stream.write_all(&buffer)?;
                buffer.clear();
            }
            frame(count, &entry, &mut buffer)?;
        }
    }
    stream.write_all(&buffer)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // The other end hangs up when it has read everything.
    stream.read_to_end(&mut Vec::new())?;
    say(&meter.stop(count)?)
}

fn frame(id: u64, entry: &EntryRef<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&WORD);
    out.extend_from_slice(&entry.header()?.encode());
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(entry.data);
    Ok(())
}

/// Reads and throws away.
pub(crate) fn sink() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&listener.local_addr()?)?;
    let (mut stream, _) = listener.accept()?;
    let (mut buffer, mut meter, mut total) = (vec![0; PIECE], None, 0u64);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                meter.get_or_insert_with(Meter::start);
                total += len as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let len = (AROUND + Header::LEN + data().len()) as u64;
    anyhow::ensure!(total.is_multiple_of(len), "{total} bytes are no whole number of frames");
    say(&meter.context("nothing came")?.stop(total / len)?)
}
