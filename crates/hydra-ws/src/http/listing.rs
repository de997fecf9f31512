//! The list of ingestors.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::Answer;
use crate::json::write_string;
use crate::options::Options;
use crate::registry::Registry;

/// The ingestors of a registry. Their path is where payloads for them go; in the recorded code it
/// is that of an actor.
#[must_use]
pub fn list(registry: &Registry, options: &Options) -> Answer {
    let path = match options.is_recorded() {
        true => "akka://hydra/user/service/ingestor_registry/",
        false => "/ingest/",
    };
    let mut body = vec![b'['];
    for (place, have) in registry.list().iter().enumerate() {
        body.extend_from_slice(if place > 0 { b",{" } else { b"{" });
        if options.is_head() {
            body.extend_from_slice(b"\"group\":\"global\",");
        }
        body.extend_from_slice(b"\"name\":");
        write_string(have.name(), &mut body);
        body.extend_from_slice(b",\"path\":");
        write_string(&format!("{path}{}", have.name()), &mut body);
        body.extend_from_slice(b",\"registeredAt\":");
        write_string(&time(have.since()), &mut body);
        body.push(b'}');
    }
    body.push(b']');
    Answer::json(200, "OK", body)
}

/// A time in UTC with milliseconds. Times before 1970 are shown as its beginning.
fn time(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a day since 1970-01-01, in years that begin in March: a leap day is
/// then the last of its year.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let next = if month <= 2 { 1 } else { 0 };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times() {
        let at = |seconds, millis| {
            time(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis))
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_490_918_399, 999), "2017-03-30T23:59:59.999Z");
        assert_eq!(at(1_709_251_199, 0), "2024-02-29T23:59:59.000Z");
        assert_eq!(at(4_102_444_800, 0), "2100-01-01T00:00:00.000Z");
    }
}
