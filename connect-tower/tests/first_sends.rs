//! What the first message of a call object waits for, and what it does not.

mod common;

use std::{
    future::pending,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use common::{ECHO, JOIN, Transparent, VirtualTime, block_on, poll_until_stalled, text_router};
use connect_tower::{
    Call, CallBody, Client, Code, Error, InProcess, Interceptor, Next, Payloads, Prost, Reply,
    Request, Response, ResponseStream, Router, Sent, ServiceTransport, Streaming, Transport,
    TransportError,
};
use futures_channel::oneshot;
use futures_util::{StreamExt, future::BoxFuture, stream};
use http_body::Body;
use tower_service::Service;

/// A signal that is awaited once.
#[derive(Clone)]
struct Signal(Arc<Mutex<Option<oneshot::Receiver<()>>>>);

impl Signal {
    fn new() -> (oneshot::Sender<()>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Arc::new(Mutex::new(Some(receiver)))))
    }

    fn is_awaited(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }

    async fn wait(self) {
        let receiver = self.0.lock().unwrap().take().unwrap();
        receiver.await.unwrap();
    }
}

/// A handler reads its stream only once it is told to, by somebody who knows that the client has sent.
fn waiting_router() -> (Router, oneshot::Sender<()>, Signal) {
    let (tell, told) = Signal::new();
    let (joins, handler) = (told.clone(), told.clone());
    let router = Router::new()
        .bidi_stream(ECHO, move |request: Request<Streaming<String>>| {
            let told = told.clone();
            async move {
                told.wait().await;
                Ok(Response::stream(request.into_stream()))
            }
        })
        .client_stream(JOIN, move |request: Request<Streaming<String>>| {
            let told = joins.clone();
            async move {
                told.wait().await;
                let first = request.into_stream().message().await?;
                Ok(Response::new(first.unwrap_or_default()))
            }
        });
    (router, tell, handler)
}

fn sends_before_the_handler_reads<T: Transport>(client: impl Fn(Router) -> Client<T>) {
    let (router, tell, handler) = waiting_router();
    let mut call = client(router).bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    let sent = poll_until_stalled(pin!(call.send(String::from("a"))));
    sent.expect("nobody reads yet").unwrap();
    assert!(handler.is_awaited(), "the server has the call");
    tell.send(()).unwrap();
    assert_eq!(block_on(call.message()).unwrap().as_deref(), Some("a"));

    let (router, tell, handler) = waiting_router();
    let mut call = client(router).client_stream::<Prost, String, String>(&JOIN, Request::new(()));
    let sent = poll_until_stalled(pin!(call.send(String::from("a"))));
    sent.expect("nobody reads yet").unwrap();
    assert!(handler.is_awaited(), "the server has the call");
    tell.send(()).unwrap();
    assert_eq!(block_on(call.close_and_receive()).unwrap().message(), "a");
}

#[test]
fn a_send_in_process_does_not_wait_until_the_handler_reads() {
    sends_before_the_handler_reads(|router| Client::new(InProcess::new(router)));
}

#[test]
fn nor_does_one_through_interceptors() {
    sends_before_the_handler_reads(|router| common::client(router).add_interceptor(Transparent));
    // These payloads are others than those that the call object makes.
    sends_before_the_handler_reads(|router| common::client(router).add_interceptor(Replaces));
    sends_before_the_handler_reads(|router| common::client(router.add_interceptor(Transparent)));
}

#[test]
fn nor_does_one_through_a_service() {
    sends_before_the_handler_reads(|router| Client::new(ServiceTransport::new(router)));
    sends_before_the_handler_reads(|router| Client::new(ServiceTransport::new(Layered(router))));
    sends_before_the_handler_reads(|router| {
        Client::new(ServiceTransport::new(Layered(router))).add_interceptor(Transparent)
    });
}

/// Sends payloads of its own, which come from those of the call.
struct Replaces;

impl Interceptor for Replaces {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        next.run(call.map(Payloads::new)).await
    }
}

/// A layer that puts each body into one of its own.
#[derive(Clone)]
struct Layered(Router);

impl Service<http::Request<CallBody>> for Layered {
    type Response = http::Response<CallBody>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Self::Response, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<CallBody>) -> Self::Future {
        let answer = self.0.call(request.map(CallBody::foreign));
        Box::pin(async move {
            let Ok(response) = answer.await;
            Ok(response)
        })
    }
}

/// Reads the first message before it passes the call on.
struct Peeks;

impl Interceptor for Peeks {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let (head, mut payloads) = call.into_parts();
        let first = payloads.next().await?;
        let all = stream::iter(first.map(Ok)).chain(payloads);
        next.run(head.map(|()| Payloads::new(all))).await
    }
}

#[test]
fn an_interceptor_may_read_messages_before_it_passes_the_call_on() {
    sends_before_the_handler_reads(|router| common::client(router).add_interceptor(Peeks));
}

/// What an interceptor reads says nothing of the head: it gets what it asks for, and no more.
#[test]
fn a_message_that_no_interceptor_asks_for_waits_for_the_head() {
    let held = Held::default();
    let client = Client::new(held.clone()).add_interceptor(Peeks);
    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    block_on(call.send(String::from("read by the interceptor"))).unwrap();
    let mut sending = pin!(call.send(String::from("for the server")));
    assert!(poll_until_stalled(sending.as_mut()).is_none());
    let mut body = held.take_body();
    let first = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_ready());
    poll_until_stalled(sending).unwrap().unwrap();
}

