//! Points as binary protocols carry them: a path with a number or a text for each of timestamp and
//! value (`graphite.md` 4.2, 5.1).

use crate::metric::{MetricRef, Text};
use crate::options::Infinite;
use crate::tags::{self, has_tags};
use crate::time::float_to_i64;
use crate::{Options, PathRule, Profile, RejectReason, Timestamp, line, number};

/// A timestamp or a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    Int(i64),
    Float(f64),
    /// An integer beyond 64 bits: its decimal digits, without leading zeros.
    Digits(&'a [u8]),
    Bool(bool),
    /// Characters, which may write a number.
    Text(&'a [u8]),
    /// Bytes of a sender that tells them from characters.
    Bytes(&'a [u8]),
    /// Neither number nor text.
    Other,
}

/// What a path is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Path<'a> {
    /// Characters, known to be UTF-8 unless the profile lets in any bytes.
    Text(&'a [u8]),
    /// Bytes of a sender that tells them from characters.
    Bytes(&'a [u8]),
}

/// Buffers for what has to be written anew, kept from one point to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    text: Vec<u8>,
    lossy: String,
}

impl Scratch {
    /// Room for the readable form of a path.
    pub(crate) fn lossy(&mut self) -> &mut String {
        &mut self.lossy
    }
}

/// Reads a point as the profile's program does, and gives it to `accept`.
pub(crate) fn point<R>(
    path: Path<'_>,
    time: Scalar<'_>,
    value: Scalar<'_>,
    options: &Options,
    now: Timestamp,
    scratch: &mut Scratch,
    accept: impl FnOnce(MetricRef<'_>) -> R,
) -> Result<R, RejectReason> {
    if matches!(options.profile, Profile::RelayNg { .. }) {
        return as_line(path, time, value, options, now, scratch).map(accept);
    }
    let path = match path {
        Path::Text(path) => path,
        // carbon and go-carbon know no such paths; carbon closes the connection.
        Path::Bytes(_) if !matches!(options.profile, Profile::Default) => {
            return Err(RejectReason::BadPath);
        }
        Path::Bytes(path) => path,
    };
    let tagged = check_path(path, options)?;
    let Scratch { text, lossy } = scratch;
    let lossy = line::lossy(path, options, lossy);
    let (value, text, form) = number_of(value, options, text)?;
    let timestamp = timestamp_of(time, options, now)?;
    Ok(accept(MetricRef {
        path,
        lossy,
        value,
        text,
        form,
        timestamp,
        verbatim: &[],
        tagged,
        rule: options.paths,
    }))
}

/// Checks a path, and says whether it is tagged.
pub(crate) fn check_path(path: &[u8], options: &Options) -> Result<bool, RejectReason> {
    if !options.any_bytes() && str::from_utf8(path).is_err() {
        return Err(RejectReason::NotUtf8);
    }
    if path.is_empty() && matches!(options.profile, Profile::Default) {
        return Err(RejectReason::BadPath);
    }
    line::check_path(path, options)?;
    let tagged = has_tags(path);
    if tagged && options.paths == PathRule::NormaliseOrReject {
        let text = str::from_utf8(path).map_err(|_| RejectReason::BadTags)?;
        tags::parse(text).map_err(|_| RejectReason::BadTags)?;
    }
    Ok(tagged)
}

/// The value, its text where it is a plain integer, and what that text is.
fn number_of<'t>(
    value: Scalar<'t>,
    options: &Options,
    buffer: &'t mut Vec<u8>,
) -> Result<(f64, &'t [u8], Text), RejectReason> {
    let go = matches!(options.profile, Profile::GoCarbon);
    match value {
        Scalar::Int(value) => {
            buffer.clear();
            write_integer(value, buffer);
            Ok((value as f64, buffer, Text::Integer))
        }
        Scalar::Bool(value) if !go => {
            buffer.clear();
            buffer.push(b'0' + u8::from(value));
            Ok((f64::from(value), buffer, Text::Integer))
        }
        Scalar::Digits(digits) => {
            let value = finite(float_of(digits), options)?;
            let form = number::text_form(digits);
            Ok((value, if form == Text::Integer { digits } else { &[] }, form))
        }
        Scalar::Float(value) => Ok((finite(value, options)?, &[], Text::Other)),
        Scalar::Text(text) | Scalar::Bytes(text) => {
            if go && matches!(value, Scalar::Bytes(_)) {
                return Err(RejectReason::BadValue);
            }
            let text = trim(text, options.profile);
            let value = finite(number::value(text, options.profile)?, options)?;
            let form = number::text_form(text);
            Ok((value, if form == Text::Integer { text } else { &[] }, form))
        }
        Scalar::Bool(_) | Scalar::Other => Err(RejectReason::BadValue),
    }
}

/// Refuses NaN, and infinities where they are not wanted: go-carbon drops them too.
pub(crate) fn finite(value: f64, options: &Options) -> Result<f64, RejectReason> {
    if value.is_finite() {
        Ok(value)
    } else if value.is_nan() {
        Err(RejectReason::Nan)
    } else if options.infinite == Infinite::Drop || matches!(options.profile, Profile::GoCarbon) {
        Err(RejectReason::Infinite)
    } else {
        Ok(value)
    }
}

/// The time, under the same rules as a text of the same number.
pub(crate) fn timestamp_of(
    time: Scalar<'_>,
    options: &Options,
    now: Timestamp,
) -> Result<Timestamp, RejectReason> {
    let time = match (time, options.profile) {
        (Scalar::Bool(_), Profile::GoCarbon) | (Scalar::Other, _) => {
            return Err(RejectReason::BadTimestamp);
        }
        (Scalar::Bool(time), _) => Scalar::Int(i64::from(time)),
        (Scalar::Digits(digits), _) => Scalar::Float(float_of(digits)),
        (Scalar::Text(text) | Scalar::Bytes(text), Profile::GoCarbon) => {
            let seconds = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            Scalar::Int(seconds.ok_or(RejectReason::BadTimestamp)?)
        }
        (Scalar::Text(text) | Scalar::Bytes(text), _) => {
            return number::timestamp(trim(text, options.profile), options, now);
        }
        (time, _) => time,
    };
    let present = || if options.fraction { now } else { now.whole() };
    let ours = matches!(options.profile, Profile::Default);
    let time = match (time, options.profile) {
        (Scalar::Int(seconds), Profile::GoCarbon) => within_32_bits(seconds)?,
        (Scalar::Float(seconds), Profile::GoCarbon) => {
            within_32_bits(float_to_i64(seconds).ok_or(RejectReason::TimestampRange)?)?
        }
        (Scalar::Int(-1), _) => return Ok(present()),
        (Scalar::Int(seconds), _) if seconds < 0 && ours => {
            return Err(RejectReason::TimestampRange);
        }
        (Scalar::Int(seconds), _) => Timestamp::from_seconds(seconds),
        (Scalar::Float(seconds), _) if seconds.is_nan() => return Err(RejectReason::BadTimestamp),
        (Scalar::Float(seconds), _) if seconds.trunc() == -1.0 => return Ok(present()),
        (Scalar::Float(seconds), _) if seconds < 0.0 && ours => {
            return Err(RejectReason::TimestampRange);
        }
        (Scalar::Float(seconds), _) => number::from_float(seconds, options.fraction)?,
        _ => return Err(RejectReason::BadTimestamp),
    };
    if time.seconds > options.max_timestamp {
        return Err(RejectReason::TimestampRange);
    }
    Ok(time)
}

/// go-carbon refuses what 32 bits without sign do not hold.
fn within_32_bits(seconds: i64) -> Result<Timestamp, RejectReason> {
    match u32::try_from(seconds) {
        Ok(seconds) => Ok(Timestamp::from_seconds(i64::from(seconds))),
        Err(_) => Err(RejectReason::TimestampRange),
    }
}

/// carbon-relay-ng writes the point as a line and reads that: floats with six decimals, and
/// timestamps without.
fn as_line<'s>(
    path: Path<'_>,
    time: Scalar<'_>,
    value: Scalar<'_>,
    options: &Options,
    now: Timestamp,
    scratch: &'s mut Scratch,
) -> Result<MetricRef<'s>, RejectReason> {
    let Path::Text(path) = path else { return Err(RejectReason::BadPath) };
    let Scratch { text, lossy } = scratch;
    text.clear();
    text.extend_from_slice(path);
    for (scalar, decimals, reason) in
        [(value, 6, RejectReason::BadValue), (time, 0, RejectReason::BadTimestamp)]
    {
        text.push(b' ');
        match scalar {
            Scalar::Int(value) => write_integer(value, text),
            Scalar::Float(value) => {
                text.extend_from_slice(format!("{value:.decimals$}").as_bytes());
            }
            Scalar::Digits(part) | Scalar::Text(part) => text.extend_from_slice(part),
            Scalar::Bool(_) | Scalar::Bytes(_) | Scalar::Other => return Err(reason),
        }
    }
    match line::general(text, options, now, lossy) {
        line::Outcome::Metric(metric) => Ok(metric),
        line::Outcome::Blank => Err(RejectReason::FieldCount),
        line::Outcome::Rejected(reason) => Err(reason),
    }
}

