//! One line: split, checked and read by the rules of the profile.

mod fast;
mod fields;
mod index;
mod relay;

use crate::metric::{MetricRef, Text};
use crate::options::Infinite;
use crate::tags::{self, has_tags};
use crate::{Options, PathRule, Profile, RejectReason, Timestamp, number};
use fields::Fields;

pub(crate) use fast::{applies as common_applies, read as read_common};
pub(crate) use index::{Cuts, lines};

/// What a line is.
pub(crate) enum Outcome<'a> {
    /// Nothing but white space.
    Blank,
    Metric(MetricRef<'a>),
    Rejected(RejectReason),
}

/// Whether a line is one that is skipped without a word.
pub(crate) fn is_blank(line: &[u8], options: &Options) -> bool {
    matches!(fields::split(line, options.profile), Fields::None)
}

/// Reads any line without its LF. `scratch` holds the readable form of a path that is not UTF-8.
#[inline(never)]
pub(crate) fn general<'a>(
    line: &'a [u8],
    options: &Options,
    now: Timestamp,
    scratch: &'a mut String,
) -> Outcome<'a> {
    match try_general(line, options, now, scratch) {
        Ok(Some(metric)) => Outcome::Metric(metric),
        Ok(None) => Outcome::Blank,
        Err(reason) => Outcome::Rejected(reason),
    }
}

fn try_general<'a>(
    line: &'a [u8],
    options: &Options,
    now: Timestamp,
    scratch: &'a mut String,
) -> Result<Option<MetricRef<'a>>, RejectReason> {
    if !options.any_bytes() && str::from_utf8(line).is_err() {
        return Err(RejectReason::NotUtf8);
    }
    let [path, value, time] = match fields::split(line, options.profile) {
        Fields::None => return Ok(None),
        Fields::Three(fields) => fields,
        Fields::Wrong => return Err(RejectReason::FieldCount),
    };
    check_path(path, options)?;
    let lossy = lossy(path, options, scratch);
    let tagged = has_tags(path);
    if tagged && options.paths == PathRule::NormaliseOrReject {
        let text = lossy.or_else(|| str::from_utf8(path).ok()).unwrap_or_default();
        tags::parse(text).map_err(|_| RejectReason::BadTags)?;
    }
    let number = number::value(value, options.profile)?;
    if number.is_infinite() && options.infinite == Infinite::Drop {
        return Err(RejectReason::Infinite);
    }
    let timestamp = number::timestamp(time, options, now)?;
    let form = number::text_form(value);
    Ok(Some(MetricRef {
        path,
        lossy,
        value: number,
        text: if form == Text::Other { &[] } else { value },
        form,
        timestamp,
        verbatim: &[],
        tagged,
        rule: options.paths,
    }))
}

/// Checks a path by the profile's rules for characters and length.
pub(crate) fn check_path(path: &[u8], options: &Options) -> Result<(), RejectReason> {
    match options.profile {
        Profile::Default => {
            if path.iter().any(u8::is_ascii_control) {
                return Err(RejectReason::ControlCharacter);
            }
        }
        Profile::RelayNg { strict } => {
            if !relay::is_valid(path, strict) {
                return Err(RejectReason::BadPath);
            }
        }
        Profile::Carbon | Profile::GoCarbon => {}
    }
    if path.len() > options.max_path {
        return Err(RejectReason::PathTooLong);
    }
    Ok(())
}

/// The readable form of a path that is not UTF-8, where the profile lets one in.
pub(crate) fn lossy<'a>(
    path: &[u8],
    options: &Options,
    scratch: &'a mut String,
) -> Option<&'a str> {
    if !options.any_bytes() || str::from_utf8(path).is_ok() {
        return None;
    }
    scratch.clear();
    scratch.push_str(&String::from_utf8_lossy(path));
    Some(scratch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROFILES: [Profile; 4] =
        [Profile::Default, Profile::Carbon, Profile::GoCarbon, Profile::RelayNg { strict: false }];

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 4096,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// The quick way takes only lines that the general one takes, and reads the same.
        #[test]
        fn the_quick_way_agrees(
            path in r#"([a-z]{1,3}\.){0,12}[a-z;={"}~]{1,9}[\x00-\x7f]?"#,
            value in r"-?([0-9]{1,17}|[0-9]{0,9}\.[0-9]{0,9})(e[0-9])?",
            time in r"-?[0-9]{1,17}(\.[0-9])?",
            end in r"[ \r\t]{0,2}",
            rule in prop_oneof![
                Just(PathRule::Raw), Just(PathRule::Normalise),
                Just(PathRule::NormaliseOrReject), Just(PathRule::Sanitise)
            ],
            max_path in 1_usize..60,
        ) {
            let line = format!("{path} {value} {time}{end}");
            for profile in PROFILES {
                let mut options = Options::new(profile);
                options.paths = rule;
                options.max_path = max_path;
                let line = format!("{line}\n");
                let Some(quick) = quick(&line, &options) else { continue };
                let line = line.trim_end_matches('\n');
                let mut scratch = String::new();
                let general =
                    try_general(line.as_bytes(), &options, Timestamp::new(9, 9), &mut scratch);
                let general = general.unwrap().unwrap();
                prop_assert_eq!(quick, general);
                prop_assert_eq!(quick.is_tagged(), general.is_tagged());
                let (mut a, mut b) = (Vec::new(), Vec::new());
                quick.write_canonical(&mut a);
                general.write_canonical(&mut b);
                prop_assert_eq!(String::from_utf8(a), String::from_utf8(b));
            }
        }
    }

    /// A line read the quick way, if that takes it.
    fn quick<'a>(line: &'a str, options: &Options) -> Option<MetricRef<'a>> {
        let mut cuts = None;
        lines(line.as_bytes(), |_, _, found| cuts = found);
        if fast::applies(options) { fast::read(line.as_bytes(), cuts?, options) } else { None }
    }

    #[test]
    fn common_lines_take_the_quick_way() {
        for line in [
            "servers.web01.cpu.load 4 1700000000",
            "servers.web01.cpu.load -12.25 1700000000",
            "servers.web01.cpu.load 123456789.125 1700000000",
            "cpu;host=a 1 1",
            "a.b.c.d 0 0",
            "a.b 0.1234567890123456789 1700000000",
            "a.b 1e3 1700000000",
            "servers.web01.cpu.load 4 1700000000\r",
        ] {
            for profile in PROFILES.iter().take(3) {
                let line = format!("{line}\n");
                assert!(quick(&line, &Options::new(*profile)).is_some(), "{line} {profile:?}");
            }
        }
    }
}
