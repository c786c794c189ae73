//! Typed details of errors, from a handler to a client, in every protocol and codec.

mod common;

use std::time::Duration;

use common::{SPLIT, UPPER, block_on, client_with};
use connect_tower::{
    ClientConfig, Error, ErrorExt, Prost, Protocol, Request, Response, ResponseStream, Router,
    rpc::{
        BadRequest, DebugInfo, ErrorInfo, Help, LocalizedMessage, PreconditionFailure,
        QuotaFailure, RequestInfo, ResourceInfo, RetryInfo,
    },
};
use futures_util::stream;

fn bad_request() -> BadRequest {
    BadRequest::new()
        .violation("name", "must not be empty")
        .violation("age", "must be 18 or more")
}

/// An error with every standard detail, and one of them twice.
fn rich() -> Error {
    Error::invalid_argument("bad user")
        .add_message_detail(&bad_request())
        .add_message_detail(&RetryInfo::new(Duration::from_millis(1500)))
        .add_message_detail(&ErrorInfo::new("AGE", "example.com").add_metadata("min", "18"))
        .add_message_detail(&QuotaFailure::new().violation("user:ada", "two a day"))
        .add_message_detail(&PreconditionFailure::new().violation("TOS", "ada", "not accepted"))
        .add_message_detail(&ResourceInfo::new("user", "ada"))
        .add_message_detail(&RequestInfo::new("42"))
        .add_message_detail(&DebugInfo::new("line 7"))
        .add_message_detail(&Help::new().link("the rules", "https://example.com/rules"))
        .add_message_detail(&LocalizedMessage::new("fr", "trop jeune"))
        .add_message_detail(&ErrorInfo::new("NAME", "example.com"))
        .add_message_detail(&message_of_the_application())
}

/// Any message with a name can be a detail.
fn message_of_the_application() -> connect_tower::prost_types::FieldMask {
    connect_tower::prost_types::FieldMask {
        paths: vec!["name".to_owned()],
    }
}

#[track_caller]
fn assert_rich(error: &Error) {
    assert_eq!(error.details(), rich().details());
    assert_eq!(error.message_detail(), Some(bad_request()));
    let delay = error
        .message_detail::<RetryInfo>()
        .and_then(|info| info.delay());
    assert_eq!(delay, Some(Duration::from_millis(1500)));
    let reasons: Result<Vec<_>, _> = error
        .message_details::<ErrorInfo>()
        .map(|info| info.map(|info| info.reason))
        .collect();
    assert_eq!(reasons.unwrap(), ["AGE", "NAME"]);
    let quota = QuotaFailure::new().violation("user:ada", "two a day");
    assert_eq!(error.message_detail(), Some(quota));
    let precondition = PreconditionFailure::new().violation("TOS", "ada", "not accepted");
    assert_eq!(error.message_detail(), Some(precondition));
    assert_eq!(
        error.message_detail(),
        Some(ResourceInfo::new("user", "ada"))
    );
    assert_eq!(error.message_detail(), Some(RequestInfo::new("42")));
    assert_eq!(error.message_detail(), Some(DebugInfo::new("line 7")));
    let help = Help::new().link("the rules", "https://example.com/rules");
    assert_eq!(error.message_detail(), Some(help));
    let localized = LocalizedMessage::new("fr", "trop jeune");
    assert_eq!(error.message_detail(), Some(localized));
    assert_eq!(error.message_detail(), Some(message_of_the_application()));
}

#[test]
fn details_arrive_in_every_protocol() {
    let router = Router::new()
        .unary(UPPER, |_: Request<String>| async {
            Err::<Response<String>, _>(rich())
        })
        .server_stream(SPLIT, |request: Request<String>| async move {
            if request.message().is_empty() {
                return Err::<Response<ResponseStream<String>>, _>(rich());
            }
            let items = [Ok(String::from("one")), Err(rich())];
            Ok(Response::stream(stream::iter(items)))
        });
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec);
            let client = client_with(router.clone(), config);
            block_on(async {
                let request = Request::new(String::new());
                let result = client.unary::<Prost, _, String>(&UPPER, request).await;
                assert_rich(&result.unwrap_err());
                for text in ["", "some"] {
                    let request = Request::new(text.to_owned());
                    let response = client
                        .server_stream::<Prost, _, String>(&SPLIT, request)
                        .await;
                    let mut stream = match response {
                        Ok(response) => response.into_stream(),
                        Err(error) => {
                            assert_rich(&error);
                            continue;
                        }
                    };
                    let error = loop {
                        match stream.message().await {
                            Ok(message) => assert_eq!(message.as_deref(), Some("one")),
                            Err(error) => break error,
                        }
                    };
                    assert_rich(&error);
                }
            });
        }
    }
}
