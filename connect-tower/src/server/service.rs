//! The router as a tower service: one call from its request's head to its response's head.
//!
//! ```text
//!  head -> look up -> detect -> gates -> accept -> read and decode -> interceptors -> handler -> encode -> head
//! ```
//!
//! The future is written by hand, so that a unary call without interceptors is boxed once, around its handler.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_codec::Codec;
use connect_proto::{CallPolicy, Detected, Error, Limits, Rejection, SendHalf, Time, detect};
use http::{Extensions, Method, Request, Response, request::Parts, response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    BoxError, BoxFuture, Deadline,
    call::body::CallBody,
    call::connection::Connection,
    call::deadline::{CallScope, DeadlineTimer, deadline_exceeded, within_deadline},
    call::incoming::{Incoming, IncomingBody, Source},
    call::observe::{CallGuard, Observed, in_scope},
    call::panics::{CatchPanic, UserCode},
    call::permits::Permits,
    call::polled_again,
    call::producer::CatchPanicProducer,
    call::receive::{Held, MessageTimeout, ReceiveLimits},
    call::shared::HeadSent,
    call::sink::Sink,
    message::request::{self, Request as RpcRequest},
    server::gate::CallHead,
    server::handler::{self, Input},
    server::intercepted,
    server::reading::Reading,
    server::router::{Procedure, Router},
};

/// Serves one call. An answer that is an error as a whole, as that of a refused call is, has the [`Error`] in its
/// extensions, for layers that log.
impl<B> Service<Request<B>> for Router
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<CallBody>;
    type Error = Infallible;
    type Future = RouterFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> RouterFuture<B> {
        let (mut parts, body) = request.into_parts();
        HeadSent::report_in(&mut parts.extensions);
        let procedure = self.inner.find(parts.uri.path());
        if let (None, Some(fallback)) = (&procedure, self.inner.fallback_for(parts.uri.path())) {
            let response = fallback(Request::from_parts(parts, IncomingBody::new(body)));
            return RouterFuture::new(State::Fallback { response }, None);
        }
        let detected = detect(&parts);
        let call = self
            .inner
            .begin(procedure.as_ref(), detected.as_ref().ok(), &mut parts);
        let state = in_scope(call.as_ref(), || match procedure {
            Some(procedure) => {
                let observed = call.as_ref().map(CallGuard::observed);
                open(procedure, detected, parts, body, observed)
            }
            None => unknown(detected, parts.uri.path()),
        });
        RouterFuture::new(state, call)
    }
}

pin_project! {
    /// A call up to the head of its response. Dropping it cancels the call.
    #[must_use = "futures do nothing unless polled"]
    pub struct RouterFuture<B> {
        #[pin]
        state: State<B>,
        // What gates gave the call to hold, until the response's body holds it.
        permits: Permits,
        call: Option<CallGuard>,
    }

    impl<B> PinnedDrop for RouterFuture<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(call) = this.call {
                // The handler goes in its call's scope.
                call.observed().in_scope(|| this.state.set(State::Answered { response: None }));
            }
        }
    }
}

impl<B> RouterFuture<B> {
    fn new(state: State<B>, call: Option<CallGuard>) -> Self {
        Self {
            state,
            permits: Permits::default(),
            call,
        }
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B> {
        Answered {
            response: Option<Response<CallBody>>,
        },
        Gating {
            gating: BoxFuture<'static, (Opening, Result<(), Error>)>,
            // Not pinned: it moves into the next state.
            body: Option<B>,
        },
        Reading {
            #[pin]
            body: B,
            reading: Reading,
            call: Option<Accepted>,
        },
        Running {
            running: Option<Running>,
        },
        Fallback {
            response: BoxFuture<'static, Response<CallBody>>,
        },
    }
}

impl<B> Future for RouterFuture<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<CallBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (state, permits) = (this.state, &mut *this.permits);
        let response = match &*this.call {
            None => state.poll_response(permits, None, cx),
            Some(call) => {
                let observed = call.observed();
                observed.in_scope(|| state.poll_response(permits, Some(observed), cx))
            }
        };
        let response = ready!(response);
        let call = this.call.take();
        if let (Some(call), Some(error)) = (&call, response.extensions().get::<Error>()) {
            call.observed().fail(error.clone());
        }
        let mut permits = mem::take(this.permits);
        permits.answer();
        Poll::Ready(Ok(response.map(|body| body.holding(permits, call))))
    }
}

