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

/// How many bytes are looked at before their lines are cut. Lines that are longer are not of the
/// common kind.
const WINDOW: usize = 1024;

/// Finds the lines that have their LF. Says of each where it starts and where its LF is, and where
/// it is cut if it is of the common kind: shorter than a window, printable ASCII, and two spaces,
/// none of them at an end or beside the other. Gives where the line without LF starts.
#[inline]
pub(crate) fn lines(input: &[u8], mut line: impl FnMut(usize, usize, Option<Cuts>)) -> usize {
    // Room for all bytes of a window, and for writing eight places at once.
    let mut places = [0_u16; WINDOW + 8];
    let mut start = 0;
    while let Some(rest) = input.get(start..).filter(|rest| !rest.is_empty()) {
        let window = rest.get(..WINDOW).unwrap_or(rest);
        let count = mark(window, &mut places);
        let marked = places.get(..count).unwrap_or_default();
        let done = cut(window, marked, start, &mut line);
        if done > 0 {
            start += done;
            continue;
        }
        let Some(length) = memchr::memchr(b'\n', rest) else { break };
        line(start, start + length, None);
        start += length + 1;
    }
    start
}

/// Lists where the marked bytes of a window are, and says how many there are.
#[inline]
fn mark(window: &[u8], places: &mut [u16; WINDOW + 8]) -> usize {
    let mut count = 0;
    let mut list = |mut mask: u64, base: u16| {
        let end = count + mask.count_ones() as usize;
        // Most blocks have four marks at most, so that many are written whether there or not.
        while let Some(slots) = places.get_mut(count..count + 4) {
            for slot in slots {
                *slot = base + mask.trailing_zeros() as u16;
                mask &= mask.wrapping_sub(1);
            }
            count += 4;
            if mask == 0 {
                break;
            }
        }
        count = end;
    };
    let (blocks, rest) = window.as_chunks::<64>();
    let mut base = 0;
    for block in blocks {
        list(mask(block), base);
        base += 64;
    }
    if !rest.is_empty() {
        let mut block = [b'.'; 64];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        list(mask(&block), base);
    }
    count
}

/// Cuts the lines of a window, which is at `base` of the input, and says how many bytes they are.
#[inline]
fn cut(
    window: &[u8],
    marked: &[u16],
    base: usize,
    line: &mut impl FnMut(usize, usize, Option<Cuts>),
) -> usize {
    let byte = |place: u16| window.get(usize::from(place)).copied().unwrap_or_default();
    let mut start = 0;
    let mut marked = marked;
    loop {
        if let [a, b, c, rest @ ..] = marked
            && (byte(*a), byte(*b), byte(*c)) == (b' ', b' ', b'\n')
        {
            let (path_end, value_end, end) = (usize::from(*a), usize::from(*b), usize::from(*c));
            let state = State { path_end, value_end, spaces: 2, ..State::default() };
            line(base + start, base + end, state.cuts(base, start, end));
            start = end + 1;
            marked = rest;
            continue;
        }
        let mut state = State::default();
        let mut places = marked.iter();
        let end = places.find_map(|place| {
            let place = usize::from(*place);
            state.meet(window, place).then_some(place)
        });
        let Some(end) = end else { return start };
        line(base + start, base + end, state.cuts(base, start, end));
        start = end + 1;
        marked = places.as_slice();
    }
}

/// What is known of a line so far.
#[derive(Default)]
struct State {
    path_end: usize,
    value_end: usize,
    spaces: u8,
    semicolon: bool,
    carriage_return: bool,
    odd: bool,
}

impl State {
    /// Takes in a marked byte, and says whether it ends the line.
    fn meet(&mut self, window: &[u8], place: usize) -> bool {
        match window.get(place) {
            Some(b'\n') => return true,
            Some(b' ') if self.spaces == 0 => {
                self.path_end = place;
                self.spaces = 1;
            }
            Some(b' ') if self.spaces == 1 => {
                self.value_end = place;
                self.spaces = 2;
            }
            Some(b';') => {
                self.semicolon = true;
                self.odd |= self.spaces != 0;
            }
            Some(b'\r') => {
                self.carriage_return = true;
                self.odd |= window.get(place + 1) != Some(&b'\n');
            }
            _ => self.odd = true,
        }
        false
    }

    #[inline]
    fn cuts(&self, base: usize, start: usize, line_feed: usize) -> Option<Cuts> {
        let &Self { path_end, value_end, semicolon, .. } = self;
        let end = line_feed - usize::from(self.carriage_return);
        let common = !self.odd
            && self.spaces == 2
            && start < path_end
            && path_end + 1 < value_end
            && value_end + 1 < end;
        common.then_some(Cuts {
            start: base + start,
            path_end: base + path_end,
            value_end: base + value_end,
            end: base + end,
            semicolon,
        })
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
    fn windows_do_not_show() {
        for length in WINDOW - 70..WINDOW + 70 {
            let long = format!("{} 1 1\n", "x".repeat(length));
            let many = format!("a{}\n", " ".repeat(length));
            let input = ["a 1 1\n", &long, "b;c 2 2\n", &many, "d 3 3\n", "e"].concat();
            let mut found = Vec::new();
            let tail = lines(input.as_bytes(), |start, end, _| found.push(&input[start..=end]));
            assert_eq!(found, ["a 1 1\n", &long, "b;c 2 2\n", &many, "d 3 3\n"]);
            assert_eq!(&input[tail..], "e");
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
