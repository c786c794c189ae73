//! As much of the Protobuf encoding as it takes to pick messages out of messages unread, so that
//! custom options survive, which prost-types drops.

/// The contents of all occurrences of a field that holds bytes; none of bytes that are no message.
pub(crate) fn contents(message: &[u8], field: u64) -> Vec<&[u8]> {
    let fields = fields(message).unwrap_or_default();
    let wanted = fields.into_iter().filter(|found| found.number == field);
    wanted.filter_map(|found| found.content).collect()
}

/// The message without a field.
pub(crate) fn without(message: &[u8], field: u64) -> Vec<u8> {
    let fields = fields(message).unwrap_or_default();
    let kept = fields.into_iter().filter(|found| found.number != field);
    kept.flat_map(|found| found.whole).copied().collect()
}

/// Appends a field that holds bytes.
pub(crate) fn push(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    push_varint(out, field << 3 | LENGTH_DELIMITED);
    push_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

struct Field<'a> {
    number: u64,
    /// Tag and value.
    whole: &'a [u8],
    /// What a length stands before.
    content: Option<&'a [u8]>,
}

fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut out = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let tag = varint(&mut rest)?;
        let mut content = None;
        match tag & 7 {
            VARINT => drop(varint(&mut rest)?),
            FIXED64 => drop(take(&mut rest, 8)?),
            LENGTH_DELIMITED => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                content = Some(take(&mut rest, length)?);
            }
            FIXED32 => drop(take(&mut rest, 4)?),
            // Descriptors have no groups.
            _ => return None,
        }
        out.push(Field {
            number: tag >> 3,
            whole: &start[..start.len() - rest.len()],
            content,
        });
    }
    Some(out)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_left_out() {
        let long = vec![7; 300];
        let mut message = vec![
            0x08, 0xac, 0x02, 0x15, 1, 2, 3, 4, 0x19, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        let before = message.clone();
        push(&mut message, 1000, &long);
        push(&mut message, 4, b"a");
        push(&mut message, 1000, b"");
        assert_eq!(contents(&message, 1000), [&long[..], b""]);
        assert_eq!(contents(&message, 4), [b"a"]);
        let mut rest = before;
        push(&mut rest, 4, b"a");
        assert_eq!(without(&message, 1000), rest);
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let mut message = Vec::new();
        push(&mut message, 1, b"abc");
        for end in 1..message.len() {
            assert!(fields(&message[..end]).is_none());
        }
        assert!(fields(&[0x0b]).is_none());
        assert!(fields(&[0xff; 11]).is_none());
    }
}
