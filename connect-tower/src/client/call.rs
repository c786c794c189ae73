//! One call of a client, from its start to the head of the response.

use std::{future::poll_fn, mem, time::Duration};

use bytes::Bytes;
use connect_proto::{CallOptions, Code, Error, ExpectHead, SendHalf, Spec, Time, Transmit};
use http::{Extensions, HeaderMap, Response as HttpResponse};
use http_body::Body;

use super::{
    Client,
    policy::{
        config::MethodConfig,
        pushback::Pushback,
        rules::{HedgePolicy, RetryPolicy},
    },
};
use crate::{
    call::body::CallBody,
    call::deadline::{Deadline, DeadlineTimer, deadline_exceeded},
    call::incoming::Cause,
    call::incoming::{Incoming, Source},
    call::observe::Observed,
    call::receive::Held,
    interceptor::Reply,
    message::request::Request,
    message::response::Response,
    transport::{BodyError, Outcome, Transport},
};

/// A call whose request is being put together.
pub(crate) struct Started {
    /// In a box: it is large, and goes through many hands.
    pub(crate) send: Box<SendHalf>,
    pub(crate) waiting: Waiting,
    extensions: Extensions,
}

/// A call whose response has not begun.
pub(crate) struct Waiting {
    expect: ExpectHead,
    pub(crate) deadline_timer: Option<DeadlineTimer>,
    pub(crate) cause: Option<Cause>,
    pub(crate) observed: Option<Observed>,
}

/// A call whose response has begun.
pub(crate) struct Opened<B> {
    /// An interceptor's; those of a response from the wire are with the incoming messages.
    headers: HeaderMap,
    pub(crate) extensions: Extensions,
    /// In a box: it goes through many hands on its way to the caller, and is large.
    pub(crate) incoming: Box<Incoming<B>>,
}

/// What the attempts of a call are started with.
#[derive(Clone)]
pub(crate) struct RequestHead {
    options: CallOptions,
    pub(crate) extensions: Extensions,
    /// When the present attempt begins.
    now: Time,
    deadline: Option<Deadline>,
    /// Whether the call waits for a connection where none can be made.
    pub(crate) wait_for_ready: bool,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) hedge: Option<HedgePolicy>,
    pub(crate) observed: Option<Observed>,
}

impl RequestHead {
    /// Gives a further attempt the time that is left. `false` if there is none.
    pub(crate) fn restart(&mut self) -> bool {
        let Some(deadline) = &self.deadline else {
            return true;
        };
        self.now = deadline.now();
        let remaining = deadline.at().saturating_since(self.now);
        self.options = mem::take(&mut self.options).with_timeout(remaining);
        !remaining.is_zero()
    }

    /// Whether the call goes on after such a pause.
    pub(crate) fn has_time_for(&self, pause: Duration) -> bool {
        pause.is_zero()
            || self
                .deadline
                .as_ref()
                .is_none_or(|it| pause < it.remaining())
    }

    /// The pause, but not beyond the deadline.
    pub(crate) fn up_to_deadline(&self, pause: Duration) -> Duration {
        let remaining = self.deadline.as_ref().map(Deadline::remaining);
        remaining.map_or(pause, |remaining| remaining.min(pause))
    }
}

impl<T: Transport> Client<T> {
    /// Sets the deadline of a call, and what each of its attempts begins with.
    pub(crate) fn head(&self, spec: &Spec, request: Request<()>) -> Result<RequestHead, Error> {
        let head = request.head;
        let config = self.method_config(spec);
        let timeout = self.timeout(
            spec,
            head.timeout,
            head.deadline.as_ref().map(Deadline::remaining),
        )?;
        // Without a timeout the time does not matter.
        let (mut now, mut deadline) = (Time::ZERO, None);
        if let Some(timeout) = timeout {
            let timer = self.timer();
            now = timer.now();
            deadline = Deadline::at_time(now.saturating_add(timeout), &timer);
        }
        if let (Some(observed), Some(deadline)) = (&head.observed, &deadline) {
            observed.set_deadline(deadline);
        }
        Ok(RequestHead {
            options: CallOptions::new()
                .with_headers(head.headers)
                .with_timeout(timeout)
                .with_compress(head.options.compress)
                .with_recv_message_bytes(head.options.recv_message_bytes)
                .with_get(head.options.get),
            extensions: head.extensions,
            now,
            deadline,
            wait_for_ready: head
                .options
                .wait_for_ready
                .or_else(|| config.and_then(MethodConfig::wait_for_ready))
                .unwrap_or(false),
            retry: config.and_then(MethodConfig::retry).copied(),
            hedge: config
                .and_then(MethodConfig::hedge)
                .filter(|policy| policy.is_for(spec))
                .copied(),
            observed: head.observed,
        })
    }

    /// Starts the two halves of an attempt.
    pub(crate) fn start(&self, spec: &Spec, head: &RequestHead) -> Result<Started, Error> {
        let (send, expect) = self.config().start(spec, &head.options, head.now)?;
        Ok(Started {
            send: Box::new(send),
            waiting: Waiting {
                expect,
                deadline_timer: head.deadline.clone().map(DeadlineTimer::new),
                cause: None,
                observed: head.observed.clone(),
            },
            extensions: head.extensions.clone(),
        })
    }

