//! The requests of one call, one after the other, until there is a response or an error for the caller.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use connect_proto::{Error, Idempotency, Protocol, Spec};
use http::{HeaderName, HeaderValue};
use pin_project_lite::pin_project;

use super::{resends::FailedTries, source::RequestSource};
use crate::{
    call::attempts::Attempts,
    call::backoff,
    call::body::CallBody,
    call::deadline::{deadline_exceeded, poll_within_deadline},
    call::rt::Sleep,
    client::{
        Client,
        call::{Opened, RequestHead, Waiting},
        policy::{pushback::Pushback, throttle::Budget},
    },
    transport::{FailureKind, Sent, Transport, TransportError},
};

pin_project! {
    /// A call on its way to its response.
    pub(crate) struct Attempting<T: Transport, S> {
        call: Ongoing<S>,
        #[pin]
        step: Step<T::Future, T::Body>,
    }
}

/// What outlives an attempt.
struct Ongoing<S> {
    head: RequestHead,
    source: S,
    attempts: Attempts,
    failed: FailedTries,
    /// How many pauses of the policy there were since the server last asked for one.
    backoffs: u32,
    /// One of several attempts at once: it ends with its answer, good or bad.
    is_hedge: bool,
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, B> {
        Sent { #[pin] response: F, waiting: Option<Waiting> },
        /// Until the first message or the end is there, where errors may be retried.
        Answered { opened: Option<Opened<B>> },
        /// Until the next attempt. The error is that of the last one.
        Pause { sleep: Option<Sleep>, error: Option<Error> },
        Done,
    }
}

impl<T: Transport, S: RequestSource> Attempting<T, S> {
    /// A call whose first request is handed to the transport.
    pub(crate) fn new(
        client: &Client<T>,
        head: RequestHead,
        source: S,
        (request, waiting): (http::Request<CallBody>, Waiting),
    ) -> Self {
        Self {
            call: Ongoing::new(head, source, Attempts::default()),
            step: Step::Sent {
                response: client.transport().send(request),
                waiting: Some(waiting),
            },
        }
    }

    /// One attempt of several at once, the first being 1.
    pub(crate) fn hedged(
        client: &Client<T>,
        spec: &Spec,
        head: RequestHead,
        source: S,
        number: u32,
    ) -> Result<Self, Error> {
        let mut call = Ongoing::new(head, source, Attempts::nth(number));
        call.is_hedge = true;
        let (request, waiting) = call.again(client, spec, None)?;
        Ok(Self {
            call,
            step: Step::Sent {
                response: client.transport().send(request),
                waiting: Some(waiting),
            },
        })
    }

    /// The response, once its head is there. The client and the procedure must be those of the call.
    pub(crate) fn poll_open(
        self: Pin<&mut Self>,
        client: &Client<T>,
        spec: &Spec,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Opened<T::Body>, Error>> {
        let mut this = self.project();
        let opened = ready!(this.call.poll_steps(this.step.as_mut(), client, spec, cx));
        this.step.set(Step::Done);
        this.call.source.commit();
        Poll::Ready(opened)
    }
}

impl<S: RequestSource> Ongoing<S> {
    fn new(head: RequestHead, source: S, attempts: Attempts) -> Self {
        Self {
            head,
            source,
            attempts,
            failed: FailedTries::default(),
            backoffs: 0,
            is_hedge: false,
        }
    }

