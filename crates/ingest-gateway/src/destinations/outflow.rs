//! How entries go out: what the configuration says, as the muxer understands it.

use std::time::{SystemTime, UNIX_EPOCH};

use ingest_entry::Timestamp;
use ingest_mux::{From, Output};

use crate::config::{OnLag, Outflow, StartAt};

/// The output with that.
pub(crate) fn apply(output: Output, outflow: &Outflow) -> Output {
    let from = match outflow.from {
        StartAt::End => From::End,
        StartAt::Oldest => From::Oldest,
        StartAt::Time(time) => From::Arrived(unix_nanos(time.resolve(now()))),
    };
    let on_lag = match outflow.on_lag {
        OnLag::DropOldest => ingest_mux::OnLag::DropOldest,
        OnLag::Block => ingest_mux::OnLag::Block,
    };
    let output = output.from(from).max_lag(outflow.max_lag, on_lag);
    match outflow.rate_limit {
        Some(rate) => output.rate_limit(rate),
        None => output,
    }
}

fn now() -> Timestamp {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Timestamp::from_unix_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// As the log writes times of arrival; those that it cannot write are the first or the last.
fn unix_nanos(time: Timestamp) -> i64 {
    let far = if time < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(time.unix_nanos()).unwrap_or(far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_log() {
        assert_eq!(unix_nanos(Timestamp::from_unix_nanos(1_500_000_000)), 1_500_000_000);
        assert_eq!(unix_nanos(Timestamp::MIN), i64::MIN);
        assert_eq!(unix_nanos(Timestamp::MAX), i64::MAX);
    }
}
