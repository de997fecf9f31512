//! Envelopes of the second generation.

use loggregator_consumer::dropsonde::{
    ContainerMetric, CounterEvent, Envelope, Error, EventType, HttpStartStop, LogMessage,
    ValueMetric,
};
use loggregator_consumer::json::to_json;

use super::{Mapped, Mapper, Mapping, address, nanos};
use crate::config::LoggregatorKind;

impl Mapped for Envelope {
    fn map(&self, to: &mut Mapper) -> Mapping {
        to.texts(&[
            ("origin", &self.origin),
            ("deployment", &self.deployment),
            ("job", &self.job),
            ("index", &self.index),
            ("ip", &self.ip),
        ]);
        if let Some(kind) = self.event_type {
            match kind.name() {
                Some(name) => to.value("event_type", name),
                None => to.value("event_type", kind.0),
            }
        }
        let event = self.event_type();
        let (own, kind) = match event {
            EventType::LOG_MESSAGE => {
                (self.log_message.as_ref().and_then(|m| m.timestamp), LoggregatorKind::Log)
            }
            EventType::HTTP_START_STOP => {
                let http = self.http_start_stop.as_ref();
                (http.and_then(|http| http.start_timestamp), LoggregatorKind::Http)
            }
            EventType::VALUE_METRIC => (None, LoggregatorKind::Gauge),
            EventType::COUNTER_EVENT => (None, LoggregatorKind::Counter),
            EventType::ERROR => (None, LoggregatorKind::Error),
            EventType::CONTAINER_METRIC => (None, LoggregatorKind::Container),
            _ => (None, LoggregatorKind::Event),
        };
        // The event decides the data; the values are those of all that is there.
        match (event, &self.log_message, &self.error) {
            (EventType::LOG_MESSAGE, Some(line), _) => to.data.extend_from_slice(line.message()),
            (EventType::ERROR, _, Some(error)) => {
                let text = error.message.as_ref().map_or(&[][..], |text| text.as_bytes());
                to.data.extend_from_slice(text);
            }
            _ => to.data.extend_from_slice(payload(self).as_bytes()),
        }
        if let Some(line) = &self.log_message {
            log(line, to);
        }
        if let Some(http) = &self.http_start_stop {
            request(http, to);
        }
        if let Some(metric) = &self.value_metric {
            value(metric, to);
        }
        if let Some(event) = &self.counter_event {
            counter(event, to);
        }
        if let Some(error) = &self.error {
            fault(error, to);
        }
        if let Some(metric) = &self.container_metric {
            container(metric, to);
        }
        to.tags(&self.tags);
        to.unknown(&self.unknown);
        let nanos = nanos(own).or_else(|| nanos(self.timestamp));
        if let Some(envelope) = self.timestamp.filter(|own| Some(*own) != nanos) {
            to.value("lg.envelope_timestamp", envelope);
        }
        let tagged = self.tags.iter().find(|(key, _)| *key == "ip").map(|(_, value)| value);
        let src = address(self.ip.as_ref());
        let src = if src.is_none() { address(tagged) } else { src };
        Mapping { nanos, src, kind }
    }
}

/// The JSON of what the envelope holds.
fn payload(envelope: &Envelope) -> String {
    match envelope.event_type() {
        EventType::HTTP_START_STOP => {
            envelope.http_start_stop.as_deref().map(|m| to_json(m, false))
        }
        EventType::VALUE_METRIC => envelope.value_metric.as_deref().map(|m| to_json(m, false)),
        EventType::COUNTER_EVENT => envelope.counter_event.as_deref().map(|m| to_json(m, false)),
        EventType::CONTAINER_METRIC => {
            envelope.container_metric.as_deref().map(|m| to_json(m, false))
        }
        _ => None,
    }
    .unwrap_or_default()
}

fn log(line: &LogMessage, to: &mut Mapper) {
    to.stream(line.message_type.map(|kind| (kind.0, kind.name())));
    to.texts(&[
        ("app_id", &line.app_id),
        ("source_type", &line.source_type),
        ("source_instance", &line.source_instance),
    ]);
    to.unknown(&line.unknown);
}

fn request(http: &HttpStartStop, to: &mut Mapper) {
    for (name, id) in [("requestId", &http.request_id), ("applicationId", &http.application_id)] {
        if let Some(id) = id {
            to.value(name, id.to_string().as_str());
        }
    }
    for (name, number) in [
        ("startTimestamp", http.start_timestamp),
        ("stopTimestamp", http.stop_timestamp),
        ("contentLength", http.content_length),
    ] {
        if let Some(number) = number {
            to.value(name, number);
        }
    }
    for (name, number) in [("statusCode", http.status_code), ("instanceIndex", http.instance_index)]
    {
        if let Some(number) = number {
            to.value(name, number);
        }
    }
    let peer = http.peer_type.map(|peer| (peer.name(), peer.0));
    let method = http.method.map(|method| (method.name(), method.0));
    for (name, value) in [("peerType", peer), ("method", method)] {
        match value {
            Some((Some(text), _)) => to.value(name, text),
            Some((None, number)) => to.value(name, number),
            None => {}
        }
    }
    to.texts(&[
        ("uri", &http.uri),
        ("remoteAddress", &http.remote_address),
        ("userAgent", &http.user_agent),
        ("instanceId", &http.instance_id),
    ]);
    for (index, address) in http.forwarded.iter().enumerate() {
        to.text(format!("forwarded.{index}"), address);
    }
    to.unknown(&http.unknown);
}

fn value(metric: &ValueMetric, to: &mut Mapper) {
    to.texts(&[("name", &metric.name), ("unit", &metric.unit)]);
    if let Some(value) = metric.value {
        to.value("value", value);
    }
    to.unknown(&metric.unknown);
}

fn counter(event: &CounterEvent, to: &mut Mapper) {
    to.texts(&[("name", &event.name)]);
    for (name, number) in [("delta", event.delta), ("total", event.total)] {
        if let Some(number) = number {
            to.value(name, number);
        }
    }
    to.unknown(&event.unknown);
}

fn fault(error: &Error, to: &mut Mapper) {
    to.texts(&[("source", &error.source)]);
    if let Some(code) = error.code {
        to.value("code", code);
    }
    to.unknown(&error.unknown);
}

fn container(metric: &ContainerMetric, to: &mut Mapper) {
    to.texts(&[("applicationId", &metric.application_id)]);
    if let Some(index) = metric.instance_index {
        to.value("instanceIndex", index);
    }
    if let Some(cpu) = metric.cpu_percentage {
        to.value("cpuPercentage", cpu);
    }
    for (name, number) in [
        ("memoryBytes", metric.memory_bytes),
        ("diskBytes", metric.disk_bytes),
        ("memoryBytesQuota", metric.memory_bytes_quota),
        ("diskBytesQuota", metric.disk_bytes_quota),
    ] {
        if let Some(number) = number {
            to.value(name, number);
        }
    }
    to.unknown(&metric.unknown);
}
