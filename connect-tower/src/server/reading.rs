//! The one message of a call that has one, read before its handler starts.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_proto::{Error, MessageSize, RecvEvent, RecvHalf};
use http_body::Body;

use crate::{
    BoxError,
    call::deadline::DeadlineTimer,
    call::incoming::{connection_lost, poll_event},
    call::receive::{Held, MessageTimeout},
    call::rt::SharedTimer,
};

/// What reads the message, within its bounds.
pub(super) struct Reading {
    recv: Box<RecvHalf>,
    held: Held,
    timeout: Option<MessageTimeout>,
    has_waited: bool,
}

impl Reading {
    pub(super) fn new(recv: Box<RecvHalf>, held: Held, timeout: Option<MessageTimeout>) -> Self {
        Self {
            recv,
            held,
            timeout,
            has_waited: false,
        }
    }

    /// The size of the message that was read.
    pub(super) fn message_size(&self) -> MessageSize {
        self.recv.message_size()
    }

    /// Reads the message, or fails when it does not come in time.
    pub(super) fn poll<B>(
        &mut self,
        mut body: Pin<&mut B>,
        deadline_timer: Option<&mut DeadlineTimer>,
        timer: &SharedTimer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Error>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        if let Poll::Ready(message) = self.poll_message(body.as_mut(), cx) {
            return Poll::Ready(message);
        }
        if !mem::replace(&mut self.has_waited, true) {
            // HTTP servers often bring the body in the poll after the one that has asked for it. Timers that are made now
            // would be for nothing, and cost more than all else of a small call.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(Poll::Ready(now)) = deadline_timer.map(|timer| timer.poll(cx)) {
            self.recv.handle_timeout(now);
            return self.poll_message(body, cx);
        }
        match &mut self.timeout {
            Some(timeout) => timeout.poll(cx, self.held.received(), timer).map(Err),
            // The body or the deadline wakes.
            None => Poll::Pending,
        }
    }

    fn poll_message<B>(
        &mut self,
        body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Error>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let event = poll_event(body, &mut self.recv, &mut self.held, cx, connection_lost);
        Poll::Ready(match ready!(event).transpose()? {
            Some(RecvEvent::Message(message)) => Ok(message),
            // Cannot happen: the core yields the message or an error.
            Some(RecvEvent::End(_)) | None => Err(Error::internal("the request has no message")),
        })
    }
}
