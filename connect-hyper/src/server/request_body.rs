//! The body of a request as services see it, and what becomes of the part that they did not read.
//!
//! HTTP/2 resets a stream whose body nobody wants. On HTTP/1.1 the rest of the body stands before the next
//! request. hyper closes the connection then, and after an answer that did not announce it a client may
//! already have sent its next call there. So the rest is read and thrown away, within bounds.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use connect_tower::{BodyError, rt::Sleep};
use http::{Request, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{context::ServerContext, lifetime::Activity};
use crate::{reset, runtime::Runtime};

/// The body of a request that a server received. Its error says how it was cut off.
pub struct RequestBody {
    /// None only while it is dropped.
    incoming: Option<Incoming>,
    /// HTTP/1.1: where the unread rest goes.
    unread: Option<Arc<Unread>>,
    /// Rare: in a box.
    reading: Option<Box<Reading>>,
}

/// How long a read may wait for the client.
pub(super) struct Reading {
    sleep: Box<dyn Fn() -> Sleep + Send + Sync>,
    timeout: Duration,
    waiting: Option<Sleep>,
    /// The client said that it waits to be asked for its body.
    awaits_continue: bool,
}

impl Reading {
    pub(super) fn new<R: Runtime>(runtime: &R, timeout: Duration) -> Box<Self> {
        let runtime = runtime.clone();
        Box::new(Self {
            sleep: Box::new(move || runtime.sleep(timeout)),
            timeout,
            waiting: None,
            awaits_continue: false,
        })
    }

    /// The first read of a request with `expect: 100-continue`, where the server cannot ask: hyper sends no 100 (Continue) over
    /// HTTP/2. A client must not wait for ever (RFC 9110, section 10.1.1).
    pub(super) fn unasked<R: Runtime>(runtime: &R, timeout: Duration) -> Box<Self> {
        Box::new(Self {
            awaits_continue: true,
            ..*Self::new(runtime, timeout)
        })
    }

    /// Ready once the client was silent for too long; `read` is what came from it.
    fn poll<T>(&mut self, cx: &mut Context<'_>, read: &Poll<T>) -> Poll<BodyError> {
        if read.is_ready() {
            self.waiting = None;
            return Poll::Pending;
        }
        let waiting = self.waiting.get_or_insert_with(|| (self.sleep)());
        waiting.as_mut().poll(cx).map(|()| {
            let timeout = self.timeout;
            if self.awaits_continue {
                return BodyError::malformed(format!(
                    "the client waits for 100 (Continue), which is not sent over HTTP/2, \
                     and has sent nothing of its request for {timeout:?}"
                ));
            }
            let text = format!("the client sent nothing of its request for {timeout:?}");
            BodyError::connection_lost().with_source(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }
}

impl RequestBody {
    /// Wraps the body of a request, on HTTP/1.1 with the place for what is left of it.
    pub(super) fn wrap(
        request: Request<Incoming>,
        unread: Option<&Arc<Unread>>,
        reading: Option<Box<Reading>>,
    ) -> Request<Self> {
        // A client that waits to be asked has not sent its body, and is not to be asked for nothing.
        let unread = unread.filter(|_| !request.headers().contains_key(EXPECT));
        let unread = unread.cloned();
        request.map(|incoming| Self {
            incoming: Some(incoming),
            unread,
            reading,
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(incoming).poll_frame(cx);
        if let Some(reading) = &mut this.reading {
            if let Poll::Ready(error) = reading.poll(cx, &polled) {
                // Nothing of it is to be waited for any more.
                this.incoming = None;
                return Poll::Ready(Some(Err(error)));
            }
        }
        if polled.is_ready() && this.reading.as_ref().is_some_and(|r| r.awaits_continue) {
            this.reading = None;
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(reset::incoming_body)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let (Some(incoming), Some(unread)) = (self.incoming.take(), &self.unread) {
            if !incoming.is_end_stream() {
                unread.put(incoming);
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.incoming.fmt(f)
    }
}

/// The unread body of an HTTP/1.1 connection's latest request, handed from the call to the connection.
#[derive(Debug, Default)]
pub(super) struct Unread {
    body: Mutex<Option<Incoming>>,
    connection: AtomicWaker,
}

impl Unread {
    fn lock(&self) -> MutexGuard<'_, Option<Incoming>> {
        // Nothing that can panic runs under the lock.
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, body: Incoming) {
        *self.lock() = Some(body);
        self.connection.wake();
    }
}

/// Reads unread bodies to their ends: the connection's side.
pub(super) struct Drainer<R> {
    unread: Arc<Unread>,
    current: Option<Current>,
    activity: Arc<Activity<R>>,
}

struct Current {
    body: Incoming,
    bytes_left: u64,
    until: Option<Sleep>,
}

impl<R: Runtime> Drainer<R> {
    pub(super) fn new(activity: Arc<Activity<R>>) -> Self {
        Self {
            unread: Arc::default(),
            current: None,
            activity,
        }
    }

    pub(super) fn unread(&self) -> Arc<Unread> {
        Arc::clone(&self.unread)
    }

    /// Reads what has come. A body that is too long, or too slow, is dropped, and hyper closes the connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.unread.connection.register(cx.waker());
        let ServerContext {
            runtime, config, ..
        } = &*self.activity.server;
        if let Some(body) = self.unread.lock().take() {
            let fits = body.size_hint().lower() <= config.max_unread_body;
            self.current = fits.then_some(Current {
                body,
                bytes_left: config.max_unread_body,
                until: None,
            });
        }
        if let Some(current) = &mut self.current {
            let until = || runtime.sleep(config.linger_timeout);
            if current.poll(cx, until).is_ready() {
                self.current = None;
                // Nothing of the next head.
                self.activity.set_received(false);
            }
        }
    }
}

impl Current {
    /// Ready at the body's end, or at its bounds.
    fn poll(&mut self, cx: &mut Context<'_>, until: impl FnOnce() -> Sleep) -> Poll<()> {
        while let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let Some(Ok(frame)) = frame else {
                return Poll::Ready(());
            };
            let read = frame.data_ref().map_or(0, Bytes::len);
            let Some(left) = self.bytes_left.checked_sub(read as u64) else {
                return Poll::Ready(());
            };
            self.bytes_left = left;
            // Of a body whose length was said, hyper does not tell the end before the next head.
            if self.body.is_end_stream() {
                return Poll::Ready(());
            }
        }
        self.until.get_or_insert_with(until).as_mut().poll(cx)
    }
}
