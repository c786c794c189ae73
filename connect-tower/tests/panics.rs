//! Handlers, gates and interceptors that panic: the call ends with an error of its protocol, and nothing else ends.

mod common;

use std::{panic::panic_any, task::Poll};

use common::{ECHO, JOIN, SPLIT, UPPER, block_on, brief, client_with};
use connect_tower::{
    Call, CallHead, CallPolicy, Client, ClientConfig, Code, Codecs, CustomCodec, DecodeError,
    DynMessage, Error, Gate, InProcess, Interceptor, Next, Prost, Protocol, Reply, Request,
    Response, ResponseStream, Router, Streaming,
};
use futures_util::stream;

/// Where a handler panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// In the function itself, before there is a future.
    Start,
    Future,
    FirstMessage,
    SecondMessage,
    Trailers,
    Drop,
}

const STARTS: [At; 2] = [At::Start, At::Future];
const STREAMS: [At; 5] = [
    At::Start,
    At::Future,
    At::FirstMessage,
    At::SecondMessage,
    At::Trailers,
];

fn boom() -> ! {
    panic_any("the secret of the panic")
}

fn boom_if(now: bool) {
    if now {
        boom();
    }
}

/// Panics when it is dropped.
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        boom_if(self.0);
    }
}

fn messages(at: At) -> ResponseStream<String> {
    let mut count = 0;
    let bomb = Bomb(at == At::Drop);
    let messages = stream::poll_fn(move |_| {
        let _armed = &bomb;
        count += 1;
        boom_if(at == At::FirstMessage && count == 1 || at == At::SecondMessage && count == 2);
        Poll::Ready((count <= 2).then(|| Ok(format!("message {count}"))))
    });
    ResponseStream::new(messages).with_trailers(move || {
        boom_if(at == At::Trailers);
        http::HeaderMap::new()
    })
}

fn router(at: At) -> Router {
    Router::new()
        .unary(UPPER, move |request: Request<String>| {
            boom_if(at == At::Start);
            async move {
                let _bomb = Bomb(at == At::Drop);
                boom_if(at == At::Future);
                Ok(Response::new(request.into_message()))
            }
        })
        .server_stream(SPLIT, move |_: Request<String>| {
            boom_if(at == At::Start);
            async move {
                boom_if(at == At::Future);
                Ok(Response::new(messages(at)))
            }
        })
        .client_stream(JOIN, move |request: Request<Streaming<String>>| {
            boom_if(at == At::Start);
            async move {
                request.into_stream().message().await?;
                boom_if(at == At::Future);
                Ok(Response::new(String::new()))
            }
        })
        .bidi_stream(ECHO, move |_: Request<Streaming<String>>| {
            boom_if(at == At::Start);
            async move {
                boom_if(at == At::Future);
                Ok(Response::new(messages(at)))
            }
        })
}

/// Every protocol and codec, with interceptors in the way and without.
fn clients(router: &Router) -> Vec<(String, Client<InProcess>)> {
    let mut clients = Vec::new();
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec);
            let plain = client_with(router.clone(), config.clone());
            let through = router.clone().add_interceptor(common::Transparent);
            let through = client_with(through, config).add_interceptor(common::Transparent);
            clients.push((format!("{protocol} {codec}"), plain));
            clients.push((format!("{protocol} {codec} intercepted"), through));
        }
    }
    clients
}

fn word() -> Request<String> {
    Request::new(String::from("word"))
}

/// All that the client gets to see of it.
fn the_handlers() -> (Code, String) {
    (Code::Internal, String::from("the handler panicked"))
}

async fn read(mut stream: impl AsyncMessages) -> (usize, Result<(), Error>) {
    let mut count = 0;
    loop {
        match stream.next().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, Ok(())),
            Err(error) => return (count, Err(error)),
        }
    }
}

/// What is read in the same way from server streams and bidi streams.
trait AsyncMessages {
    async fn next(&mut self) -> Result<Option<String>, Error>;
}

impl AsyncMessages for Streaming<String, connect_tower::CallBody> {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        self.message().await
    }
}

