//! Graphite points as entries (`gateway.md` 5): time = the metric's, source = the sender, data =
//! `path SP value SP timestamp`, the same bytes whatever brought the point.

use std::time::Duration;

use graphite_proto::pickle::Limits;
use graphite_proto::{Format, MetricRef, Options, PathRule, Profile, RejectReason};
use ingest_entry::{EntryRef, LimitError, Source, TagId, Timestamp, Values};
use ingest_mux::SendError;

use crate::config::{
    self, BadTags, GraphiteFormat, GraphiteLines, GraphiteSource, Infinity, Tagged,
};
use crate::rules::RULE;

/// Why a point that the protocol accepts is refused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Older than `max_past` allows.
    TooOld,
    /// Further ahead than `max_future` allows.
    TooNew,
    /// From a network that is not allowed: not looked at.
    NotAllowed,
    /// More than its connection may send in a second.
    OverRate,
    /// Beyond what an entry can hold.
    EntryLimit,
    /// No room: the budget of the source or the process is used up, the log full.
    NoRoom,
    /// The log has failed, or is closed.
    LogRefused,
    /// A rule leaves it out.
    Rule,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::TooOld,
        Self::TooNew,
        Self::NotAllowed,
        Self::OverRate,
        Self::EntryLimit,
        Self::NoRoom,
        Self::LogRefused,
        Self::Rule,
    ];

    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::NotAllowed => "not_allowed",
            Self::OverRate => "over_rate",
            Self::EntryLimit => "entry_limit",
            Self::NoRoom => "no_room",
            Self::LogRefused => "log_refused",
            Self::Rule => RULE,
        }
    }

    /// Its place in [`reasons`].
    #[must_use]
    pub fn index(self) -> usize {
        let at = Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0);
        RejectReason::ALL.len() + at
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        if error.can_continue() { Self::EntryLimit } else { Self::LogRefused }
    }
}

/// Every reason for which a line is refused: the protocol's, then ours.
#[must_use]
pub fn reasons() -> Vec<&'static str> {
    let ours = Refusal::ALL.iter().map(|reason| reason.as_str());
    RejectReason::ALL.iter().map(|reason| reason.as_str()).chain(ours).collect()
}

/// How lines are decoded.
#[must_use]
pub fn decoder_options(lines: &GraphiteLines) -> Options {
    let profile = match lines.profile {
        config::Profile::Default => Profile::Default,
        config::Profile::Carbon => Profile::Carbon,
        config::Profile::GoCarbon => Profile::GoCarbon,
        config::Profile::RelayNg => Profile::RelayNg { strict: false },
        config::Profile::RelayNgStrict => Profile::RelayNg { strict: true },
    };
    let mut options = Options::new(profile);
    options.max_line = lines.max_line;
    options.fraction = lines.fraction;
    options.infinite = match lines.infinity {
        Infinity::Accept => graphite_proto::Infinite::Accept,
        Infinity::Drop => graphite_proto::Infinite::Drop,
    };
    options.paths = match (lines.tagged, lines.bad_tags) {
        (Tagged::Raw, _) => PathRule::Raw,
        (Tagged::Normalise, BadTags::Raw) => PathRule::Normalise,
        (Tagged::Normalise, BadTags::Reject) => PathRule::NormaliseOrReject,
    };
    options
}

/// What the connections of a source carry.
#[must_use]
pub fn stream_format(source: &GraphiteSource) -> Format {
    match source.format {
        GraphiteFormat::Lines => Format::Lines,
        GraphiteFormat::Pickle => {
            let mut limits = Limits::default();
            limits.max_frame = source.max_frame;
            Format::Pickle(limits)
        }
        GraphiteFormat::Protobuf => Format::Protobuf { max_frame: source.max_frame },
    }
}

/// Makes entries; keeps its buffers from one point to the next.
#[derive(Debug)]
pub struct Mapper {
    tag: TagId,
    values: config::Values,
    max_past: Option<Duration>,
    max_future: Option<Duration>,
    data: Vec<u8>,
    attached: Values,
}

impl Mapper {
    /// For a source with these settings, whose tag has this number.
    #[must_use]
    pub fn new(lines: &GraphiteLines, tag: TagId) -> Self {
        Self {
            tag,
            values: lines.values,
            max_past: lines.max_past,
            max_future: lines.max_future,
            data: Vec::with_capacity(256),
            attached: Values::new(),
        }
    }

    /// How many bytes of entries a byte of input can become, for the permits: the shortest line
    /// (`a 1 2`) against a header of 34 bytes and what is attached.
    #[must_use]
    pub fn expansion(&self) -> u64 {
        match self.values {
            config::Values::All => 24,
            _ => 8,
        }
    }

