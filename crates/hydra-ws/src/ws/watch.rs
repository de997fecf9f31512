//! A look at frame headers as they pass: how many frames a message has.

use std::collections::VecDeque;

/// Longest header: two bytes, a length of eight, a mask of four.
const HEADER: usize = 14;

/// Follows a stream of frames. What is wrong in them is for others to say.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The beginning of a header that is not complete.
    header: [u8; HEADER],
    have: usize,
    /// Bytes of a payload that have not passed.
    payload: u64,
    /// The frame under way ends a message.
    last: bool,
    /// It is part of a message, not a control frame.
    data: bool,
    /// Frames of the message under way.
    frames: u32,
    /// Messages that have passed.
    passed: u64,
    /// Those of them that had more than one frame, with their numbers of frames.
    many: VecDeque<(u64, u32)>,
    /// Messages that were asked for.
    asked: u64,
}

impl Watch {
    /// Follows the bytes up to the end of a frame: how many they are.
    pub(super) fn feed_one(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            let mut ended = false;
            if self.payload > 0 {
                let rest = bytes.len() - passed;
                let now = usize::try_from(self.payload).unwrap_or(usize::MAX).min(rest);
                passed += now;
                self.payload -= now as u64;
                ended = self.payload == 0;
            } else if let Some(&byte) = bytes.get(passed) {
                passed += 1;
                if let Some(place) = self.header.get_mut(self.have) {
                    *place = byte;
                    self.have += 1;
                }
                ended = self.begin_frame_if_complete() && self.payload == 0;
            }
            if ended {
                self.end_of_frame();
                break;
            }
        }
        passed
    }

    /// Whether the header is complete.
    fn begin_frame_if_complete(&mut self) -> bool {
        let [first, second, ..] = self.header;
        let extended: usize = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 || self.have < 2 + extended + mask {
            return false;
        }
        let long = self.header.get(2..2 + extended).unwrap_or_default();
        self.payload = match extended {
            0 => u64::from(second & 0x7f),
            _ => long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        self.have = 0;
        self.last = first & 0x80 != 0;
        self.data = first & 0x08 == 0;
        if self.data {
            self.frames = self.frames.saturating_add(1);
        }
        true
    }

    fn end_of_frame(&mut self) {
        if !(self.data && self.last) {
            return;
        }
        if self.frames > 1 {
            self.many.push_back((self.passed, self.frames));
        }
        self.passed += 1;
        self.frames = 0;
    }

    /// To be called for each message, in order.
    pub(super) fn frames_of_next_message(&mut self) -> u32 {
        let number = self.asked;
        self.asked += 1;
        match self.many.front() {
            Some(&(message, frames)) if message == number => {
                self.many.pop_front();
                frames
            }
            _ => 1,
        }
    }

    pub(super) fn is_mid_message(&self) -> bool {
        self.have > 0 || self.frames > 0 || self.payload > 0
    }
}
