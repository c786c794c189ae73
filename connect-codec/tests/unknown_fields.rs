//! `UnknownFields` as a message of its own.

use connect_codec::{UnknownFields, UnknownValue};
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

/// `depth` groups of number 1, each in the one before, the last one empty.
fn groups(depth: usize) -> Vec<u8> {
    [vec![0x0b; depth], vec![0x0c; depth]].concat()
}

#[test]
fn each_field_has_number_and_value() {
    let encoded = [
        &[0x08, 0x96, 0x01][..],
        &[0x11, 1, 0, 0, 0, 0, 0, 0, 0],
        &[0x1a, 2, b'h', b'i'],
        &[0x23, 0x2b, 0x30, 5, 0x3a, 1, 0, 0x2c, 0x24],
        &[0x45, 2, 0, 0, 0],
        &[0x08, 0x07],
    ];
    let fields = UnknownFields::decode(encoded.concat().as_slice()).unwrap();
    let found = fields.iter().map(|(number, _)| number).collect::<Vec<_>>();
    assert_eq!(found, [1, 2, 3, 4, 8, 1]);
    assert_eq!(
        format!("{fields:?}"),
        "[(1, Varint(150)), (2, Fixed64(1)), (3, Bytes([104, 105])), \
         (4, Group([(5, Group([(6, Varint(5)), (7, Bytes([0]))]))])), (8, Fixed32(2)), (1, Varint(7))]"
    );
    assert_eq!(fields.encode_to_vec(), encoded.concat());
}

#[test]
fn fields_are_removed_by_number() {
    let encoded = [0x08, 1, 0x13, 0x08, 2, 0x14, 0x08, 3, 0x18, 4];
    let mut fields = UnknownFields::decode(encoded.as_slice()).unwrap();
    fields.remove(5);
    assert_eq!(fields.encode_to_vec(), encoded);
    // Not those of the same number inside of others.
    fields.remove(1);
    assert_eq!(fields.encode_to_vec(), [0x13, 0x08, 2, 0x14, 0x18, 4]);
    fields.clear();
    assert!(fields.is_empty());
    assert_eq!(fields, UnknownFields::default());
}

/// What came before the fault stays, of the field with the fault there is nothing.
#[test]
fn malformed_fields_leave_nothing_behind() {
    for malformed in [
        &[0x08][..],
        &[0x09, 1],
        &[0x0d, 1],
        &[0x0a, 2, 1],
        &[0x0b, 0x08, 1],
        &[0x0b, 0x10, 1, 0x14],
        &[0x0c],
        &[0x0e, 1],
        &[0x00, 1],
    ] {
        let mut fields = UnknownFields::decode([0x18, 5].as_slice()).unwrap();
        fields.merge(malformed).unwrap_err();
        assert_eq!(fields.encode_to_vec(), [0x18, 5], "{malformed:?}");
    }
}

/// prost goes as deep.
#[test]
fn groups_have_a_greatest_depth() {
    let fields = UnknownFields::decode(groups(100).as_slice()).unwrap();
    let mut value = fields.iter().next().unwrap().1;
    let mut depth = 0;
    while let UnknownValue::Group(mut inside) = value {
        depth += 1;
        let Some((_, next)) = inside.next() else {
            break;
        };
        value = next;
    }
    assert_eq!(depth, 100);
    UnknownFields::decode(groups(101).as_slice()).unwrap_err();
}

proptest! {
    /// What prost skips, is kept; what it refuses, is refused for the same reason.
    #[test]
    fn as_prost_skips_them(bytes in vec(prop_oneof![0..30_u8, any::<u8>()], 0..30)) {
        let kept = UnknownFields::decode(bytes.as_slice());
        let skipped = <()>::decode(bytes.as_slice());
        prop_assert_eq!(kept.as_ref().err(), skipped.as_ref().err());
        if let Ok(kept) = kept {
            let again = UnknownFields::decode(kept.encode_to_vec().as_slice()).unwrap();
            prop_assert_eq!(&again, &kept);
            let numbers: Vec<_> = kept.iter().map(|(number, _)| number).collect();
            let mut emptied = kept;
            for number in numbers {
                emptied.remove(number);
            }
            prop_assert!(emptied.is_empty());
        }
    }
}
