//! A view has what the message has, and refuses what the message refuses.

pub mod support;

use bytes::{Bytes, BytesMut};
use connect_codegen_check::{
    built,
    views::{
        shapes::{
            tour::v1::{LookRequest, TourService, TourServiceClient, TourServiceServer},
            v1::{Color, Legacy, LegacyView, Shape, ShapeView, Side, legacy, shape},
        },
        shop::{self, OrderView},
    },
};
use connect_tower::{
    ClientConfig, Code, Codec, Decode, Encode, Error, InProcess, Prost, ProtoOptions, Request,
    Response, ResponseStream, Router, Side as Peer, Streaming,
    json::JsonOptions,
    prost_types::{ListValue, Timestamp, Value, value::Kind},
    view::{MessageView, View, Viewed},
};
use futures_util::stream;
use support::block_on;

fn drawing() -> Shape {
    let part = |name: &str, origin| Shape {
        name: name.into(),
        origin: Some(origin),
        ..Shape::default()
    };
    let machine = shape::Machine {
        model: "plotter".into(),
        state: shape::machine::State::On.into(),
    };
    Shape {
        name: "house".into(),
        area: -3,
        picture: Bytes::from_static(b"\0\xff"),
        sides: vec![Side { length: 1.5 }, Side { length: 0.0 }],
        parts: [
            ("roof", shape::Origin::Author("Ada".into())),
            ("door", shape::Origin::Machine(machine)),
            ("wall", shape::Origin::Tint(7)),
            ("", shape::Origin::CopyOf(Box::default())),
        ]
        .map(|(name, origin)| (name.into(), part(name, origin)))
        .into(),
        colors: [(-1, Color::Grey.into()), (2, -1)].into(),
        visible: Some(false),
        parent: Some(Box::new(part(
            "street",
            shape::Origin::Author("Bob".into()),
        ))),
        annotation: Some(Value {
            kind: Some(Kind::StringValue("old".into())),
        }),
        drawn_at: Some(Timestamp {
            seconds: -1,
            nanos: 5,
        }),
        weights: vec![0.5, -2.0],
        ..Shape::default()
    }
}

fn encoded<M>(message: &M, codec: &Codec) -> Bytes
where
    Prost: Encode<M>,
{
    let mut out = BytesMut::new();
    Prost::encode(message, codec, &mut out).unwrap();
    out.freeze()
}

/// The message of a view.
fn owned(view: &ShapeView<'_>) -> Shape {
    let origin = view.origin.as_ref().map(|origin| match origin {
        shape::OriginView::Author(author) => shape::Origin::Author((*author).into()),
        shape::OriginView::Machine(machine) => shape::Origin::Machine(shape::Machine {
            model: machine.model.into(),
            state: machine.state,
        }),
        shape::OriginView::CopyOf(of) => shape::Origin::CopyOf(Box::new(owned(of))),
        shape::OriginView::Tint(tint) => shape::Origin::Tint(*tint),
    });
    let parts = view.parts.iter();
    #[allow(deprecated)]
    Shape {
        name: view.name.into(),
        area: view.area,
        picture: Bytes::copy_from_slice(view.picture),
        sides: view.sides.clone(),
        parts: parts
            .map(|(name, part)| ((*name).into(), owned(part)))
            .collect(),
        colors: view.colors.iter().copied().collect(),
        visible: view.visible,
        parent: view.parent.as_deref().map(|parent| Box::new(owned(parent))),
        extra: view.extra.clone(),
        annotation: view.annotation.clone(),
        drawn_at: view.drawn_at,
        nothing: view.nothing,
        old_name: view.old_name.into(),
        weights: view.weights.clone(),
        origin,
    }
}

/// Both ways to read the bytes: the message, the message of the view.
fn both(bytes: &Bytes) -> (Result<Shape, String>, Result<Shape, String>) {
    let message = Prost::decode(bytes.clone(), &Codec::default());
    let view = ShapeView::decode(bytes, &ProtoOptions::default());
    (
        message.map_err(|error| error.to_string()),
        view.map(|view| owned(&view))
            .map_err(|error| error.to_string()),
    )
}

#[test]
fn every_kind_of_field() {
    let bytes = encoded(&drawing(), &Codec::default());
    let view = ShapeView::decode(&bytes, &ProtoOptions::default()).unwrap();
    assert_eq!(owned(&view), drawing());
    let inside = bytes.as_ptr_range();
    assert!(inside.contains(&view.name.as_ptr()), "nothing is copied");
    assert!(inside.contains(&view.picture.as_ptr()), "nothing is copied");
    let roof = view.parts.get("roof").unwrap();
    assert_eq!(roof.origin, Some(shape::OriginView::Author("Ada")));
    assert_eq!(view.parts.get("cellar"), None);
    assert_eq!(view.colors.get(&-1), Some(&1));
}

