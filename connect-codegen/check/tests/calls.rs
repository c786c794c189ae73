//! Calls through generated servers and clients, in one process.

pub mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use connect_codegen_check::built::shapes::{
    tour::v1::{LookRequest, TourService, TourServiceClient, TourServiceServer, tour_service},
    v1::{Color, Shape, Side, shape},
};
use connect_tower::{
    Client, ClientConfig, Code, Codecs, CustomCodec, DecodeError, DynMessage, Error, Idempotency,
    InProcess, Request, Response, ResponseStream, Router, Service, StreamType, Streaming, before,
    json::JsonOptions, rt::NoTimer,
};
use futures_util::stream;
use support::block_on;

/// A tour that remembers which names were looked at.
#[derive(Debug, Default)]
struct Tour {
    looked: Mutex<Vec<String>>,
}

impl TourService for Tour {
    async fn look(&self, request: Request<LookRequest>) -> Result<Response<Shape>, Error> {
        let name = request.into_message().name;
        if name.is_empty() {
            return Err(Error::invalid_argument("look at what?"));
        }
        self.looked.lock().unwrap().push(name.clone());
        let shape = Shape {
            name,
            area: i64::MAX,
            picture: vec![1, 2, 3].into(),
            sides: vec![Side { length: 1.5 }],
            origin: Some(shape::Origin::Tint(Color::Grey.into())),
            ..Shape::default()
        };
        Ok(Response::new(shape))
    }

    async fn walk(
        &self,
        request: Request<LookRequest>,
    ) -> Result<Response<ResponseStream<Shape>>, Error> {
        let name = request.into_message().name;
        Ok(Response::new(ResponseStream::generate(
            |mut shapes| async move {
                for letter in name.chars() {
                    let shape = Shape {
                        name: letter.into(),
                        ..Shape::default()
                    };
                    shapes.send(shape).await;
                }
                Ok(())
            },
        )))
    }

    async fn collect(&self, request: Request<Streaming<Shape>>) -> Result<Response<i64>, Error> {
        let mut shapes = request.into_message();
        let mut count = 0;
        while shapes.message().await?.is_some() {
            count += 1;
        }
        Ok(Response::new(count))
    }

    async fn talk(
        &self,
        request: Request<Streaming<String>>,
    ) -> Result<Response<ResponseStream<String>>, Error> {
        let mut words = request.into_message();
        Ok(Response::new(ResponseStream::generate(
            |mut answers| async move {
                while let Some(word) = words.message().await? {
                    answers.send(format!("{word}?")).await;
                }
                Ok(())
            },
        )))
    }

    async fn rest(&self, _: Request<()>) -> Result<Response<()>, Error> {
        Ok(Response::new(()))
    }

    async fn stare(&self, request: Request<LookRequest>) -> Result<Response<Shape>, Error> {
        self.look(request).await
    }
}

/// Base64 of nothing, hexadecimal of binary: a codec that nobody has.
#[derive(Debug)]
struct Hex;

impl CustomCodec for Hex {
    fn name(&self) -> &'static str {
        "hex"
    }

    fn encode(&self, message: &dyn DynMessage, out: &mut BytesMut) -> Result<(), Error> {
        let mut binary = BytesMut::new();
        message.encode_proto(&mut binary)?;
        for byte in binary {
            out.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        Ok(())
    }

    fn decode(&self, bytes: Bytes, message: &mut dyn DynMessage) -> Result<(), DecodeError> {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
        let binary: Option<Vec<u8>> = pairs
            .map(|pair| u8::from_str_radix(pair?, 16).ok())
            .collect();
        let binary = binary.ok_or_else(|| DecodeError::new("not hexadecimal"))?;
        message.decode_proto(binary.into())
    }
}

fn codecs() -> Codecs {
    Codecs::default()
        .with_json(JsonOptions::default().with_reject_unknown(true))
        .with(Hex)
        .unwrap()
}

/// Clients of one router, in every codec.
fn clients() -> Vec<TourServiceClient<InProcess>> {
    let router = Router::new()
        .add_service(TourServiceServer::new(Tour::default()))
        .with_codecs(codecs());
    let transport = InProcess::new(router);
    ["proto", "json", "hex"]
        .map(|codec| {
            let config = ClientConfig::new().with_codec(codec);
            let client = Client::new(transport.clone()).with_codecs(codecs());
            TourServiceClient::from_client(client.with_config(config))
        })
        .into()
}

fn look_at(name: &str) -> LookRequest {
    LookRequest { name: name.into() }
}

#[test]
fn unary() {
    for client in clients() {
        let shape = block_on(client.look(look_at("cube")))
            .unwrap()
            .into_message();
        assert_eq!(shape.name, "cube");
        assert_eq!(shape.area, i64::MAX);
        assert_eq!(&shape.picture[..], [1, 2, 3]);
        assert_eq!(shape.origin, Some(shape::Origin::Tint(1)));
        let error = block_on(client.look(look_at(""))).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.message(), "look at what?");
    }
}

