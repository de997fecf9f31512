//! Decimal floats: what Python's `float()` and Go's `ParseFloat` have in common.
//!
//! ```text
//! number = [sign] (digits ["." [digits]] / "." digits) [("e" / "E") [sign] digits]
//! digits = DIGIT *(["_"] DIGIT)
//! ```

use std::borrow::Cow;

use super::Number;

/// Reads a decimal float or one of the words `inf`, `infinity` and `nan`.
pub(super) fn parse(text: &[u8]) -> Option<Number> {
    word(text).or_else(|| plain(text).and_then(|plain| float(&plain)))
}

/// The float in a text that [`plain`] gave.
pub(super) fn float(plain: &str) -> Option<Number> {
    let value: f64 = plain.parse().ok()?;
    Some(if value.is_infinite() { Number::Overflow(value) } else { Number::Float(value) })
}

/// The words, in any case and with a sign or without.
pub(super) fn word(text: &[u8]) -> Option<Number> {
    let (sign, word) = match text {
        [sign @ (b'+' | b'-'), word @ ..] => (Some(*sign), word),
        _ => (None, text),
    };
    if word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity") {
        let negative = sign == Some(b'-');
        Some(Number::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }))
    } else if word.eq_ignore_ascii_case(b"nan") {
        Some(Number::Nan { signed: sign.is_some() })
    } else {
        None
    }
}

/// The text of a decimal float without its underscores; `None` when it is none.
///
/// What it gives, the standard library's `f64` parser reads.
pub(super) fn plain(text: &[u8]) -> Option<Cow<'_, str>> {
    let mut rest = sign(text);
    let whole = digits(&mut rest)?;
    let fraction = match rest {
        [b'.', behind @ ..] => {
            rest = behind;
            digits(&mut rest)?
        }
        _ => 0,
    };
    if whole + fraction == 0 {
        return None;
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        rest = sign(behind);
        if digits(&mut rest)? == 0 {
            return None;
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    Some(if text.contains('_') {
        Cow::Owned(text.chars().filter(|&c| c != '_').collect())
    } else {
        Cow::Borrowed(text)
    })
}

fn sign(text: &[u8]) -> &[u8] {
    match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    }
}

/// Steps over digits and the underscores between them; says how many digits there were, `None`
/// where an underscore is not between two.
fn digits(rest: &mut &[u8]) -> Option<usize> {
    let mut count = 0;
    let mut underscore = false;
    while let [byte, behind @ ..] = *rest {
        match byte {
            b'0'..=b'9' => {
                count += 1;
                underscore = false;
            }
            b'_' if count > 0 && !underscore => underscore = true,
            b'_' => return None,
            _ => break,
        }
        *rest = behind;
    }
    (!underscore).then_some(count)
}
