//! Numbers without loss: integers written as numbers, decimals or strings, and floats.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Reads an integer from a number or a string.
pub(super) fn read_integer<'de, I, D>(input: D) -> Result<I, D::Error>
where
    I: TryFrom<i128>,
    D: Deserializer<'de>,
{
    input.deserialize_any(IntegerVisitor(PhantomData))
}

/// Reads a double from a number, a string with a number, or one of the three special names.
pub(super) fn read_double<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    input.deserialize_any(DoubleVisitor)
}

/// Reads a float as [`read_double`] does; a finite number past the range is an error.
pub(super) fn read_float<'de, D: Deserializer<'de>>(input: D) -> Result<f32, D::Error> {
    let wide = read_double(input)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding is what is asked for"
    )]
    let value = wide as f32;
    if value.is_infinite() && wide.is_finite() {
        return Err(D::Error::invalid_value(
            Unexpected::Float(wide),
            &"a number in the range of float",
        ));
    }
    Ok(value)
}

/// The JSON name of a value that JSON numbers cannot express.
pub(super) fn special_name(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("Infinity")
    } else if value == f64::NEG_INFINITY {
        Some("-Infinity")
    } else {
        None
    }
}

/// The integer that a parsed number stands for, if it surely is one: past 2⁵³ the parser has rounded.
pub(super) fn exact_integer(value: f64) -> Option<i128> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an integer of at most 54 bits"
    )]
    (value.fract() == 0.0 && value.abs() <= MAX_EXACT).then_some(value as i128)
}

struct IntegerVisitor<I>(PhantomData<I>);

impl<I: TryFrom<i128>> Visitor<'_> for IntegerVisitor<I> {
    type Value = I;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = 8 * size_of::<I>();
        write!(f, "an integer in the range of {bits} bits")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<I, E> {
        I::try_from(i128::from(value))
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<I, E> {
        I::try_from(i128::from(value))
            .map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<I, E> {
        exact_integer(value)
            .and_then(|value| I::try_from(value).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<I, E> {
        parse_integer(text)
            .and_then(|value| I::try_from(value).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

struct DoubleVisitor;

impl Visitor<'_> for DoubleVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => return Ok(f64::NAN),
            "Infinity" => return Ok(f64::INFINITY),
            "-Infinity" => return Ok(f64::NEG_INFINITY),
            _ => {}
        }
        // `str::parse` takes more than JSON does: `inf`, `+1`, `.5`.
        Decimal::parse(text)
            .and_then(|_| text.parse().ok())
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// The integer that a JSON number stands for, exactly: `100`, `1.5e1`, `10.0`; `None` if it is none
/// or does not fit 64 bits and a sign.
pub(super) fn parse_integer(text: &str) -> Option<i128> {
    if let Some(value) = parse_plain(text) {
        return Some(value);
    }
    let decimal = Decimal::parse(text)?;
    let digits = || decimal.integer.bytes().chain(decimal.fraction.bytes());
    if digits().all(|digit| digit == b'0') {
        return Some(0);
    }
    // The value is all digits × 10^shift: the last `-shift` must be zeros, or zeros are missing.
    let count = i64::try_from(decimal.integer.len() + decimal.fraction.len()).ok()?;
    let shift = decimal.exponent - i64::try_from(decimal.fraction.len()).ok()?;
    let kept = usize::try_from(count.saturating_add(shift.min(0))).unwrap_or(0);
    if digits().skip(kept).any(|digit| digit != b'0') {
        return None;
    }
    let mut value = 0;
    for digit in digits().take(kept) {
        value = push_digit(value, digit)?;
    }
    for _ in 0..shift {
        value = push_digit(value, b'0')?;
    }
    Some(if decimal.negative { -value } else { value })
}

/// What nearly all integers look like: a sign and digits, no more than 64 bits have.
fn parse_plain(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if leading_zero || !(1..=20).contains(&digits.len()) || !all_digits(digits) {
        return None;
    }
    if digits.len() == 20 {
        let value: i128 = text.parse().ok()?;
        return (value.unsigned_abs() <= u64::MAX.into()).then_some(value);
    }
    // Nineteen digits fit.
    let push = |value: u64, digit| value * 10 + u64::from(digit - b'0');
    let value = i128::from(digits.bytes().fold(0, push));
    Some(if digits.len() < text.len() {
        -value
    } else {
        value
    })
}

/// `None` past the range of every integer field, which also bounds the loop over an exponent.
fn push_digit(value: i128, digit: u8) -> Option<i128> {
    let value = value * 10 + i128::from(digit - b'0');
    (value <= i128::from(u64::MAX)).then_some(value)
}

/// The parts of a JSON number (RFC 8259, section 6).
struct Decimal<'a> {
    negative: bool,
    integer: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((integer, fraction)) if !fraction.is_empty() => (integer, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let leading_zero = integer.len() > 1 && integer.starts_with('0');
        if integer.is_empty() || leading_zero || !all_digits(integer) || !all_digits(fraction) {
            return None;
        }
        Some(Self {
            negative,
            integer,
            fraction,
            exponent,
        })
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !all_digits(digits) {
        return None;
    }
    // More digits than that are no number of ours, but a valid one.
    let value = i64::from(digits.parse::<u32>().unwrap_or(u32::MAX));
    Some(if text.starts_with('-') { -value } else { value })
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// 2⁵³: up to here every integer has an `f64` of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_integers_are_exact() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0.000", Some(0)),
            ("0e999999999999", Some(0)),
            ("1e5", Some(100_000)),
            ("1E+5", Some(100_000)),
            ("1.5e1", Some(15)),
            ("100000.000", Some(100_000)),
            ("1500e-2", Some(15)),
            ("-1.0", Some(-1)),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("18446744073709551616", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
            ("1e-99999999999999999999", None),
            ("1.5", None),
            ("15e-1", None),
            ("", None),
            ("-", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1.", None),
            (".5", None),
            ("1e", None),
            ("1e+", None),
            ("0x10", None),
            ("1_000", None),
            ("１", None),
        ] {
            assert_eq!(parse_integer(text), value, "{text}");
        }
    }
}
