//! The canonical form of a metric: `path SP value SP timestamp`.

use std::io::Write as _;

use crate::metric::Text;
use crate::{Metric, MetricRef, PathRule};

impl MetricRef<'_> {
    /// Appends `path SP value SP timestamp`, without LF (`gateway.md` section 5):
    ///
    /// * the path canonical where it is a tagged name that parses, else as received (or as the
    ///   [`PathRule`] has it);
    /// * the value as received where it is a plain [`integer`](Self::integer), else the shortest
    ///   decimal that reads back as the same `f64`, `inf` or `-inf` (`nan` where the profile lets
    ///   it in);
    /// * the timestamp in seconds, with a fraction only where the metric has one, which it does
    ///   only with [`Options::fraction`](crate::Options::fraction).
    ///
    /// Allocates only for tagged names, besides growing `out`.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        if !self.verbatim.is_empty() {
            out.extend_from_slice(self.verbatim);
            return;
        }
        self.write_path(out);
        out.push(b' ');
        self.write_value(out);
        out.push(b' ');
        self.timestamp.write(out);
    }

    fn write_path(&self, out: &mut Vec<u8>) {
        match (self.rule, self.tagged) {
            (PathRule::Normalise | PathRule::NormaliseOrReject, true) if self.lossy.is_none() => {
                match crate::tags::parse(self.path()) {
                    Ok(tagged) => tagged.write_canonical(out),
                    Err(_) => out.extend_from_slice(self.path),
                }
            }
            (PathRule::Sanitise, _) => {
                out.extend_from_slice(self.canonical_path().as_bytes());
            }
            _ => out.extend_from_slice(self.path),
        }
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        match self.form {
            Text::Integer | Text::Shortest => out.extend_from_slice(self.text),
            Text::Other if self.value.is_nan() => out.extend_from_slice(b"nan"),
            Text::Other => {
                // Writing into a vector cannot fail.
                let _ = write!(out, "{}", self.value);
            }
        }
    }
}

impl Metric {
    /// As [`MetricRef::write_canonical`].
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        self.as_ref().write_canonical(out);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Event, MetricRef, Options, Profile, Timestamp, decode_datagram};

    fn canonical(options: &Options, line: &str) -> String {
        let mut out = Vec::new();
        let now = Timestamp::new(1_700_000_000, 250_000_000);
        decode_datagram(options, line.as_bytes(), now, &mut |event| match event {
            Event::Metric(metric) => metric.write_canonical(&mut out),
            Event::Rejected(rejected) => panic!("{}: {line}", rejected.reason),
        });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_become_canonical() {
        for (line, expected) in [
            ("a.b 4 1700000000", "a.b 4 1700000000"),
            ("\ta.b  4\t1700000000 \r", "a.b 4 1700000000"),
            ("a 12345678901234567890 1", "a 12345678901234567890 1"),
            ("a 123456789012345678901 1", "a 123456789012345680000 1"),
            ("a -0 1", "a -0 1"),
            ("a -0.0 1", "a -0 1"),
            ("a 00 1", "a 0 1"),
            ("a 012 01", "a 12 1"),
            ("a +7 +7", "a 7 7"),
            ("a 1e3 1e3", "a 1000 1000"),
            ("a 0.25 1", "a 0.25 1"),
            ("a 0.250 1", "a 0.25 1"),
            ("a .5 1", "a 0.5 1"),
            ("a 5. 1", "a 5 1"),
            ("a -12.5 1", "a -12.5 1"),
            ("a 1_000 1", "a 1000 1"),
            ("a 0.1234567890123456789 1", "a 0.12345678901234568 1"),
            ("a INF 1", "a inf 1"),
            ("a -infinity 1", "a -inf 1"),
            ("a 1 -1", "a 1 1700000000"),
            ("a 1 -1.5", "a 1 1700000000"),
            ("a 1 7.9", "a 1 7"),
            ("cpu;b=2;a=1 1 1", "cpu;a=1;b=2 1 1"),
            ("cpu{b=\"2\",a=\"1\"} 1 1", "cpu;a=1;b=2 1 1"),
            ("cpu;b;a=1 1 1", "cpu;b;a=1 1 1"),
            ("~cpu 1 1", "~cpu 1 1"),
        ] {
            assert_eq!(canonical(&Options::default(), line), expected, "{line}");
        }
    }

    #[test]
    fn fractions_stay_where_the_options_say_so() {
        let options = Options { fraction: true, ..Options::default() };
        assert_eq!(canonical(&options, "a 1 7.125"), "a 1 7.125");
        assert_eq!(canonical(&options, "a 1 1700000000.123456789"), "a 1 1700000000.123456789");
        assert_eq!(canonical(&options, "a 1 -1"), "a 1 1700000000.25");
        assert_eq!(canonical(&Options::new(Profile::Carbon), "a 1 -0.5"), "a 1 -0.5");
    }

    #[test]
    fn metrics_from_parts_write_the_shortest_value() {
        let mut out = Vec::new();
        MetricRef::new("a", 0.1, Timestamp::from_seconds(5)).write_canonical(&mut out);
        out.push(b'\n');
        MetricRef::new("a", 1e21, Timestamp::from_seconds(5)).to_metric().write_canonical(&mut out);
        assert_eq!(out, b"a 0.1 5\na 1000000000000000000000 5");
    }
}
