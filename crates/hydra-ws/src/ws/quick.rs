//! The frames that nearly all are: whole text messages, read where they lie.

use bytes::{Buf, Bytes, BytesMut};

/// `FIN`, no reserved bit, a text frame.
const TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;

/// What is at the beginning of the bytes.
pub(super) enum Quick {
    /// A whole message, taken out.
    Text(Bytes),
    /// The beginning of one.
    Incomplete,
    /// Something else, or a message that is not well formed.
    Other,
}

/// Takes a text message that is one whole frame of at most `most` bytes, `masked` or not. Anything
/// else is left where it is.
pub(super) fn text(have: &mut BytesMut, masked: bool, most: usize) -> Quick {
    let [first, second, rest @ ..] = have.as_ref() else {
        return match have.first() {
            None | Some(&TEXT) => Quick::Incomplete,
            Some(_) => Quick::Other,
        };
    };
    if *first != TEXT || (second & MASKED != 0) != masked {
        return Quick::Other;
    }
    let (length, extended) = match second & !MASKED {
        126 => match rest.first_chunk() {
            Some(length) => (usize::from(u16::from_be_bytes(*length)), 2),
            None => return Quick::Incomplete,
        },
        127 => match rest.first_chunk() {
            Some(length) => (usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX), 8),
            None => return Quick::Incomplete,
        },
        short => (usize::from(short), 0),
    };
    if length > most {
        return Quick::Other;
    }
    let header = 2 + extended + if masked { 4 } else { 0 };
    if have.len() < header + length {
        return Quick::Incomplete;
    }
    let mask = have.get(2 + extended..).and_then(|rest| rest.first_chunk::<4>()).copied();
    let mut frame = have.split_to(header + length);
    frame.advance(header);
    if masked {
        unmask(&mut frame, mask.unwrap_or_default());
    }
    Quick::Text(frame.freeze())
}

/// Takes the mask off, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (eights, rest) = payload.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: &[u8], payload: &[u8]) -> BytesMut {
        let mask = [1, 2, 3, 0xf4];
        let mut frame = BytesMut::from([&[TEXT], length, &mask].concat().as_slice());
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn whole_messages_are_taken_and_beginnings_are_left() {
        for size in [0, 1, 7, 8, 9, 15, 16, 125, 126, 300, 65_535, 65_536] {
            let payload: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let length = match size {
                0..126 => vec![MASKED | size as u8],
                126..65_536 => [&[MASKED | 126][..], &(size as u16).to_be_bytes()].concat(),
                _ => [&[MASKED | 127][..], &(size as u64).to_be_bytes()].concat(),
            };
            let whole = frame(&length, &payload);
            for end in (0..whole.len()).filter(|end| *end < 300 || end % 1009 == 0) {
                let mut part = BytesMut::from(&whole[..end]);
                assert!(matches!(text(&mut part, true, 1 << 20), Quick::Incomplete), "{end}");
                assert_eq!(part, whole[..end]);
            }
            let mut more = whole.clone();
            more.extend_from_slice(b"more");
            match text(&mut more, true, 1 << 20) {
                Quick::Text(got) => assert_eq!(got, payload),
                _ => panic!("{size}"),
            }
            assert_eq!(more, b"more"[..]);
            let mut long = whole.clone();
            if size > 0 {
                assert!(matches!(text(&mut long, true, size - 1), Quick::Other));
            }
            assert!(matches!(text(&mut long, false, 1 << 20), Quick::Other));
            assert_eq!(long, whole);
        }
    }

    #[test]
    fn whatever_is_no_text_in_one_frame_is_left() {
        for first in (0..=u8::MAX).filter(|first| *first != TEXT) {
            for bytes in [&[first][..], &[first, MASKED, 1, 2, 3, 4]] {
                let mut have = BytesMut::from(bytes);
                assert!(matches!(text(&mut have, true, 100), Quick::Other), "{first:#x}");
                assert_eq!(have, bytes);
            }
        }
    }

    #[test]
    fn a_server_s_frames_have_no_mask() {
        let mut have = BytesMut::from(&[TEXT, 2, b'o', b'k'][..]);
        assert!(matches!(text(&mut have, true, 100), Quick::Other));
        assert!(matches!(text(&mut have, false, 100), Quick::Text(got) if got == "ok"));
    }
}
