//! Default values of proto2 and editions, as prost writes them.

use std::{ascii, fmt::Debug, str::FromStr};

use super::{Scalar, names::variant};
use crate::descriptor::{FieldDescriptorProto, kind};

/// The default of a field that has one.
pub(super) fn of(field: &FieldDescriptorProto) -> Option<String> {
    let text = field.default_value.as_deref()?;
    Some(match field.r#type() {
        kind::BYTES => {
            let bytes = unescape(text);
            let bytes = bytes.into_iter().flat_map(ascii::escape_default);
            format!("b\"{}\"", bytes.map(char::from).collect::<String>())
        }
        kind::ENUM => {
            let enumeration = field.type_name().rsplit('.').next();
            variant(text, enumeration.unwrap_or_default())
        }
        other => match Scalar::try_from(other) {
            Ok(Scalar::Float) => number::<f32>(text),
            Ok(Scalar::Double) => number::<f64>(text),
            _ => text.to_owned(),
        },
    })
}

/// One way of several to spell a number: compilers differ.
fn number<N: FromStr + Debug>(text: &str) -> String {
    match text.parse::<N>() {
        // `inf` and `nan` are Protobuf's.
        Ok(number) => format!("{number:?}").to_lowercase(),
        Err(_) => text.to_owned(),
    }
}

/// The bytes that a C string literal stands for.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = rest.next().unwrap_or(b'\\');
        let mut digits = |first: u32, radix: u32, most: usize| {
            let mut value = first;
            for _ in 0..most {
                let digit = rest.peek().and_then(|b| char::from(*b).to_digit(radix));
                let Some(digit) = digit else { break };
                value = value * radix + digit;
                rest.next();
            }
            value.to_le_bytes()[0]
        };
        out.push(match escape {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'x' | b'X' => digits(0, 16, 2),
            b'0'..=b'7' => digits(u32::from(escape - b'0'), 8, 2),
            other => other,
        });
    }
    out
}
