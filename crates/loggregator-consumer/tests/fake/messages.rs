//! Messages of every kind, made of their number: no two are alike.

use loggregator_consumer::dropsonde::{self, EventType};
use loggregator_consumer::legacy::{self, LogMessage};
use loggregator_consumer::v2::{self, EnvelopeMessage};
use loggregator_consumer::wire::{Message, Text};

pub(crate) const APP: &str = "55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c";

/// The first generation's.
pub(crate) fn line(number: u64) -> Vec<u8> {
    let message: LogMessage = LogMessage {
        message: Some(format!("line {number} \u{e9}\n").into()),
        message_type: Some(legacy::MessageType(1 + (number % 2) as i32)),
        timestamp: Some(number as i64),
        app_id: Some(APP.into()),
        source_id: (!number.is_multiple_of(3)).then(|| (number % 3).to_string().into()),
        drain_urls: (0..number % 3).map(|url| format!("syslog://drain/{url}").into()).collect(),
        source_name: Some("App".into()),
        ..LogMessage::default()
    };
    message.encode()
}

/// The second generation's: each type of event in turn.
pub(crate) fn dropsonde(number: u64) -> Vec<u8> {
    let text = || Some(Text::from(format!("text {number}")));
    let envelope: dropsonde::Envelope = dropsonde::Envelope {
        origin: Some("fake".into()),
        timestamp: Some(number as i64),
        deployment: (!number.is_multiple_of(7)).then(|| "cf".into()),
        index: (!number.is_multiple_of(5)).then(|| "090c92f0-aa2d-fb37-1e6b-53525deef8fc".into()),
        ip: Some("10.0.16.12".into()),
        tags: vec![("app_name".into(), "dora".into()), ("n".into(), number.to_string().into())],
        ..dropsonde::Envelope::default()
    };
    let envelope = match number % 6 {
        0 => dropsonde::Envelope {
            event_type: Some(EventType::HTTP_START_STOP),
            http_start_stop: Some(Box::new(dropsonde::HttpStartStop {
                start_timestamp: Some(number as i64),
                stop_timestamp: Some(number as i64 + 5),
                request_id: Some(dropsonde::UUID {
                    low: Some(number),
                    high: Some(!number),
                    ..Default::default()
                }),
                peer_type: Some(dropsonde::PeerType::SERVER),
                method: Some(dropsonde::Method::PUT),
                uri: text(),
                remote_address: Some("192.0.2.7:4711".into()),
                user_agent: Some("fake/1".into()),
                status_code: Some(200 + (number % 300) as i32),
                content_length: Some(number as i64 * 3),
                forwarded: vec!["10.1.1.1".into(), "10.1.1.2".into()],
                ..Default::default()
            })),
            ..envelope
        },
        1 => dropsonde::Envelope {
            event_type: Some(EventType::LOG_MESSAGE),
            log_message: Some(Box::new(dropsonde::LogMessage {
                message: Some(format!("line {number}").into()),
                message_type: Some(dropsonde::MessageType::ERR),
                timestamp: Some(number as i64 + 1),
                app_id: Some(APP.into()),
                source_type: Some("APP/PROC/WEB".into()),
                source_instance: Some("0".into()),
                unknown: Vec::new(),
            })),
            ..envelope
        },
        2 => dropsonde::Envelope {
            event_type: Some(EventType::VALUE_METRIC),
            value_metric: Some(Box::new(dropsonde::ValueMetric {
                name: text(),
                value: Some(number as f64 / 3.0),
                unit: Some("ms".into()),
                unknown: Vec::new(),
            })),
            ..envelope
        },
        3 => dropsonde::Envelope {
            event_type: Some(EventType::COUNTER_EVENT),
            counter_event: Some(Box::new(dropsonde::CounterEvent {
                name: text(),
                delta: Some(number),
                total: Some(u64::MAX - number),
                unknown: Vec::new(),
            })),
            ..envelope
        },
        4 => dropsonde::Envelope {
            event_type: Some(EventType::ERROR),
            error: Some(Box::new(dropsonde::Error {
                source: Some("rep".into()),
                code: Some(-(number as i32)),
                message: text(),
                unknown: Vec::new(),
            })),
            ..envelope
        },
        _ => dropsonde::Envelope {
            event_type: Some(EventType::CONTAINER_METRIC),
            container_metric: Some(Box::new(dropsonde::ContainerMetric {
                application_id: Some(APP.into()),
                instance_index: Some((number % 9) as i32),
                cpu_percentage: Some(number as f64 * 0.1),
                memory_bytes: Some(number << 20),
                disk_bytes: Some(number << 30),
                memory_bytes_quota: (!number.is_multiple_of(4)).then_some(1 << 30),
                disk_bytes_quota: None,
                unknown: Vec::new(),
            })),
            ..envelope
        },
    };
    envelope.encode()
}