/// Each byte of a message changed in turn, and the message cut at each place: whatever that makes of it, both ways to
/// read it agree.
#[test]
fn what_the_message_refuses_the_view_refuses() {
    let bytes = encoded(&drawing(), &Codec::default());
    let mut refused = 0;
    let mut check = |bytes: Vec<u8>| {
        let (message, view) = both(&bytes.clone().into());
        assert_eq!(
            message.is_err(),
            view.is_err(),
            "{bytes:?}: {message:?}, {view:?}"
        );
        refused += usize::from(view.is_err());
        if let (Ok(message), Ok(view)) = (message, view) {
            // Two NaN are not equal.
            let [message, view] = [message, view].map(|shape| encoded(&shape, &Codec::default()));
            assert_eq!(message, view, "{bytes:?}");
        }
    };
    let mut tried = 0;
    for at in 0..bytes.len() {
        check(bytes[..at].to_vec());
        for change in [1, 2, 3, 4, 5, 7, 8, 0x10, 0x40, 0x80, 0xff] {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= change;
            check(bytes);
        }
        tried += 12;
    }
    assert!(refused > tried / 4, "{refused} of {tried} were refused");
    assert!(refused < tried, "{refused} of {tried} were refused");
}

/// "Encoding": the last one wins, messages merge, packed or not, what is unknown is skipped.
#[test]
fn rules_of_the_encoding() {
    for (case, bytes) in [
        ("a field twice: the last", b"\x0a\x01a\x0a\x01b".to_vec()),
        (
            "a message twice: merged",
            b"\x42\x03\x0a\x01a\x42\x02\x10\x07".to_vec(),
        ),
        (
            "a oneof's message twice",
            b"\x52\x03\x0a\x01a\x52\x02\x10\x01".to_vec(),
        ),
        ("two members of a oneof", b"\x4a\x01a\x60\x01".to_vec()),
        (
            "packed and not",
            b"\x91\x01\0\0\0\0\0\0\xf0\x3f\x92\x01\x08\0\0\0\0\0\0\0\x40".to_vec(),
        ),
        ("an entry without key and value", b"\x2a\0".to_vec()),
        (
            "a key twice",
            b"\x32\x04\x08\x01\x10\x01\x32\x04\x08\x01\x10\x02".to_vec(),
        ),
        (
            "an unknown group",
            b"\xa3\x06\x08\x01\xa4\x06\x0a\x01a".to_vec(),
        ),
        ("100 messages deep", nested(100)),
    ] {
        let (message, view) = both(&bytes.into());
        assert!(message.is_ok(), "{case}: {message:?}");
        assert_eq!(view, message, "{case}");
    }
}

#[test]
fn malformed_messages() {
    for (case, bytes, says) in [
        (
            "101 messages deep",
            nested(101),
            "messages are nested too deep",
        ),
        ("field 0", b"\x02\0".to_vec(), "0 is no field number"),
        ("wire type 6", b"\x0e".to_vec(), "there is no wire type 6"),
        (
            "a string as a number",
            b"\x08\x01".to_vec(),
            "Shape.name: the wire type is Varint, not Len",
        ),
        (
            "not UTF-8",
            b"\x4a\x01\xff".to_vec(),
            "Shape.author: the string is not UTF-8",
        ),
        (
            "below",
            b"\x42\x03\x0a\x01\xff".to_vec(),
            "Shape.parent: Shape.name: the string is not UTF-8",
        ),
        (
            "the end too early",
            b"\x0a\x05a".to_vec(),
            "the value has 5 bytes, of which 1 are there",
        ),
        (
            "a varint of 11 bytes",
            [&[0x10][..], &[0x80; 10], &[0]].concat(),
            "a varint does not end",
        ),
        (
            "a group that ends",
            b"\xa4\x06".to_vec(),
            "a group ends that did not begin",
        ),
        (
            "another group ends",
            b"\xa3\x06\xac\x06".to_vec(),
            "a group ends that did not begin",
        ),
    ] {
        let (message, view) = both(&bytes.into());
        assert!(message.is_err(), "{case}: {message:?}");
        let error = view.expect_err(case);
        assert!(error.contains(says), "{case}: {error}");
    }
}

/// Messages in each other, in the field `parent`.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..depth {
        let mut outer = vec![0x42];
        push_varint(bytes.len(), &mut outer);
        outer.append(&mut bytes);
        bytes = outer;
    }
    bytes
}

fn push_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(0x80 | u8::try_from(value & 0x7f).unwrap());
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

#[test]
fn groups() {
    let data = legacy::Data {
        blob: Some(Bytes::from_static(b"blob")),
    };
    let message = Legacy {
        name: "old".into(),
        data: Some(data),
        unpacked: vec![1, 2],
        ..Legacy::default()
    };
    let bytes = encoded(&message, &Codec::default());
    let view = LegacyView::decode(&bytes, &ProtoOptions::default()).unwrap();
    let blob = view.data.and_then(|data| data.blob);
    assert_eq!((view.name, blob), ("old", Some(&b"blob"[..])));
    assert_eq!((view.count, view.unpacked), (None, vec![1, 2]));
}

