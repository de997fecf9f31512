//! Lines and fields found in one pass over the input.
//!
//! A mask of 64 bytes marks those that a printable ASCII path cannot hold, and `;`. A line of the
//! common kind has three of them, its two spaces and its LF, so finding them splits it *and* says
//! that its path needs no closer look. Any other line is only found here.

/// Where the fields of a common line are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// The first byte of the line.
    pub(crate) start: usize,
    /// The first space.
    pub(crate) path_end: usize,
    /// The second space.
    pub(crate) value_end: usize,
    /// The CR or LF behind the timestamp.
    pub(crate) end: usize,
    /// Whether there is a `;` in the path.
    pub(crate) semicolon: bool,
}

/// Finds the lines that have their LF. Says of each where it starts and where its LF is, and where
/// it is cut if it is of the common kind: printable ASCII and two spaces, none of them at an end
/// or beside the other. Gives where the line without LF starts.
#[inline]
pub(crate) fn lines(input: &[u8], mut line: impl FnMut(usize, usize, Option<Cuts>)) -> usize {
    let mut state = State::default();
    let mut at = 0;
    let mut rest = input;
    loop {
        let (mut mask, behind) = match rest.split_first_chunk::<64>() {
            Some((block, behind)) => (mask(block), behind),
            None if rest.is_empty() => return state.start,
            None => {
                let mut block = [b'.'; 64];
                block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                (mask(&block), &[][..])
            }
        };
        while mask != 0 {
            let position = at + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            match input.get(position) {
                Some(b'\n') => {
                    line(state.start, position, state.cuts(position));
                    state = State { start: position + 1, ..State::default() };
                }
                Some(b' ') if state.spaces == 0 => {
                    state.path_end = position;
                    state.spaces = 1;
                }
                Some(b' ') if state.spaces == 1 => {
                    state.value_end = position;
                    state.spaces = 2;
                }
                Some(b';') => {
                    state.semicolon = true;
                    state.odd |= state.spaces != 0;
                }
                Some(b'\r') => {
                    state.carriage_return = true;
                    state.odd |= input.get(position + 1) != Some(&b'\n');
                }
                _ => state.odd = true,
            }
        }
        at += 64;
        rest = behind;
    }
}

/// What is known of a line so far.
#[derive(Default)]
struct State {
    start: usize,
    path_end: usize,
    value_end: usize,
    spaces: u8,
    semicolon: bool,
    carriage_return: bool,
    odd: bool,
}

impl State {
    #[inline]
    fn cuts(&self, line_feed: usize) -> Option<Cuts> {
        let &Self { start, path_end, value_end, semicolon, .. } = self;
        let end = line_feed - usize::from(self.carriage_return);
        let common = !self.odd
            && self.spaces == 2
            && start < path_end
            && path_end + 1 < value_end
            && value_end + 1 < end;
        common.then_some(Cuts { start, path_end, value_end, end, semicolon })
    }
}

/// One bit for each byte that is not printable ASCII, or is a space or `;`; the first byte has the
/// lowest.
#[inline]
fn mask(block: &[u8; 64]) -> u64 {
    let mut flags = [0_u8; 64];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(byte.wrapping_sub(0x21) > 0x5d) | u8::from(*byte == b';');
    }
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |mask, eight| {
        // The product brings the eight flags together in its highest byte.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask << 8 | bits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        for byte in 0..=255_u8 {
            for position in 0..64 {
                let mut block = [b'a'; 64];
                block[position] = byte;
                let marked = !byte.is_ascii_graphic() || byte == b';';
                assert_eq!(mask(&block), u64::from(marked) << position, "{byte} at {position}");
            }
        }
        assert_eq!(mask(&[b' '; 64]), u64::MAX);
    }

    #[test]
    fn lines_are_cut_wherever_they_lie() {
        for before in 0..140 {
            let input = format!("{}\nab 12 345\r\nc;d 1 2\n x 1 1\ntail", "x".repeat(before));
            let mut found = Vec::new();
            let tail = lines(input.as_bytes(), |start, end, cuts| found.push((start, end, cuts)));
            let at = before + 1;
            let cuts = |start, path_end, value_end, end, semicolon| {
                Some(Cuts { start, path_end, value_end, end, semicolon })
            };
            assert_eq!(
                found,
                [
                    (0, before, None),
                    (at, at + 10, cuts(at, at + 2, at + 5, at + 9, false)),
                    (at + 11, at + 18, cuts(at + 11, at + 14, at + 16, at + 18, true)),
                    (at + 19, at + 25, None),
                ]
            );
            assert_eq!(&input[tail..], "tail");
        }
    }

    #[test]
    fn other_lines_are_not_cut() {
        for line in [
            "",
            "a",
            "a 1",
            " a 1",
            "a  1",
            "a 1 ",
            "a 1 1 1",
            "a\t1 1",
            "a 1 1\r\r",
            "a\r 1 1",
            "a 1;2 3",
            "a 1 \r",
            "é 1 1",
            "a\x7f 1 1",
            "a\0 1 1",
        ] {
            lines(format!("{line}\n").as_bytes(), |_, _, cuts| assert_eq!(cuts, None, "{line:?}"));
        }
    }
}
