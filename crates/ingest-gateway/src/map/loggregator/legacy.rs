//! Messages of the first generation.

use ingest_entry::Source;
use loggregator_consumer::legacy::LogMessage;

use super::{Mapped, Mapper, Mapping, nanos};
use crate::config::LoggregatorKind;

impl Mapped for LogMessage {
    fn map(&self, to: &mut Mapper) -> Mapping {
        to.data.extend_from_slice(self.message());
        to.stream(self.message_type.map(|kind| (kind.0, kind.name())));
        to.texts(&[
            ("app_id", &self.app_id),
            ("source_id", &self.source_id),
            ("source_name", &self.source_name),
        ]);
        for (index, url) in self.drain_urls.iter().enumerate() {
            to.text(format!("drain_urls.{index}"), url);
        }
        to.unknown(&self.unknown);
        Mapping { nanos: nanos(self.timestamp), src: Source::NONE, kind: LoggregatorKind::Log }
    }
}