impl AsyncMessages for connect_tower::BidiCall<String, String, InProcess> {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        self.message().await
    }
}

#[test]
fn a_call_of_one_answer_ends_with_internal() {
    for at in STARTS {
        for (context, client) in clients(&router(at)) {
            block_on(async {
                let unary = client.unary::<Prost, _, String>(&UPPER, word()).await;
                assert_eq!(brief(unary), the_handlers(), "{at:?} {context}");
                let mut call =
                    client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
                let _ = call.send(String::from("word")).await;
                let answer = call.close_and_receive().await;
                assert_eq!(brief(answer), the_handlers(), "{at:?} {context}");
            });
        }
    }
}

#[test]
fn a_stream_ends_with_internal_after_the_messages_before() {
    for at in STREAMS {
        let complete = match at {
            At::SecondMessage => 1,
            At::Trailers => 2,
            _ => 0,
        };
        for (context, client) in clients(&router(at)) {
            block_on(async {
                let response = client
                    .server_stream::<Prost, _, String>(&SPLIT, word())
                    .await;
                let (count, end) = match response {
                    Ok(response) => read(response.into_stream()).await,
                    Err(error) => (0, Err(error)),
                };
                assert_eq!(brief(end), the_handlers(), "{at:?} {context}");
                assert_eq!(count, complete, "{at:?} {context}");

                let call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
                let (count, end) = read(call).await;
                assert_eq!(brief(end), the_handlers(), "{at:?} {context}");
                assert_eq!(count, complete, "{at:?} {context}");
            });
        }
    }
}

/// A value that panics while it is dropped: in a handler's future that is the handler's panic; in a stream that is over,
/// or was given up, nobody is left to be told.
#[test]
fn a_panic_in_a_drop_goes_no_further() {
    for (context, client) in clients(&router(At::Drop)) {
        block_on(async {
            let unary = client.unary::<Prost, _, String>(&UPPER, word()).await;
            assert_eq!(brief(unary), the_handlers(), "{context}");

            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, word())
                .await
                .unwrap();
            let (count, end) = read(response.into_stream()).await;
            assert_eq!((count, end), (2, Ok(())), "{context}");

            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, word())
                .await
                .unwrap();
            drop(response);
        });
    }
}

struct Panics;

impl Gate for Panics {
    async fn gate(&self, _: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
        boom()
    }
}

#[test]
fn a_gate_refuses_the_call() {
    let router = common::text_router().add_gate(Panics);
    for (context, client) in clients(&router) {
        let unary = block_on(client.unary::<Prost, _, String>(&UPPER, word()));
        let expected = (Code::Internal, String::from("a gate panicked"));
        assert_eq!(brief(unary), expected, "{context}");
    }
}

/// Panics before the call, after it, in a message of the answer, or at its end.
struct PanicsAt(u8);

impl Interceptor for PanicsAt {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let place = self.0;
        boom_if(place == 0);
        let reply = next.run(call).await?;
        boom_if(place == 1);
        Ok(reply
            .map(|payloads| {
                payloads.map(move |payload| {
                    boom_if(place == 2);
                    Ok(payload)
                })
            })
            .on_end(move |_| boom_if(place == 3)))
    }
}

#[test]
fn an_interceptor_ends_its_own_call() {
    for place in 0..4 {
        for protocol in Protocol::ALL {
            let config = ClientConfig::new().with_protocol(protocol);
            let on_server = common::text_router().add_interceptor(PanicsAt(place));
            let on_server = client_with(on_server, config.clone());
            let on_client =
                client_with(common::text_router(), config).add_interceptor(PanicsAt(place));
            let expected = (Code::Internal, String::from("an interceptor panicked"));
            for client in [on_server, on_client] {
                block_on(async {
                    let unary = client.unary::<Prost, _, String>(&UPPER, word()).await;
                    assert_eq!(brief(unary), expected, "{place} {protocol}");
                    let response = client
                        .server_stream::<Prost, _, String>(&SPLIT, word())
                        .await;
                    let end = match response {
                        Ok(response) => read(response.into_stream()).await.1,
                        Err(error) => Err(error),
                    };
                    assert_eq!(brief(end), expected, "{place} {protocol}");
                });
            }
        }
    }
}

