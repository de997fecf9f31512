//! Lists of runs of blocks.

/// Writes a list, block by block.
#[derive(Clone, Debug, Default)]
pub(super) struct RunsWriter {
    bytes: Vec<u8>,
    /// The block behind the last run that was written.
    done: u32,
    /// The run at hand.
    start: u32,
    len: u32,
}

impl RunsWriter {
    /// Adds a block; they come in rising order, each as often as it likes.
    pub(super) fn add(&mut self, block: u32) {
        if self.len > 0 && block <= self.start + self.len {
            self.len = self.len.max(block - self.start + 1);
            return;
        }
        self.flush();
        (self.start, self.len) = (block, 1);
    }

    fn flush(&mut self) {
        if self.len > 0 {
            put(self.start - self.done, &mut self.bytes);
            put(self.len, &mut self.bytes);
            self.done = self.start + self.len;
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.bytes
    }
}

fn put(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0u32;
    for shift in (0..32).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Calls `on` with the runs of a list, as ranges below `blocks`; false if it is not sound.
pub(super) fn read(
    mut bytes: &[u8],
    blocks: u32,
    mut on: impl FnMut(std::ops::Range<u32>),
) -> bool {
    let mut at = 0u32;
    while !bytes.is_empty() {
        let (Some(gap), Some(len)) = (take(&mut bytes), take(&mut bytes)) else { return false };
        let Some(start) = at.checked_add(gap) else { return false };
        let Some(end) = start.checked_add(len).filter(|&end| end <= blocks) else { return false };
        on(start..end);
        at = end;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(blocks: &[u32]) -> Vec<u8> {
        let mut runs = RunsWriter::default();
        blocks.iter().for_each(|&block| runs.add(block));
        runs.finish()
    }

    fn read_all(bytes: &[u8], blocks: u32) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        read(bytes, blocks, |run| found.extend(run)).then_some(found)
    }

    #[test]
    fn lists_round_trip() {
        for blocks in
            [vec![], vec![0], vec![5], vec![0, 1, 2, 3], vec![0, 2, 3, 4, 300, 301, 1_000_000]]
        {
            assert_eq!(read_all(&written(&blocks), 1_000_001), Some(blocks));
        }
        assert_eq!(written(&[0, 0, 1, 1, 1, 2]), [0, 3]);
        assert_eq!(written(&[0, 200]), [0, 1, 0xc7, 1, 1]);
    }

    #[test]
    fn unsound_lists_are_seen() {
        assert_eq!(read_all(&written(&[0, 9]), 9), None);
        assert_eq!(read_all(&[0], 9), None);
        assert_eq!(read_all(&[0x80, 0x80, 0x80, 0x80, 0x80, 1], 9), None);
    }
}
