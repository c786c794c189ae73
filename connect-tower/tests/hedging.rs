//! Hedging: gRFC A6, "Hedging Policy".

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    SPLIT, Transparent, UPPER,
    scripted::{Scripted, Seen, Step},
    text_router,
};
use connect_tower::{
    Attempts, CallBody, Client, Code, Error, HedgePolicy, Idempotency, MethodConfig, Prost,
    Request, Response, RetryThrottle, Sent, ServiceConfig, TransportError,
    transport::{Outcome, OutcomeListener},
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn any() -> HedgePolicy {
    HedgePolicy::new()
        .with_any_method(true)
        .with_max_attempts(3)
}

fn client(transport: &Scripted, policy: HedgePolicy) -> Client<Scripted> {
    let config = ServiceConfig::new().with_default(MethodConfig::new().with_hedge(policy));
    transport.client().with_service_config(config)
}

fn upper(transport: &Scripted, client: &Client<Scripted>) -> Result<Response<String>, Error> {
    let request = Request::new(String::from("a"));
    let call = async { client.unary::<Prost, _, _>(&UPPER, request).await };
    transport.time().block_on(call)
}

fn times(transport: &Scripted) -> Vec<u128> {
    let at = |seen: &Seen| seen.at.as_millis();
    transport.seen().iter().map(at).collect()
}

fn fails(code: Code) -> Step {
    Step::Fail(
        0,
        TransportError::new(Sent::Maybe, Error::new(code, "lost")),
    )
}

/// An answer with this code as Connect has it, and this pushback.
fn answers(status: u16, pushback: &str) -> Step {
    let response = http::Response::builder()
        .status(status)
        .header("grpc-retry-pushback-ms", pushback)
        .body(CallBody::empty());
    Step::Answer(Box::new(response.unwrap()))
}

#[test]
fn an_attempt_follows_after_the_delay_and_the_first_response_wins() {
    for intercepted in [false, true] {
        let transport = Scripted::new(text_router(), [Step::Silence, Step::Silence]);
        let mut client = client(&transport, any());
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        let response = upper(&transport, &client).unwrap();
        assert_eq!(response.message(), "A");
        assert_eq!(times(&transport), [0, 100, 200]);
        assert_eq!(Attempts::of(response.extensions()).count(), 3);
        let seen = transport.seen();
        assert_eq!(seen[2].headers["grpc-previous-rpc-attempts"], "2");
        // The others are cancelled.
        assert_eq!(transport.dropped(), 2);
    }
}

#[test]
fn a_response_in_time_needs_no_other() {
    let transport = Scripted::new(text_router(), [Step::Router(ms(99))]);
    upper(&transport, &client(&transport, any())).unwrap();
    assert_eq!(times(&transport), [0]);
    // A slow first one may still win.
    let transport = Scripted::new(text_router(), [Step::Router(ms(150)), Step::Silence]);
    let response = upper(&transport, &client(&transport, any())).unwrap();
    assert_eq!(times(&transport), [0, 100]);
    assert_eq!(Attempts::of(response.extensions()).count(), 1);
}

#[test]
fn without_a_delay_all_are_sent_at_once() {
    let steps = [Step::Silence, Step::Silence, Step::Router(ms(5))];
    let transport = Scripted::new(text_router(), steps);
    let policy = any().with_delay(Duration::ZERO);
    upper(&transport, &client(&transport, policy)).unwrap();
    assert_eq!(times(&transport), [0, 0, 0]);
}

/// "If a non-fatal status code is received … the next hedged request in line is sent immediately".
#[test]
fn a_non_fatal_error_sends_the_next_at_once() {
    let transport = Scripted::new(text_router(), [fails(Code::Unavailable), Step::Silence]);
    upper(&transport, &client(&transport, any())).unwrap();
    assert_eq!(times(&transport), [0, 0, 100]);
}

/// "If any other status code is received, all outstanding RPCs are canceled".
#[test]
fn a_fatal_error_ends_the_call() {
    let transport = Scripted::new(text_router(), [Step::Silence, fails(Code::Internal)]);
    let error = upper(&transport, &client(&transport, any())).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(times(&transport), [0, 100]);
    assert_eq!(transport.dropped(), 1);
}

/// "If all instances of a hedged RPC fail, there are no additional retry attempts".
#[test]
fn when_all_fail_the_call_fails() {
    let transport = Scripted::new(text_router(), (0..10).map(|_| fails(Code::Unavailable)));
    let error = upper(&transport, &client(&transport, any())).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(transport.seen().len(), 3);
    let policy = any().with_max_attempts(9);
    assert_eq!(policy.max_attempts(), 5);
}

/// "Pushback".
#[test]
fn the_server_says_when() {
    for (pushback, expected) in [("300", &[0, 300][..]), ("-1", &[0]), ("soon", &[0])] {
        let transport = Scripted::new(text_router(), [answers(503, pushback)]);
        let result = upper(&transport, &client(&transport, any()));
        assert_eq!(result.is_ok(), expected.len() == 2, "{pushback}");
        assert_eq!(times(&transport), expected, "{pushback}");
    }
}

/// A pause that is asked for lasts neither beyond the deadline nor for ever.
#[test]
fn a_pushback_that_is_too_long_means_no_other() {
    let minute = Duration::from_secs(60);
    for (pushback, timeout, policy, attempts) in [
        ("3600000", Some(ms(1_000)), any(), 1),
        ("1000", Some(ms(1_000)), any(), 1),
        ("999", Some(ms(1_000)), any(), 2),
        ("60000", None, any(), 2),
        ("60001", None, any(), 1),
        ("60001", None, any().with_max_pushback(2 * minute), 2),
        ("1", None, any().with_max_pushback(Duration::ZERO), 1),
    ] {
        let transport = Scripted::new(text_router(), [answers(503, pushback)]);
        let client = client(&transport, policy);
        let mut request = Request::new(String::from("a"));
        if let Some(timeout) = timeout {
            request = request.with_timeout(timeout);
        }
        let call = async { client.unary::<Prost, _, String>(&UPPER, request).await };
        let result = transport.time().block_on(call);
        assert_eq!(transport.seen().len(), attempts, "{pushback} {timeout:?}");
        match result {
            Ok(_) => assert_eq!(attempts, 2),
            // At once, and with what the server has said.
            Err(error) => {
                assert_eq!(error.code(), Code::Unavailable);
                assert_eq!(transport.time().elapsed(), Duration::ZERO);
            }
        }
    }
    // Others go on.
    let slow = Step::Router(ms(500));
    let transport = Scripted::new(text_router(), [slow, answers(503, "60001")]);
    upper(&transport, &client(&transport, any())).unwrap();
    assert_eq!(times(&transport), [0, 100]);
}

/// "Subsequent hedged RPCs will only be sent if `token_count` is greater than the threshold".
#[test]
fn the_budget_holds_for_hedges() {
    let transport = Scripted::new(text_router(), (0..10).map(|_| fails(Code::Unavailable)));
    let config = ServiceConfig::new()
        .with_default(MethodConfig::new().with_hedge(any()))
        .with_throttle(RetryThrottle::new().with_max_tokens(2.0));
    let client = transport.client().with_service_config(config);
    upper(&transport, &client).unwrap_err();
    assert_eq!(transport.seen().len(), 1);
}

#[test]
fn only_what_may_run_twice_is_hedged() {
    for (idempotency, attempts) in [
        (Idempotency::Unknown, 1),
        (Idempotency::Idempotent, 2),
        (Idempotency::NoSideEffects, 2),
    ] {
        let transport = Scripted::new(text_router(), [Step::Router(ms(500))]);
        let client = client(&transport, HedgePolicy::new());
        let spec = UPPER.with_idempotency(idempotency);
        let request = Request::new(String::from("a"));
        let call = client.unary::<Prost, _, String>(&spec, request);
        transport.time().block_on(call).unwrap();
        assert_eq!(transport.seen().len(), attempts, "{idempotency:?}");
    }
}

#[test]
fn streams_of_responses_are_hedged_up_to_their_first_message() {
    let transport = Scripted::new(text_router(), [Step::Silence]);
    let client = client(&transport, any());
    transport.time().block_on(async {
        let request = Request::new(String::from("a b"));
        let response = client
            .server_stream::<Prost, _, String>(&SPLIT, request)
            .await;
        let mut words = response.unwrap().into_message();
        assert_eq!(words.message().await.unwrap().as_deref(), Some("a"));
        assert_eq!(words.message().await.unwrap().as_deref(), Some("b"));
        assert_eq!(words.message().await.unwrap(), None);
    });
    assert_eq!(times(&transport), [0, 100]);
    assert_eq!(transport.dropped(), 1);
}

/// The codes with which a transport is told that its calls have ended.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Option<Code>>>>);

impl OutcomeListener for Told {
    fn ended(&self, code: Option<Code>) {
        self.0.lock().unwrap().push(code);
    }
}

impl Told {
    /// An answer of `unavailable` from a transport that listens.
    fn unavailable(&self) -> Step {
        let Step::Answer(mut response) = answers(503, "0") else {
            unreachable!();
        };
        let outcome = Outcome::new(Arc::new(self.clone()));
        response.extensions_mut().insert(outcome);
        Step::Answer(response)
    }
}

/// Who sends less to servers that fail must know of each.
#[test]
fn the_transport_is_told_of_each_attempt_that_failed() {
    for (failures, is_ok) in [(1, true), (2, true), (3, false)] {
        let told = Told::default();
        let steps: Vec<_> = (0..failures).map(|_| told.unavailable()).collect();
        let transport = Scripted::new(text_router(), steps);
        let result = upper(&transport, &client(&transport, any()));
        assert_eq!(result.is_ok(), is_ok);
        let told = told.0.lock().unwrap();
        assert_eq!(*told, vec![Some(Code::Unavailable); failures]);
    }
}

#[test]
fn the_deadline_ends_them_all() {
    let transport = Scripted::new(text_router(), [Step::Silence, Step::Silence, Step::Silence]);
    let client = client(&transport, any());
    let request = Request::new(String::from("a")).with_timeout(ms(1_000));
    let call = async { client.unary::<Prost, _, String>(&UPPER, request).await };
    let error = transport.time().block_on(call).unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(transport.time().elapsed(), ms(1_000));
    assert_eq!(transport.dropped(), 3);
}

#[test]
fn without_a_timer_only_errors_send_another() {
    let transport = Scripted::new(text_router(), [fails(Code::Unavailable)]).without_timer();
    upper(&transport, &client(&transport, any())).unwrap();
    assert_eq!(transport.seen().len(), 2);
    let transport = Scripted::new(text_router(), []).without_timer();
    upper(&transport, &client(&transport, any())).unwrap();
    assert_eq!(transport.seen().len(), 1);
    // Nothing would end the pause.
    let transport = Scripted::new(text_router(), [answers(503, "300")]).without_timer();
    let error = upper(&transport, &client(&transport, any())).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(transport.seen().len(), 1);
}

#[test]
fn getters_read_what_setters_have_set() {
    let policy = HedgePolicy::new();
    assert_eq!((policy.max_attempts(), policy.delay()), (2, ms(100)));
    assert_eq!(policy.max_pushback(), Duration::from_secs(60));
    let policy = policy
        .with_delay(ms(7))
        .with_max_pushback(ms(8))
        .with_non_fatal_codes([Code::Aborted]);
    assert_eq!((policy.delay(), policy.any_method()), (ms(7), false));
    assert_eq!(policy.max_pushback(), ms(8));
    assert!(policy.non_fatal_codes().eq([Code::Aborted]));
}
