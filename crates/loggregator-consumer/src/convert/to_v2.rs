//! From the second generation to the third.

use bytes::Bytes;

use super::tags::{copy, set, take};
use crate::dropsonde::{Envelope, EventType, HttpStartStop, MessageType};
use crate::v2::{self, EnvelopeMessage, GaugeValue, LogType};
use crate::wire::Text;

/// The envelope of the third generation for one of the second. All of its fields become tags; the
/// timestamp of a line itself is lost, that of its envelope is kept.
#[must_use]
pub fn to_v2(from: &Envelope) -> v2::Envelope {
    let mut to = v2::Envelope { timestamp: from.timestamp(), ..v2::Envelope::default() };
    to.tags = from.tags.clone();
    for (key, value) in [
        ("origin", &from.origin),
        ("deployment", &from.deployment),
        ("job", &from.job),
        ("index", &from.index),
        ("ip", &from.ip),
    ] {
        set(&mut to.tags, key, value.clone().unwrap_or_default());
    }
    let kind = from.event_type();
    let name = kind.name().map_or_else(|| kind.0.to_string(), str::to_owned);
    set(&mut to.tags, "__v1_type", name);
    to.source_id = take(&mut to.tags, "source_id")
        .unwrap_or_else(|| [from.deployment().as_ref(), "/", from.job().as_ref()].concat().into());
    match kind {
        EventType::HTTP_START_STOP => request(from, &mut to),
        EventType::LOG_MESSAGE => line(from, &mut to),
        EventType::VALUE_METRIC => value(from, &mut to),
        EventType::COUNTER_EVENT => counter(from, &mut to),
        EventType::ERROR => error(from, &mut to),
        EventType::CONTAINER_METRIC => container(from, &mut to),
        _ => {}
    }
    to
}

fn line(from: &Envelope, to: &mut v2::Envelope) {
    let line = *from.log_message.clone().unwrap_or_default();
    if let Some(app) = line.app_id.clone().filter(|app| !app.is_empty()) {
        to.source_id = app;
    }
    to.instance_id = line.source_instance.clone().unwrap_or_default();
    set(&mut to.tags, "source_type", line.source_type.clone().unwrap_or_default());
    let r#type = if line.message_type() == MessageType::ERR { LogType::ERR } else { LogType::OUT };
    to.message = Some(EnvelopeMessage::Log(v2::Log {
        payload: line.message.unwrap_or_default(),
        r#type,
        unknown: Vec::new(),
    }));
}

fn request(from: &Envelope, to: &mut v2::Envelope) {
    let http: HttpStartStop = *from.http_start_stop.clone().unwrap_or_default();
    if let Some(app) = http.application_id.as_ref().filter(|id| id.to_bytes() != [0; 16]) {
        to.source_id = app.to_string().into();
    }
    to.instance_id = http.instance_index().to_string().into();
    let request_id = http.request_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = |name: Option<&'static str>, number: i32| {
        name.map_or_else(|| number.to_string(), str::to_owned)
    };
    let forwarded: Vec<&[u8]> = http.forwarded.iter().map(Text::as_bytes).collect();
    for (key, value) in [
        ("request_id", Text::from(request_id)),
        ("peer_type", name(http.peer_type().name(), http.peer_type().0).into()),
        ("method", name(http.method().name(), http.method().0).into()),
        ("uri", http.uri.clone().unwrap_or_default()),
        ("remote_address", http.remote_address.clone().unwrap_or_default()),
        ("user_agent", http.user_agent.clone().unwrap_or_default()),
        ("status_code", http.status_code().to_string().into()),
        ("content_length", http.content_length().to_string().into()),
        ("routing_instance_id", http.instance_id.clone().unwrap_or_default()),
        ("forwarded", copy(&forwarded.join(&b'\n'))),
    ] {
        set(&mut to.tags, key, value);
    }
    to.message = Some(EnvelopeMessage::Timer(v2::Timer {
        name: "http".into(),
        start: http.start_timestamp(),
        stop: http.stop_timestamp(),
        unknown: Vec::new(),
    }));
}

fn gauge(value: f64, unit: Text) -> GaugeValue {
    GaugeValue { unit, value, unknown: Vec::new() }
}

fn value(from: &Envelope, to: &mut v2::Envelope) {
    let metric = *from.value_metric.clone().unwrap_or_default();
    let instance = to.tags.iter().find(|(key, _)| *key == "instance_id");
    to.instance_id = instance.map(|(_, value)| value.clone()).unwrap_or_default();
    let value = gauge(metric.value(), metric.unit.clone().unwrap_or_default());
    let metrics = vec![(metric.name.unwrap_or_default(), value)];
    to.message = Some(EnvelopeMessage::Gauge(v2::Gauge { metrics, unknown: Vec::new() }));
}

fn counter(from: &Envelope, to: &mut v2::Envelope) {
    let counter = *from.counter_event.clone().unwrap_or_default();
    to.instance_id = take(&mut to.tags, "instance_id").unwrap_or_default();
    to.message = Some(EnvelopeMessage::Counter(v2::Counter {
        delta: counter.delta(),
        total: counter.total(),
        name: counter.name.unwrap_or_default(),
        unknown: Vec::new(),
    }));
}

fn error(from: &Envelope, to: &mut v2::Envelope) {
    let error = *from.error.clone().unwrap_or_default();
    set(&mut to.tags, "source", error.source.clone().unwrap_or_default());
    set(&mut to.tags, "code", error.code().to_string());
    to.message = Some(EnvelopeMessage::Log(v2::Log {
        payload: error.message.map_or_else(Bytes::new, Text::into_inner),
        r#type: LogType::OUT,
        unknown: Vec::new(),
    }));
}

fn container(from: &Envelope, to: &mut v2::Envelope) {
    let metric = *from.container_metric.clone().unwrap_or_default();
    if let Some(app) = metric.application_id.clone().filter(|app| !app.is_empty()) {
        to.source_id = app;
    }
    to.instance_id = metric.instance_index().to_string().into();
    let bytes = |count: u64| gauge(count as f64, "bytes".into());
    let metrics = vec![
        ("cpu".into(), gauge(metric.cpu_percentage(), "percentage".into())),
        ("memory".into(), bytes(metric.memory_bytes())),
        ("disk".into(), bytes(metric.disk_bytes())),
        ("memory_quota".into(), bytes(metric.memory_bytes_quota())),
        ("disk_quota".into(), bytes(metric.disk_bytes_quota())),
    ];
    to.message = Some(EnvelopeMessage::Gauge(v2::Gauge { metrics, unknown: Vec::new() }));
}
