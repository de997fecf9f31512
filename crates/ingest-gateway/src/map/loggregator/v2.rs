//! Envelopes of the third generation.

use loggregator_consumer::json::to_json;
use loggregator_consumer::v2::{Envelope, EnvelopeMessage, ValueData};

use super::{Mapped, Mapper, Mapping, address, nanos};
use crate::config::LoggregatorKind;

impl Mapped for Envelope {
    fn map(&self, to: &mut Mapper) -> Mapping {
        to.text("source_id", &self.source_id);
        to.text("instance_id", &self.instance_id);
        let kind = match &self.message {
            Some(EnvelopeMessage::Log(log)) => {
                to.data.extend_from_slice(&log.payload);
                to.value("message_type", log.r#type.0);
                if let Some(name) = log.r#type.name() {
                    to.value("stream", name);
                }
                to.unknown(&log.unknown);
                LoggregatorKind::Log
            }
            Some(EnvelopeMessage::Event(event)) => {
                to.data.extend_from_slice(event.title.as_bytes());
                to.data.push(b'\n');
                to.data.extend_from_slice(event.body.as_bytes());
                to.text("title", &event.title);
                to.unknown(&event.unknown);
                LoggregatorKind::Event
            }
            Some(EnvelopeMessage::Counter(counter)) => {
                to.data.extend_from_slice(to_json(counter, true).as_bytes());
                to.text("name", &counter.name);
                to.value("delta", counter.delta);
                to.value("total", counter.total);
                to.unknown(&counter.unknown);
                LoggregatorKind::Counter
            }
            Some(EnvelopeMessage::Gauge(gauge)) => {
                to.data.extend_from_slice(to_json(gauge, true).as_bytes());
                for (name, metric) in &gauge.metrics {
                    let name = |end: &[u8]| [b"metrics.", name.as_bytes(), end].concat();
                    to.value(name(b".value"), metric.value);
                    to.text(name(b".unit"), &metric.unit);
                }
                to.unknown(&gauge.unknown);
                LoggregatorKind::Gauge
            }
            Some(EnvelopeMessage::Timer(timer)) => {
                to.data.extend_from_slice(to_json(timer, true).as_bytes());
                to.text("name", &timer.name);
                to.value("start", timer.start);
                to.value("stop", timer.stop);
                to.value("duration_ns", timer.stop.saturating_sub(timer.start));
                to.unknown(&timer.unknown);
                LoggregatorKind::Timer
            }
            None => LoggregatorKind::Event,
        };
        if self.message.is_some() {
            to.value("event_type", kind.as_str());
        }
        to.tags(&self.tags);
        for (key, value) in &self.deprecated_tags {
            let name = [b"deprecated_tags.", key.as_bytes()].concat();
            match &value.data {
                Some(ValueData::Text(text)) => to.text(name, text),
                Some(ValueData::Integer(number)) => to.value(name, *number),
                Some(ValueData::Decimal(number)) => to.value(name, *number),
                None => {}
            }
        }
        to.unknown(&self.unknown);
        let ip = self.tags.iter().find(|(key, _)| *key == "ip").map(|(_, value)| value);
        Mapping { nanos: nanos(Some(self.timestamp)), src: address(ip), kind }
    }
}

#[cfg(test)]
mod tests {
    use ingest_entry::TagId;
    use loggregator_consumer::v2::{Log, Timer};

    use super::super::{Tagger, Transport};
    use super::*;

    fn names(mapper: &mut Mapper, envelope: &Envelope) -> Vec<String> {
        let entry = mapper.entry(envelope, 5);
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        entry.values.iter().map(|value| name(value.name())).collect()
    }

    #[test]
    fn every_part_of_an_envelope_is_in_its_entry() {
        let tags = vec![(LoggregatorKind::Log, TagId(7))];
        let transport = Transport { endpoint: "https://h".to_owned(), ..Transport::default() };
        let mut mapper = Mapper::new(Tagger::new(TagId(3)).kinds(tags), transport);
        let mut envelope = Envelope {
            timestamp: 1_700_000_000_123_456_789,
            source_id: "app".into(),
            tags: vec![("ip".into(), "10.0.16.12".into()), ("k".into(), "v".into())],
            message: Some(EnvelopeMessage::Log(Log { payload: "hi".into(), ..Log::default() })),
            unknown: vec![0x88, 0x01, 1],
            ..Envelope::default()
        };
        let entry = mapper.entry(&envelope, 5);
        assert_eq!((entry.data, entry.tag), (&b"hi"[..], TagId(7)));
        assert_eq!(entry.ts.unix_nanos(), 1_700_000_000_123_456_789);
        assert_eq!(entry.src.to_ip().map(|ip| ip.to_string()).as_deref(), Some("10.0.16.12"));
        let found = names(&mut mapper, &envelope);
        let expected = [
            "source_id",
            "instance_id",
            "message_type",
            "stream",
            "event_type",
            "tags.ip",
            "tags.k",
            "_unknown",
            "lg.endpoint",
        ];
        assert_eq!(found, expected);
        // Without a time it is that of receipt, and another kind has the other tag.
        envelope.timestamp = 0;
        envelope.message =
            Some(EnvelopeMessage::Timer(Timer { start: 3, stop: 10, ..Timer::default() }));
        let entry = mapper.entry(&envelope, 5);
        assert_eq!((entry.ts.unix_nanos(), entry.tag), (5, TagId(3)));
        assert_eq!(
            entry.values.find("ts_missing").map(|v| format!("{v:?}")).as_deref(),
            Some("Bool(true)")
        );
        assert_eq!(
            entry.values.find("duration_ns").map(|v| format!("{v:?}")).as_deref(),
            Some("I64(7)")
        );
    }
}
