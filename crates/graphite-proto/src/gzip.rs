//! Streams that are compressed by gzip (RFC 1952): go-carbon's `compression = "gzip"`, and
//! carbon-c-relay's `transport gzip` (`graphite.md` 5.5).

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Bytes of the longest header of a member: name, comment and extra field together.
pub const MAX_HEADER: usize = 4096;

/// Bytes that may come out before [`MAX_RATIO`] is looked at.
pub const FREE_OUTPUT: u64 = 16 << 20;

/// How many bytes may come out for each that went in, over the whole stream. Graphite's lines shrink
/// to a tenth; the format could do a thousand.
pub const MAX_RATIO: u64 = 200;

/// Why a stream cannot be read on. Its connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// What came is no header of gzip.
    #[error("stream does not start as gzip does")]
    Header,
    /// A header beyond [`MAX_HEADER`].
    #[error("gzip header is longer than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// The compressed data is damaged.
    #[error("compressed data is not valid")]
    Data,
    /// Length or checksum of a member do not fit what came out.
    #[error("gzip checksum does not fit")]
    Checksum,
    /// More than [`MAX_RATIO`] times as much came out as went in.
    #[error("gzip expands too far")]
    Expansion,
}

/// Undoes gzip, step by step: nothing is allocated for what comes out, and of what goes in only the
/// beginning of a header is held. Members may follow one another.
///
/// ```
/// # use std::io::Write as _;
/// use graphite_proto::gzip::Gunzip;
/// # let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
/// # writer.write_all(b"a.b 1 7\n").unwrap();
/// # let stream = writer.finish().unwrap();
/// let mut gunzip = Gunzip::new();
/// let (mut input, mut out, mut text) = (stream.as_slice(), [0; 4], Vec::new());
/// loop {
///     let step = gunzip.step(input, &mut out)?;
///     text.extend_from_slice(&out[..step.produced]);
///     input = &input[step.consumed..];
///     if step.consumed == 0 && step.produced == 0 {
///         break; // it wants more of the stream
///     }
/// }
/// assert_eq!(text, b"a.b 1 7\n");
/// assert!(gunzip.is_complete());
/// # Ok::<(), graphite_proto::gzip::GzipError>(())
/// ```
#[derive(Debug)]
pub struct Gunzip {
    state: State,
    inflate: Decompress,
    crc: Crc,
    consumed: u64,
    produced: u64,
}

/// What a [`Gunzip::step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Step {
    /// Bytes taken from the input.
    pub consumed: usize,
    /// Bytes written to the output.
    pub produced: usize,
}

#[derive(Debug)]
enum State {
    /// What came of a header.
    Header(Vec<u8>),
    Body,
    /// What came of checksum and length.
    Trailer([u8; 8], usize),
    Failed(GzipError),
}

impl Gunzip {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Header(Vec::new()),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            consumed: 0,
            produced: 0,
        }
    }

    /// Takes some of the input, and writes some of the output. When neither comes to anything, more
    /// input is needed, or more room.
    ///
    /// # Errors
    /// [`GzipError`], then always. What came out before it is good, but for a checksum.
    pub fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, GzipError> {
        let result = self.advance(input, out);
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    /// Whether the stream may end here: between members, or before the first byte.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(&self.state, State::Header(header) if header.is_empty())
    }

    fn advance(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, GzipError> {
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Header(header) => {
                let before = header.len();
                let room = (MAX_HEADER - before).min(input.len());
                header.extend_from_slice(input.get(..room).unwrap_or_default());
                let consumed = match header_length(header)? {
                    None if header.len() == MAX_HEADER => return Err(GzipError::HeaderTooLong),
                    None => room,
                    Some(length) => {
                        self.inflate.reset(false);
                        self.crc.reset();
                        self.state = State::Body;
                        length.saturating_sub(before)
                    }
                };
                self.consumed += consumed as u64;
                Ok(Step { consumed, produced: 0 })
            }
            State::Body => self.inflate(input, out),
            State::Trailer(bytes, held) => {
                let free = bytes.get_mut(*held..).unwrap_or_default();
                let consumed = free.len().min(input.len());
                for (place, byte) in free.iter_mut().zip(input) {
                    *place = *byte;
                }
                *held += consumed;
                self.consumed += consumed as u64;
                if *held == bytes.len() {
                    let [a, b, c, d, e, f, g, h] = *bytes;
                    let sum = u32::from_le_bytes([a, b, c, d]);
                    let length = u32::from_le_bytes([e, f, g, h]);
                    if (sum, length) != (self.crc.sum(), self.crc.amount()) {
                        return Err(GzipError::Checksum);
                    }
                    self.state = State::Header(Vec::new());
                }
                Ok(Step { consumed, produced: 0 })
            }
        }
    }

    fn inflate(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, GzipError> {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, out, FlushDecompress::None)
            .map_err(|_| GzipError::Data)?;
        // Neither is more than a slice is long.
        let consumed = (self.inflate.total_in() - before_in) as usize;
        let produced = (self.inflate.total_out() - before_out) as usize;
        self.crc.update(out.get(..produced).unwrap_or_default());
        self.consumed += consumed as u64;
        self.produced += produced as u64;
        let most = self.consumed.saturating_mul(MAX_RATIO).saturating_add(FREE_OUTPUT);
        if self.produced > most {
            return Err(GzipError::Expansion);
        }
        if status == Status::StreamEnd {
            self.state = State::Trailer([0; 8], 0);
        }
        Ok(Step { consumed, produced })
    }
}