    fn poll_steps<T: Transport>(
        &mut self,
        mut step: Pin<&mut Step<T::Future, T::Body>>,
        client: &Client<T>,
        spec: &Spec,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Opened<T::Body>, Error>> {
        loop {
            let next = match step.as_mut().project() {
                StepProjection::Sent { response, waiting } => {
                    let timer = waiting.as_mut().and_then(|it| it.deadline_timer.as_mut());
                    let response = ready!(poll_within_deadline(response.poll(cx), timer, cx))?;
                    let Some(waiting) = waiting.take() else {
                        return crate::call::polled_again();
                    };
                    match response {
                        Ok(response) => {
                            let mut opened = waiting.open(response);
                            self.attempts.tell(&mut opened.extensions);
                            if self.head.retry.is_none() && !self.is_hedge {
                                return Poll::Ready(Ok(opened));
                            }
                            Step::Answered {
                                opened: Some(opened),
                            }
                        }
                        Err(failure) => {
                            let (pause, error) = self.after(failure, &waiting, client, spec)?;
                            pause_for(pause, error, client)
                        }
                    }
                }
                StepProjection::Answered { opened } => {
                    let Some(answer) = opened else {
                        return crate::call::polled_again();
                    };
                    let is_there = answer.incoming.poll_peek(cx).is_ready();
                    if !is_there && awaits_message(client, spec) {
                        return Poll::Pending;
                    }
                    let Some(mut answer) = opened.take() else {
                        return crate::call::polled_again();
                    };
                    match self.after_answer(&mut answer, client, spec) {
                        Some((pause, error)) => pause_for(pause, error, client),
                        None => return Poll::Ready(Ok(answer)),
                    }
                }
                StepProjection::Pause { sleep, error } => {
                    if let Some(sleep) = sleep {
                        ready!(sleep.as_mut().poll(cx));
                    }
                    let (request, waiting) = self.again(client, spec, error.take())?;
                    Step::Sent {
                        response: client.transport().send(request),
                        waiting: Some(waiting),
                    }
                }
                StepProjection::Done => return crate::call::polled_again(),
            };
            step.set(next);
        }
    }

    /// What follows an attempt without a response: the pause before the next, or the call's error.
    fn after<T: Transport>(
        &mut self,
        failure: TransportError,
        waiting: &Waiting,
        client: &Client<T>,
        spec: &Spec,
    ) -> Result<(Duration, Error), Error> {
        let (kind, sent) = (failure.kind(), failure.sent());
        let progress = failure.progress().cloned();
        let error = waiting.explain(failure.into())?;
        if !self.source.is_whole() {
            return Err(error);
        }
        let may_resend = match kind {
            FailureKind::Refused | FailureKind::Unsent => true,
            FailureKind::Stale => spec.idempotency() != Idempotency::Unknown,
            FailureKind::NoConnection | FailureKind::Other => false,
        };
        if may_resend {
            let pause = self.failed.resend(kind, progress, client.resends());
            if let Some(pause) = pause.filter(|pause| self.head.has_time_for(*pause)) {
                self.attempts.add_resend();
                return Ok((pause, error));
            }
        }
        // Without a timer there would be no pause between the tries.
        if kind == FailureKind::NoConnection
            && self.head.wait_for_ready
            && client.known_timer().is_some()
        {
            let pause = self.failed.wait_for_connection();
            return Ok((self.head.up_to_deadline(pause), error));
        }
        match self.retry(&error, sent, Pushback::None, client, spec) {
            Some(pause) => Ok((pause, error)),
            None => Err(error),
        }
    }

    /// What follows a response: the pause before the next attempt, if it is an error that is retried.
    fn after_answer<T: Transport>(
        &mut self,
        answer: &mut Opened<T::Body>,
        client: &Client<T>,
        spec: &Spec,
    ) -> Option<(Duration, Error)> {
        if self.is_hedge {
            return None;
        }
        let Some(error) = answer.incoming.peeked_error().cloned() else {
            if let Some(budget) = client.budget() {
                budget.succeeded();
            }
            return None;
        };
        let pushback = Pushback::of(&error);
        let pause = self.retry(&error, Sent::Yes, pushback, client, spec)?;
        // Who wants to know how each attempt ends learns it.
        answer.incoming.tell_peeked_error();
        Some((pause, error))
    }

    /// The pause before the attempt that the policy makes of this error, if it does.
    fn retry<T: Transport>(
        &mut self,
        error: &Error,
        sent: Sent,
        pushback: Pushback,
        client: &Client<T>,
        spec: &Spec,
    ) -> Option<Duration> {
        let policy = self.head.retry?;
        let pushback = pushback.up_to(policy.max_pushback());
        let is_retryable = policy.retries(error.code());
        let budget = client.budget();
        if let Some(budget) = budget {
            if is_retryable || pushback == Pushback::Never {
                budget.failed();
            }
        }
        let may_retry = is_retryable
            && !self.is_hedge
            && pushback != Pushback::Never
            && self.attempts.count() < policy.max_attempts()
            && self.source.is_whole()
            && policy.is_safe(spec, sent)
            && budget.is_none_or(Budget::allows)
            && client.known_timer().is_some();
        if !may_retry {
            return None;
        }
        let pause = match pushback {
            Pushback::After(pause) => {
                self.backoffs = 0;
                pause
            }
            Pushback::None | Pushback::Never => {
                self.backoffs += 1;
                backoff::below(policy.backoff(self.backoffs - 1))
            }
        };
        let has_time = self.head.has_time_for(pause);
        has_time.then(|| {
            self.attempts.add_attempt();
            pause
        })
    }

    /// The request of the next attempt.
    fn again<T: Transport>(
        &mut self,
        client: &Client<T>,
        spec: &Spec,
        error: Option<Error>,
    ) -> Result<(http::Request<CallBody>, Waiting), Error> {
        if !self.head.restart() {
            let late = deadline_exceeded();
            return Err(match error {
                Some(error) => late.with_source(error),
                None => late,
            });
        }
        let (mut request, waiting) = self.source.request(client.start(spec, &self.head)?)?;
        self.attempts.tell(request.extensions_mut());
        if let Some(observed) = &self.head.observed {
            if self.attempts != Attempts::default() {
                observed.attempt(self.attempts);
            }
        }
        let previous = self.attempts.count() - 1;
        if previous > 0 {
            let headers = request.headers_mut();
            // A map that is full is sent without.
            let _ = headers.try_insert(PREVIOUS_ATTEMPTS, HeaderValue::from(previous));
        }
        Ok((request, waiting))
    }
}

/// gRFC A6, "Exposed Retry Metadata".
const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// Whether a response is given to the caller with its first message only. Nobody reads the head of one message before it. A
/// caller of streams both ways may need the head to go on. For a stream of responses gRPC has errors without messages in the
/// head; in the other protocols the head of a stream says nothing.
fn awaits_message<T: Transport>(client: &Client<T>, spec: &Spec) -> bool {
    let stream_type = spec.stream_type();
    match (stream_type.client_streams(), stream_type.server_streams()) {
        (_, false) => true,
        (false, true) => client.config().protocol() != Protocol::Grpc,
        (true, true) => false,
    }
}

fn pause_for<T: Transport>(
    pause: Duration,
    error: Error,
    client: &Client<T>,
) -> Step<T::Future, T::Body> {
    let timer = client.known_timer().filter(|_| !pause.is_zero());
    Step::Pause {
        sleep: timer.map(|timer| timer.sleep(pause)),
        error: Some(error),
    }
}
