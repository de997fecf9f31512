//! A client's frames, made beforehand, and a server's, as they come.

use anyhow::{Context as _, Result, bail, ensure};

/// Bytes of frames that are written in one go.
const PIECE: usize = 256 << 10;

/// Messages, masked and framed.
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    /// The messages, in turn.
    pub(super) texts: Vec<Vec<u8>>,
}

/// As many different messages of this size as fit.
pub(super) fn frames(size: usize) -> Frames {
    let mut frames = Frames { bytes: Vec::new(), count: 0, texts: Vec::new() };
    while frames.bytes.len() < PIECE {
        let mut text = format!("{{\"number\":{:06},\"name\":\"", frames.count).into_bytes();
        let rest = size - 2 - text.len();
        text.extend((0..rest).map(|at| b'a' + (at % 26) as u8));
        text.extend_from_slice(b"\"}");
        masked(0x81, &text, &mut frames.bytes);
        frames.texts.push(text);
        frames.count += 1;
    }
    frames
}

/// A client's frame.
pub(super) fn masked(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        middle => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// What a server's text frame holds, and where the next one begins; `None` while it is not all
/// there, an empty one for a close frame.
pub(super) fn text(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let [first, length, rest @ ..] = bytes else { return Ok(None) };
    let (length, header) = match *length {
        126 => match rest.first_chunk() {
            Some(length) => (usize::from(u16::from_be_bytes(*length)), 4),
            None => return Ok(None),
        },
        127 => bail!("a frame of more than 64 KiB came"),
        short => (usize::from(short), 2),
    };
    let Some(payload) = bytes.get(header..header + length) else { return Ok(None) };
    match *first {
        0x81 => Ok(Some((payload, header + length))),
        0x88 => Ok(Some((&[], header + length))),
        other => bail!("a frame that begins with {other:#x} came"),
    }
}

/// What every answer is compared with.
pub(super) enum Expected {
    /// The messages, in turn.
    These(Vec<Vec<u8>>),
    /// What comes before and behind an id of eight characters.
    Around(&'static [u8], &'static [u8]),
}

impl Expected {
    /// Checks the answer of this number.
    pub(super) fn check(&self, number: u64, answer: &[u8]) -> Result<()> {
        let is_it = match self {
            Self::These(texts) => texts
                .get(usize::try_from(number % texts.len() as u64)?)
                .context("a message")
                .is_ok_and(|text| text == answer),
            Self::Around(before, behind) => answer
                .strip_prefix(*before)
                .and_then(|rest| rest.split_at_checked(8))
                .is_some_and(|(_, rest)| rest == *behind),
        };
        ensure!(is_it, "answer {number} is {:?}", String::from_utf8_lossy(answer));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_size_that_is_asked_for() {
        for size in [64, 1024] {
            let frames = frames(size);
            assert!(frames.texts.iter().all(|text| text.len() == size));
            let header = if size < 126 { 6 } else { 8 };
            assert_eq!(frames.bytes.len(), frames.texts.len() * (size + header));
        }
    }

    #[test]
    fn a_server_s_frames_are_read() {
        assert!(text(&[0x81]).unwrap().is_none());
        assert!(text(&[0x81, 2, b'a']).unwrap().is_none());
        assert_eq!(text(&[0x81, 2, b'a', b'b', 0x88]).unwrap(), Some((&b"ab"[..], 4)));
        assert_eq!(text(&[0x88, 2, 3, 0xe8]).unwrap(), Some((&b""[..], 4)));
        assert!(text(&[0x82, 0]).is_err());
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        let expected = Expected::Around(b"{\"", b"\"}");
        assert!(expected.check(0, b"{\"abcdefgh\"}").is_ok());
        assert!(expected.check(0, b"{\"abcdefg\"}").is_err());
        let expected = Expected::These(vec![b"a".to_vec(), b"b".to_vec()]);
        assert!(expected.check(3, b"b").is_ok() && expected.check(2, b"b").is_err());
    }
}
