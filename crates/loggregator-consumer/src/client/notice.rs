//! What servers say of messages that they did not send: doppler's buffer, when it overflows, is
//! emptied, and a line and a counter take the place of what it held.

/// So many messages were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A line of source `LGR` or `DOP` says it.
    Line(u64),
    /// The counter says it, after the line if lines are wanted.
    Counter(u64),
}

/// The name of the counter.
const COUNTER: &[u8] = b"TruncatingBuffer.DroppedMessages";
/// Who counts: the old and the new name of doppler's.
const ORIGINS: [&[u8]; 2] = [b"doppler", b"DopplerServer"];
const SOURCES: [&[u8]; 2] = [b"LGR", b"DOP"];

/// What a line of the platform's own says.
pub(crate) fn line(source: &[u8], message: &[u8]) -> Option<Notice> {
    if !SOURCES.contains(&source) {
        return None;
    }
    let text = str::from_utf8(message).ok()?;
    // Older servers: "too high. We've dropped 3 messages". Later: "is too high. 3 messages dropped".
    let behind = text.strip_prefix("Log message output ")?.split_once("too high. ")?.1;
    if !behind.contains("dropped") {
        return None;
    }
    let digits = behind.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok().map(Notice::Line)
}

/// What a counter says.
pub(crate) fn counter(origin: &[u8], name: &[u8], delta: u64) -> Option<Notice> {
    (name == COUNTER && ORIGINS.contains(&origin)).then_some(Notice::Counter(delta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_all_versions_are_known() {
        for text in [
            "Log message output too high. We've dropped 100 messages",
            "Log message output too high. We've dropped 100 messages to sink.",
            "Log message output is too high. 100 messages dropped (Total 700 messages dropped) to s.",
        ] {
            assert_eq!(line(b"LGR", text.as_bytes()), Some(Notice::Line(100)), "{text}");
            assert_eq!(line(b"App", text.as_bytes()), None);
        }
        assert_eq!(line(b"LGR", b"Log message output is too high. Nothing more"), None);
        let name = b"TruncatingBuffer.DroppedMessages";
        assert_eq!(counter(b"doppler", name, 7), Some(Notice::Counter(7)));
        assert_eq!(counter(b"rep", name, 7), None);
    }
}