impl<B> State<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Goes on until there is a response.
    fn poll_response(
        mut self: Pin<&mut Self>,
        permits: &mut Permits,
        observed: Option<&Observed>,
        cx: &mut Context<'_>,
    ) -> Poll<Response<CallBody>> {
        loop {
            let next = match self.as_mut().project() {
                StateProj::Gating { gating, body } => {
                    let (mut opening, outcome) = ready!(gating.as_mut().poll(cx));
                    *permits = mem::take(&mut opening.head.permits);
                    match (outcome, body.take()) {
                        (Ok(()), Some(body)) => accept(opening, body, observed),
                        (Err(error), _) => {
                            let limits = *opening.policy.limits();
                            let limits = Connection::sent_limits(opening.head.extensions(), limits);
                            Self::refused(&opening.head.detected, &limits, error)
                        }
                        (Ok(()), None) => return polled_again(),
                    }
                }
                StateProj::Reading {
                    body,
                    reading,
                    call,
                } => {
                    let Some(waiting) = call else {
                        return polled_again();
                    };
                    let timer = waiting.procedure.timer(&waiting.head.extensions);
                    let deadline_timer = waiting.deadline_timer.as_mut();
                    let message = ready!(reading.poll(body, deadline_timer, timer, cx));
                    if let (Some(observed), Ok(_)) = (observed, &message) {
                        observed.received(reading.message_size());
                    }
                    if message.is_ok() {
                        permits.begin();
                    }
                    match call.take() {
                        Some(mut call) => {
                            call.head.is_compressed = reading.message_size().is_compressed();
                            Self::running(call.start(message.map(Input::Message)))
                        }
                        None => return polled_again(),
                    }
                }
                StateProj::Running { running } => {
                    if let Some(running) = running {
                        ready!(running.poll_head(cx, observed));
                    }
                    let running = running.take();
                    Self::Answered {
                        response: running.and_then(|running| running.into_response(observed)),
                    }
                }
                StateProj::Fallback { response } => return response.as_mut().poll(cx),
                StateProj::Answered { response } => {
                    return response.take().map_or_else(polled_again, Poll::Ready);
                }
            };
            self.set(next);
        }
    }
}

impl<B> State<B> {
    /// The call ends with an error before it has begun.
    fn refused(detected: &Detected, limits: &Limits, error: Error) -> Self {
        Self::failed(detected.reject_within(&error, limits), error)
    }

    /// The whole response, with its error in the extensions for layers around the router.
    fn failed(response: Response<Bytes>, error: Error) -> Self {
        let mut response = response.map(CallBody::from);
        response.extensions_mut().insert(error);
        Self::Answered {
            response: Some(response),
        }
    }

    fn running(running: Running) -> Self {
        Self::Running {
            running: Some(running),
        }
    }
}

impl<B> From<Rejection> for State<B> {
    fn from(rejection: Rejection) -> Self {
        let error = rejection.error().clone();
        Self::failed(rejection.into_response(), error)
    }
}

/// A call whose head was read: everything that gates may look at and change.
struct Opening {
    head: CallHead,
    policy: CallPolicy,
    procedure: Procedure,
    /// When the head had arrived. The client's timeout counts from here, and includes the gates.
    now: Time,
}

/// A call that was accepted: the sending half makes its response.
struct Accepted {
    head: request::Head,
    procedure: Procedure,
    codec: Codec,
    /// In a box, as the other half: both are large and go through many hands.
    send: Box<SendHalf>,
    deadline_timer: Option<DeadlineTimer>,
}

/// A call in its handler, or one that has ended before.
struct Running {
    send: Box<SendHalf>,
    head: Option<response::Parts>,
    extensions: Extensions,
    producer: Option<CatchPanicProducer>,
    deadline_timer: Option<DeadlineTimer>,
}

