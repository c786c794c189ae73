//! One open connection: the queue that takes its requests, and the future that drives it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use connect_tower::transport::Answers;
use futures_channel::oneshot;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};

use super::{
    error,
    io::ClientIo,
    large_trailers::LargeTrailers,
    remote::Remote,
    request_body::{LatestRequest, RequestBody, RequestExecutor},
    write_turn::WriteTurn,
};
use crate::{
    calls::Calls,
    read_budget::ReadBudget,
    runtime::{Either, HyperTimer, Runtime, Windows, race, timeout},
};

/// The response's head, or the error and the request, if hyper did not begin to send it.
pub(super) type SendResult = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// Drives an HTTP/1.1 connection to its end. It must run as a task.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The queue of a connection's requests: hyper's sender, until the connection takes no more.
///
/// The driver closes the queue *before* it drops the reader, and the lock keeps senders out meanwhile. Else a call could
/// wait for ever: hyper's queue is a channel of tokio, and a reader that is dropped frees what is queued only up to the
/// first slot that another thread has reserved and not filled yet. What lies behind it is freed with the last sender.
/// So no sender may be at work while the reader goes, and none may be left after it.
#[derive(Debug)]
struct RequestQueue<S>(Mutex<Option<S>>);

impl<S> RequestQueue<S> {
    fn new(sender: S) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<S>> {
        // Only hyper runs under the lock, and what it leaves after a panic is closed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request by the sender, or gives it back if the connection takes no more.
    fn send<T>(
        &self,
        request: Request<RequestBody>,
        send: impl FnOnce(&mut S, Request<RequestBody>) -> T,
    ) -> Result<T, Box<Request<RequestBody>>> {
        match &mut *self.lock() {
            Some(sender) => Ok(send(sender, request)),
            None => Err(Box::new(request)),
        }
    }

    /// Asks the sender; `None` if the connection takes no more.
    fn ask<T>(&self, question: impl FnOnce(&mut S) -> T) -> Option<T> {
        self.lock().as_mut().map(question)
    }

    /// Waits for those that send now, and lets no more do so.
    fn close(&self) {
        let sender = self.lock().take();
        drop(sender);
    }
}

/// Reads a connection's queue. Dropped, it closes the queue first: the fields are dropped in this order.
struct Reader<S, C> {
    _close: CloseOnDrop<S>,
    connection: Pin<Box<C>>,
}

/// Weak: the connection ends when nobody holds the queue any more.
struct CloseOnDrop<S>(Weak<RequestQueue<S>>);

impl<S> Drop for CloseOnDrop<S> {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.close();
        }
    }
}

impl<S, C> Reader<S, C> {
    fn new(queue: &Arc<RequestQueue<S>>, connection: C) -> Self {
        Self {
            _close: CloseOnDrop(Arc::downgrade(queue)),
            connection: Box::pin(connection),
        }
    }
}

/// An HTTP/1.1 connection. One call uses it at a time; it is closed when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Http1Connection {
    queue: Arc<RequestQueue<http1::SendRequest<RequestBody>>>,
    pub(super) remote: Arc<Remote>,
    /// Whether it has carried a call: the server may be closing it while the next one leaves.
    is_used: AtomicBool,
    /// The driver ends when this is dropped.
    _in_use: oneshot::Sender<Infallible>,
}

impl Http1Connection {
    /// Starts HTTP/1.1.
    pub(super) async fn open<R: Runtime>(
        io: ClientIo,
        remote: Arc<Remote>,
        runtime: &R,
        settings: Http1Settings,
    ) -> hyper::Result<(Self, Driver)> {
        let read_budget = io.read_budget();
        let (sender, connection) = settings.builder().handshake(io).await?;
        let queue = Arc::new(RequestQueue::new(sender));
        let reader = Reader::new(&queue, connection);
        let (in_use, dropped) = oneshot::channel();
        let driver = drive_http1(runtime.clone(), reader, read_budget, dropped);
        let connection = Self {
            queue,
            remote,
            is_used: AtomicBool::new(false),
            _in_use: in_use,
        };
        Ok((connection, Box::pin(driver)))
    }

    /// Queues a request, or gives it back if the connection has ended.
    pub(super) fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<impl Future<Output = SendResult> + use<>, Box<Request<RequestBody>>> {
        self.queue
            .send(request, |sender, request| sender.try_send_request(request))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.ask(|sender| sender.is_closed()).unwrap_or(true)
    }