impl Default for Gunzip {
    fn default() -> Self {
        Self::new()
    }
}

const FLAG_CHECKSUM: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;

/// The length of the header that a member starts with; `None` when more of it is needed to tell.
fn header_length(start: &[u8]) -> Result<Option<usize>, GzipError> {
    let known = [0x1f, 0x8b, 8];
    if start.iter().zip(known).any(|(byte, expected)| *byte != expected) {
        return Err(GzipError::Header);
    }
    let Some(flags) = start.get(3).copied() else { return Ok(None) };
    if flags & 0xe0 != 0 {
        return Err(GzipError::Header);
    }
    let mut at = 10;
    if flags & FLAG_EXTRA != 0 {
        let Some([low, high]) = start.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            let rest = start.get(at..).unwrap_or_default();
            let Some(end) = memchr::memchr(0, rest) else { return Ok(None) };
            at += end + 1;
        }
    }
    if flags & FLAG_CHECKSUM != 0 {
        at += 2;
    }
    Ok((start.len() >= at).then_some(at))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut writer = GzBuilder::new()
            .filename("metrics")
            .comment("of a test")
            .extra([7; 30])
            .write(Vec::new(), Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    /// What comes out of pieces of so many bytes, in pieces of so many.
    fn undone(stream: &[u8], piece: usize, room: usize) -> (Vec<u8>, Result<bool, GzipError>) {
        let (mut gunzip, mut text, mut out) = (Gunzip::new(), Vec::new(), vec![0; room]);
        for mut input in stream.chunks(piece) {
            loop {
                let step = match gunzip.step(input, &mut out) {
                    Ok(step) => step,
                    Err(error) => {
                        assert_eq!(gunzip.step(b"x", &mut out), Err(error));
                        return (text, Err(error));
                    }
                };
                text.extend_from_slice(&out[..step.produced]);
                input = &input[step.consumed..];
                if step == Step::default() {
                    assert!(input.is_empty());
                    break;
                }
            }
        }
        (text, Ok(gunzip.is_complete()))
    }

    #[test]
    fn members_follow_one_another_in_any_pieces() {
        let lines: String = (0..500).map(|n| format!("a.{n} {n} 1700000000\n")).collect();
        let stream = [member(lines.as_bytes()), member(b""), member(b"the end")].concat();
        let expected = [lines.as_bytes(), b"the end"].concat();
        for (piece, room) in [(1, 1), (1, 4096), (7, 13), (4096, 5), (usize::MAX, 1 << 20)] {
            assert_eq!(undone(&stream, piece, room), (expected.clone(), Ok(true)));
        }
        for cut in [1, 5, 60, stream.len() - 1] {
            assert_eq!(undone(&stream[..cut], 100, 100).1, Ok(false), "{cut}");
        }
    }

    #[test]
    fn what_is_not_gzip_is_refused() {
        assert_eq!(undone(b"a.b 1 7\n", 100, 100).1, Err(GzipError::Header));
        assert_eq!(undone(b"\x1f\x8b\x08\xe0", 100, 100).1, Err(GzipError::Header));
        let long = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\0"[..], &[b'x'; 9000]].concat();
        assert_eq!(undone(&long, 1000, 100).1, Err(GzipError::HeaderTooLong));
        let good = member(b"a.b 1 7\n");
        let mut sum = good.clone();
        let at = sum.len() - 8;
        sum[at] ^= 1;
        assert_eq!(undone(&sum, 100, 100), (b"a.b 1 7\n".to_vec(), Err(GzipError::Checksum)));
        let head = header_length(&good).unwrap().unwrap();
        let damaged = [&good[..head], &[0xff; 20]].concat();
        assert_eq!(undone(&damaged, 100, 100).1, Err(GzipError::Data));
    }

    #[test]
    fn a_bomb_ends_early() {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            writer.write_all(&[b'a'; 1 << 20]).unwrap();
        }
        let bomb = writer.finish().unwrap();
        assert!(bomb.len() < 100_000);
        let (out, result) = undone(&bomb, 512, 4096);
        assert_eq!(result, Err(GzipError::Expansion));
        assert!((out.len() as u64) < FREE_OUTPUT + MAX_RATIO * bomb.len() as u64);
    }
}
