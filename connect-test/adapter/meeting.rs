//! Handlers of one connection that need several threads, for the tests of runtimes that have them.

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use connect_tower::{Client, Prost, Request, Response, Router, Spec, StreamType, Transport};

const MEET: Spec = Spec::new("/test.v1.Test/Meet", StreamType::Unary);

/// Handlers that compute, and that wait for each other as threads do if they are asked to: they end only if two run at the same
/// time.
pub(crate) fn router() -> Router {
    let met = Arc::new(Barrier::new(2));
    Router::new().unary(MEET, move |request: Request<String>| {
        let met = Arc::clone(&met);
        async move {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(1) {}
            if request.message() == "meet" {
                met.wait();
            }
            Ok(Response::new(String::new()))
        }
    })
}

/// Two calls that meet, after one that takes long: that is known of the path then.
pub(crate) async fn meet<T: Transport>(client: Client<T>) {
    let call = async |message: &str| {
        let request = Request::new(message.to_owned());
        client
            .unary::<Prost, String, String>(&MEET, request)
            .await
            .unwrap();
    };
    call("").await;
    futures_util::future::join(call("meet"), call("meet")).await;
}
