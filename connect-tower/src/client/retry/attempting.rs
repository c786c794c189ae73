//! The requests of one call, one after the other, until there is a response or an error for the caller.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use connect_proto::{Error, Idempotency, Spec};
use pin_project_lite::pin_project;

use super::{attempts::Attempts, resends::FailedTries, source::RequestSource};
use crate::{
    call::body::CallBody,
    call::deadline::{deadline_exceeded, poll_within_deadline},
    call::rt::Sleep,
    client::{
        Client,
        call::{Opened, RequestHead, Waiting},
    },
    transport::{FailureKind, Transport, TransportError},
};

pin_project! {
    /// A call on its way to its response.
    pub(crate) struct Attempting<T: Transport, S> {
        call: Ongoing<S>,
        #[pin]
        step: Step<T::Future>,
    }
}

/// What outlives an attempt.
struct Ongoing<S> {
    head: RequestHead,
    source: S,
    attempts: Attempts,
    failed: FailedTries,
}

pin_project! {
    #[project = StepProjection]
    enum Step<F> {
        Sent { #[pin] response: F, waiting: Option<Waiting> },
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
            call: Ongoing {
                head,
                source,
                attempts: Attempts::default(),
                failed: FailedTries::default(),
            },
            step: Step::Sent {
                response: client.transport().send(request),
                waiting: Some(waiting),
            },
        }
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
    fn poll_steps<T: Transport>(
        &mut self,
        mut step: Pin<&mut Step<T::Future>>,
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
                            return Poll::Ready(Ok(opened));
                        }
                        Err(failure) => {
                            let (pause, error) = self.after(failure, &waiting, client, spec)?;
                            let sleep = client.known_timer().filter(|_| !pause.is_zero());
                            Step::Pause {
                                sleep: sleep.map(|timer| timer.sleep(pause)),
                                error: Some(error),
                            }
                        }
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
        let kind = failure.kind();
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
        Err(error)
    }

    /// The request of the next attempt. An observer of attempts is to be told here that one begins.
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
        Ok((request, waiting))
    }
}