/// A few bytes of a list can stand for a structure of many.
#[test]
fn a_view_has_a_budget() {
    let codec = |bytes| Codec::Proto(ProtoOptions::default().with_decode_budget(bytes));
    for list in [b"\x22\0", b"\x2a\0", b"\x32\0"] {
        let list = Bytes::from(list.repeat(1000));
        let read = |budget| -> Result<(), Error> {
            let view: View<Shape> = Prost::decode(list.clone(), &codec(budget))
                .map_err(|error| error.into_error(Peer::Server))?;
            view.get().map(drop)
        };
        assert_eq!(read(4000).unwrap_err().code(), Code::ResourceExhausted);
        read(1 << 20).unwrap();
    }
}

/// Messages that a view holds as they are take of its budget together, however little each of them takes.
#[test]
fn owned_messages_share_the_budget_of_a_view() {
    let nothing = Value { kind: None };
    let list = ListValue {
        values: vec![nothing; 100],
    };
    let part = Shape {
        annotation: Some(Value {
            kind: Some(Kind::ListValue(list)),
        }),
        ..Shape::default()
    };
    let shape = Shape {
        parts: (0..1000).map(|n| (n.to_string(), part.clone())).collect(),
        ..Shape::default()
    };
    let bytes = encoded(&shape, &Codec::default());
    let options = ProtoOptions::default().with_decode_budget(1 << 20);
    let message: Result<Shape, _> = Prost::decode(bytes.clone(), &Codec::Proto(options));
    let view = ShapeView::decode(&bytes, &options).map(|view| owned(&view));
    for read in [message, view] {
        let error = read.unwrap_err().into_error(Peer::Server);
        assert_eq!(error.code(), Code::ResourceExhausted);
    }
    ShapeView::decode(&bytes, &ProtoOptions::default()).unwrap();
}

#[test]
fn messages_of_other_codecs_have_views() {
    let json = Codec::Json(JsonOptions::default());
    let view: View<Shape> = Prost::decode(encoded(&drawing(), &json), &json).unwrap();
    assert_eq!(owned(&view.get().unwrap()), drawing());
    assert_eq!(view.to_message().unwrap(), drawing());
    let malformed: View<Shape> = Prost::decode("x".into(), &Codec::default()).unwrap();
    let error = malformed.get().unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(malformed.to_message().unwrap_err().code(), error.code());
    assert_eq!(
        format!("{malformed:?}"),
        "View { message: \"shapes.v1.Shape\", len: 1, .. }"
    );
}

/// `shop.Order` is in one module with the package `shop.order`.
#[test]
fn nested_messages_have_views() {
    fn is_viewed<M: Viewed>() {}
    is_viewed::<shop::Order>();
    let bytes = encoded(&built::shop::Order::default(), &Codec::default());
    assert!(OrderView::decode(&bytes, &ProtoOptions::default()).is_ok());
}

/// A tour whose handlers take views.
#[derive(Debug)]
struct Tour;

impl TourService for Tour {
    async fn look(&self, request: Request<View<LookRequest>>) -> Result<Response<Shape>, Error> {
        let name = request.message().get()?.name;
        Ok(Response::new(Shape {
            name: name.to_uppercase(),
            ..Shape::default()
        }))
    }

    async fn walk(
        &self,
        _: Request<View<LookRequest>>,
    ) -> Result<Response<ResponseStream<Shape>>, Error> {
        Err(Error::unimplemented("stay"))
    }

    async fn collect(
        &self,
        request: Request<Streaming<View<Shape>>>,
    ) -> Result<Response<i64>, Error> {
        let mut shapes = request.into_message();
        let mut area = 0;
        while let Some(shape) = shapes.message().await? {
            area += shape.get()?.area;
        }
        Ok(Response::new(area))
    }

    async fn talk(
        &self,
        _: Request<Streaming<String>>,
    ) -> Result<Response<ResponseStream<String>>, Error> {
        Err(Error::unimplemented("hush"))
    }

    async fn rest(&self, _: Request<()>) -> Result<Response<()>, Error> {
        Ok(Response::new(()))
    }

    async fn stare(&self, request: Request<View<LookRequest>>) -> Result<Response<Shape>, Error> {
        self.look(request).await
    }
}

#[test]
fn handlers_take_views_and_clients_send_messages() {
    let router = Router::new().add_service(TourServiceServer::new(Tour));
    let client = TourServiceClient::new(InProcess::new(router));
    for codec in ["proto", "json"] {
        let client = client
            .clone()
            .with_config(ClientConfig::new().with_codec(codec));
        let cube = LookRequest {
            name: "cube".into(),
        };
        let shape = block_on(client.look(cube)).unwrap().into_message();
        assert_eq!(shape.name, "CUBE");
        let shapes = stream::iter([1, 2].map(|area| Shape {
            area,
            ..Shape::default()
        }));
        let area = block_on(client.collect_from(shapes)).unwrap();
        assert_eq!(area.into_message(), 3);
    }
}
