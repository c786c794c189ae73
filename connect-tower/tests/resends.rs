//! What the server surely did not begin is sent again, whatever its kind; and calls that wait for a connection.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    ECHO, JOIN, SPLIT, Transparent, UPPER, block_on, brief,
    scripted::{Scripted, Step, failure, failures},
    text_router,
};
use connect_tower::{
    Attempts, Client, ClientConfig, Code, Error, FailureKind, Idempotency, Prost, Protocol,
    Request, Resends, Response, Router, Sent, Spec, StreamType,
    transport::{Answers, TransportError},
};
use futures_util::stream;

const UNSENT: FailureKind = FailureKind::Unsent;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A call of [`UPPER`] that runs on the transport's time.
fn upper(transport: &Scripted, client: &Client<Scripted>) -> Result<Response<String>, Error> {
    let request = Request::new(String::from("a"));
    upper_with(transport, client, request)
}

fn upper_with(
    transport: &Scripted,
    client: &Client<Scripted>,
    request: Request<String>,
) -> Result<Response<String>, Error> {
    let call = async { client.unary::<Prost, _, _>(&UPPER, request).await };
    transport.time().block_on(call)
}

/// Makes a call of a stream type, of the requests "a" and "b" if there can be several. Its messages, joined.
async fn call(client: &Client<Scripted>, stream_type: StreamType) -> Result<String, Error> {
    let words = || stream::iter(["a", "b"].map(str::to_owned));
    match stream_type {
        StreamType::Unary => {
            let request = Request::new(String::from("a b"));
            let response = client.unary::<Prost, _, String>(&UPPER, request).await?;
            Ok(response.into_message().to_lowercase())
        }
        StreamType::ClientStream => {
            let request = Request::new(words());
            let response = client
                .client_stream_from::<Prost, _, String, _>(&JOIN, request)
                .await?;
            Ok(response.into_message())
        }
        StreamType::ServerStream => {
            let request = Request::new(String::from("a b"));
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await?;
            let mut stream = response.into_message();
            let mut received = Vec::new();
            while let Some(word) = stream.message().await? {
                received.push(word);
            }
            Ok(received.join(" "))
        }
        StreamType::BidiStream => {
            let request = Request::new(words());
            let response = client
                .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
                .await?;
            let mut stream = response.into_message();
            let mut received = Vec::new();
            while let Some(word) = stream.message().await? {
                received.push(word);
            }
            Ok(received.join(" "))
        }
    }
}