#[test]
fn server_stream() {
    for client in clients() {
        let mut shapes = block_on(client.walk(look_at("abc")))
            .unwrap()
            .into_message();
        let mut names = String::new();
        while let Some(shape) = block_on(shapes.message()).unwrap() {
            names.push_str(&shape.name);
        }
        assert_eq!(names, "abc");
    }
}

#[test]
fn client_stream() {
    for client in clients() {
        let mut call = client.collect();
        for _ in 0..3 {
            block_on(call.send(Shape::default())).unwrap();
        }
        let count = block_on(call.close_and_receive()).unwrap();
        assert_eq!(count.into_message(), 3);
    }
}

#[test]
fn bidi_stream() {
    for client in clients() {
        let mut call = client.talk_with(Request::new(()).add_header("x-mood", "good").unwrap());
        for word in ["really", "so"] {
            block_on(call.send(word.into())).unwrap();
            assert_eq!(block_on(call.message()).unwrap(), Some(format!("{word}?")));
        }
        call.close_send();
        assert_eq!(block_on(call.message()).unwrap(), None);
    }
}

#[test]
fn requests_given_whole() {
    for client in clients() {
        let shapes = || stream::iter(["a", "b"].map(|_| Shape::default()));
        let count = block_on(client.collect_from(shapes())).unwrap();
        assert_eq!(count.into_message(), 2);
        let request = Request::new(shapes()).add_header("x-mood", "good");
        let count = block_on(client.collect_from(request.unwrap())).unwrap();
        assert_eq!(count.into_message(), 2);

        let words = stream::iter(["really", "so"].map(String::from));
        let mut answers = block_on(client.talk_from(words)).unwrap().into_stream();
        for expected in [Some("really?"), Some("so?"), None] {
            let answer = block_on(answers.message()).unwrap();
            assert_eq!(answer.as_deref(), expected);
        }
    }
}

/// What a `Client` can be told, a generated one can be told, too.
#[test]
fn settings_of_clients() {
    let router = Router::new()
        .add_service(TourServiceServer::new(Tour::default()))
        .with_codecs(codecs());
    let config = ClientConfig::new()
        .with_codec("hex")
        .with_default_timeout(Duration::from_secs(1));
    let client = TourServiceClient::new(InProcess::new(router))
        .with_codecs(codecs())
        .with_timer(Arc::new(NoTimer))
        .with_config(config)
        .add_interceptor(before(|call| {
            let header = call.headers_mut().insert("x-seen", "1".parse().unwrap());
            assert!(header.is_none());
            match call.spec().method() {
                "Rest" => Err(Error::aborted("no rest")),
                _ => Ok(()),
            }
        }));
    block_on(client.look(look_at("cube"))).unwrap();
    let error = block_on(client.rest(())).unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
}

#[test]
fn messages_of_other_libraries_types() {
    for client in clients() {
        block_on(client.rest(())).unwrap();
    }
}

#[test]
fn an_implementation_can_be_shared() {
    let tour = Arc::new(Tour::default());
    let server = TourServiceServer::from_arc(Arc::clone(&tour));
    let router = Router::new().add_service(server);
    let client = TourServiceClient::new(InProcess::new(router));
    block_on(client.look(look_at("cone"))).unwrap();
    assert_eq!(*tour.looked.lock().unwrap(), ["cone"]);
}

#[test]
fn specs() {
    assert_eq!(
        <TourServiceServer<Tour> as Service>::NAME,
        tour_service::NAME
    );
    assert_eq!(tour_service::NAME, "shapes.tour.v1.TourService");
    for (spec, procedure, stream_type, idempotency) in [
        (
            tour_service::LOOK,
            "/shapes.tour.v1.TourService/Look",
            StreamType::Unary,
            Idempotency::NoSideEffects,
        ),
        (
            tour_service::WALK,
            "/shapes.tour.v1.TourService/Walk",
            StreamType::ServerStream,
            Idempotency::Unknown,
        ),
        (
            tour_service::COLLECT,
            "/shapes.tour.v1.TourService/Collect",
            StreamType::ClientStream,
            Idempotency::Idempotent,
        ),
        (
            tour_service::TALK,
            "/shapes.tour.v1.TourService/Talk",
            StreamType::BidiStream,
            Idempotency::Unknown,
        ),
    ] {
        assert_eq!(spec.procedure(), procedure);
        assert_eq!(spec.stream_type(), stream_type);
        assert_eq!(spec.idempotency(), idempotency);
    }
}

/// Futures of generated clients can be sent to other threads, and so can servers.
#[test]
fn calls_are_send() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let client = &clients()[0];
    block_on(assert_send(client.look(look_at("ball")))).unwrap();
    drop(assert_send(client.walk(look_at("ball"))));
    drop(assert_send(client.collect_from(stream::empty())));
    drop(assert_send(client.talk_from(stream::empty())));
    let mut call = assert_send(client.talk());
    drop(assert_send(call.send(String::new())));
    assert_send(TourServiceServer::new(Tour::default()));
}