    /// The entry for a point from `src`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn entry(
        &mut self,
        metric: &MetricRef<'_>,
        src: &Source,
        now: graphite_proto::Timestamp,
    ) -> Result<EntryRef<'_>, Refusal> {
        let at = metric.timestamp();
        self.check_time(at.seconds, now.seconds)?;
        let ts = Timestamp::from_unix(at.seconds, at.nanos).ok_or(Refusal::EntryLimit)?;
        self.data.clear();
        metric.write_canonical(&mut self.data);
        self.attached.clear();
        self.attach(metric).map_err(|_| Refusal::EntryLimit)?;
        let (tag, values) = (self.tag, self.attached.as_ref());
        Ok(EntryRef { ts, src: *src, tag, data: &self.data, values })
    }

    fn check_time(&self, at: i64, now: i64) -> Result<(), Refusal> {
        let seconds = |limit: Duration| i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        match (self.max_past, self.max_future) {
            (Some(past), _) if at < now.saturating_sub(seconds(past)) => Err(Refusal::TooOld),
            (_, Some(ahead)) if at > now.saturating_add(seconds(ahead)) => Err(Refusal::TooNew),
            _ => Ok(()),
        }
    }

    fn attach(&mut self, metric: &MetricRef<'_>) -> Result<(), LimitError> {
        if self.values == config::Values::None {
            return Ok(());
        }
        let all = self.values == config::Values::All;
        if metric.is_tagged() {
            match metric.tagged() {
                Some(Ok(tagged)) => {
                    if all {
                        self.attached.push("name", tagged.name())?;
                    }
                    for (tag, value) in tagged.iter() {
                        self.attached.push(tag, value)?;
                    }
                }
                _ if all => self.attached.push("name", metric.path())?,
                _ => {}
            }
        } else if all {
            self.attached.push("name", metric.path())?;
        }
        if all {
            self.attached.push("value", metric.value())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphite_proto::{Event, decode_datagram};

    const NOW: graphite_proto::Timestamp = graphite_proto::Timestamp::new(1_700_000_000, 0);

    fn map(lines: &GraphiteLines, line: &str) -> Result<(String, i64, Vec<String>), String> {
        let mut mapper = Mapper::new(lines, TagId(4));
        let mut out = Err("nothing".to_owned());
        decode_datagram(&decoder_options(lines), line.as_bytes(), NOW, &mut |event| {
            out = match event {
                Event::Metric(metric) => match mapper.entry(&metric, &Source::NONE, NOW) {
                    Ok(entry) => {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        let value = |value: ingest_entry::ValueRef<'_>| match value.as_str() {
                            Some(text) => text.to_owned(),
                            None => format!("{value:?}"),
                        };
                        let values = entry.values.iter();
                        let values = values
                            .map(|v| format!("{}={}", text(v.name()), value(v.value())))
                            .collect();
                        Ok((text(entry.data), entry.ts.unix_seconds().unwrap(), values))
                    }
                    Err(refusal) => Err(refusal.as_str().to_owned()),
                },
                Event::Rejected(rejected) => Err(rejected.reason.as_str().to_owned()),
                _ => unreachable!(),
            };
        });
        out
    }

    #[test]
    fn data_is_canonical_and_tags_are_values() {
        let lines = GraphiteLines::default();
        assert_eq!(map(&lines, "a.b  4\t1700"), Ok(("a.b 4 1700".into(), 1700, vec![])));
        assert_eq!(map(&lines, "a 4.50 -1").unwrap().0, "a 4.5 1700000000");
        let (data, _, values) = map(&lines, "cpu;z=1;b=two 1 5").unwrap();
        assert_eq!(data, "cpu;b=two;z=1 1 5");
        assert_eq!(values, ["b=two", "z=1"]);
        assert_eq!(map(&lines, "cpu;bad 1 5").unwrap().0, "cpu;bad 1 5");
    }

    #[test]
    fn options_change_what_is_attached_and_refused() {
        let mut lines = GraphiteLines { values: config::Values::All, ..GraphiteLines::default() };
        let (_, _, values) = map(&lines, "cpu;a=b 2 5").unwrap();
        assert_eq!(values.len(), 3, "{values:?}");
        lines.values = config::Values::None;
        assert_eq!(map(&lines, "cpu;a=b 2 5").unwrap().2.len(), 0);
        lines.max_past = Some(Duration::from_secs(60));
        lines.max_future = Some(Duration::from_secs(60));
        assert_eq!(map(&lines, "a 1 1699999939"), Err("too_old".into()));
        assert_eq!(map(&lines, "a 1 1700000061"), Err("too_new".into()));
        assert!(map(&lines, "a 1 1699999940").is_ok());
        lines.bad_tags = BadTags::Reject;
        assert_eq!(map(&lines, "cpu;bad 1 1700000000"), Err("bad_tags".into()));
    }

    #[test]
    fn every_reason_has_one_place() {
        let reasons = reasons();
        for refusal in Refusal::ALL {
            assert_eq!(reasons[refusal.index()], refusal.as_str());
        }
        for reason in RejectReason::ALL {
            assert_eq!(reasons[reason.index()], reason.as_str());
        }
    }
}
