//! gRPC's service config: gRFC A6, "Configuration Language" and "Integration with Service Config".

mod common;

use std::time::Duration;

use common::{
    UPPER,
    scripted::{Scripted, failures},
    text_router,
};
use connect_tower::{
    Code, FailureKind, HedgePolicy, MethodConfig, Prost, Request, RetryPolicy, RetryThrottle,
    ServiceConfig, Spec, StreamType,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn spec(procedure: &'static str) -> Spec {
    Spec::new(procedure, StreamType::Unary)
}

#[test]
fn all_of_it_is_read() {
    let config = ServiceConfig::from_json(
        r#"{
            "loadBalancingConfig": [{"round_robin": {}}],
            "methodConfig": [
                {
                    "name": [{"service": "a.A", "method": "Retried"}, {"service": "a.B"}],
                    "timeout": "1.5s",
                    "waitForReady": true,
                    "retryPolicy": {
                        "maxAttempts": 4,
                        "initialBackoff": ".1s",
                        "maxBackoff": "1s",
                        "backoffMultiplier": 2.5,
                        "retryableStatusCodes": ["UNAVAILABLE", 13, "cancelled", "aborted"]
                    }
                },
                {
                    "name": [{}],
                    "hedgingPolicy": {
                        "maxAttempts": 9,
                        "hedgingDelay": "0.5s",
                        "nonFatalStatusCodes": []
                    }
                },
                {
                    "name": [{"service": "a.A", "method": "Hedged"}],
                    "hedgingPolicy": {"maxAttempts": 2}
                },
                {"name": [{"service": "a.A", "method": "Plain"}]}
            ],
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.5}
        }"#,
    )
    .unwrap();
    let retry = RetryPolicy::new()
        .with_max_attempts(4)
        .with_initial_backoff(ms(100))
        .with_max_backoff(ms(1_000))
        .with_backoff_multiplier(2.5)
        .with_codes([
            Code::Unavailable,
            Code::Internal,
            Code::Canceled,
            Code::Aborted,
        ])
        .with_any_method(true);
    let retried = MethodConfig::new()
        .with_timeout(ms(1_500))
        .with_wait_for_ready(true)
        .with_retry(retry);
    let hedge = |attempts, delay| {
        let policy = HedgePolicy::new()
            .with_max_attempts(attempts)
            .with_delay(ms(delay))
            .with_non_fatal_codes([])
            .with_any_method(true);
        MethodConfig::new().with_hedge(policy)
    };
    let throttle = RetryThrottle::new()
        .with_max_tokens(10.0)
        .with_token_ratio(0.5);
    let expected = ServiceConfig::new()
        .with_method("/a.A/Retried", retried.clone())
        .with_service("a.B", retried.clone())
        .with_default(hedge(5, 500))
        .with_method("a.A/Hedged", hedge(2, 0))
        .with_method("a.A/Plain", MethodConfig::new())
        .with_throttle(throttle);
    assert_eq!(config, expected);
    assert_eq!(config.throttle(), Some(&throttle));
    // The most exact one counts.
    assert_eq!(config.find(&spec("/a.A/Retried")), Some(&retried));
    assert_eq!(config.find(&spec("/a.B/Any")), Some(&retried));
    assert_eq!(config.find(&spec("/a.A/Plain")), Some(&MethodConfig::new()));
    assert_eq!(config.find(&spec("/a.A/Other")), Some(&hedge(5, 500)));
    assert_eq!(config.find(&spec("/c.C/Retried")), Some(&hedge(5, 500)));
    let empty = ServiceConfig::from_json("{}").unwrap();
    assert_eq!(empty, ServiceConfig::new().with_throttle(None));
    assert_eq!(empty.find(&UPPER), None);
}

