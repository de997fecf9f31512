//! Codes, and the words that go with them.

use std::borrow::Cow;
use std::time::Duration;

use crate::failure::{Failure, FailureKind};
use crate::options::Options;

/// The words of a code.
pub(crate) const fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        408 => "Request Timeout",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

/// What became of a request at one ingestor (hydra.md 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It joined, and has not answered.
    Joined,
    Completed,
    TimedOut,
    Failed(Failure),
}

impl State {
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Joined)
    }

    /// Its code and text. What has not answered counts as timed out: a report is only made when
    /// everybody has, or time is up.
    pub(crate) fn code_and_text(&self, options: &Options) -> (u16, Cow<'_, str>) {
        let failure = match self {
            Self::Completed => return (200, Cow::Borrowed(reason(200))),
            Self::Joined | Self::TimedOut => return (408, Cow::Borrowed(reason(408))),
            Self::Failed(failure) => failure,
        };
        let message = Cow::Borrowed(failure.message());
        match failure.kind() {
            FailureKind::Invalid => (400, message),
            FailureKind::Unavailable => (503, message),
            _ if options.is_head() => match failure.cause() {
                Some(cause) => (503, Cow::Owned(format!("{message}: {cause}"))),
                None => (503, message),
            },
            FailureKind::Error if options.is_recorded() => (408, Cow::Borrowed(reason(408))),
            FailureKind::Error | FailureKind::Ingestion => (500, message),
        }
    }
}

/// The text of a request whose time is up.
pub(crate) fn nobody_in_time(timeout: Duration) -> String {
    let (millis, seconds) = (timeout.as_millis(), timeout.as_secs());
    let (count, unit) = match timeout.subsec_nanos() {
        0 => (u128::from(seconds), "second"),
        _ => (millis, "millisecond"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("No ingestors completed the request in {count} {unit}{plural}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    #[test]
    fn errors_by_dialect_and_mode() {
        let show = |failure: Failure, options: &Options| {
            let state = State::Failed(failure);
            let (code, text) = state.code_and_text(options);
            (code, text.into_owned())
        };
        let error = || Failure::error("boom").caused_by("inner");
        let hie = || Failure::new(FailureKind::Ingestion, "boom2");
        let text = |code, text: &str| (code, text.to_owned());
        for dialect in [Dialect::Doc, Dialect::Seed] {
            let recorded = Options::recorded(dialect);
            assert_eq!(show(error(), &recorded), text(408, "Request Timeout"));
            assert_eq!(show(hie(), &recorded), text(500, "boom2"));
            let mended = Options::new(dialect);
            assert_eq!(show(error(), &mended), text(500, "boom"));
            assert_eq!(show(hie(), &mended), text(500, "boom2"));
            assert_eq!(show(Failure::unavailable("later"), &mended), text(503, "later"));
        }
        for head in [Options::new(Dialect::Head), Options::recorded(Dialect::Head)] {
            assert_eq!(show(error(), &head), text(503, "boom: inner"));
            assert_eq!(show(Failure::error("boom"), &head), text(503, "boom"));
            assert_eq!(show(Failure::unknown(), &head), text(503, "Unknown error."));
            assert_eq!(show(Failure::invalid("bad payload"), &head), text(400, "bad payload"));
        }
    }

    #[test]
    fn the_time_is_spelt_out() {
        let words = |millis| nobody_in_time(Duration::from_millis(millis));
        assert_eq!(words(3000), "No ingestors completed the request in 3 seconds.");
        assert_eq!(words(1000), "No ingestors completed the request in 1 second.");
        assert_eq!(words(1500), "No ingestors completed the request in 1500 milliseconds.");
    }
}