/// The third generation's: each kind in turn.
pub(crate) fn v2(number: u64) -> v2::Envelope {
    let name = || Text::from(format!("name {number}"));
    let message = match number % 5 {
        0 => EnvelopeMessage::Log(v2::Log {
            payload: format!("line {number} \u{e9}\"\\\n").into(),
            r#type: v2::LogType((number % 2) as i32),
            unknown: Vec::new(),
        }),
        1 => EnvelopeMessage::Counter(v2::Counter {
            name: name(),
            delta: number,
            total: u64::MAX - number,
            unknown: Vec::new(),
        }),
        2 => {
            let value = |unit: &str, value| v2::GaugeValue {
                unit: unit.into(),
                value,
                unknown: Vec::new(),
            };
            EnvelopeMessage::Gauge(v2::Gauge {
                metrics: vec![
                    ("cpu".into(), value("percentage", number as f64 / 7.0)),
                    ("memory".into(), value("bytes", number as f64)),
                    ("none".into(), value("", f64::NEG_INFINITY)),
                ],
                unknown: Vec::new(),
            })
        }
        3 => EnvelopeMessage::Timer(v2::Timer {
            name: name(),
            start: number as i64,
            stop: number as i64 + 9,
            unknown: Vec::new(),
        }),
        _ => EnvelopeMessage::Event(v2::Event {
            title: name(),
            body: "<a> & 'b' \u{2028}".into(),
            unknown: Vec::new(),
        }),
    };
    let value = |data| v2::Value { data: Some(data), unknown: Vec::new() };
    let deprecated = || {
        vec![
            ("d".into(), value(v2::ValueData::Decimal(number as f64 / 3.0))),
            ("i".into(), value(v2::ValueData::Integer(-(number as i64)))),
            ("t".into(), value(v2::ValueData::Text(format!("text {number}").into()))),
        ]
    };
    v2::Envelope {
        timestamp: number as i64,
        source_id: APP.into(),
        instance_id: (number % 4).to_string().into(),
        tags: vec![("app_name".into(), "dora".into()), ("n".into(), number.to_string().into())],
        deprecated_tags: if number.is_multiple_of(11) { deprecated() } else { Vec::new() },
        message: Some(message),
        ..v2::Envelope::default()
    }
}

/// A message that says which it is.
pub(crate) trait Numbered: PartialEq + std::fmt::Debug {
    fn number(&self) -> u64;
    /// The message that was sent with this number.
    fn sent(number: u64) -> Self;
}

impl Numbered for LogMessage {
    fn number(&self) -> u64 {
        self.timestamp().unsigned_abs()
    }

    fn sent(number: u64) -> Self {
        Self::decode(&line(number).into()).unwrap()
    }
}

impl Numbered for dropsonde::Envelope {
    fn number(&self) -> u64 {
        self.timestamp().unsigned_abs()
    }

    fn sent(number: u64) -> Self {
        Self::decode(&dropsonde(number).into()).unwrap()
    }
}

impl Numbered for v2::Envelope {
    fn number(&self) -> u64 {
        self.timestamp.unsigned_abs()
    }

    fn sent(number: u64) -> Self {
        v2(number)
    }
}
