//! Who calls, by a bearer token.

mod common;

use std::sync::{Arc, Mutex};

use common::{UPPER, VirtualTime};
use connect_tower::{
    Client, ClientConfig, Code, Error, InProcess, Prost, Protocol, Request, Response, Router,
    bearer,
};

const KNOWN: &str = "abc-._~+/09==";

#[derive(Clone)]
struct User(&'static str);

/// A service that says who calls, and the tokens that were verified.
fn who(time: &VirtualTime) -> (Router, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (tokens, clock) = (seen.clone(), time.clone());
    let verify = move |token: String| {
        let clock = clock.clone();
        tokens.lock().unwrap().push(token.clone());
        async move {
            // As a look-up does.
            clock.sleep(std::time::Duration::from_secs(1)).await;
            match token.as_str() {
                KNOWN => Ok(User("ada")),
                "banned" => Err(Error::permission_denied("not you")),
                "expired" => Err(Error::unauthenticated("it has expired")
                    .add_header("www-authenticate", "Bearer realm=\"own\"")?),
                _ => Err(Error::unauthenticated("nobody's")),
            }
        }
    };
    let router = Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            let User(name) = *request.extensions().get().unwrap();
            Ok(Response::new(name.to_owned()))
        })
        .add_gate(bearer(verify));
    (router, seen)
}

async fn call(client: &Client<InProcess>, values: &[&str]) -> Result<String, Error> {
    let mut request = Request::new(String::new());
    for value in values {
        request = request.add_header("authorization", *value)?;
    }
    let response = client.unary::<Prost, _, String>(&UPPER, request).await?;
    Ok(response.into_message())
}

#[test]
fn the_handler_knows_whose_the_token_is() {
    let time = VirtualTime::new();
    let (router, seen) = who(&time);
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(router.clone(), config);
        for scheme in ["Bearer ", "bearer ", "BEARER   "] {
            let value = format!("{scheme}{KNOWN}");
            assert_eq!(time.block_on(call(&client, &[&value])).unwrap(), "ada");
        }
    }
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter().all(|token| token == KNOWN) && seen.len() == 9,
        "{seen:?}"
    );
}

#[test]
fn other_calls_are_refused_and_told_what_is_asked_for() {
    let time = VirtualTime::new();
    let (router, seen) = who(&time);
    let invalid = "Bearer error=\"invalid_request\"";
    let table: &[(&[&str], Code, &str)] = &[
        (&[], Code::Unauthenticated, "Bearer"),
        (&["Basic YTpi"], Code::Unauthenticated, invalid),
        (&["Bearer"], Code::Unauthenticated, invalid),
        (&["Bearer "], Code::Unauthenticated, invalid),
        (&["Bearer a b"], Code::Unauthenticated, invalid),
        (&["Bearer \"a\""], Code::Unauthenticated, invalid),
        (&["Bearer ä"], Code::Unauthenticated, invalid),
        (&["Bearer a", "Bearer a"], Code::Unauthenticated, invalid),
        (
            &["Bearer x"],
            Code::Unauthenticated,
            "Bearer error=\"invalid_token\"",
        ),
        (
            &["Bearer expired"],
            Code::Unauthenticated,
            "Bearer realm=\"own\"",
        ),
        (&["Bearer banned"], Code::PermissionDenied, ""),
    ];
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(router.clone(), config);
        for &(values, code, challenge) in table {
            let context = format!("{protocol} {values:?}");
            let error = time.block_on(call(&client, values)).unwrap_err();
            assert_eq!(error.code(), code, "{context}");
            let received = error.received().unwrap().get_all("www-authenticate");
            let received: Vec<_> = received.iter().collect();
            let expected: Vec<_> = Some(challenge)
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect();
            assert_eq!(received, expected, "{context}");
        }
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3 * Protocol::ALL.len(), "{seen:?}");
}
