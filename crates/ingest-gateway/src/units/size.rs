//! Sizes in bytes.

use super::UnitError;
use super::number::Decimal;
use crate::suggest::nearest;

/// Units that can be written. Binary ones first: they are preferred when a size is printed.
const UNITS: &[(&str, u64)] = &[
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("EB", 1_000_000_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// The units for an error text.
pub(crate) const SIZE_UNITS: &str = "B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB and TB";

/// Reads a size: a number and a unit, with or without a blank between them.
///
/// `KiB`, `MiB`, `GiB`, `TiB`, `PiB`, `EiB` are powers of 1024; `kB` (or `KB`), `MB`, `GB`, `TB`,
/// `PB`, `EB` powers of 1000; `B` is a byte. `0` needs no unit.
///
/// # Errors
/// [`UnitError`], when a part is missing or unknown, when the size is no whole number of bytes,
/// or when it exceeds 64 bits.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, rest) = Decimal::take(text.trim())?;
    let unit = rest.trim_start_matches(' ');
    if unit.is_empty() {
        return if number.is_zero() { Ok(0) } else { Err(UnitError::NoUnit) };
    }
    let Some(&(_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let same = UNITS.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(unit));
        // A lone letter could be any of two: it is not guessed at.
        let near = || nearest(unit, UNITS.iter().map(|(name, _)| *name));
        let meant = same.or_else(|| near().filter(|_| unit.len() > 1));
        return Err(UnitError::UnknownUnit { unit: unit.to_owned(), meant });
    };
    let bytes = number.times(u128::from(bytes), "bytes")?;
    u64::try_from(bytes).map_err(|_| UnitError::TooLarge)
}

/// Writes a size exactly, in the largest unit that divides it: [`parse_size`] reads it back.
///
/// ```
/// use ingest_gateway::units::format_size;
/// assert_eq!(format_size(64 << 20), "64 MiB");
/// assert_eq!(format_size(5_000_000), "5 MB");
/// assert_eq!(format_size(1_500), "1500 B");
/// ```
#[must_use]
pub fn format_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    for &(name, unit) in UNITS {
        if bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

/// Writes a size for the eye: at most one decimal, in the largest binary unit not above it.
///
/// ```
/// use ingest_gateway::units::format_size_rounded;
/// assert_eq!(format_size_rounded(1_610_612_736), "1.5 GiB");
/// assert_eq!(format_size_rounded(999), "999 B");
/// ```
#[must_use]
pub fn format_size_rounded(bytes: u64) -> String {
    for &(name, unit) in UNITS.iter().filter(|(_, unit)| unit.is_power_of_two() && *unit > 1) {
        if bytes >= unit {
            let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                rest => format!("{}.{rest} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("0 MiB", 0),
            ("1 B", 1),
            ("64 MiB", 64 << 20),
            ("64MiB", 64 << 20),
            (" 10 GiB ", 10 << 30),
            ("1 MB", 1_000_000),
            ("1 kB", 1000),
            ("1 KB", 1000),
            ("512 KiB", 512 << 10),
            ("1.5 KiB", 1536),
            ("0.001 kB", 1),
            ("2 TiB", 2 << 40),
            ("15 EiB", 15 << 60),
            ("18446744073709551615 B", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let unknown = |unit: &str, meant| UnitError::UnknownUnit { unit: unit.to_owned(), meant };
        for (text, error) in [
            ("", UnitError::NoNumber),
            ("MiB", UnitError::NoNumber),
            ("-1 MiB", UnitError::NoNumber),
            ("1024", UnitError::NoUnit),
            ("1.5 B", UnitError::NotWhole("bytes")),
            ("0.1 KiB", UnitError::NotWhole("bytes")),
            ("16 EiB", UnitError::TooLarge),
            ("64 mib", unknown("mib", Some("MiB"))),
            ("64 mb", unknown("mb", Some("MB"))),
            ("64 M", unknown("M", None)),
            ("64 MiBs", unknown("MiBs", Some("MiB"))),
            ("64 parsecs", unknown("parsecs", None)),
            ("1_000 B", unknown("_000 B", None)),
        ] {
            assert_eq!(parse_size(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut seed = 1_u64;
        for shift in 0..64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            for bytes in [1 << shift, (1 << shift) - 1, seed >> shift, 10_u64.pow(shift % 19)] {
                assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
            }
        }
    }

    #[test]
    fn rounded_sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1100, "1.1 KiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(format_size_rounded(bytes), text);
        }
    }
}