/// A stream of requests that panics when it is polled.
#[test]
fn a_stream_of_requests_ends_its_call() {
    for (context, client) in clients(&common::text_router()) {
        let words = stream::poll_fn(|_| -> Poll<Option<String>> { boom() });
        let request = Request::new(words);
        let answer = block_on(client.client_stream_from::<Prost, _, String, _>(&JOIN, request));
        let expected = (
            Code::Internal,
            String::from("the stream of requests panicked"),
        );
        assert_eq!(brief(answer), expected, "{context}");
    }
}

/// A codec that panics halfway through every message.
#[derive(Debug)]
struct Brittle;

impl CustomCodec for Brittle {
    fn name(&self) -> &'static str {
        "brittle"
    }

    fn encode(&self, message: &dyn DynMessage, out: &mut bytes::BytesMut) -> Result<(), Error> {
        message.encode_proto(out)?;
        if out.ends_with(b"fragile") {
            boom();
        }
        Ok(())
    }

    fn decode(&self, bytes: bytes::Bytes, message: &mut dyn DynMessage) -> Result<(), DecodeError> {
        message.decode_proto(bytes)
    }
}

/// What was encoded before leaves, and nothing half-written does.
#[test]
fn a_codec_leaves_no_half_of_a_message_behind() {
    let codecs = || Codecs::default().with(Brittle).unwrap();
    let router = common::text_router().with_codecs(codecs());
    for protocol in Protocol::ALL {
        let config = ClientConfig::new()
            .with_protocol(protocol)
            .with_codec("brittle");
        let client = client_with(router.clone(), config).with_codecs(codecs());
        block_on(async {
            let request = Request::new(String::from("one two three fragile "));
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await;
            let (count, end) = read(response.unwrap().into_stream()).await;
            assert_eq!(brief(end), the_handlers(), "{protocol}");
            assert_eq!(count, 3, "{protocol}");
        });
    }
}

/// Others go on: neither the router nor the client is poisoned.
#[test]
fn calls_after_it_work() {
    let router = common::text_router().unary(UPPER, |request: Request<String>| async move {
        boom_if(request.message() == "boom");
        Ok(Response::new(request.into_message()))
    });
    for (context, client) in clients(&router) {
        block_on(async {
            let mut echo = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            for word in ["boom", "fine", "boom", "fine"] {
                let request = Request::new(word.to_owned());
                let unary = client.unary::<Prost, _, String>(&UPPER, request).await;
                assert_eq!(unary.is_ok(), word == "fine", "{context}");
                echo.send(word.to_owned()).await.unwrap();
                assert_eq!(echo.message().await.unwrap().as_deref(), Some(word));
            }
        });
    }
}

/// The code of `generate` may hold its sender while it panics.
#[test]
fn generated_streams_end_too() {
    let router = Router::new().server_stream(SPLIT, |_: Request<String>| async {
        Ok(Response::new(ResponseStream::generate(
            |mut words| async move {
                words.send(String::from("one")).await;
                boom()
            },
        )))
    });
    for (context, client) in clients(&router) {
        block_on(async {
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, word())
                .await;
            let (count, end) = read(response.unwrap().into_stream()).await;
            assert_eq!(brief(end), the_handlers(), "{context}");
            assert_eq!(count, 1, "{context}");
        });
    }
}

/// A handler that never ends and panics when the client goes away.
#[test]
fn a_handler_may_panic_when_its_client_goes_away() {
    let router = Router::new().unary(UPPER, |_: Request<String>| async {
        let _bomb = Bomb(true);
        std::future::pending::<()>().await;
        Ok(Response::new(String::new()))
    });
    for (_, client) in clients(&router) {
        let spec = UPPER;
        let mut call = Box::pin(client.unary::<Prost, _, String>(&spec, word()));
        assert!(common::poll_until_stalled(call.as_mut()).is_none());
        drop(call);
    }
}
