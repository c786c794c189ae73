//! Equal messages have equal encodings, in whichever order the entries of their maps were added.

use bytes::{Bytes, BytesMut};
use connect_codegen_check::built::shapes::v1::{Color, Shape};
use connect_tower::{Codec, Encode, Prost, json::JsonOptions};

/// As many entries as make equal orders of two `HashMap`s practically impossible.
const ENTRIES: i32 = 64;

fn shape(keys: impl Iterator<Item = i32>) -> Shape {
    let mut shape = Shape::default();
    for key in keys {
        shape.parts.insert(format!("part {key}"), Shape::default());
        shape.colors.insert(key, Color::Grey.into());
    }
    shape
}

fn encoded(shape: &Shape, codec: &Codec) -> Bytes {
    let mut out = BytesMut::new();
    Prost::encode(shape, codec, &mut out).unwrap();
    out.freeze()
}

#[test]
fn the_order_of_insertion_leaves_no_trace() {
    let forwards = shape(0..ENTRIES);
    let backwards = shape((0..ENTRIES).rev());
    assert_eq!(forwards, backwards);
    for codec in [Codec::default(), Codec::Json(JsonOptions::default())] {
        let bytes = encoded(&forwards, &codec);
        assert!(bytes.len() > 64 * 8, "all entries are there");
        assert_eq!(bytes, encoded(&backwards, &codec), "{codec:?}");
    }
}
