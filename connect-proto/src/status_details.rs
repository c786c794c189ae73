//! `google.rpc.Status`, the message in `grpc-status-details-bin`.
//!
//! ```text
//! Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
//! Any    { string type_url = 1; bytes value = 2; }
//! ```
//!
//! Two messages of five fields: written and read here by hand, so that the core needs no Protobuf library.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Error, ErrorDetail};

/// The bytes are not a `google.rpc.Status`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed google.rpc.Status: {0}")]
pub(crate) struct Malformed(&'static str);

/// What a `google.rpc.Status` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DecodedStatus {
    /// `code`, an `int32`, in two's complement.
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) details: Vec<ErrorDetail>,
}

/// The error as a `google.rpc.Status`.
pub(crate) fn encode(error: &Error) -> Bytes {
    let mut status = BytesMut::new();
    put_varint(&mut status, tag(1, VARINT));
    put_varint(&mut status, u64::from(error.code().number()));
    if !error.message().is_empty() {
        put_len(&mut status, 2, error.message().len());
        status.put_slice(error.message().as_bytes());
    }
    for detail in error.details() {
        put_detail(&mut status, detail);
    }
    status.freeze()
}

/// Reads a `google.rpc.Status`. Values of details are slices of `bytes`.
///
/// At most [`MAX_DETAILS`](Error::MAX_DETAILS) details are kept. Unknown fields are skipped, and so are known ones with another wire type, as Protobuf
/// parsers do.
pub(crate) fn decode(bytes: Bytes) -> Result<DecodedStatus, Malformed> {
    let mut reader = Reader { bytes };
    let mut status = DecodedStatus::default();
    while let Some(field) = reader.field()? {
        match field {
            (1, Value::Varint(code)) => status.code = code as u32,
            (2, Value::Bytes(message)) => status.message = text(&message)?.to_owned(),
            (3, Value::Bytes(_)) if status.details.len() == Error::MAX_DETAILS => {}
            (3, Value::Bytes(detail)) => status.details.push(decode_detail(detail)?),
            _ => {}
        }
    }
    Ok(status)
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LEN: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;
const FIXED32: u64 = 5;

/// Groups inside groups that are skipped, as deep as Protobuf parsers go.
const MAX_GROUP_DEPTH: usize = 100;

const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

const CUT_SHORT: Malformed = Malformed("unexpected end of data");

/// A field's value, as far as wire types tell.
enum Value {
    Varint(u64),
    Bytes(Bytes),
    /// Of a type that no known field has.
    Skipped,
}

struct Reader {
    bytes: Bytes,
}

impl Reader {
    /// The next field, whole groups included; `None` at the end.
    fn field(&mut self) -> Result<Option<(u64, Value)>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            START_GROUP => {
                self.skip_group(number)?;
                Value::Skipped
            }
            END_GROUP => return Err(Malformed("end of a group that was not begun")),
            _ => self.value(wire_type)?,
        };
        Ok(Some((number, value)))
    }

    fn tag(&mut self) -> Result<(u64, u64), Malformed> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || tag > u64::from(u32::MAX) {
            return Err(Malformed("field number out of range"));
        }
        Ok((number, tag & 7))
    }

    /// A value of any wire type but a group's.
    fn value(&mut self, wire_type: u64) -> Result<Value, Malformed> {
        match wire_type {
            VARINT => return Ok(Value::Varint(self.varint()?)),
            LEN => {
                let len = usize::try_from(self.varint()?).map_err(|_| CUT_SHORT)?;
                return Ok(Value::Bytes(self.take(len)?));
            }
            FIXED64 => self.take(8)?,
            FIXED32 => self.take(4)?,
            _ => return Err(Malformed("unknown wire type")),
        };
        Ok(Value::Skipped)
    }

    /// Skips to the end of a group, with a stack of its own instead of recursion.
    fn skip_group(&mut self, number: u64) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            match self.tag()? {
                (_, START_GROUP) if open.len() == MAX_GROUP_DEPTH => {
                    return Err(Malformed("groups nested too deep"));
                }
                (number, START_GROUP) => open.push(number),
                (number, END_GROUP) if number == innermost => {
                    open.pop();
                }
                (_, END_GROUP) => return Err(Malformed("end of another group")),
                (_, wire_type) => {
                    self.value(wire_type)?;
                }
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (i, &byte) in self.bytes.iter().take(10).enumerate() {
            // The tenth byte has room for one bit of the 64.
            if i == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                let _ = self.bytes.split_to(i + 1);
                return Ok(value);
            }
        }
        if self.bytes.len() < 10 {
            Err(CUT_SHORT)
        } else {
            Err(Malformed("varint is too long"))
        }
    }

    fn take(&mut self, len: usize) -> Result<Bytes, Malformed> {
        if len > self.bytes.len() {
            return Err(CUT_SHORT);
        }
        Ok(self.bytes.split_to(len))
    }
}

fn decode_detail(bytes: Bytes) -> Result<ErrorDetail, Malformed> {
    let mut reader = Reader { bytes };
    let mut type_url = Bytes::new();
    let mut value = Bytes::new();
    while let Some(field) = reader.field()? {
        match field {
            (1, Value::Bytes(bytes)) => type_url = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let type_url = text(&type_url)?;
    let type_name = type_url.rsplit('/').next().unwrap_or(type_url);
    Ok(ErrorDetail::new(type_name.to_owned(), value))
}

fn text(bytes: &Bytes) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("text is not UTF-8"))
}

/// A field `details` with an `Any`.
fn put_detail(out: &mut BytesMut, detail: &ErrorDetail) {
    let url_len = TYPE_URL_PREFIX.len() + detail.type_name().len();
    let any_len = 1 + varint_len(url_len) + url_len + {
        let value_len = detail.value().len();
        if value_len == 0 {
            0
        } else {
            1 + varint_len(value_len) + value_len
        }
    };
    put_len(out, 3, any_len);
    put_len(out, 1, url_len);
    out.put_slice(TYPE_URL_PREFIX.as_bytes());
    out.put_slice(detail.type_name().as_bytes());
    if !detail.value().is_empty() {
        put_len(out, 2, detail.value().len());
        out.put_slice(detail.value());
    }
}

fn tag(number: u64, wire_type: u64) -> u64 {
    number << 3 | wire_type
}

fn put_len(out: &mut BytesMut, number: u64, len: usize) {
    put_varint(out, tag(number, LEN));
    put_varint(out, len as u64);
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests;
