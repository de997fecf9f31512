//! What is decoded and sent.

use loggregator_consumer::json::to_json;
use loggregator_consumer::wire::Message as _;
use loggregator_consumer::{dropsonde, legacy, v2};

const APP: &str = "55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c";
const NANOS: i64 = 1_700_000_000_123_456_789;

/// Envelopes of an event of the gateway, as many as it sends at most.
pub(super) const BATCH: usize = 100;

/// A line of 200 bytes.
fn line() -> Vec<u8> {
    let text = "2026-11-21T10:11:12.131415Z app[4711]: GET /api/v1/items/42 HTTP/1.1 200 17 ms ";
    text.bytes().cycle().take(200).collect()
}

pub(super) fn legacy() -> Vec<u8> {
    let message: legacy::LogMessage = legacy::LogMessage {
        message: Some(line().into()),
        message_type: Some(legacy::MessageType::OUT),
        timestamp: Some(NANOS),
        app_id: Some(APP.into()),
        source_id: Some("0".into()),
        source_name: Some("App".into()),
        ..legacy::LogMessage::default()
    };
    message.encode()
}

const TAGS: [(&str, &str); 8] = [
    ("app_name", "dora"),
    ("organization_name", "system"),
    ("process_type", "web"),
    ("source_id", APP),
    ("space_name", "production"),
    ("deployment", "cf"),
    ("index", "090c92f0-aa2d-fb37-1e6b-53525deef8fc"),
    ("job", "diego-cell"),
];

pub(super) fn dropsonde() -> Vec<u8> {
    let envelope: dropsonde::Envelope = dropsonde::Envelope {
        origin: Some("rep".into()),
        event_type: Some(dropsonde::EventType::LOG_MESSAGE),
        timestamp: Some(NANOS),
        deployment: Some("cf".into()),
        job: Some("diego-cell".into()),
        index: Some("090c92f0-aa2d-fb37-1e6b-53525deef8fc".into()),
        ip: Some("10.0.16.12".into()),
        tags: TAGS.iter().take(5).map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        log_message: Some(Box::new(dropsonde::LogMessage {
            message: Some(line().into()),
            message_type: Some(dropsonde::MessageType::OUT),
            timestamp: Some(NANOS),
            app_id: Some(APP.into()),
            source_type: Some("APP/PROC/WEB".into()),
            source_instance: Some("0".into()),
            unknown: Vec::new(),
        })),
        ..dropsonde::Envelope::default()
    };
    envelope.encode()
}

fn envelope() -> v2::Envelope {
    v2::Envelope {
        timestamp: NANOS,
        source_id: APP.into(),
        instance_id: "0".into(),
        tags: TAGS.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        message: Some(v2::EnvelopeMessage::Log(v2::Log {
            payload: line().into(),
            ..v2::Log::default()
        })),
        ..v2::Envelope::default()
    }
}

pub(super) fn v2() -> Vec<u8> {
    envelope().encode()
}

/// A batch as the gateway writes it.
pub(super) fn json() -> Vec<u8> {
    let batch = v2::EnvelopeBatch { batch: vec![envelope(); BATCH], unknown: Vec::new() };
    to_json(&batch, true).into_bytes()
}