/// A config with this method config, of which the name is left out.
fn method(fields: &str) -> String {
    format!(r#"{{"methodConfig": [{{"name": [{{"service": "a.A"}}], {fields}}}]}}"#)
}

/// A retry policy in which a field is replaced, or left out.
fn retry(field: &str, value: &str) -> String {
    let fields = [
        ("maxAttempts", "2"),
        ("initialBackoff", r#""1s""#),
        ("maxBackoff", r#""1s""#),
        ("backoffMultiplier", "2"),
        ("retryableStatusCodes", "[14]"),
    ];
    let fields = fields.map(|(name, default)| {
        let value = if name == field { value } else { default };
        format!(r#""{name}": {value}"#)
    });
    method(&format!(r#""retryPolicy": {{{}}}"#, fields.join(", ")))
}

#[test]
fn what_is_wrong_is_named() {
    let policy = "methodConfig[0].retryPolicy";
    for (text, error) in [
        ("", "service config: "),
        ("[]", "the config must be an object"),
        (r#"{"methodConfig": 1}"#, "methodConfig must be a list"),
        (
            r#"{"methodConfig": [1]}"#,
            "methodConfig[0] must be an object",
        ),
        (
            r#"{"methodConfig": [{}]}"#,
            r#"methodConfig[0] needs a field "name""#,
        ),
        (
            r#"{"methodConfig": [{"name": [{"method": "M"}]}]}"#,
            "methodConfig[0].name[0] has a method, and no service",
        ),
        (
            r#"{"methodConfig": [{"name": [{}]}, {"name": [{}]}]}"#,
            "methodConfig[1].name[0] is named twice",
        ),
        (
            r#"{"methodConfig": [{"name": [{"service": 1}]}]}"#,
            "methodConfig[0].name[0].service must be text",
        ),
        (
            &method(r#""timeout": "1""#),
            "methodConfig[0].timeout must be a duration",
        ),
        (
            &method(r#""timeout": "-1s""#),
            "methodConfig[0].timeout must be a duration",
        ),
        (
            &method(r#""timeout": 1"#),
            "methodConfig[0].timeout must be text",
        ),
        (
            &method(r#""waitForReady": 1"#),
            "methodConfig[0].waitForReady must be true or false",
        ),
        (
            &method(r#""retryPolicy": {}, "hedgingPolicy": {}"#),
            "methodConfig[0] has both a retryPolicy and a hedgingPolicy",
        ),
        (
            &method(r#""retryPolicy": 1"#),
            &format!("{policy} must be an object"),
        ),
        (
            &retry("maxAttempts", "1"),
            &format!("{policy}.maxAttempts must be a whole"),
        ),
        (
            &retry("maxAttempts", "2.5"),
            &format!("{policy}.maxAttempts must be a whole"),
        ),
        (
            &retry("maxAttempts", "null"),
            &format!(r#"{policy} needs a field "maxAttempts""#),
        ),
        (
            &retry("initialBackoff", r#""0s""#),
            &format!("{policy}.initialBackoff must be above"),
        ),
        (
            &retry("maxBackoff", "null"),
            &format!(r#"{policy} needs a field "maxBackoff""#),
        ),
        (
            &retry("backoffMultiplier", "0"),
            &format!("{policy}.backoffMultiplier must be above"),
        ),
        (
            &retry("retryableStatusCodes", "[]"),
            &format!("{policy}.retryableStatusCodes must not"),
        ),
        (
            &retry("retryableStatusCodes", r#"[14, "OK"]"#),
            &format!("{policy}.retryableStatusCodes[1] must be a status code"),
        ),
        (
            &retry("retryableStatusCodes", "[17]"),
            &format!("{policy}.retryableStatusCodes[0] must be a status code"),
        ),
        (
            &method(r#""hedgingPolicy": {}"#),
            r#"methodConfig[0].hedgingPolicy needs a field "maxAttempts""#,
        ),
        (
            r#"{"retryThrottling": {"maxTokens": 1001, "tokenRatio": 1}}"#,
            "retryThrottling.maxTokens must be at most 1000",
        ),
        (
            r#"{"retryThrottling": {"maxTokens": 10, "tokenRatio": 0}}"#,
            "retryThrottling.tokenRatio must be above 0",
        ),
    ] {
        let found = ServiceConfig::from_json(text).unwrap_err();
        assert_eq!(found.code(), Code::InvalidArgument);
        assert!(found.message().contains(error), "{text}: {found}");
    }
}

#[test]
fn the_lesser_timeout_counts() {
    for (own, of_method, expected) in [
        (None, 500, 500),
        (Some(200), 500, 200),
        (Some(900), 500, 500),
    ] {
        let transport = Scripted::new(text_router(), [common::scripted::Step::Silence]);
        let method = MethodConfig::new().with_timeout(ms(of_method));
        assert_eq!(method.timeout(), Some(ms(of_method)));
        let config = ServiceConfig::new().with_service("test.v1.Text", method);
        let client = transport.client().with_service_config(config);
        let mut request = Request::new(String::from("a"));
        if let Some(own) = own {
            request = request.with_timeout(ms(own));
        }
        let call = async { client.unary::<Prost, _, String>(&UPPER, request).await };
        let error = transport.time().block_on(call).unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(transport.time().elapsed(), ms(expected));
    }
}

#[test]
fn calls_wait_for_a_connection_if_they_or_their_method_are_to() {
    for (own, of_method, waits) in [
        (None, None, false),
        (None, Some(true), true),
        (Some(false), Some(true), false),
        (Some(true), Some(false), true),
    ] {
        let transport = Scripted::new(text_router(), failures(FailureKind::NoConnection, 2));
        let mut method = MethodConfig::new();
        if let Some(wait) = of_method {
            method = method.with_wait_for_ready(wait);
        }
        let config = ServiceConfig::new().with_default(method);
        let client = transport.client().with_service_config(config.clone());
        assert_eq!(client.service_config(), Some(&config));
        let mut request = Request::new(String::from("a"));
        if let Some(wait) = own {
            request = request.with_wait_for_ready(wait);
        }
        let call = async { client.unary::<Prost, _, String>(&UPPER, request).await };
        let result = transport.time().block_on(call);
        assert_eq!(result.is_ok(), waits, "{own:?} {of_method:?}");
    }
}
