//! What a server of the first generation keeps.

use std::time::SystemTime;

use super::answers::Answer;
use super::{Fake, messages};

/// How many messages are kept of an application.
const KEPT: usize = 100;
const BOUNDARY: &str = "7be2cf5a16c5c2bc1ec5b8e4b1ef5b1ea0f9a3c39b4d4e8bd1a2c5d1e7f0";

/// The last messages, oldest first.
pub(crate) fn kept(fake: &Fake) -> Vec<(u64, SystemTime)> {
    let sent = fake.sent();
    sent[sent.len().saturating_sub(KEPT)..].to_vec()
}

/// `/recent`: parts without headers, as the real server writes them.
pub(crate) fn answer(fake: &Fake) -> Answer {
    let mut body = Vec::new();
    for (number, _) in kept(fake) {
        let before = if body.is_empty() { "" } else { "\r\n" };
        body.extend_from_slice(format!("{before}--{BOUNDARY}\r\n\r\n").as_bytes());
        body.extend_from_slice(&messages::line(number));
    }
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/x-protobuf; boundary={BOUNDARY}");
    Answer::Say { status: 200, headers: vec![("Content-Type", kind)], body }
}
