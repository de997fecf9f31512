//! Quantities as people write them: sizes, times, instants and networks.
//!
//! | kind | read by | examples |
//! |---|---|---|
//! | size in bytes | [`parse_size`] | `"64 MiB"`, `"10 GiB"`, `"1 MB"` (10^6), `"1.5 KiB"`, `"0"` |
//! | length of time | [`parse_duration`] | `"100ms"`, `"10s"`, `"1h30m"`, `"30d"`, `"0"` |
//! | point in time | [`parse_time`] | `2026-01-31T12:00:00Z`, `1700000000.5`, `-15m`, `now` |
//! | host or network | [`Network`] | `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32` |
//!
//! A unit is always required, except after 0, and a number means exactly what it says: what does
//! not come to a whole number of bytes (or nanoseconds) is refused, never rounded.

mod duration;
mod net;
mod number;
mod size;
mod time;

pub(crate) use duration::TIME_UNITS;
pub use duration::{format_duration, parse_duration};
pub use net::{Network, NetworkError};
pub(crate) use size::SIZE_UNITS;
pub use size::{format_size, format_size_rounded, parse_size};
pub use time::{TimeArg, TimeError, parse_time};

/// Why a text is not a size or a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The text does not begin with a number.
    #[error("no number")]
    NoNumber,
    /// A number other than 0 stands alone.
    #[error("no unit")]
    NoUnit,
    /// The number is followed by something that is no unit.
    #[error("unknown unit \"{unit}\"")]
    UnknownUnit {
        /// What stands where a unit is expected.
        unit: String,
        /// The unit that was probably meant.
        meant: Option<&'static str>,
    },
    /// The parts of a time do not fall from the largest unit to the smallest.
    #[error("units out of order")]
    Order,
    /// The value is no whole number of the smallest unit.
    #[error("not a whole number of {0}")]
    NotWhole(&'static str),
    /// The value does not fit.
    #[error("too large")]
    TooLarge,
}