/// Sends nothing yet of what the caller sends.
struct Withholds;

impl Interceptor for Withholds {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let withhold = |payloads: Payloads| {
            Payloads::new(stream::poll_fn(move |_| {
                let _unread = &payloads;
                Poll::Pending
            }))
        };
        next.run(call.map(withhold)).await
    }
}

#[test]
fn a_first_send_waits_for_no_interceptor_to_read() {
    let held = Held::default();
    let client = Client::new(held.clone()).add_interceptor(Withholds);
    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    let mut sending = pin!(call.send(String::from("a")));
    assert!(poll_until_stalled(sending.as_mut()).is_none());
    let mut body = held.take_body();
    let first = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending(), "the head is on its way, and waits");
    poll_until_stalled(sending).unwrap().unwrap();
}

/// Keeps the request's body, does nothing with it, and answers what the test says.
#[derive(Clone, Default)]
struct Held {
    body: Arc<Mutex<Option<CallBody>>>,
    answer: Arc<Mutex<Option<oneshot::Sender<Answer>>>>,
}

type Answer = Result<http::Response<CallBody>, TransportError>;

impl Held {
    fn take_body(&self) -> CallBody {
        self.body.lock().unwrap().take().unwrap()
    }

    fn answer(&self, answer: Answer) {
        let sender = self.answer.lock().unwrap().take().unwrap();
        assert!(sender.send(answer).is_ok());
    }
}

impl Transport for Held {
    type Body = CallBody;
    type Future = BoxFuture<'static, Answer>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        let (sender, receiver) = oneshot::channel();
        *self.body.lock().unwrap() = Some(request.into_body());
        *self.answer.lock().unwrap() = Some(sender);
        Box::pin(async { receiver.await.unwrap() })
    }
}

/// The error of a first send that waits until `end` ends the call.
fn first_send_until(intercepted: bool, end: impl FnOnce(&Held)) -> Error {
    let held = Held::default();
    let mut client = Client::new(held.clone());
    if intercepted {
        client = client.add_interceptor(Transparent);
    }
    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    let mut sending = pin!(call.send(String::from("a")));
    assert!(poll_until_stalled(sending.as_mut()).is_none());
    end(&held);
    poll_until_stalled(sending).unwrap().unwrap_err()
}

#[test]
fn a_first_send_ends_with_its_call() {
    for intercepted in [false, true] {
        let refused = TransportError::new(Sent::No, Error::unavailable("no connection"));
        let error = first_send_until(intercepted, |held| held.answer(Err(refused)));
        assert_eq!(error.code(), Code::Unavailable);

        let error = first_send_until(intercepted, |held| {
            let mut response = http::Response::new(CallBody::empty());
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            held.answer(Ok(response));
        });
        assert_eq!(error.code(), Code::Unavailable, "{error}");
    }
}

/// Over a connection the request might be sent again, so this is not known before the response begins.
#[test]
fn a_send_in_process_ends_when_the_handler_reads_no_more() {
    for intercepted in [false, true] {
        let router = Router::new().bidi_stream(ECHO, |request: Request<Streaming<String>>| {
            drop(request);
            pending::<Result<Response<ResponseStream<String>>, Error>>()
        });
        let mut client = common::client(router);
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        let sending = pin!(call.send(String::from("a")));
        let error = poll_until_stalled(sending).unwrap().unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
    }
}

#[test]
fn a_first_send_keeps_the_deadline() {
    for intercepted in [false, true] {
        let time = VirtualTime::new();
        let mut client = Client::new(Held::default()).with_timer(time.timer());
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        let request = Request::new(()).with_timeout(Duration::from_secs(5));
        let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, request);
        let error = time.block_on(call.send(String::from("a"))).unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    }
}

#[test]
fn a_first_send_ends_when_the_receiver_is_dropped() {
    for intercepted in [false, true] {
        let mut client = Client::new(Held::default());
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        let call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        let (mut sender, receiver) = call.split();
        let mut sending = pin!(sender.send(String::from("a")));
        assert!(poll_until_stalled(sending.as_mut()).is_none());
        drop(receiver);
        let error = poll_until_stalled(sending).unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Canceled);
    }
}

/// Who waits is woken when the other half's poll has brought the request to its server.
#[test]
fn a_first_send_is_woken_when_a_router_has_the_request() {
    let (open, opened) = Signal::new();
    let service = Delayed(text_router(), opened);
    let client = Client::new(ServiceTransport::new(service));
    let (mut sender, mut receiver) = client
        .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
        .split();
    let mut sending = Box::pin(sender.send(String::from("a")));
    assert!(poll_until_stalled(sending.as_mut()).is_none());
    let mut message = Box::pin(receiver.message());
    open.send(()).unwrap();
    assert!(poll_until_stalled(message.as_mut()).is_none());
    block_on(sending).unwrap();
    let received = poll_until_stalled(message.as_mut()).unwrap();
    assert_eq!(received.unwrap().as_deref(), Some("a"));
}

/// Hands requests on once it is opened.
#[derive(Clone)]
struct Delayed(Router, Signal);

impl Service<http::Request<CallBody>> for Delayed {
    type Response = http::Response<CallBody>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Self::Response, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<CallBody>) -> Self::Future {
        let (mut router, opened) = (self.0.clone(), self.1.clone());
        Box::pin(async move {
            opened.wait().await;
            let Ok(response) = router.call(request).await;
            Ok(response)
        })
    }
}
