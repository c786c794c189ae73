//! What is refused before the browser is asked, and so can be tested without one. The rest is in `connect-web/check`.

use connect_tower::{
    Client, ClientConfig, Code, Prost, Protocol, Request, Response, Spec, StreamType, before,
};
use futures_util::{FutureExt, stream};

use super::*;

const SUM: Spec = Spec::new("/demo.v1.Demo/Sum", StreamType::ClientStream);
const CHAT: Spec = Spec::new("/demo.v1.Demo/Chat", StreamType::BidiStream);
const UPPER: Spec = Spec::new("/demo.v1.Demo/Upper", StreamType::Unary);

fn client(protocol: Protocol) -> Client<FetchTransport> {
    Client::new(FetchTransport::new("https://api.example.com").unwrap())
        .with_config(ClientConfig::new().with_protocol(protocol))
}

fn assert_not_sent(error: &Error) {
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(
        error.message().starts_with("the request was not sent: "),
        "{error}"
    );
}

#[test]
fn client_streams_are_refused_before_anything_is_sent() {
    for protocol in [Protocol::Connect, Protocol::GrpcWeb] {
        let client = client(protocol);
        let mut chat = client.bidi_stream::<Prost, String, String>(&CHAT, Request::new(()));
        let sent = chat.send("hi".to_owned()).now_or_never().unwrap();
        assert_not_sent(&sent.unwrap_err());
        let received = chat.message().now_or_never().unwrap();
        assert_not_sent(&received.unwrap_err());

        let parts = Request::new(stream::iter(["a".to_owned(), "b".to_owned()]));
        let summed: Result<Response<String>, _> = client
            .client_stream_from::<Prost, String, _, _>(&SUM, parts)
            .now_or_never()
            .unwrap();
        assert_not_sent(&summed.unwrap_err());
    }
}

#[test]
fn grpc_is_refused_before_anything_is_sent() {
    let request = Request::new("hi".to_owned());
    let client = client(Protocol::Grpc);
    let answer: Result<Response<String>, _> = client
        .unary::<Prost, _, _>(&UPPER, request)
        .now_or_never()
        .unwrap();
    assert_not_sent(&answer.unwrap_err());
}

/// What interceptors and work-stealing executors ask for.
#[test]
fn calls_are_send() {
    fn is_send(_: &impl Send) {}
    let client = client(Protocol::Connect).add_interceptor(before(|_| Ok(())));
    is_send(&client.unary::<Prost, String, String>(&UPPER, Request::new(String::new())));
    is_send(&client.bidi_stream::<Prost, String, String>(&CHAT, Request::new(())));
}

#[test]
fn credentials_stay_with_the_page_by_default() {
    let transport = FetchTransport::new("/").unwrap();
    assert_eq!(transport.credentials(), Credentials::SameOrigin);
    let transport = transport.with_credentials(Credentials::Include);
    assert_eq!(transport.credentials(), Credentials::Include);
}