fn float_of(digits: &[u8]) -> f64 {
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(f64::NAN)
}

/// Blanks around a number: Python's `float()` takes them, Go's parser does not.
fn trim(text: &[u8], profile: Profile) -> &[u8] {
    match (profile, str::from_utf8(text)) {
        (Profile::Carbon, Ok(text)) => text
            .trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f'))
            .as_bytes(),
        (Profile::Default, _) => text.trim_ascii(),
        _ => text,
    }
}

/// Appends decimal digits.
pub(crate) fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(integer_digits(value, &mut [0; 20]));
}

/// Decimal digits, at the end of a buffer.
#[inline]
pub(crate) fn integer_digits(value: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut rest = value.unsigned_abs();
    let mut start = buffer.len();
    for (place, digit) in buffer.iter_mut().enumerate().rev() {
        if rest == 0 && start < 20 {
            if value < 0 {
                *digit = b'-';
                start = place;
            }
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start = place;
    }
    buffer.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::new(1_650_000_000, 250_000_000);
    const RELAY: Profile = Profile::RelayNg { strict: false };

    fn read(
        profile: Profile,
        path: Path<'_>,
        time: Scalar<'_>,
        value: Scalar<'_>,
    ) -> Result<String, &'static str> {
        let mut scratch = Scratch::default();
        let write = |metric: MetricRef<'_>| {
            let mut out = Vec::new();
            metric.write_canonical(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        point(path, time, value, &Options::new(profile), NOW, &mut scratch, write)
            .map_err(RejectReason::as_str)
    }

    #[test]
    fn values_by_profile() {
        let value = |value| {
            [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY].map(|profile| {
                read(profile, Path::Text(b"a.b"), Scalar::Int(7), value)
                    .map(|text| text.split(' ').nth(1).unwrap_or_default().to_owned())
            })
        };
        let ok = |text: &str| Ok(text.to_owned());
        let (bad, nan, infinite) = (Err("bad_value"), Err("nan"), Err("infinite"));
        assert_eq!(value(Scalar::Int(i64::MIN)), [(); 4].map(|()| ok("-9223372036854775808")));
        let exact = "9007199254740993";
        assert_eq!(value(Scalar::Int(9_007_199_254_740_993)), [(); 4].map(|()| ok(exact)));
        assert_eq!(value(Scalar::Digits(b"18446744073709551616"))[0], ok("18446744073709551616"));
        assert_eq!(
            value(Scalar::Digits(b"-1180591620717411303424"))[0],
            ok("-1180591620717411300000")
        );
        let floats = ["0.0000001", "0.0000001", "0.0000001", "0"].map(ok);
        assert_eq!(value(Scalar::Float(1e-7)), floats);
        let bools = [ok("1"), ok("1"), bad.clone(), bad.clone()];
        assert_eq!(value(Scalar::Bool(true)), bools);
        let padded = [ok("8"), ok("8"), bad.clone(), ok("8")];
        assert_eq!(value(Scalar::Text(b" 8 ")), padded);
        let bytes = [ok("8"), ok("8"), bad.clone(), bad.clone()];
        assert_eq!(value(Scalar::Bytes(b"8")), bytes);
        assert_eq!(value(Scalar::Other), [(); 4].map(|()| bad.clone()));
        assert_eq!(value(Scalar::Float(f64::NAN))[..3], [(); 3].map(|()| nan.clone()));
        let infinities = [ok("inf"), ok("inf"), infinite, ok("inf")];
        assert_eq!(value(Scalar::Float(f64::INFINITY)), infinities);
    }

    #[test]
    fn timestamps_by_profile() {
        let time = |time| {
            [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY].map(|profile| {
                read(profile, Path::Text(b"a.b"), time, Scalar::Int(7))
                    .map(|text| text.split(' ').nth(2).unwrap_or_default().to_owned())
            })
        };
        let ok = |text: &str| Ok(text.to_owned());
        let (bad, range) = (Err("bad_timestamp"), Err("timestamp_range"));
        let now = [ok("1650000000"), ok("1650000000.25"), range.clone(), ok("4294967295")];
        assert_eq!(time(Scalar::Int(-1)), now);
        assert_eq!(time(Scalar::Text(b"-1")), now);
        let now = [ok("1650000000"), ok("1650000000.25"), range.clone(), ok("4294967294")];
        assert_eq!(time(Scalar::Float(-1.5)), now);
        let negative = [range.clone(), ok("-5"), range.clone(), ok("4294967291")];
        assert_eq!(time(Scalar::Int(-5)), negative);
        let float = [ok("1700000000"), ok("1700000000.75"), ok("1700000000"), ok("1700000001")];
        assert_eq!(time(Scalar::Float(1_700_000_000.75)), float);
        let late = [ok("4294967296"), ok("4294967296"), range.clone(), ok("0")];
        assert_eq!(time(Scalar::Int(1 << 32)), late);
        let nan = [bad.clone(), bad.clone(), range.clone(), ok("0")];
        assert_eq!(time(Scalar::Float(f64::NAN)), nan);
        assert_eq!(time(Scalar::Digits(b"99999999999999999999"))[0], range);
        assert_eq!(time(Scalar::Other), [(); 4].map(|()| bad.clone()));
        let text = [ok("12"), ok("12.5"), bad, ok("12")];
        assert_eq!(time(Scalar::Text(b"12.5")), text);
    }

    #[test]
    fn paths_by_profile() {
        let path = |path| {
            [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY].map(|profile| {
                read(profile, path, Scalar::Int(7), Scalar::Int(8)).err().unwrap_or("ok")
            })
        };
        assert_eq!(path(Path::Text(b"a.b")), ["ok"; 4]);
        assert_eq!(path(Path::Text(b"a b")), ["ok", "ok", "ok", "field_count"]);
        assert_eq!(path(Path::Text(b"")), ["bad_path", "ok", "ok", "field_count"]);
        assert_eq!(path(Path::Text(b"a\nb")), ["control_character", "ok", "ok", "field_count"]);
        assert_eq!(path(Path::Text(b"\xff.b")), ["not_utf8", "not_utf8", "ok", "bad_path"]);
        assert_eq!(path(Path::Bytes(b"a.b")), ["ok", "bad_path", "bad_path", "bad_path"]);
    }

    #[test]
    fn integers_are_written() {
        for value in [0, 7, 10, -1, 1_234_567_890, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_integer(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