    /// Whether it has carried a call.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// A call on it is complete.
    pub(super) fn set_used(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Waits until the connection takes a request, but not for long. `false` if it takes none.
    ///
    /// A connection whose response is complete and whose request hyper has taken is most often ready at once. Its driver may
    /// have to notice; or the server closed it, or is still to take the bytes of the last request.
    pub(super) async fn ready<R: Runtime>(&self, runtime: &R) -> bool {
        let ready = poll_fn(|cx| self.poll_ready(cx));
        timeout(runtime, READY_TIMEOUT, ready).await == Some(true)
    }

    /// Whether it takes a request at once. A new one does: its first request may be queued before its task has run.
    pub(super) fn is_ready(&self) -> bool {
        let is_ready = self.queue.ask(|sender| sender.is_ready());
        is_ready.is_some_and(|is_ready| is_ready || !self.is_used())
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let asked = self.queue.ask(|sender| sender.poll_ready(cx));
        asked.map_or(Poll::Ready(false), |ready| ready.map(|ready| ready.is_ok()))
    }
}

/// An HTTP/2 connection, shared by all calls. It ends when nobody holds it any more and its calls have ended.
#[derive(Debug)]
pub(super) struct Http2Connection {
    queue: Arc<RequestQueue<http2::SendRequest<RequestBody>>>,
    pub(super) remote: Arc<Remote>,
    /// The body of a request that is sent here must be made with it.
    pub(super) latest: LatestRequest,
    /// The calls that it has answered.
    pub(super) answers: Answers,
}

impl Http2Connection {
    /// Starts HTTP/2.
    pub(super) async fn open<R: Runtime>(
        mut io: ClientIo,
        remote: Arc<Remote>,
        runtime: &R,
        settings: Http2Settings,
    ) -> hyper::Result<(Self, Http2Driver)> {
        let calls = Calls::new();
        let large_trailers = LargeTrailers::new(settings.max_header_size);
        io.find_large_trailers(large_trailers.clone());
        let latest = LatestRequest::new(io.sent_streams(), large_trailers);
        let executor = RequestExecutor::new(calls.executor(), latest.clone());
        let mut builder = http2::Builder::new(executor);
        builder
            .timer(HyperTimer::new(Arc::new(runtime.clone())))
            .initial_stream_window_size(settings.windows.stream)
            .initial_connection_window_size(settings.windows.connection)
            .max_frame_size(settings.max_frame_size)
            .max_header_list_size(settings.max_header_size)
            .max_send_buf_size(settings.send_buffer_size)
            .initial_max_send_streams(NO_STREAMS);
        if let Some((interval, timeout)) = settings.keep_alive {
            builder
                .keep_alive_interval(interval)
                .keep_alive_timeout(timeout);
        }
        let (read_budget, write_turn) = (io.read_budget(), io.write_turn());
        let (sender, connection) = builder.handshake(io).await?;
        let queue = Arc::new(RequestQueue::new(sender));
        let reader = Reader::new(&queue, connection);
        let driver = Http2Driver {
            reader,
            read_budget,
            write_turn,
            calls,
            latest: latest.clone(),
        };
        let connection = Self {
            queue,
            remote,
            latest,
            answers: Answers::default(),
        };
        Ok((connection, driver))
    }

    /// Queues a request, or gives it back if the connection takes no more.
    pub(super) fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<impl Future<Output = SendResult> + use<>, Box<Request<RequestBody>>> {
        self.queue
            .send(request, |sender, request| sender.try_send_request(request))
    }

    /// Whether it takes no more requests: it broke, or the server sent a GOAWAY.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.ask(|sender| sender.is_closed()).unwrap_or(true)
    }
}

/// What a channel chooses for its HTTP/1.1 connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Http1Settings {
    pub(super) max_headers: usize,
    pub(super) buffer_size: usize,
}

impl Http1Settings {
    pub(super) fn builder(self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(self.buffer_size);
        // To set it costs an allocation for each call.
        if self.max_headers != HYPER_MAX_HEADERS {
            builder.max_headers(self.max_headers);
        }
        builder
    }
}

/// What hyper allows, in an array, if it is not told.
const HYPER_MAX_HEADERS: usize = 100;

