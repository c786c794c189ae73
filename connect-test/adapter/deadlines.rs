//! A client's deadline passes while the server is silent: on the wire the stream is reset with CANCEL at once, whoever still holds
//! the call.

use std::{future::poll_fn, sync::Arc, time::Duration};

use connect_tower::{
    Error, Time,
    rt::{Sleep, Timer},
};
use h2::Reason;
use macro_rules_attribute::apply;
use tokio::sync::{mpsc, watch};

use super::support::{accept, async_test, listen, spawn};
use crate::rt::{
    Channel, Client, ClientConfig, Code, HttpVersion, Prost, Protocol, Request, Spec, StreamType,
};

/// How far the server goes before it falls silent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Silence {
    BeforeHead,
    AfterHead,
}

/// A clock that a server moves on. So no deadline passes before its call is there, however busy the machine is.
#[derive(Clone, Debug)]
struct Clock(watch::Sender<Time>);

impl Clock {
    fn new() -> Self {
        Self(watch::Sender::new(Time::ZERO))
    }

    fn advance(&self, time: Duration) {
        self.0.send_modify(|now| *now = now.saturating_add(time));
    }
}

impl Timer for Clock {
    fn now(&self) -> Time {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            // The clock is not dropped before the call.
            let _ = now.wait_for(|now| *now >= at).await;
        })
    }
}

/// A server that falls silent at each call, and tells how each is reset. When a call has come so far, its time is over.
async fn silent_server(
    silence: Silence,
    clock: Clock,
) -> (String, mpsc::UnboundedReceiver<Reason>) {
    let mut listener = listen().await;
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (sender, resets) = mpsc::unbounded_channel();
    spawn(async move {
        let socket = accept(&mut listener).await;
        let mut connection = h2::server::handshake(socket).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let (sender, clock) = (sender.clone(), clock.clone());
            spawn(async move {
                // Its window is never given back.
                let content_type = request.headers()["content-type"].clone();
                let head = http::Response::builder()
                    .header("content-type", content_type)
                    .body(())
                    .unwrap();
                let reason = match silence {
                    Silence::BeforeHead => {
                        clock.advance(TIMEOUT);
                        poll_fn(|cx| respond.poll_reset(cx)).await
                    }
                    Silence::AfterHead => {
                        let mut stream = respond.send_response(head, false).unwrap();
                        clock.advance(TIMEOUT);
                        poll_fn(|cx| stream.poll_reset(cx)).await
                    }
                };
                let _ = sender.send(reason.unwrap());
                drop(request);
            });
        }
    });
    (uri, resets)
}

const TIMEOUT: Duration = Duration::from_secs(60);

fn spec(stream_type: StreamType) -> Spec {
    Spec::new("/test.v1.Test/Call", stream_type)
}

/// Makes the call and waits for its deadline; returns what must not be dropped before the reset is seen.
async fn call_until_deadline(
    client: &Client<Channel>,
    stream_type: StreamType,
    is_sending: bool,
) -> Box<dyn Send> {
    fn check(error: &Error) {
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    }
    /// The server has the call before this is done, and may move the clock on first.
    fn check_sent(sent: Result<(), Error>) {
        if let Err(error) = sent {
            check(&error);
        }
    }
    let spec = &spec(stream_type);
    let large = "x".repeat(100_000);
    match stream_type {
        StreamType::Unary => {
            let message = if is_sending { large } else { String::new() };
            let request = Request::new(message).with_timeout(TIMEOUT);
            let answer = client.unary::<Prost, String, String>(spec, request).await;
            check(&answer.unwrap_err());
            Box::new(())
        }
        StreamType::ServerStream => {
            let request = Request::new(String::new()).with_timeout(TIMEOUT);
            match client
                .server_stream::<Prost, String, String>(spec, request)
                .await
            {
                Err(error) => {
                    check(&error);
                    Box::new(())
                }
                Ok(response) => {
                    let mut stream = response.into_message();
                    check(&stream.message().await.unwrap_err());
                    Box::new(stream)
                }
            }
        }
        StreamType::ClientStream => {
            let request = Request::new(()).with_timeout(TIMEOUT);
            let mut call = client.client_stream::<Prost, String, String>(spec, request);
            if is_sending {
                let error = loop {
                    if let Err(error) = call.send(large.clone()).await {
                        break error;
                    }
                };
                check(&error);
                return Box::new(call);
            }
            check_sent(call.send(String::new()).await);
            check(&call.close_and_receive().await.unwrap_err());
            Box::new(())
        }
        StreamType::BidiStream => {
            let request = Request::new(()).with_timeout(TIMEOUT);
            let mut call = client.bidi_stream::<Prost, String, String>(spec, request);
            if is_sending {
                let error = loop {
                    if let Err(error) = call.send(large.clone()).await {
                        break error;
                    }
                };
                check(&error);
            } else {
                check_sent(call.send(String::new()).await);
                check(&call.message().await.unwrap_err());
            }
            Box::new(call)
        }
    }
}

#[apply(async_test)]
async fn a_deadline_that_passes_resets_the_stream_at_once() {
    for silence in [Silence::BeforeHead, Silence::AfterHead] {
        for protocol in Protocol::ALL {
            for (stream_type, is_sending) in [
                (StreamType::Unary, false),
                (StreamType::Unary, true),
                (StreamType::ServerStream, false),
                (StreamType::ClientStream, false),
                (StreamType::ClientStream, true),
                (StreamType::BidiStream, false),
                (StreamType::BidiStream, true),
            ] {
                let clock = Clock::new();
                let (uri, mut resets) = silent_server(silence, clock.clone()).await;
                let channel = Channel::builder(uri)
                    .with_http_version(HttpVersion::Http2)
                    .build()
                    .unwrap();
                let config = ClientConfig::new().with_protocol(protocol);
                let client = Client::new(channel)
                    .with_config(config)
                    .with_timer(Arc::new(clock));
                let held = call_until_deadline(&client, stream_type, is_sending).await;
                let reason = resets.recv().await;
                let context = format!("{silence:?} {protocol} {stream_type:?} {is_sending}");
                assert_eq!(reason, Some(Reason::CANCEL), "{context}");
                drop(held);
            }
        }
    }
}
