//! A transport that does what a test says, request by request, and then hands over to a router.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate and uses its own part of this"
)]

use std::{
    collections::VecDeque,
    future::{pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use connect_tower::{
    Attempts, CallBody, Client, Error, FailureKind, InProcess, Router, Transport, TransportError,
    rt::SharedTimer,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};

use super::VirtualTime;

type Answer = Result<Response<CallBody>, TransportError>;

/// What becomes of a request.
pub enum Step {
    /// It fails after so many pieces of its body were taken, and the body is kept as long as the transport.
    Fail(usize, TransportError),
    /// It is answered with this, at once.
    Answer(Box<Response<CallBody>>),
    /// It is answered with this: the head at once, the body after this long.
    Late(Duration, Box<Response<CallBody>>),
    /// It is handed to the router after this long.
    Router(Duration),
    /// It is never answered.
    Silence,
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Duration,
    pub headers: HeaderMap,
    pub attempts: Attempts,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Scripted {
    router: InProcess,
    time: VirtualTime,
    has_timer: bool,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    seen: Vec<Seen>,
    dropped: usize,
    bodies: Vec<CallBody>,
}

impl Scripted {
    /// Follows the steps, and then hands all requests to the router.
    pub fn new(router: Router, steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            router: InProcess::new(router),
            time: VirtualTime::new(),
            has_timer: true,
            script: Arc::new(Mutex::new(Script {
                steps: steps.into_iter().collect(),
                ..Script::default()
            })),
        }
    }

    pub fn without_timer(mut self) -> Self {
        self.has_timer = false;
        self
    }

    pub fn client(&self) -> Client<Self> {
        Client::new(self.clone())
    }

    pub fn time(&self) -> &VirtualTime {
        &self.time
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    /// How many requests were dropped before their answer.
    pub fn dropped(&self) -> usize {
        self.script.lock().unwrap().dropped
    }
}

/// Counts a request that is dropped before its answer.
struct Open(Option<Arc<Mutex<Script>>>);

impl Open {
    fn answered(&mut self) {
        self.0 = None;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(script) = &self.0 {
            script.lock().unwrap().dropped += 1;
        }
    }
}

impl Transport for Scripted {
    type Body = CallBody;
    type Future = BoxFuture<'static, Answer>;

    fn send(&self, request: Request<CallBody>) -> Self::Future {
        let mut script = self.script.lock().unwrap();
        script.seen.push(Seen {
            at: self.time.elapsed(),
            headers: request.headers().clone(),
            attempts: Attempts::of(request.extensions()),
        });
        let step = script.steps.pop_front();
        drop(script);
        let (this, mut open) = (self.clone(), Open(Some(self.script.clone())));
        Box::pin(async move {
            let answer = this.follow(step, request).await;
            open.answered();
            answer
        })
    }

    fn timer(&self) -> Option<SharedTimer> {
        self.has_timer.then(|| self.time.timer())
    }
}

impl Scripted {
    async fn follow(&self, step: Option<Step>, request: Request<CallBody>) -> Answer {
        match step {
            None => self.router.send(request).await,
            Some(Step::Router(delay)) => {
                self.time.sleep(delay).await;
                self.router.send(request).await
            }
            Some(Step::Answer(response)) => Ok(*response),
            Some(Step::Late(delay, response)) => {
                let time = self.time.clone();
                let wait = Box::pin(async move { time.sleep(delay).await });
                Ok(response.map(|body| {
                    CallBody::foreign(LateBody {
                        wait: Some(wait),
                        body,
                    })
                }))
            }
            Some(Step::Silence) => pending().await,
            Some(Step::Fail(pieces, failure)) => {
                let mut body = request.into_body();
                for _ in 0..pieces {
                    let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                    frame.expect("a piece").unwrap();
                }
                self.script.lock().unwrap().bodies.push(body);
                Err(failure)
            }
        }
    }
}

/// A body that comes after a wait.
struct LateBody {
    wait: Option<BoxFuture<'static, ()>>,
    body: CallBody,
}

impl Body for LateBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

/// A failure of this kind.
pub fn failure(kind: FailureKind) -> TransportError {
    TransportError::of_kind(kind, Error::unavailable(format!("{kind:?}")))
}

/// So many failures of this kind, before anything of a body was taken.
pub fn failures(kind: FailureKind, count: usize) -> Vec<Step> {
    (0..count).map(|_| Step::Fail(0, failure(kind))).collect()
}
