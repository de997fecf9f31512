//! Log Cache: `loggregator.md` 3.4.

use loggregator_consumer::json::to_json;
use loggregator_consumer::v2::EnvelopeMessage;

use super::answers::Answer;
use super::request::Request;
use super::{Fake, messages};

pub(crate) fn answer(fake: &Fake, request: &Request) -> Answer {
    let json = |body: String| Answer::Say {
        status: 200,
        headers: vec![("Content-Type", "application/json".to_owned())],
        body: (body + "\n").into_bytes(),
    };
    if request.path == "/api/v1/info" {
        return json("{\"version\":\"3.0.8\",\"vm_uptime\":\"7\"}".to_owned());
    }
    let known = request.token().is_some_and(|token| fake.who(&token).is_some());
    let Some(source) = request.path.strip_prefix("/api/v1/read/").filter(|_| known) else {
        return Answer::text(404, "404 page not found\n");
    };
    let number = |key: &str| request.value(key).and_then(|value| value.parse::<u64>().ok());
    let (start, end) = (number("start_time").unwrap_or(0), number("end_time").unwrap_or(u64::MAX));
    let limit = number("limit").unwrap_or(100);
    if limit > 1000 {
        return Answer::text(400, "limit must be 1000 or less\n");
    }
    let types: Vec<_> = request.values("envelope_types").collect();
    let mut found: Vec<_> = fake.sent().iter().map(|(number, _)| messages::v2(*number)).collect();
    found.retain(|envelope| {
        let kind = match &envelope.message {
            Some(EnvelopeMessage::Log(_)) => "LOG",
            Some(EnvelopeMessage::Counter(_)) => "COUNTER",
            Some(EnvelopeMessage::Gauge(_)) => "GAUGE",
            Some(EnvelopeMessage::Timer(_)) => "TIMER",
            _ => "EVENT",
        };
        envelope.source_id == source
            && (start..end).contains(&envelope.timestamp.unsigned_abs())
            && (types.is_empty() || types.contains(&kind))
    });
    if request.value("descending") == Some("true") {
        found.reverse();
    }
    let found: Vec<_> = found.iter().take(limit as usize).map(|e| to_json(e, true)).collect();
    json(format!("{{\"envelopes\":{{\"batch\":[{}]}}}}", found.join(",")))
}
