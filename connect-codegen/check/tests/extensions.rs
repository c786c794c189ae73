//! Extensions of every kind, by their constants, beside a message that has them as fields.

use connect_codegen_check::built::kept::{
    self, Courier, Empty, Order, Stop, Tour, courier, order::State,
};
use connect_tower::Extension;
use prost::{Message, encoding};

/// What is set is read, also from bytes, and gone when it is cleared.
#[track_caller]
fn round_trip<T: PartialEq + std::fmt::Debug>(extension: &Extension<Order, T>, value: &T) {
    let mut order = Order::default();
    kept::RATING.set(&mut order, &1);
    let before = order.clone();
    assert_eq!(extension.get(&order).unwrap(), None);
    extension.set(&mut order, value);
    extension.set(&mut order, value);
    let mut read = Order::decode(order.encode_to_vec().as_slice()).unwrap();
    assert_eq!(read, order);
    assert!(extension.is_set(&read));
    assert_eq!(extension.get(&read).unwrap().as_ref(), Some(value));
    assert_eq!(&extension.get_or_default(&read).unwrap(), value);
    extension.clear(&mut read);
    assert!(!extension.is_set(&read));
    assert_eq!(read, before);
}

#[test]
fn every_kind_is_set_and_read() {
    round_trip(&kept::REMARK, &String::from("fine"));
    round_trip(&kept::DIGEST, &"abc".into());
    round_trip(&kept::NEXT_STATE, &State::Paid.into());
    round_trip(&kept::NOTHING, &Empty::default());
    let via = Some(String::from("sea"));
    round_trip(
        &kept::TOUR,
        &Tour {
            via,
            ..Default::default()
        },
    );
    round_trip(&kept::STEPS, &vec![1, -1, i32::MIN]);
    round_trip(&kept::LOOSE_STEPS, &vec![1, -1, i32::MIN]);
    round_trip(&kept::TAGS, &vec![String::from("a"), String::new()]);
    round_trip(&kept::RELATED, &vec![Order::default(), Order::default()]);
    let stop = |name: &str| Stop {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    round_trip(&kept::STOP, &vec![stop("a"), stop("b")]);
    round_trip(&kept::STATES_SEEN, &vec![1, 2, -3]);
    round_trip(&kept::WORST, &1.5);
    round_trip(&kept::SHARE, &0.0);
    #[allow(deprecated)]
    round_trip(&kept::EXPRESS, &false);
    round_trip(&kept::WEIGHT, &0);
    round_trip(&kept::OFFSET, &-1);
    round_trip(&kept::FILE_DESCRIPTOR_SET_, &vec!["abc".into()]);
    let mut by = Courier::default();
    by.unknown_fields.clear();
    round_trip(&courier::BY, &by);
}

#[test]
fn defaults_are_those_of_the_schema() {
    let order = Order::default();
    assert_eq!(kept::RATING.get_or_default(&order).unwrap(), 0);
    assert_eq!(kept::REMARK.get_or_default(&order).unwrap(), "none \"yet\"");
    assert_eq!(kept::DIGEST.default(), b"\x01\"a".as_slice());
    assert_eq!(kept::NEXT_STATE.default(), State::Lost as i32);
    // The first one, though it is not 0.
    assert_eq!(kept::FIRST_STATE.default(), State::New as i32);
    assert_eq!(kept::STEPS.default(), [0; 0]);
    assert!(kept::WORST.default().is_infinite());
    assert!((kept::SHARE.default() + 0.5).abs() < f32::EPSILON);
    assert_eq!(kept::WEIGHT.default(), u64::MAX);
    assert_eq!(kept::OFFSET.default(), i64::MIN);
}

/// The rules of merging are those of fields, and what lies between the values stays where it is.
#[test]
fn several_values_are_merged() {
    let mut bytes = Vec::new();
    encoding::sint32::encode(107, &1, &mut bytes);
    encoding::int32::encode(100, &1, &mut bytes);
    encoding::sint32::encode_packed(107, &[2, 3], &mut bytes);
    encoding::int32::encode(100, &2, &mut bytes);
    for count in [1, 2] {
        let related = Order {
            count: Some(count),
            ..Default::default()
        };
        let by = Courier::default();
        encoding::message::encode(110, &related, &mut bytes);
        encoding::message::encode(120, &by, &mut bytes);
    }
    let mut order = Order::decode(bytes.as_slice()).unwrap();
    assert_eq!(kept::STEPS.get(&order).unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(kept::RATING.get(&order).unwrap(), Some(2));
    assert_eq!(kept::RELATED.get_or_default(&order).unwrap().len(), 2);
    assert_eq!(courier::BY.get(&order).unwrap(), Some(Courier::default()));
    kept::STEPS.clear(&mut order);
    let numbers: Vec<_> = order
        .unknown_fields
        .iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(numbers, [100, 100, 110, 120, 110, 120]);
}

#[test]
fn a_value_of_another_type_is_an_error() {
    let mut bytes = Vec::new();
    encoding::string::encode(100, &String::from("five"), &mut bytes);
    let order = Order::decode(bytes.as_slice()).unwrap();
    assert!(kept::RATING.is_set(&order));
    let error = kept::RATING.get(&order).unwrap_err().to_string();
    assert!(error.starts_with("kept.rating: "), "{error}");
}

#[test]
fn constants_know_their_names() {
    assert_eq!(courier::R_TYPE.full_name(), "kept.Courier.r_type");
    assert_eq!(courier::R_TYPE.number(), 7);
    let text = format!("{:?}", kept::RATING);
    assert_eq!(
        text,
        r#"Extension { number: 100, full_name: "kept.rating", .. }"#
    );
}
