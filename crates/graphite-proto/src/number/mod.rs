//! The texts of values and timestamps, in the dialects of the profiles (`graphite.md` 2.4, 2.5).

mod decimal;
mod hex;
mod python;
mod timestamp;

use crate::metric::Text;
use crate::{Profile, RejectReason};

pub(crate) use timestamp::{from_float, timestamp};

/// A number as written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    /// Finite, or infinite because it says so.
    Float(f64),
    /// Finite in its text, but beyond what an `f64` holds: the infinity on its side.
    Overflow(f64),
    /// `nan`, with a sign or without.
    Nan { signed: bool },
}

/// The number in a text, as the profile's program reads it.
fn number(text: &[u8], profile: Profile) -> Option<Number> {
    match profile {
        Profile::Default => decimal::parse(text),
        Profile::Carbon => python::parse(text),
        Profile::GoCarbon | Profile::RelayNg { .. } => {
            decimal::parse(text).or_else(|| hex::parse(text))
        }
    }
}

/// The value of a metric.
pub(crate) fn value(text: &[u8], profile: Profile) -> Result<f64, RejectReason> {
    let carbon = matches!(profile, Profile::Carbon);
    match number(text, profile) {
        None => Err(RejectReason::BadValue),
        Some(Number::Float(value)) => Ok(value),
        Some(Number::Overflow(infinity)) if carbon => Ok(infinity),
        Some(Number::Overflow(_)) => Err(RejectReason::ValueRange),
        Some(Number::Nan { signed: true }) if !carbon => Err(RejectReason::BadValue),
        Some(Number::Nan { .. }) if matches!(profile, Profile::RelayNg { .. }) => Ok(f64::NAN),
        Some(Number::Nan { .. }) => Err(RejectReason::Nan),
    }
}

/// A float as Python's `float()` reads it, NaN and infinities with it.
pub(crate) fn python_float(text: &[u8]) -> Option<f64> {
    match python::parse(text)? {
        Number::Float(value) | Number::Overflow(value) => Some(value),
        Number::Nan { .. } => Some(f64::NAN),
    }
}

/// Whether a value's text is a plain integer, `-?(0|[1-9][0-9]{0,19})`, which is kept as it is.
pub(crate) fn text_form(text: &[u8]) -> Text {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 20 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if plain { Text::Integer } else { Text::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: Profile = Profile::RelayNg { strict: false };
    const ALL: [Profile; 4] = [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY];

    #[test]
    fn numbers_that_all_programs_read_alike() {
        for text in [
            "0",
            "-0",
            "1",
            "+1",
            "007",
            ".5",
            "5.",
            "1e3",
            "1E3",
            "1e+3",
            "1e-3",
            "+.5e1",
            "1.5e300",
            "5e-325",
            "1e-400",
            "0.30000000000000004",
            "12345678901234567890",
            "1.7976931348623157e308",
            "2.2250738585072014e-308",
            "9007199254740993",
        ] {
            let expected: f64 = text.parse().unwrap();
            for profile in ALL {
                let read = value(text.as_bytes(), profile).unwrap();
                assert_eq!(read.to_bits(), expected.to_bits(), "{text} {profile:?}");
            }
        }
        for (text, expected) in [("1_000", 1000.0), ("1_0.5_0e1_0", 10.5e10), ("-1_2", -12.0)] {
            for profile in ALL {
                assert_eq!(value(text.as_bytes(), profile), Ok(expected), "{text} {profile:?}");
            }
        }
        for text in ["inf", "+Inf", "INFINITY", "+InFiNiTy"] {
            for profile in ALL {
                assert_eq!(value(text.as_bytes(), profile), Ok(f64::INFINITY), "{text}");
            }
        }
    }

    #[test]
    fn texts_that_no_program_reads() {
        for text in [
            "",
            "+",
            "-",
            ".",
            "-.",
            "e5",
            "1e",
            "1e+",
            "1e+-1",
            "--1",
            "+-1",
            "_1",
            "1_",
            "1__0",
            "1_.5",
            "1._5",
            "1_e5",
            "1e_5",
            "1e5_",
            "0x10",
            "0b11",
            "0o17",
            "1,5",
            "1f",
            "1L",
            "1%",
            "$1",
            "\"1\"",
            "'1'",
            "null",
            "None",
            "N",
            "U",
            "true",
            "in",
            "infi",
            "infinityx",
            "nan(1)",
            "nanx",
            "1 ",
            " 1",
            "1.5.5",
            "1\0",
            "\u{663}x",
            "0x",
            "0x1",
            "0xp1",
            "0x.p1",
        ] {
            for profile in ALL {
                let read = value(text.as_bytes(), profile);
                assert_eq!(read, Err(RejectReason::BadValue), "{text:?} {profile:?}");
            }
        }
    }

    #[test]
    fn the_rest_by_profile() {
        let read = |text: &str| ALL.map(|profile| value(text.as_bytes(), profile));
        let (bad, range) = (Err(RejectReason::BadValue), Err(RejectReason::ValueRange));
        let nan = Err(RejectReason::Nan);
        let infinite = Ok(f64::INFINITY);
        assert_eq!(read("1e309"), [range, infinite, range, range]);
        assert_eq!(read("1e1000000"), [range, infinite, range, range]);
        assert_eq!(read(&"9".repeat(400)), [range, infinite, range, range]);
        assert_eq!(read("0x1p4"), [bad, bad, Ok(16.0), Ok(16.0)]);
        assert_eq!(read("１２"), [bad, Ok(12.0), bad, bad]);
        assert_eq!(read("٣.٣"), [bad, Ok(3.3), bad, bad]);
        assert_eq!(read("-nan"), [bad, nan, bad, bad]);
        assert_eq!(read("NaN")[..3], [nan, nan, nan]);
        assert!(read("NaN")[3].is_ok_and(f64::is_nan));
    }

    #[test]
    fn plain_integers_are_known() {
        for text in ["0", "-0", "7", "-12", "12345678901234567890"] {
            assert_eq!(text_form(text.as_bytes()), Text::Integer, "{text}");
        }
        for text in ["", "-", "00", "01", "+1", "1.0", "1e3", "1_0", "123456789012345678901", "--1"]
        {
            assert_eq!(text_form(text.as_bytes()), Text::Other, "{text}");
        }
    }
}
