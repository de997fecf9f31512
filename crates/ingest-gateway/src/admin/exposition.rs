//! The text formats in which metrics are handed out.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

/// The labels of a sample.
pub(crate) type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// Writes families of metrics, each whole before the next.
pub(crate) struct Families<'a>(pub(crate) DescriptorEncoder<'a>);

impl Families<'_> {
    /// A counter; `_total` is added to its name.
    pub(crate) fn counter<'l, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                metric.encode_counter::<NoLabelSet, V, f64>(&value, None)?;
            } else {
                let mut sample = metric.encode_family(&labels)?;
                sample.encode_counter::<NoLabelSet, V, f64>(&value, None)?;
            }
        }
        Ok(())
    }

    /// A gauge.
    pub(crate) fn gauge<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                metric.encode_gauge(&value)?;
            } else {
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// The text format 0.0.4, which everything else reads.
    Text,
}

impl Format {
    /// What a client asks for with its `Accept` header.
    pub(crate) fn accepted_by(accept: &str) -> Self {
        let wanted = accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            kind.eq_ignore_ascii_case("application/openmetrics-text")
                && parts.all(|part| !matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        });
        if wanted { Self::OpenMetrics } else { Self::Text }
    }

    /// Its `Content-Type`.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Brings `OpenMetrics` into this format.
    pub(crate) fn convert(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Text => plain(&text),
        }
    }
}

/// In the older format a counter's description bears the name of its samples, and the end is not
/// marked.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1024);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        // A description is two lines, help and type.
        let described = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let Some((name, help)) = described else {
            out.extend([line, "\n"]);
            continue;
        };
        let kind = lines
            .next_if(|next| next.starts_with("# TYPE "))
            .and_then(|next| next.rsplit_once(' '))
            .map_or("untyped", |(_, kind)| kind);
        let suffix = if kind == "counter" { "_total" } else { "" };
        out.extend(["# HELP ", name, suffix, " ", help, "\n"]);
        out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::accepted_by(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted_by("*/*"), Format::Text);
        assert_eq!(Format::accepted_by(""), Format::Text);
        assert_eq!(Format::accepted_by("application/openmetrics-text;q=0"), Format::Text);
        assert_eq!(Format::accepted_by("text/plain;version=0.0.4"), Format::Text);
    }

    #[test]
    fn the_older_format_names_counters_by_their_samples() {
        let text = "# HELP a Help of a.\n# TYPE a counter\na_total{x=\"# EOF\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb 2\n# EOF\n";
        let expected = "# HELP a_total Help of a.\n# TYPE a_total counter\na_total{x=\"# EOF\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb 2\n";
        assert_eq!(Format::Text.convert(text.to_owned()), expected);
        assert_eq!(Format::OpenMetrics.convert(text.to_owned()), text);
    }
}