/// Asks the gates, if the request is a call of the procedure.
fn open<B>(
    procedure: Procedure,
    detected: Result<Detected, Rejection>,
    mut parts: Parts,
    body: B,
    observed: Option<&Observed>,
) -> State<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (route, scope) = (procedure.route(), procedure.scope());
    if parts.method != Method::POST && !(parts.method == Method::GET && route.spec.allows_get()) {
        return Rejection::method_not_allowed(&parts.method, &route.spec).into();
    }
    let detected = match detected {
        Ok(detected) => detected,
        Err(rejection) => {
            return rejection
                .offering(&route.spec, procedure.offered_codecs().map(Codec::name))
                .into();
        }
    };
    if route.pass_router {
        parts.extensions.insert(procedure.router());
    }
    let has_gates = !scope.gates.is_empty();
    let policy = *scope.config.policy();
    let timeout = policy.deadline_policy().apply(detected.timeout());
    // Without a timeout the time does not matter. Gates may set one.
    let now = match timeout {
        None if !has_gates => Time::ZERO,
        _ => procedure.timer(&parts.extensions).now(),
    };
    let opening = Opening {
        now,
        head: CallHead {
            parts,
            detected,
            spec: route.spec.clone(),
            permits: Permits::default(),
            timer: None,
        },
        policy,
        procedure,
    };
    if !has_gates {
        return accept(opening, body, observed);
    }
    State::Gating {
        gating: Box::pin(opening.pass_gates()),
        body: Some(body),
    }
}

/// Answers for a path at which there is no procedure.
fn unknown<B>(detected: Result<Detected, Rejection>, path: &str) -> State<B> {
    match detected {
        Ok(detected) => detected.unknown_procedure(path).into(),
        // A request for a page: there is none.
        Err(_) => Rejection::not_found(path).into(),
    }
}

/// Begins the call by the rules of its protocol.
fn accept<B>(opening: Opening, body: B, observed: Option<&Observed>) -> State<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Opening {
        head,
        mut policy,
        procedure,
        now,
    } = opening;
    let limits = Connection::sent_limits(head.extensions(), *policy.limits());
    policy = policy.with_limits(limits);
    let CallHead {
        parts,
        detected,
        spec,
        // The future holds them.
        permits: _,
        timer: _,
    } = head;
    let (route, scope) = (procedure.route(), procedure.scope());
    let timer = procedure.timer(&parts.extensions);
    let codec = scope.codecs.get(detected.codec());
    let codec = codec.filter(|codec| route.handler.supports(codec));
    let Some(codec) = codec.cloned() else {
        let offered = procedure.offered_codecs().map(Codec::name);
        return detected.unsupported_codec(&parts, &spec, offered).into();
    };
    let accepted = detected.accept_with(&parts, &spec, &scope.config, &policy, now);
    let (recv, send) = match accepted {
        Ok((recv, send)) => (Box::new(recv), Box::new(send)),
        Err(rejection) => return rejection.into(),
    };
    // The gates may have used up the time.
    let late = |deadline| !scope.gates.is_empty() && timer.now() >= deadline;
    if send.deadline().is_some_and(late) {
        return State::refused(&detected, policy.limits(), deadline_exceeded_in_gates());
    }
    let deadline_timer = DeadlineTimer::at(send.deadline(), timer);
    let limits = parts.extensions.get().map(Connection::receive_limits);
    let message_timeout = limits.and_then(ReceiveLimits::message_timeout);
    let held = Held::new(limits.and_then(ReceiveLimits::budget).cloned());
    let streams = spec.stream_type().client_streams();
    // The handler sees the client's deadline; the halves keep it a little longer, see `Detected::deadline`.
    let timeout = policy.deadline_policy().apply(detected.timeout());
    let head = request::Head {
        timeout,
        deadline: timeout.and_then(|timeout| Deadline::at_time(now.saturating_add(timeout), timer)),
        protocol: Some(detected.protocol()),
        spec: Some(spec),
        headers: parts.headers,
        extensions: parts.extensions,
        ..request::Head::default()
    };
    if let (Some(observed), Some(deadline)) = (observed, &head.deadline) {
        observed.set_deadline(deadline);
    }
    let call = Accepted {
        head,
        procedure,
        codec,
        send,
        deadline_timer,
    };
    if !streams {
        return State::Reading {
            body,
            reading: Reading::new(recv, held, message_timeout.map(MessageTimeout::new)),
            call: Some(call),
        };
    }
    let body = IncomingBody::new(body);
    let incoming =
        Incoming::new(Source::Wire { body, recv, held }, None).with_observed(observed.cloned());
    State::running(call.start(Ok(Input::Stream(Box::new(incoming)))))
}

