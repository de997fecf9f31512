//! A bare line: chunks written and synced, in files of a segment's size that were made before.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{How, RING, RawJob, SEGMENT};
use crate::bench::process::say;
use crate::bench::usage::Meter;

pub(crate) fn run(job: RawJob) -> Result<()> {
    let files = place(&job.chunks, if job.how == How::Over { RING / SEGMENT } else { u64::MAX });
    let count = files.iter().map(|(file, _)| file + 1).max().unwrap_or(0);
    let all = (0..count).map(|n| make(&job.dir.join(n.to_string()), job.how));
    let all = all.collect::<Result<Vec<_>>>()?;
    let largest = job.chunks.iter().copied().max().unwrap_or(0);
    let data: Vec<u8> = (0..largest).map(|n| (n % 251) as u8).collect();
    let meter = Meter::start();
    for (&chunk, (file, offset)) in job.chunks.iter().zip(&files) {
        let file = all.get(*file as usize).context("no such file")?;
        file.write_all_at(data.get(..chunk as usize).unwrap_or_default(), *offset)?;
        file.sync_data()?;
    }
    say(&meter.stop(job.chunks.len() as u64)?)
}

/// File and offset of each chunk: the next file begins where one would grow beyond a segment's size,
/// and with `most` files the first is used again after the last.
fn place(chunks: &[u32], most: u64) -> Vec<(u64, u64)> {
    let (mut file, mut at) = (0, 0);
    let mut places = Vec::with_capacity(chunks.len());
    for &chunk in chunks {
        if at > 0 && at + u64::from(chunk) > SEGMENT {
            (file, at) = ((file + 1) % most, 0);
        }
        places.push((file, at));
        at += u64::from(chunk);
    }
    places
}

fn make(path: &Path, how: How) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    match how {
        How::Append => {}
        How::SetAside => {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, SEGMENT)?;
        }
        How::Over => {
            let chunk = vec![0x5a; 4 << 20];
            for at in (0..SEGMENT).step_by(chunk.len()) {
                file.write_all_at(&chunk, at)?;
            }
        }
    }
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_fill_one_file_after_another() {
        let half = (SEGMENT / 2) as u32;
        let chunks = [half, half, 1, half, half];
        assert_eq!(place(&chunks, u64::MAX), [(0, 0), (0, SEGMENT / 2), (1, 0), (1, 1), (2, 0)]);
        assert_eq!(place(&chunks, 2).last(), Some(&(0, 0)));
    }
}
