//! A transport that fails once the deadline has passed: whose error it is then.

mod common;

use std::{future::Future, pin::Pin, time::Duration};

use common::{ECHO, UPPER, VirtualTime};
use connect_tower::{
    CallBody, Client, Code, Error, Prost, Request, Sent, Transport, TransportError, rt::SharedTimer,
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Fails every request after a while, as if the server had reset it.
#[derive(Clone)]
struct Resets {
    time: VirtualTime,
    after: Duration,
}

impl Transport for Resets {
    type Body = CallBody;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<CallBody>, TransportError>>>>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        let Self { time, after } = self.clone();
        Box::pin(async move {
            time.sleep(after).await;
            drop(request);
            let error = Error::canceled("the server reset the stream");
            Err(TransportError::new(Sent::Yes, error))
        })
    }

    fn timer(&self) -> Option<SharedTimer> {
        Some(self.time.timer())
    }
}

/// A server ends a call at its deadline by a reset, which can be there before the client's alarm goes off.
#[test]
fn a_failure_after_the_deadline_is_the_deadlines() {
    for (after, code) in [
        (TIMEOUT / 2, Code::Canceled),
        (TIMEOUT, Code::DeadlineExceeded),
    ] {
        let time = VirtualTime::new();
        let client = Client::new(Resets {
            time: time.clone(),
            after,
        });
        time.block_on(async {
            let request = Request::new(String::from("hi")).with_timeout(TIMEOUT);
            let unary = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(unary.unwrap_err().code(), code, "unary after {after:?}");

            let request = Request::new(()).with_timeout(TIMEOUT);
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, request);
            let bidi = call.message().await;
            assert_eq!(bidi.unwrap_err().code(), code, "bidi after {after:?}");
        });
    }
}