fn deadline_exceeded_in_gates() -> Error {
    Error::deadline_exceeded("the deadline passed before the gates had accepted the call")
}

impl Opening {
    async fn pass_gates(mut self) -> (Self, Result<(), Error>) {
        // Gates may change the extensions.
        let timer = self.procedure.timer(self.head.extensions()).clone();
        self.head.timer = Some(timer.clone());
        for gate in &self.procedure.scope().gates {
            // Each gate has the time that the policy allows so far. What the last one made of it counts from `accept` on.
            let deadline = self.head.deadline(&self.policy, self.now);
            let mut deadline_timer = DeadlineTimer::at(deadline, &timer);
            let scope = CallScope::new(deadline_timer.as_ref().map(|it| it.deadline().clone()));
            let passing = gate.gate(&mut self.head, &mut self.policy);
            let passing = scope.run(CatchPanic::new(passing, UserCode::Gate));
            let passed = within_deadline(passing, deadline_timer.as_mut()).await;
            let passed = passed.unwrap_or_else(|_| Err(deadline_exceeded_in_gates()));
            if passed.is_err() {
                return (self, passed);
            }
        }
        (self, Ok(()))
    }
}

impl Accepted {
    /// Starts the handler, inside of the interceptors, or ends the call with what went wrong.
    fn start(self, input: Result<Input, Error>) -> Running {
        let Self {
            head,
            procedure,
            codec,
            send,
            deadline_timer,
        } = self;
        let mut scope = CallScope::new(head.deadline.clone());
        let producer = input.and_then(|input| {
            let request = RpcRequest::from_head(head, input);
            if procedure.scope().interceptors.is_empty() {
                scope.enter(|| handler::start(&*procedure.route().handler, request, codec))
            } else {
                Ok(intercepted::start(request, procedure, codec))
            }
        });
        let mut running = Running {
            send,
            head: None,
            extensions: Extensions::new(),
            producer: None,
            deadline_timer,
        };
        match producer {
            Ok(producer) => running.producer = Some(producer.in_scope(scope)),
            Err(error) => running.sink(None).finish(Err(error)),
        }
        running
    }
}

impl Running {
    /// Lets the handler work until the head of the response is known.
    fn poll_head(&mut self, cx: &mut Context<'_>, observed: Option<&Observed>) -> Poll<()> {
        loop {
            self.head = self.send.poll_response_head();
            if self.send.is_finished() {
                self.producer = None;
            }
            let Some(producer) = &mut self.producer else {
                return Poll::Ready(());
            };
            if self.head.is_some() {
                return Poll::Ready(());
            }
            let mut sink = Sink::Wire {
                send: &mut self.send,
                extensions: Some(&mut self.extensions),
                observed,
            };
            let worked = producer.poll_produce(cx, &mut sink);
            if worked.is_pending() && !self.send.is_head_ready() {
                let Some(deadline_timer) = &mut self.deadline_timer else {
                    return Poll::Pending;
                };
                self.send.handle_timeout(ready!(deadline_timer.poll(cx)));
                self.extensions.insert(deadline_exceeded());
            }
        }
    }

    fn sink<'a>(&'a mut self, observed: Option<&'a Observed>) -> Sink<'a> {
        Sink::Wire {
            send: &mut self.send,
            extensions: Some(&mut self.extensions),
            observed,
        }
    }

    fn into_response(self, observed: Option<&Observed>) -> Option<Response<CallBody>> {
        let mut head = self.head?;
        head.extensions.extend(self.extensions);
        let deadline = self
            .deadline_timer
            .as_ref()
            .map(|deadline_timer| deadline_timer.deadline().clone());
        let body = match self.producer {
            Some(producer) => {
                let observed = observed.cloned();
                CallBody::response(self.send, producer, self.deadline_timer, observed)
            }
            None => CallBody::finished(self.send),
        };
        // For the HTTP server: while the client reads nothing, nobody polls the body, which so cannot keep its deadline.
        if let Some(deadline) = deadline.filter(|_| !body.is_small()) {
            head.extensions.insert(deadline);
        }
        Some(Response::from_parts(head, body))
    }
}

impl<B> fmt::Debug for RouterFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterFuture").finish_non_exhaustive()
    }
}
