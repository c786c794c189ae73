//! `Timestamp` and `Duration`.

use std::fmt::{self, Write as _};

use prost_types::{Duration, Timestamp};
use serde::{
    Deserializer,
    de::{self, Unexpected, Visitor},
};

use crate::{
    json::{JsonMessage, label::field, text::Writer},
    table::{Field, Kind, Label, Table},
};

impl JsonMessage for Timestamp {
    const FULL_NAME: &'static str = "google.protobuf.Timestamp";

    fn table() -> &'static Table {
        static TABLE: Table = Table::well_known::<Timestamp>(Timestamp::FULL_NAME, FIELDS);
        &TABLE
    }
}

impl JsonMessage for Duration {
    const FULL_NAME: &'static str = "google.protobuf.Duration";

    fn table() -> &'static Table {
        static TABLE: Table = Table::well_known::<Duration>(Duration::FULL_NAME, FIELDS);
        &TABLE
    }
}

/// Of both.
const FIELDS: &[Field] = &[
    field(1, "seconds", "seconds", Label::Implicit, Kind::Int64),
    field(2, "nanos", "nanos", Label::Implicit, Kind::Int32),
];

/// "Uses RFC 3339, where generated output will always be Z-normalized and use 0, 3, 6 or 9
/// fractional digits."
pub(in crate::json) fn write_timestamp(time: &Timestamp, out: &mut Writer<'_>) {
    match format_timestamp(time) {
        Some(text) => out.plain(&text),
        None => out.fail("a timestamp outside of the years 1 to 9999".into()),
    }
}

pub(in crate::json) fn read_timestamp<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Timestamp, D::Error> {
    input.deserialize_str(TextVisitor {
        parse: parse_timestamp,
        expecting: "a time as in \"1972-01-01T10:00:20.021Z\"",
    })
}

/// "Generated output always contains 0, 3, 6, or 9 fractional digits, followed by the suffix "s"."
pub(in crate::json) fn write_duration(duration: &Duration, out: &mut Writer<'_>) {
    match format_duration(duration) {
        Some(text) => out.plain(&text),
        None => out.fail("a duration past 10,000 years, or with parts of different signs".into()),
    }
}

pub(in crate::json) fn read_duration<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Duration, D::Error> {
    input.deserialize_str(TextVisitor {
        parse: parse_duration,
        expecting: "a duration as in \"1.5s\"",
    })
}

struct TextVisitor<T> {
    parse: fn(&str) -> Option<T>,
    expecting: &'static str,
}

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

fn format_timestamp(time: &Timestamp) -> Option<String> {
    let nanos = u32::try_from(time.nanos).ok().filter(|n| *n < SECOND)?;
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&time.seconds) {
        return None;
    }
    let days = time.seconds.div_euclid(DAY);
    let second = time.seconds.rem_euclid(DAY);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    push_fraction(&mut text, nanos);
    text.push('Z');
    Some(text)
}

fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.digits(4)?;
    let month = cursor.after(b'-')?.digits(2)?;
    let day = cursor.after(b'-')?.digits(2)?;
    let hour = cursor.after(b'T')?.digits(2)?;
    let minute = cursor.after(b':')?.digits(2)?;
    let second = cursor.after(b':')?.digits(2)?;
    let nanos = cursor.fraction()?;
    let offset = cursor.offset()?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || !cursor.0.is_empty() {
        return None;
    }
    let seconds = days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    (MIN_SECONDS..=MAX_SECONDS)
        .contains(&seconds)
        .then_some(Timestamp { seconds, nanos })
}

fn format_duration(duration: &Duration) -> Option<String> {
    let Duration { seconds, nanos } = *duration;
    let same_sign = (seconds >= 0 && nanos >= 0) || (seconds <= 0 && nanos <= 0);
    if !same_sign
        || seconds.unsigned_abs() > MAX_DURATION.unsigned_abs()
        || nanos.unsigned_abs() >= SECOND
    {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", seconds.unsigned_abs());
    push_fraction(&mut text, nanos.unsigned_abs());
    text.push('s');
    Some(text)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let whole = text.bytes().take_while(u8::is_ascii_digit).count();
    // The longest duration has twelve digits.
    if whole == 0 || whole > 12 {
        return None;
    }
    let mut cursor = Cursor(text.as_bytes());
    let seconds = cursor.digits(whole)?;
    let nanos = cursor.fraction()?;
    if !cursor.0.is_empty() || seconds > MAX_DURATION {
        return None;
    }
    Some(Duration {
        seconds: sign * seconds,
        nanos: i32::try_from(sign).ok()? * nanos,
    })
}

/// Appends the fraction of a second in 0, 3, 6 or 9 digits.
fn push_fraction(text: &mut String, nanos: u32) {
    let written = if nanos == 0 {
        Ok(())
    } else if nanos % 1_000_000 == 0 {
        write!(text, ".{:03}", nanos / 1_000_000)
    } else if nanos % 1_000 == 0 {
        write!(text, ".{:06}", nanos / 1_000)
    } else {
        write!(text, ".{nanos:09}")
    };
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// What is left to parse.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn after(&mut self, byte: u8) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(self)
    }

    /// Exactly `count` digits, at most eighteen.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
        }
        self.0 = rest;
        Some(value)
    }

    /// A point and one to nine digits, or nothing; in nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        if self.after(b'.').is_none() {
            return Some(0);
        }
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return None;
        }
        let mut nanos = self.digits(count)?;
        for _ in count..9 {
            nanos *= 10;
        }
        i32::try_from(nanos).ok()
    }

    /// `Z`, or an offset such as `+01:00`; in seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.after(b'Z').is_some() {
            return Some(0);
        }
        let sign = if self.after(b'+').is_some() {
            1
        } else {
            self.after(b'-')?;
            -1
        };
        let hours = self.digits(2)?;
        let minutes = self.after(b':')?.digits(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
///
/// The year is counted from March, so that the leap day is its last day and the lengths of months
/// follow one linear rule.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - MARCH_YEAR_ZERO
}

/// The date of a day since 1970-01-01: the inverse of [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_YEAR_ZERO;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

const DAY: i64 = 86_400;
const SECOND: u32 = 1_000_000_000;
/// Days from 0000-03-01 to 1970-01-01.
const MARCH_YEAR_ZERO: i64 = 719_468;
/// 0001-01-01T00:00:00Z.
const MIN_SECONDS: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const MAX_SECONDS: i64 = 253_402_300_799;
/// 10,000 years of 365.25 days, and `google/protobuf/duration.proto`'s limit.
const MAX_DURATION: i64 = 315_576_000_000;
