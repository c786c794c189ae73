//! A runtime for tests: it polls one future, knows a stall from a wait, and its time is virtual.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate and uses its own part of this"
)]

pub mod scripted;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use connect_tower::{
    Call, CallBody, Client, ClientConfig, Error, InProcess, Interceptor, Next, Reply, Request,
    Response, ResponseStream, Router, Spec, StreamType, Streaming, Time, Transport, TransportError,
    rt::{SharedTimer, Sleep, Timer},
};
use futures_util::{FutureExt, future::Map};
use http_body::{Body, Frame, SizeHint};

pub const UPPER: Spec = Spec::new("/test.v1.Text/Upper", StreamType::Unary);
pub const SPLIT: Spec = Spec::new("/test.v1.Text/Split", StreamType::ServerStream);
pub const JOIN: Spec = Spec::new("/test.v1.Text/Join", StreamType::ClientStream);
pub const ECHO: Spec = Spec::new("/test.v1.Text/Echo", StreamType::BidiStream);

/// One procedure of each stream type.
pub fn text_router() -> Router {
    Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            Ok(Response::new(request.message().to_uppercase()))
        })
        .server_stream(SPLIT, |request: Request<String>| async move {
            let words = request.message().split(' ').map(str::to_owned);
            Ok(Response::new(ResponseStream::from(
                words.collect::<Vec<_>>(),
            )))
        })
        .client_stream(JOIN, |request: Request<Streaming<String>>| async move {
            let mut words = request.into_stream();
            let mut joined = Vec::new();
            while let Some(word) = words.message().await? {
                joined.push(word);
            }
            Ok(Response::new(joined.join(" ")))
        })
        .bidi_stream(ECHO, |request: Request<Streaming<String>>| async move {
            let words = request.into_stream();
            Ok(Response::stream(words))
        })
}

pub fn client(router: Router) -> Client<InProcess> {
    Client::new(InProcess::new(router))
}

pub fn client_with(router: Router, config: ClientConfig) -> Client<InProcess> {
    client(router).with_config(config)
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs a future to its end. Panics when it waits and nobody is going to wake it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    VirtualTime::new().block_on(future)
}

/// Polls until the future waits; its output if it is ready by then.
pub fn poll_until_stalled<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(flag.clone());
    let mut cx = Context::from_waker(&waker);
    while flag.0.swap(false, Ordering::SeqCst) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
    }
    None
}

/// A clock that stands still until everything waits, and then jumps to the next sleep's end.
#[derive(Clone, Debug, Default)]
pub struct VirtualTime(Arc<Mutex<Clock>>);

#[derive(Debug, Default)]
struct Clock {
    now: Duration,
    sleeps: Vec<(Duration, Waker)>,
}

impl VirtualTime {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn timer(&self) -> SharedTimer {
        Arc::new(self.clone())
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().saturating_add(duration)).await;
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            if let Some(output) = poll_until_stalled(future.as_mut()) {
                return output;
            }
            assert!(self.jump(), "the future waits, and nobody will wake it");
        }
    }

    fn jump(&self) -> bool {
        let mut clock = self.0.lock().unwrap();
        let Some(next) = clock.sleeps.iter().map(|(at, _)| *at).min() else {
            return false;
        };
        clock.now = clock.now.max(next);
        let due: Vec<_> = clock.sleeps.extract_if_due();
        drop(clock);
        due.into_iter().for_each(Waker::wake);
        true
    }
}

impl Timer for VirtualTime {
    fn now(&self) -> Time {
        Time::from_epoch(self.elapsed())
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        let clock = self.0.clone();
        let at = at.since_epoch();
        Box::pin(std::future::poll_fn(move |cx| {
            let mut clock = clock.lock().unwrap();
            if clock.now >= at {
                return Poll::Ready(());
            }
            clock.sleeps.push((at, cx.waker().clone()));
            Poll::Pending
        }))
    }
}

trait Due {
    fn extract_if_due(&mut self) -> Vec<Waker>;
}

impl Due for Vec<(Duration, Waker)> {
    /// The sleeps that end first.
    fn extract_if_due(&mut self) -> Vec<Waker> {
        let next = self.iter().map(|(at, _)| *at).min();
        let (due, later) = self.drain(..).partition(|(at, _)| Some(*at) == next);
        *self = later;
        let due: Self = due;
        due.into_iter().map(|(_, waker)| waker).collect()
    }
}

/// A transport whose bodies arrive in pieces of at most so many bytes, both ways.
#[derive(Clone, Debug)]
pub struct Cut {
    pub inner: InProcess,
    pub size: usize,
}

type Received = Result<http::Response<CallBody>, TransportError>;

impl Transport for Cut {
    type Body = Pieces<CallBody>;
    type Future = Map<
        <InProcess as Transport>::Future,
        Box<
            dyn FnOnce(Received) -> Result<http::Response<Pieces<CallBody>>, TransportError> + Send,
        >,
    >;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        let size = self.size;
        let request = request.map(|body| CallBody::foreign(Pieces::new(body, size)));
        self.inner.send(request).map(Box::new(move |response| {
            response.map(|response| response.map(|body| Pieces::new(body, size)))
        }))
    }
}

/// A body in pieces of at most so many bytes.
#[derive(Debug)]
pub struct Pieces<B> {
    body: B,
    size: usize,
    rest: Bytes,
}

impl<B> Pieces<B> {
    fn new(body: B, size: usize) -> Self {
        Self {
            body,
            size,
            rest: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Pieces<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(frame))) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let size = self.size.min(self.rest.len());
        let piece = self.rest.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Passes everything on, which takes the interceptors' path through routers and clients.
pub struct Transparent;

impl Interceptor for Transparent {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        next.run(call).await
    }
}

/// The code and message of an error, to compare.
pub fn brief<T: std::fmt::Debug>(result: Result<T, Error>) -> (connect_tower::Code, String) {
    let error = result.unwrap_err();
    (error.code(), error.message().to_owned())
}