/// What a channel chooses for its HTTP/2 connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Http2Settings {
    pub(super) windows: Windows,
    pub(super) max_frame_size: u32,
    pub(super) max_header_size: u32,
    pub(super) send_buffer_size: usize,
    /// The interval of pings, and how long their answers may take.
    pub(super) keep_alive: Option<(Duration, Duration)>,
}

/// How long a call waits for an HTTP/1.1 connection that another has used; then it takes another.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

/// How long an HTTP/1.1 connection that nobody uses any more may take to close by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// While its server takes no bytes, hyper asks for nothing more of the request, and so does not see that it was given up.
async fn drive_http1<R: Runtime, S, C: Future>(
    runtime: R,
    mut reader: Reader<S, C>,
    read_budget: Arc<ReadBudget>,
    dropped: oneshot::Receiver<Infallible>,
) {
    let mut connection = poll_fn(|cx| {
        read_budget.refill();
        reader.connection.as_mut().poll(cx)
    });
    // How it ended, its last call has learnt.
    if let Either::Right(_) = race(&mut connection, dropped).await {
        let _ = timeout(&runtime, CLOSE_TIMEOUT, &mut connection).await;
    }
}

/// How many streams an HTTP/2 connection opens before the server has said how many it allows. hyper's figure stays at this
/// until then; so the figure tells when the server's settings have come.
const NO_STREAMS: usize = 0;

/// Drives an HTTP/2 connection and its calls. It must run as a task.
pub(super) struct Http2Driver {
    reader: Reader<http2::SendRequest<RequestBody>, Http2Io>,
    read_budget: Arc<ReadBudget>,
    write_turn: WriteTurn,
    calls: Calls,
    latest: LatestRequest,
}

type Http2Io = http2::Connection<ClientIo, RequestBody, RequestExecutor>;

impl Http2Driver {
    /// How many streams the server allows at once.
    pub(super) fn max_streams(&self) -> usize {
        self.reader.connection.current_max_send_streams()
    }

    /// Whether the server has said how many streams it allows.
    pub(super) fn has_settings(&self) -> bool {
        self.max_streams() != NO_STREAMS
    }

    /// Drives it until the server allows streams, as its first SETTINGS do.
    ///
    /// # Errors
    ///
    /// When it ended before; without an error of hyper's if the server just closed it.
    pub(super) async fn start(&mut self) -> Result<(), Option<hyper::Error>> {
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(end) => Poll::Ready(Err(end.err())),
            Poll::Pending if self.has_settings() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Drives it until no new call can come, as after a GOAWAY; the calls go on to their own ends. Tells how many streams the
    /// server allows when that changes; and, before the connection is closed to calls, if the server has ended it because of too
    /// many pings.
    pub(super) async fn run(
        mut self,
        mut on_max_streams: impl FnMut(usize),
        on_too_many_pings: impl FnOnce(),
    ) -> LastCalls {
        let mut max_streams = self.max_streams();
        let mut has_yielded = false;
        let end = poll_fn(|cx| {
            // Who wakes this is one of many calls, often. The others that are ready come first, so that what all of them
            // have to say leaves in one write; some schedulers would run this before them.
            has_yielded = !has_yielded;
            if has_yielded {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let polled = self.poll(cx);
            if mem::replace(&mut max_streams, self.max_streams()) != max_streams {
                on_max_streams(max_streams);
            }
            polled
        })
        .await;
        if end.is_err_and(|error| error::is_too_many_pings(&error)) {
            on_too_many_pings();
        }
        self.latest.end();
        // Requests that it did not take any more are given back.
        drop(self.reader);
        LastCalls {
            read_budget: self.read_budget,
            calls: self.calls,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.read_budget.refill();
        self.write_turn.begin();
        let connection = &mut self.reader.connection;
        self.calls.poll_with(cx, |cx| connection.as_mut().poll(cx))
    }
}

/// The calls of an HTTP/2 connection that takes no more of them.
pub(super) struct LastCalls {
    read_budget: Arc<ReadBudget>,
    calls: Calls,
}

impl LastCalls {
    /// Drives them to their ends.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| {
            self.read_budget.refill();
            self.calls.poll_rest(cx)
        })
        .await;
    }
}

#[cfg(test)]
mod tests;
