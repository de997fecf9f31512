//! The target `gzip`: streams that are compressed.

use graphite_proto::gzip::{Gunzip, GzipError, Step};

use super::script::{Choices, split};

/// What came out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The bytes, as many as are looked at.
    pub text: Vec<u8>,
    /// Whether the stream ended between members, or why it was refused.
    pub end: Result<bool, GzipError>,
}

/// What of the output is compared: inputs are short, and bombs are long.
const SHOWN: usize = 64 * 1024;
/// Output that is asked for at most: a bomb of the longest input does not reach it.
const MOST: usize = 4 << 20;
/// What the library holds for one stream: its window and its tables.
const STATE: usize = 128 * 1024;

/// Undoes gzip, whole and in pieces: pieces of input and room for output change nothing, a step that
/// does nothing wants more input, what failed stays failed, and the memory is that of one window,
/// whatever comes out.
pub fn gzip(input: &[u8]) -> Option<Undone> {
    let (flags, choices, input) = split(input)?;
    super::within(2 * input.len() + 4 * SHOWN + 3 * STATE, || {
        let whole = undone(input, None, SHOWN);
        let room = 1 + usize::from(flags[0]) * 16;
        let pieces = undone(input, Some(choices), room);
        assert_eq!(whole.end, pieces.end);
        if whole.end.is_ok() {
            assert_eq!(whole.text, pieces.text);
        }
        Some(whole)
    })
}

fn undone(input: &[u8], mut cut: Option<Choices>, room: usize) -> Undone {
    let (mut gunzip, mut out) = (Gunzip::new(), vec![0; room]);
    let (mut text, mut total, mut rest) = (Vec::with_capacity(SHOWN), 0, input);
    while !rest.is_empty() {
        let length = cut.as_mut().map_or(rest.len(), |choices| choices.piece(rest.len()));
        let (mut piece, behind) = rest.split_at(length);
        rest = behind;
        loop {
            let step = match gunzip.step(piece, &mut out) {
                Ok(step) => step,
                Err(error) => {
                    assert_eq!(gunzip.step(b"x", &mut out), Err(error));
                    // Where in the input it was seen depends on the pieces; what it was does not.
                    return Undone { text, end: Err(error) };
                }
            };
            assert!(step.consumed <= piece.len() && step.produced <= out.len());
            let shown = step.produced.min(SHOWN - text.len());
            text.extend_from_slice(&out[..shown]);
            total += step.produced;
            assert!(total <= MOST, "{total} bytes of {}", input.len());
            piece = &piece[step.consumed..];
            if step == Step::default() {
                assert!(piece.is_empty(), "stuck with {} bytes", piece.len());
                break;
            }
        }
    }
    Undone { text, end: Ok(gunzip.is_complete()) }
}
