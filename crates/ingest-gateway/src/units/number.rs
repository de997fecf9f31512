//! Decimal numbers that are multiplied by a unit without ever being rounded.

use super::UnitError;

/// A non-negative decimal number, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// Takes a number (`12`, `1.5`) off the front of `text`; what follows is returned with it.
    pub(super) fn take(text: &str) -> Result<(Self, &str), UnitError> {
        let (whole, rest) = split_digits(text);
        if whole.is_empty() {
            return Err(UnitError::NoNumber);
        }
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", rest),
        };
        if fraction.is_empty() && rest.len() + whole.len() != text.len() {
            return Err(UnitError::NoNumber); // "1." and "1.s"
        }
        let fraction = fraction.trim_end_matches('0');
        let mut digits: u128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            digits = digits
                .checked_mul(10)
                .and_then(|d| d.checked_add(u128::from(digit.wrapping_sub(b'0'))))
                .ok_or(UnitError::TooLarge)?;
        }
        let scale = u32::try_from(fraction.len()).map_err(|_| UnitError::TooLarge)?;
        Ok((Self { digits, scale }, rest))
    }

    pub(super) const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// The product with `unit`, if it is whole; `smallest` names what it would not be whole in.
    pub(super) fn times(self, unit: u128, smallest: &'static str) -> Result<u128, UnitError> {
        let product = self.digits.checked_mul(unit).ok_or(UnitError::TooLarge)?;
        let divisor = 10_u128.checked_pow(self.scale).ok_or(UnitError::NotWhole(smallest))?;
        if product % divisor != 0 {
            return Err(UnitError::NotWhole(smallest));
        }
        Ok(product / divisor)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let (n, rest) = Decimal::take("1.50GiB").unwrap();
        assert_eq!(rest, "GiB");
        assert_eq!(n.times(1 << 30, "bytes"), Ok(3 << 29));
        let (n, _) = Decimal::take("0.1").unwrap();
        assert_eq!(n.times(1024, "bytes"), Err(UnitError::NotWhole("bytes")));
        assert!(Decimal::take("0.000").unwrap().0.is_zero());
    }

    #[test]
    fn half_numbers_are_refused() {
        for text in ["", ".5", "1.", "1.s", "-1", "+1", " 1", "x"] {
            assert_eq!(Decimal::take(text), Err(UnitError::NoNumber), "{text:?}");
        }
        assert_eq!(Decimal::take(&"9".repeat(40)), Err(UnitError::TooLarge));
        assert_eq!(Decimal::take(&"9".repeat(40_000)), Err(UnitError::TooLarge));
    }
}
