//! From the third generation to the second.

use super::tags::{Tags, all_of, copy, set, take};
use crate::dropsonde::{
    ContainerMetric, CounterEvent, Envelope, Error, EventType, HttpStartStop, LogMessage,
    MessageType, Method, PeerType, UUID, ValueMetric,
};
use crate::v2::{self, EnvelopeMessage, GaugeValue, LogType};
use crate::wire::Text;

/// The envelopes of the second generation for one of the third: one for each metric of a gauge,
/// unless it is a container's; none for an event.
///
/// What comes of a line without a byte, or of a time span without a valid `request_id`, lacks a
/// required field: the platform cannot send it, and so loses it.
#[must_use]
pub fn to_v1(from: &v2::Envelope) -> Vec<Envelope> {
    let mut tags = all_of(from);
    let v1_type = take(&mut tags, "__v1_type").unwrap_or_default();
    let mut field = |key| Some(take(&mut tags, key).unwrap_or_default());
    let mut to = Envelope {
        origin: field("origin"),
        deployment: field("deployment"),
        job: field("job"),
        index: field("index"),
        ip: field("ip"),
        timestamp: Some(from.timestamp),
        ..Envelope::default()
    };
    if !from.source_id.is_empty() {
        set(&mut tags, "source_id", from.source_id.clone());
    }
    match &from.message {
        Some(EnvelopeMessage::Log(log)) if v1_type == "Error" => error(log, &mut tags, &mut to),
        Some(EnvelopeMessage::Log(log)) => line(from, log, &mut tags, &mut to),
        Some(EnvelopeMessage::Counter(counter)) => {
            keep_instance(from, &mut tags);
            to.event_type = Some(EventType::COUNTER_EVENT);
            to.counter_event = Some(Box::new(CounterEvent {
                name: Some(counter.name.clone()),
                delta: Some(counter.delta),
                total: Some(counter.total),
                unknown: Vec::new(),
            }));
        }
        Some(EnvelopeMessage::Timer(timer)) => request(from, timer, &mut tags, &mut to),
        Some(EnvelopeMessage::Gauge(gauge)) => return metrics(from, gauge, tags, &to),
        Some(EnvelopeMessage::Event(_)) | None => return Vec::new(),
    }
    to.tags = tags;
    vec![to]
}

fn keep_instance(from: &v2::Envelope, tags: &mut Tags) {
    if !from.instance_id.is_empty() {
        set(tags, "instance_id", from.instance_id.clone());
    }
}

fn error(log: &v2::Log, tags: &mut Tags, to: &mut Envelope) {
    to.event_type = Some(EventType::ERROR);
    to.error = Some(Box::new(Error {
        source: Some(take(tags, "source").unwrap_or_default()),
        code: Some(number(take(tags, "code").as_ref())),
        message: Some(Text::new(log.payload.clone())),
        unknown: Vec::new(),
    }));
}

fn line(from: &v2::Envelope, log: &v2::Log, tags: &mut Tags, to: &mut Envelope) {
    to.event_type = Some(EventType::LOG_MESSAGE);
    to.log_message = Some(Box::new(LogMessage {
        message: Some(log.payload.clone()).filter(|payload| !payload.is_empty()),
        message_type: Some(match log.r#type {
            LogType::ERR => MessageType::ERR,
            _ => MessageType::OUT,
        }),
        timestamp: Some(from.timestamp),
        app_id: Some(from.source_id.clone()),
        source_type: Some(take(tags, "source_type").unwrap_or_default()),
        source_instance: Some(from.instance_id.clone()),
        unknown: Vec::new(),
    }));
}

/// What a text says, or 0.
fn number<T: std::str::FromStr + Default>(text: Option<&Text>) -> T {
    text.and_then(Text::to_str).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn request(from: &v2::Envelope, timer: &v2::Timer, tags: &mut Tags, to: &mut Envelope) {
    to.event_type = Some(EventType::HTTP_START_STOP);
    let mut tag = |key| take(tags, key).unwrap_or_default();
    let uuid = |text: &Text| text.to_str().and_then(UUID::parse);
    let method = tag("method").to_str().and_then(Method::from_name).unwrap_or(Method(0));
    let peer_type = tag("peer_type").to_str().and_then(PeerType::from_name);
    let forwarded = tag("forwarded");
    to.http_start_stop = Some(Box::new(HttpStartStop {
        start_timestamp: Some(timer.start),
        stop_timestamp: Some(timer.stop),
        request_id: uuid(&tag("request_id")),
        peer_type: Some(peer_type.unwrap_or(PeerType(0))),
        method: Some(method),
        uri: Some(tag("uri")),
        remote_address: Some(tag("remote_address")),
        user_agent: Some(tag("user_agent")),
        status_code: Some(number(Some(&tag("status_code")))),
        content_length: Some(number(Some(&tag("content_length")))),
        application_id: uuid(&from.source_id),
        instance_index: Some(number(Some(&from.instance_id))),
        instance_id: Some(tag("routing_instance_id")),
        forwarded: forwarded.as_bytes().split(|&byte| byte == b'\n').map(copy).collect(),
        unknown: Vec::new(),
    }));
}

fn metrics(
    from: &v2::Envelope,
    gauge: &v2::Gauge,
    mut tags: Tags,
    base: &Envelope,
) -> Vec<Envelope> {
    if let Some(metric) = container(from, gauge) {
        return vec![Envelope {
            event_type: Some(EventType::CONTAINER_METRIC),
            container_metric: Some(Box::new(metric)),
            tags,
            ..base.clone()
        }];
    }
    keep_instance(from, &mut tags);
    let one = |(name, value): &(Text, GaugeValue)| Envelope {
        event_type: Some(EventType::VALUE_METRIC),
        value_metric: Some(Box::new(ValueMetric {
            name: Some(name.clone()),
            value: Some(value.value),
            unit: Some(value.unit.clone()),
            unknown: Vec::new(),
        })),
        tags: tags.clone(),
        ..base.clone()
    };
    gauge.metrics.iter().map(one).collect()
}

/// A container's metric, if all five are there, each with a unit or a value.
fn container(from: &v2::Envelope, gauge: &v2::Gauge) -> Option<ContainerMetric> {
    let metric = |name| {
        let value = &gauge.metrics.iter().find(|(key, _)| *key == name)?.1;
        (!value.unit.is_empty() || value.value != 0.0).then_some(value.value)
    };
    let (cpu, memory, disk) = (metric("cpu")?, metric("memory")?, metric("disk")?);
    let (memory_quota, disk_quota) = (metric("memory_quota")?, metric("disk_quota")?);
    Some(ContainerMetric {
        application_id: Some(from.source_id.clone()),
        instance_index: Some(number(Some(&from.instance_id))),
        cpu_percentage: Some(cpu),
        memory_bytes: Some(memory as u64),
        disk_bytes: Some(disk as u64),
        memory_bytes_quota: Some(memory_quota as u64),
        disk_bytes_quota: Some(disk_quota as u64),
        unknown: Vec::new(),
    })
}