/// RFC 9113, sections 6.8 and 8.7: what was not processed may be sent again, whatever it is.
#[test]
fn calls_of_all_kinds_are_sent_again() {
    for stream_type in StreamType::ALL {
        for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
            for kind in [FailureKind::Refused, UNSENT] {
                // One piece of the body, or none, is taken by the connections that are closed.
                for pieces in [0, 1] {
                    for intercepted in [false, true] {
                        let steps = (0..3).map(|_| Step::Fail(pieces, failure(kind)));
                        let transport = Scripted::new(text_router(), steps);
                        let config = ClientConfig::new().with_protocol(protocol);
                        let mut client = transport.client().with_config(config);
                        if intercepted {
                            client = client.add_interceptor(Transparent);
                        }
                        let name = format!("{stream_type:?} {protocol} {kind:?} {pieces}");
                        let received = transport.time().block_on(call(&client, stream_type));
                        assert_eq!(received.unwrap(), "a b", "{name}");
                        let resends = transport.seen().into_iter().map(|it| it.attempts.resends());
                        assert_eq!(resends.collect::<Vec<_>>(), [0, 1, 2, 3], "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_response_tells_how_often_its_request_was_sent() {
    for resends in [0, 3] {
        let transport = Scripted::new(text_router(), failures(UNSENT, resends));
        let response = upper(&transport, &transport.client()).unwrap();
        let attempts = Attempts::of(response.extensions());
        assert_eq!(
            (attempts.count(), attempts.resends() as usize),
            (1, resends)
        );
        // gRFC A6, "Exposed Retry Metadata": transparent retries are not counted.
        for seen in transport.seen() {
            assert!(!seen.headers.contains_key("grpc-previous-rpc-attempts"));
        }
    }
}

#[test]
fn it_ends_when_it_is_vain() {
    for (client_of, tries) in [
        (Resends::new(), 8),
        (Resends::new().with_max_vain(3), 3),
        (Resends::new().with_max_vain(1), 1),
        (Resends::new().with_max_vain(0), 1),
        (Resends::new().with_max(2), 3),
    ] {
        let transport = Scripted::new(text_router(), failures(UNSENT, 100));
        let client = transport.client().with_resends(client_of);
        assert_eq!(client.resends(), &client_of);
        let error = upper(&transport, &client).unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert_eq!(Sent::of(&error), Some(Sent::No));
        assert_eq!(transport.seen().len(), tries, "{client_of:?}");
    }
}

/// As with a server that ends each connection after so many calls.
#[test]
fn tries_on_connections_that_serve_others_are_not_vain() {
    let answers = Answers::default();
    answers.add();
    let served = |_| {
        let failure = failure(UNSENT).with_progress(answers.more_than(0));
        Step::Fail(0, failure)
    };
    let transport = Scripted::new(text_router(), (0..500).map(served));
    assert!(upper(&transport, &transport.client()).is_ok());
    assert_eq!(transport.time().elapsed(), Duration::ZERO);
    // There is an end to it nevertheless.
    let transport = Scripted::new(text_router(), (0..5_000).map(served));
    upper(&transport, &transport.client()).unwrap_err();
    assert_eq!(transport.seen().len(), 1_001);
}

/// RFC 9110, section 9.2.2.
#[test]
fn what_may_have_been_begun_is_sent_again_only_if_it_is_idempotent() {
    for (idempotency, kind, tries) in [
        (Idempotency::Unknown, FailureKind::Stale, 1),
        (Idempotency::Idempotent, FailureKind::Stale, 2),
        (Idempotency::NoSideEffects, FailureKind::Stale, 2),
        (Idempotency::Idempotent, FailureKind::Other, 1),
        (Idempotency::Idempotent, FailureKind::NoConnection, 1),
    ] {
        let spec = UPPER.with_idempotency(idempotency);
        let transport = Scripted::new(text_router(), failures(kind, 1));
        let client = transport.client();
        let request = Request::new(String::from("a"));
        let call = async { client.unary::<Prost, _, String>(&spec, request).await };
        let result = transport.time().block_on(call);
        assert_eq!(result.is_ok(), tries == 2, "{idempotency:?} {kind:?}");
        assert_eq!(transport.seen().len(), tries, "{idempotency:?} {kind:?}");
    }
}

#[test]
fn pauses_end_before_the_deadline() {
    let transport = Scripted::new(text_router(), failures(UNSENT, 1_000));
    let client = transport
        .client()
        .with_resends(Resends::new().with_max_vain(1_000));
    let request = Request::new(String::from("a")).with_timeout(ms(500));
    let error = upper_with(&transport, &client, request).unwrap_err();
    // The last attempt's error, and not the deadline's: what would have waited longer was not tried.
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(transport.time().elapsed() < ms(500));
    assert!(transport.seen().len() > 3);
}

#[test]
fn each_attempt_has_the_time_that_is_left() {
    let transport = Scripted::new(text_router(), failures(UNSENT, 7));
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    let client = transport.client().with_config(config);
    let request = Request::new(String::from("a")).with_timeout(Duration::from_secs(60));
    upper_with(&transport, &client, request).unwrap();
    let timeouts: Vec<_> = transport
        .seen()
        .into_iter()
        .map(|seen| {
            let text = seen.headers["grpc-timeout"].to_str().unwrap().to_owned();
            let (number, unit) = text.split_at(text.len() - 1);
            let number: u64 = number.parse().unwrap();
            let left = match unit {
                "n" => Duration::from_nanos(number),
                "u" => Duration::from_micros(number),
                "m" => ms(number),
                "S" => Duration::from_secs(number),
                _ => panic!("{text}"),
            };
            // As exact as eight digits can say.
            assert!(left + seen.at <= Duration::from_secs(60) + ms(1), "{text}");
            assert!(left + seen.at + ms(1) > Duration::from_secs(60), "{text}");
            left
        })
        .collect();
    assert!(timeouts.is_sorted_by(|a, b| a >= b) && timeouts[7] < timeouts[0]);
}

#[test]
fn without_a_timer_there_are_no_pauses() {
    let transport = Scripted::new(text_router(), failures(UNSENT, 7)).without_timer();
    assert!(upper(&transport, &transport.client()).is_ok());
    let transport = Scripted::new(text_router(), failures(UNSENT, 8)).without_timer();
    assert!(upper(&transport, &transport.client()).is_err());
}

#[test]
fn a_stream_that_is_longer_than_what_is_kept_is_not_sent_again() {
    for (max_bytes, is_resent) in [(0, false), (50, false), (1_000, true)] {
        let steps = [Step::Fail(1, failure(UNSENT))];
        let transport = Scripted::new(text_router(), steps);
        let client = transport.client().with_max_replay_bytes(max_bytes);
        assert_eq!(client.max_replay_bytes(), max_bytes);
        let words = Request::new(stream::iter([String::from("a").repeat(100)]));
        let spec = JOIN;
        let call = client.client_stream_from::<Prost, _, String, _>(&spec, words);
        let result = transport.time().block_on(call);
        assert_eq!(result.is_ok(), is_resent, "{max_bytes}");
        assert_eq!(transport.seen().len(), 1 + usize::from(is_resent));
    }
    // Nothing was taken of it: there is nothing to keep.
    let transport = Scripted::new(text_router(), failures(UNSENT, 1));
    let client = transport.client().with_max_replay_bytes(0);
    let sent = transport
        .time()
        .block_on(call(&client, StreamType::ClientStream));
    assert!(sent.is_ok());
}

#[test]
fn call_objects_are_sent_again_under_their_senders() {
    for intercepted in [false, true] {
        let steps = [0, 1, 1].map(|pieces| Step::Fail(pieces, failure(UNSENT)));
        let transport = Scripted::new(text_router(), steps);
        let mut client = transport.client();
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        transport.time().block_on(async {
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.send(String::from("a")).await.unwrap();
            call.send(String::from("b")).await.unwrap();
            assert_eq!(call.message().await.unwrap().as_deref(), Some("a"));
            call.send(String::from("c")).await.unwrap();
            call.close_send();
            assert_eq!(call.message().await.unwrap().as_deref(), Some("b"));
            assert_eq!(call.message().await.unwrap().as_deref(), Some("c"));
            assert_eq!(call.message().await.unwrap(), None);
        });
        assert_eq!(transport.seen().len(), 4);
    }
}

/// The server is not asked twice.
#[test]
fn what_the_server_answers_is_not_sent_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let router = Router::new().unary(UPPER, move |_: Request<String>| {
        seen.fetch_add(1, Ordering::SeqCst);
        async { Err::<Response<String>, _>(Error::unavailable("busy")) }
    });
    let transport = Scripted::new(router, []);
    let (code, message) = brief(upper(&transport, &transport.client()));
    assert_eq!((code, message.as_str()), (Code::Unavailable, "busy"));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_may_wait_for_a_connection() {
    let transport = Scripted::new(text_router(), failures(FailureKind::NoConnection, 30));
    let request = Request::new(String::from("a")).with_wait_for_ready(true);
    assert_eq!(request.wait_for_ready(), Some(true));
    upper_with(&transport, &transport.client(), request).unwrap();
    // There are pauses.
    assert!(transport.time().elapsed() > ms(100));
    // Without the wish it fails at once.
    let transport = Scripted::new(text_router(), failures(FailureKind::NoConnection, 1));
    let error = upper(&transport, &transport.client()).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn it_waits_up_to_its_deadline() {
    for intercepted in [false, true] {
        let failing = failures(FailureKind::NoConnection, 1_000);
        let transport = Scripted::new(text_router(), failing);
        let mut client = transport.client();
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        let request = Request::new(String::from("a"))
            .with_wait_for_ready(true)
            .with_timeout(Duration::from_secs(10));
        let error = upper_with(&transport, &client, request).unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(transport.time().elapsed(), Duration::from_secs(10));
        if !intercepted {
            // Why there was no connection.
            assert!(format!("{error:#}").contains("NoConnection"), "{error:#}");
        }
    }
}

#[test]
fn without_a_timer_a_call_does_not_wait() {
    let transport =
        Scripted::new(text_router(), failures(FailureKind::NoConnection, 1)).without_timer();
    let request = Request::new(String::from("a")).with_wait_for_ready(true);
    let error = upper_with(&transport, &transport.client(), request).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn kinds_say_whether_the_request_was_sent() {
    for (kind, sent) in [
        (FailureKind::NoConnection, Sent::No),
        (FailureKind::Refused, Sent::No),
        (FailureKind::Unsent, Sent::No),
        (FailureKind::Stale, Sent::Maybe),
        (FailureKind::Other, Sent::Maybe),
    ] {
        let failure = TransportError::of_kind(kind, Error::unavailable("lost"));
        assert_eq!((failure.kind(), failure.sent()), (kind, sent));
    }
    let failure = TransportError::new(Sent::Yes, Error::unavailable("reset"));
    assert_eq!(failure.kind(), FailureKind::Other);
}

/// Requests that cannot be made fail as ever.
#[test]
fn a_call_that_cannot_be_made_is_not_tried() {
    let transport = Scripted::new(text_router(), []);
    let spec = Spec::new("no path", StreamType::Unary);
    let request = Request::new(String::from("a"));
    let client = transport.client();
    let call = client.unary::<Prost, _, String>(&spec, request);
    assert_eq!(block_on(call).unwrap_err().code(), Code::Internal);
    assert!(transport.seen().is_empty());
}
