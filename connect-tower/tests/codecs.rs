//! Codecs by name: the two that are built in, and one that is registered.

mod common;

use bytes::{Bytes, BytesMut};
use common::{ECHO, UPPER, block_on, text_router};
use connect_tower::{
    Client, ClientConfig, Code, Codecs, CustomCodec, DecodeError, DynMessage, Error, InProcess,
    Prost, Protocol, Request, Response,
};
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use tower_service::Service;

/// The binary form in hexadecimal: a codec for people who read the wire.
#[derive(Debug)]
struct Hex;

impl CustomCodec for Hex {
    fn name(&self) -> &str {
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
        let malformed = || DecodeError::new("not hexadecimal");
        let binary: Result<Vec<u8>, DecodeError> = bytes
            .chunks(2)
            .map(|digits| {
                let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
                u8::from_str_radix(digits, 16).map_err(|_| malformed())
            })
            .collect();
        message.decode_proto(binary?.into())
    }
}

#[test]
fn a_third_codec_works_on_both_sides() {
    let codecs = Codecs::default().with(Hex).unwrap();
    let router = text_router().with_codecs(codecs.clone());
    for protocol in Protocol::ALL {
        let config = ClientConfig::new()
            .with_protocol(protocol)
            .with_codec("hex");
        let client = Client::new(InProcess::new(router.clone()))
            .with_codecs(codecs.clone())
            .with_config(config);
        block_on(async {
            let request = Request::new(String::from("hi"));
            let response: Response<String> =
                client.unary::<Prost, _, _>(&UPPER, request).await.unwrap();
            assert_eq!(response.message(), "HI", "{protocol}");
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.send(String::from("hi")).await.unwrap();
            assert_eq!(call.message().await.unwrap().as_deref(), Some("hi"));
        });
    }

    // StringValue { value: "hi" } is 0a 02 68 69.
    let request = http::Request::post(UPPER.procedure())
        .header("content-type", "application/hex")
        .body(Full::new(Bytes::from("0a026869")))
        .unwrap();
    let response = block_on(router.clone().call(request)).unwrap();
    assert_eq!(response.headers()["content-type"], "application/hex");
    let body = block_on(response.into_body().collect()).unwrap().to_bytes();
    assert_eq!(body, "0a024849");
}

/// Content types compare without case, and so do the names of codecs.
#[test]
fn a_codec_may_have_capitals_in_its_name() {
    #[derive(Debug)]
    struct Capitals;

    impl CustomCodec for Capitals {
        fn name(&self) -> &str {
            "X-Hex"
        }
        fn encode(&self, message: &dyn DynMessage, out: &mut BytesMut) -> Result<(), Error> {
            Hex.encode(message, out)
        }
        fn decode(&self, bytes: Bytes, message: &mut dyn DynMessage) -> Result<(), DecodeError> {
            Hex.decode(bytes, message)
        }
    }

    let router = text_router().with_codecs(Codecs::none().with(Capitals).unwrap());
    for content_type in ["application/x-hex", "application/X-Hex"] {
        let request = http::Request::post(UPPER.procedure())
            .header("content-type", content_type)
            .body(Full::new(Bytes::from("0a026869")))
            .unwrap();
        let response = block_on(router.clone().call(request)).unwrap();
        let body = block_on(response.into_body().collect()).unwrap().to_bytes();
        assert_eq!(body, "0a024849");
    }
}

#[test]
fn codecs_that_are_not_on_offer_are_refused() {
    let router = text_router().with_codecs(Codecs::default().without("json"));
    for codec in ["json", "hex"] {
        let request = http::Request::post(UPPER.procedure())
            .header("content-type", format!("application/{codec}"))
            .body(Full::new(Bytes::from("{}")))
            .unwrap();
        let response = block_on(router.clone().call(request)).unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let offered = response.headers()["accept-post"].to_str().unwrap();
        assert!(!offered.contains("json"), "{offered}");
    }
}

#[test]
fn a_client_without_its_codec_says_which() {
    let config = ClientConfig::new().with_codec("hex");
    let client = common::client_with(text_router(), config);
    block_on(async {
        let request = Request::new(String::new());
        let result = client.unary::<Prost, _, String>(&UPPER, request).await;
        let (code, message) = common::brief(result);
        assert_eq!(code, Code::Internal);
        assert!(message.contains("\"hex\""), "{message}");
        let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        assert_eq!(common::brief(call.message().await), (code, message.clone()));
        let sent = call.send(String::new()).await;
        assert_eq!(common::brief(sent), (code, message));
    });
}

/// On a server bytes that are no message are the client's fault, on a client the server's.
#[test]
fn undecodable_messages_are_the_senders_fault() {
    let request = http::Request::post(UPPER.procedure())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from("{")))
        .unwrap();
    let response = block_on(text_router().call(request)).unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = block_on(response.into_body().collect()).unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("invalid_argument"), "{body}");

    for protocol in Protocol::ALL {
        let config = ClientConfig::new()
            .with_protocol(protocol)
            .with_codec("json");
        let client = common::client_with(text_router(), config);
        block_on(async {
            // The answer is a JSON string, which is no number that could be a boolean.
            let request = Request::new(String::from("hi"));
            let result = client.unary::<Prost, String, bool>(&UPPER, request).await;
            assert_eq!(common::brief(result).0, Code::Internal, "{protocol}");
            let mut call = client.bidi_stream::<Prost, String, bool>(&ECHO, Request::new(()));
            call.send(String::from("hi")).await.unwrap();
            let result = call.message().await;
            assert_eq!(common::brief(result).0, Code::Internal, "{protocol}");
        });
    }
}
