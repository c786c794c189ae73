use bytes::{Bytes, BytesMut};
use connect_proto::{Code, Error, Side};
use prost_types::Timestamp;

use super::*;
use crate::{Codecs, CustomCodec, json::JsonOptions};

fn written<L: Encode<M>, M>(message: &M, codec: &Codec) -> Result<Bytes, Error> {
    let mut out = BytesMut::from(&b"head"[..]);
    L::encode(message, codec, &mut out)?;
    assert_eq!(&out[..4], b"head", "encode appends");
    Ok(out.split_off(4).freeze())
}

#[test]
fn built_in_codecs_write_and_read() {
    let time = Timestamp {
        seconds: 3,
        nanos: 0,
    };
    let json = Codec::Json(JsonOptions::default());
    for (codec, bytes) in [
        (&Codec::default(), &b"\x08\x03"[..]),
        (&json, br#""1970-01-01T00:00:03Z""#),
    ] {
        let out = written::<Prost, _>(&time, codec).unwrap();
        assert_eq!(out, bytes);
        let back: Timestamp = Prost::decode(out, codec).unwrap();
        assert_eq!(back, time);
    }
}

#[test]
fn bytes_fields_share_the_input() {
    let input = Bytes::from_static(b"\x0a\x03abc");
    let value: Bytes = Prost::decode(input.clone(), &Codec::default()).unwrap();
    assert_eq!(value, "abc");
    assert_eq!(value.as_ptr(), input[2..].as_ptr());
}

#[test]
fn malformed_input_says_what_is_wrong() {
    let json = Codec::Json(JsonOptions::default());
    for (codec, bytes, says) in [
        (
            &Codec::default(),
            &b"\x08\xff"[..],
            "Timestamp.seconds: invalid varint",
        ),
        (&Codec::default(), b"\x0a\x09", "invalid wire type"),
        (&json, br#""2020-13-01T00:00:00Z""#, "at line 1 column 22"),
        (&json, b"", "EOF while parsing"),
        (
            &json,
            br#""1970-01-01T00:00:03Z" x"#,
            "trailing characters at line 1",
        ),
        (&json, b"\xff", "line 1 column 1"),
    ] {
        let error = <Prost as Decode<Timestamp>>::decode(bytes.into(), codec).unwrap_err();
        assert!(error.message().contains(says), "{error}");
        let received = error.into_error(Side::Server);
        assert_eq!(received.code(), Code::InvalidArgument);
        assert!(received.message().contains(says), "{received}");
    }
}

/// A codec that the message library cannot read is nobody's bytes.
#[test]
fn a_codec_without_support_is_unimplemented_on_either_side() {
    let json = Codec::Json(JsonOptions::default());
    for side in [Side::Server, Side::Client] {
        let read = <ProstBinary as Decode<Timestamp>>::decode("{}".into(), &json);
        let error = read.unwrap_err().into_error(side);
        assert_eq!(error.code(), Code::Unimplemented, "{side:?}: {error}");
    }
}

#[test]
fn a_message_without_a_json_form_is_our_fault() {
    let json = Codec::Json(JsonOptions::default());
    let time = Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let error = written::<Prost, _>(&time, &json).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(
        error.message().contains("google.protobuf.Timestamp"),
        "{error}"
    );
}

#[test]
fn foreign_messages_travel_in_proto_only() {
    let json = Codec::Json(JsonOptions::default());
    assert!(ProstBinary::supports(&Codec::default()));
    assert!(!ProstBinary::supports(&json));
    let error = written::<ProstBinary, _>(&Timestamp::default(), &json).unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    let decoded = <ProstBinary as Decode<Timestamp>>::decode(Bytes::new(), &json);
    let error = decoded.unwrap_err();
    assert!(error.message().contains("`json`"), "{error}");
    let out = written::<ProstBinary, _>(&7_i32, &Codec::default()).unwrap();
    assert_eq!(out, &b"\x08\x07"[..]);
    let back: i32 = ProstBinary::decode(out, &Codec::default()).unwrap();
    assert_eq!(back, 7);
}

/// The binary form backwards, and a fixed text for timestamps, which it knows.
#[derive(Debug)]
struct Backwards;

impl CustomCodec for Backwards {
    fn name(&self) -> &'static str {
        "sdrawkcab"
    }

    fn encode(&self, message: &dyn DynMessage, out: &mut BytesMut) -> Result<(), Error> {
        if message.as_any().is::<Timestamp>() {
            out.extend_from_slice(b"now");
            return Ok(());
        }
        let mut binary = BytesMut::new();
        message.encode_proto(&mut binary)?;
        out.extend(binary.iter().rev());
        Ok(())
    }

    fn decode(&self, bytes: Bytes, message: &mut dyn DynMessage) -> Result<(), DecodeError> {
        if let Some(time) = message.as_any_mut().downcast_mut::<Timestamp>() {
            time.seconds = 1;
            return Ok(());
        }
        message.decode_proto(bytes.iter().rev().copied().collect())
    }
}

#[test]
fn a_custom_codec_sees_messages_of_any_type() {
    let codecs = Codecs::default().with(Backwards).unwrap();
    assert_eq!(
        codecs.names().collect::<Vec<_>>(),
        ["proto", "json", "sdrawkcab"]
    );
    let codec = codecs.get("SDRAWKCAB").unwrap();
    assert!(Prost::supports(codec) && !ProstBinary::supports(codec));

    let out = written::<Prost, _>(&5_u32, codec).unwrap();
    assert_eq!(out, &b"\x05\x08"[..]);
    let back: u32 = Prost::decode(out, codec).unwrap();
    assert_eq!(back, 5);

    let out = written::<Prost, _>(&Timestamp::default(), codec).unwrap();
    assert_eq!(out, "now");
    let back: Timestamp = Prost::decode(out, codec).unwrap();
    assert_eq!(back.seconds, 1);
}

#[test]
fn codecs_are_replaced_and_removed_by_name() {
    let strict = JsonOptions::default().with_reject_unknown(true);
    let codecs = Codecs::default().with_json(strict).without("proto");
    assert_eq!(codecs.names().collect::<Vec<_>>(), ["json"]);
    assert!(codecs.get("proto").is_none());
    let codec = codecs.get("json").unwrap();
    assert!(<Prost as Decode<()>>::decode(Bytes::from_static(b"{\"a\":1}"), codec).is_err());
    assert_eq!(Codecs::none().names().count(), 0);
}

#[test]
fn erased_messages_know_their_name_and_tree() {
    let mut message = String::from("a");
    let erased: &mut dyn DynMessage = &mut message;
    let options = JsonOptions::default();
    assert_eq!(erased.type_name(), "google.protobuf.StringValue");
    assert_eq!(erased.to_value(&options).unwrap(), "a");
    erased.set_value("b".into(), &options).unwrap();
    assert!(erased.set_value(1.into(), &options).is_err());
    assert_eq!(message, "b");
}

/// What no content type can carry, or another protocol would claim, is refused where it is registered.
#[test]
fn names_are_checked_at_registration() {
    #[derive(Debug)]
    struct Named(&'static str);

    impl CustomCodec for Named {
        fn name(&self) -> &str {
            self.0
        }
        fn encode(&self, _: &dyn DynMessage, _: &mut BytesMut) -> Result<(), Error> {
            Ok(())
        }
        fn decode(&self, _: Bytes, _: &mut dyn DynMessage) -> Result<(), DecodeError> {
            Ok(())
        }
    }

    for name in [
        "",
        "a b",
        "a/b",
        "a;b",
        "\u{e4}",
        "grpc",
        "GRPC-web",
        "grpc+x",
        "connect+x",
    ] {
        let error = Codecs::default().with(Named(name)).unwrap_err();
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
    let codecs = Codecs::default().with(Named("X-Own")).unwrap();
    assert_eq!(codecs.get("x-own").unwrap().name(), "X-Own");
    let codecs = codecs.with(Named("x-OWN")).unwrap();
    assert_eq!(
        codecs.names().collect::<Vec<_>>(),
        ["proto", "json", "x-OWN"]
    );
    assert_eq!(codecs.without("X-own").names().count(), 2);
}