    /// The time that the call has: its own timeout or the client's default, no more than the service config allows, and no
    /// more than is left until its deadline and,
    /// where that is handed on, until that of the call being served.
    pub(crate) fn timeout(
        &self,
        spec: &Spec,
        own: Option<Duration>,
        remaining: Option<Duration>,
    ) -> Result<Option<Duration>, Error> {
        let own = own.or_else(|| self.config().default_timeout());
        let of_method = self.method_config(spec).and_then(MethodConfig::timeout);
        let served = match self.deadline_propagation() {
            true => Deadline::current(),
            false => None,
        };
        let served = served.as_ref().map(Deadline::remaining);
        let limits = [own, of_method, remaining, served];
        let timeout = limits.into_iter().flatten().min();
        match timeout {
            Some(Duration::ZERO) => Err(Error::deadline_exceeded(
                "the deadline had passed before the call began",
            )),
            timeout => Ok(timeout),
        }
    }
}

impl Started {
    /// Sends the one message of a call to the half.
    pub(crate) fn send_with(
        &mut self,
        send: impl FnOnce(&mut SendHalf) -> Result<(), Error>,
    ) -> Result<(), Error> {
        send(&mut self.send)?;
        if let Some(observed) = &self.waiting.observed {
            observed.sent(self.send.message_size());
        }
        Ok(())
    }

    /// The request of a call whose message was sent to the half.
    pub(crate) fn finish(mut self) -> Result<(http::Request<CallBody>, Waiting), Error> {
        self.send.finish(Ok(HeaderMap::new()));
        self.into_request(CallBody::finished)
    }

    /// The request of a call, with a body made of the half.
    pub(crate) fn into_request(
        mut self,
        body: impl FnOnce(Box<SendHalf>) -> CallBody,
    ) -> Result<(http::Request<CallBody>, Waiting), Error> {
        let Some(mut parts) = self.send.poll_request_head() else {
            return Err(match self.send.poll_transmit() {
                Some(Transmit::Reset(error)) => error,
                _ => Error::internal("the request has no head"),
            });
        };
        parts.extensions = self.extensions;
        if let Some(timer) = &self.waiting.deadline_timer {
            parts.extensions.insert(timer.deadline().clone());
        }
        let request = http::Request::from_parts(parts, body(self.send));
        Ok((request, self.waiting))
    }
}

impl Waiting {
    /// The error of an attempt without a response. It is the call's at once if the deadline has passed, or if this side has
    /// given the request up. A server ends a call at its deadline too, and its reset may come before this side's timer fires.
    pub(crate) fn explain(&self, error: Error) -> Result<Error, Error> {
        if let Some(cause) = self.cause.as_ref().and_then(|cause| cause.get()) {
            return Err(cause.clone());
        }
        match self.deadline_timer.as_ref().and_then(DeadlineTimer::check) {
            Some(_) => Err(deadline_exceeded().with_source(error)),
            None => Ok(error),
        }
    }

    /// Goes on to the response's body.
    pub(crate) fn open<B>(self, response: HttpResponse<B>) -> Opened<B>
    where
        B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
    {
        let (mut parts, body) = response.into_parts();
        let mut extensions = mem::take(&mut parts.extensions);
        let outcome = extensions.remove::<Outcome>();
        let recv = Box::new(self.expect.recv_head(parts));
        Opened {
            headers: HeaderMap::new(),
            extensions,
            incoming: Box::new(Incoming::of_response(
                Source::Wire {
                    body,
                    recv,
                    held: Held::default(),
                },
                self.deadline_timer,
                self.cause,
                self.observed,
                outcome,
            )),
        }
    }
}

impl<B> Opened<B> {
    /// The error that was found in place of a message, and what the server says about another attempt.
    pub(crate) fn failure(&self) -> Option<(Code, Pushback)> {
        let error = self.incoming.peeked_error()?;
        let pushback = Pushback::of(error);
        Some((error.code(), pushback))
    }

    /// The response that came out of the outermost interceptor.
    pub(crate) fn from_reply(reply: Reply, deadline_timer: Option<DeadlineTimer>) -> Self {
        let (mut head, payloads) = reply.split();
        let payloads = payloads.with_trailers(mem::take(&mut head.trailers));
        Self {
            headers: head.headers,
            extensions: head.extensions,
            incoming: Box::new(Incoming::new(Source::Payloads(payloads), deadline_timer)),
        }
    }

    /// The leading metadata. It is to be read before the messages: one that is broken takes it along.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.incoming.headers().unwrap_or(&self.headers)
    }

    /// The response without its messages, and where they come from.
    pub(crate) fn into_stream(self) -> (Response<()>, Incoming<B>) {
        let mut response = Response::new(());
        *response.headers_mut() = self.headers().clone();
        *response.extensions_mut() = self.extensions;
        (response, *self.incoming)
    }
}

impl<B> Opened<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    /// The one message of the response, still encoded.
    pub(crate) async fn into_single(self) -> Result<(Response<()>, Bytes), Error> {
        let mut incoming = self.incoming;
        let mut response = Response::new(());
        *response.extensions_mut() = self.extensions;
        let Some(message) = poll_fn(|cx| incoming.poll_message(cx)).await? else {
            return Err(Error::internal("the call ended without its one message"));
        };
        response.head.is_compressed = incoming.is_compressed();
        if poll_fn(|cx| incoming.poll_message(cx)).await?.is_some() {
            return Err(Error::internal("there is more than one message"));
        }
        // Only now: until the end an error would have them.
        *response.headers_mut() = incoming.take_headers().unwrap_or(self.headers);
        *response.trailers_mut() = incoming.take_trailers();
        Ok((response, message))
    }
}
