//! One open connection: the queue that takes its requests, and the future that drives it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::oneshot;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};

use super::{
    Inner, error,
    io::ClientIo,
    remote::Remote,
    request_body::{LatestRequest, RequestBody, RequestExecutor},
};
use crate::{
    calls::Calls,
    read_budget::ReadBudget,
    runtime::{Either, HyperTimer, Runtime, Windows, race, timeout},
};

/// The response's head, or the error and the request, if hyper did not begin to send it.
pub(super) type SendResult = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// Drives a connection to its end. It must run as a task.
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

/// An HTTP/1.1 connection. One call uses it at a time; dropped, it is closed.
#[derive(Debug)]
pub(super) struct Http1Connection<R: Runtime> {
    queue: Arc<RequestQueue<http1::SendRequest<RequestBody>>>,
    pub(super) remote: Arc<Remote>,
    /// Whether it has carried a call: the server may be closing it while the next one leaves.
    pub(super) is_used: bool,
    /// The driver ends when this is dropped.
    _in_use: oneshot::Sender<Infallible>,
    /// Whose pool it belongs to.
    pub(super) channel: Weak<Inner<R>>,
}

impl<R: Runtime> Http1Connection<R> {
    /// Starts HTTP/1.1.
    pub(super) async fn open(
        io: ClientIo,
        remote: Arc<Remote>,
        channel: &Arc<Inner<R>>,
    ) -> hyper::Result<(Box<Self>, Driver)> {
        let read_budget = io.read_budget();
        let (sender, connection) = http1::handshake(io).await?;
        let queue = Arc::new(RequestQueue::new(sender));
        let reader = Reader::new(&queue, connection);
        let (in_use, dropped) = oneshot::channel();
        let driver = drive_http1(channel.runtime.clone(), reader, read_budget, dropped);
        let connection = Self {
            queue,
            remote,
            is_used: false,
            _in_use: in_use,
            channel: Arc::downgrade(channel),
        };
        Ok((Box::new(connection), Box::pin(driver)))
    }

    /// Queues a request, or gives it back if the connection has ended.
    pub(super) fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<impl Future<Output = SendResult> + use<R>, Box<Request<RequestBody>>> {
        self.queue
            .send(request, |sender, request| sender.try_send_request(request))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.ask(|sender| sender.is_closed()).unwrap_or(true)
    }

    /// Waits until the connection takes a request, but not for long. `false` if it takes none.
    ///
    /// A connection whose response is complete and whose request hyper has taken is most often ready at once. Its driver may
    /// have to notice; or the server closed it, or is still to take the bytes of the last request.
    pub(super) async fn ready(&self, runtime: &R) -> bool {
        let ready = poll_fn(|cx| self.poll_ready(cx));
        timeout(runtime, READY_TIMEOUT, ready).await == Some(true)
    }

    /// Whether it takes a request at once. A new one does: its first request may be queued before its task has run.
    pub(super) fn is_ready(&self) -> bool {
        let is_ready = self.queue.ask(|sender| sender.is_ready());
        is_ready.is_some_and(|is_ready| is_ready || !self.is_used)
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
    pub(super) standing: Arc<Standing>,
}

/// What became of an HTTP/2 connection, for the calls that it did not take.
#[derive(Debug, Default)]
pub(super) struct Standing {
    has_answered: AtomicBool,
    had_goaway: AtomicBool,
}

impl Standing {
    /// A call has had a response.
    pub(super) fn set_answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// The server has sent a GOAWAY.
    pub(super) fn set_goaway(&self) {
        self.had_goaway.store(true, Ordering::Relaxed);
    }

    /// Whether the server answered calls on it, and then ended it by a GOAWAY: the call only came late.
    pub(super) fn has_drained(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed) && self.had_goaway.load(Ordering::Relaxed)
    }
}

impl Http2Connection {
    /// Starts HTTP/2.
    pub(super) async fn open<R: Runtime>(
        mut io: ClientIo,
        remote: Arc<Remote>,
        runtime: &R,
        settings: Http2Settings,
    ) -> hyper::Result<(Self, Driver)> {
        let calls = Calls::new();
        let latest = LatestRequest::new(io.sent_streams());
        let executor: RequestExecutor<R> = RequestExecutor::new(calls.executor(), latest.clone());
        let mut builder = http2::Builder::new(executor);
        builder
            .timer(HyperTimer::new(Arc::new(runtime.clone())))
            .initial_stream_window_size(settings.windows.stream)
            .initial_connection_window_size(settings.windows.connection)
            .max_frame_size(settings.max_frame_size);
        if let Some((interval, timeout)) = settings.keep_alive {
            builder
                .keep_alive_interval(interval)
                .keep_alive_timeout(timeout);
        }
        let read_budget = io.read_budget();
        let (sender, connection) = builder.handshake(io).await?;
        let queue = Arc::new(RequestQueue::new(sender));
        let reader = Reader::new(&queue, connection);
        let standing = Arc::default();
        let driver = drive_http2(
            reader,
            read_budget,
            calls,
            latest.clone(),
            Arc::clone(&standing),
        );
        let connection = Self {
            queue,
            remote,
            latest,
            standing,
        };
        Ok((connection, Box::pin(driver)))
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

/// What a channel chooses for its HTTP/2 connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Http2Settings {
    pub(super) windows: Windows,
    pub(super) max_frame_size: u32,
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
    read_budget: ReadBudget,
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

/// Drives the connection and its calls. The connection's future ends when no new call can come, as after a GOAWAY; the calls
/// go on to their own ends.
async fn drive_http2<S, C: Future<Output = hyper::Result<()>>>(
    mut reader: Reader<S, C>,
    read_budget: ReadBudget,
    mut calls: Calls,
    latest: LatestRequest,
    standing: Arc<Standing>,
) {
    let end = poll_fn(|cx| {
        read_budget.refill();
        calls.poll_with(cx, |cx| reader.connection.as_mut().poll(cx))
    })
    .await;
    // Without an error it was a GOAWAY too, or nobody holds the connection any more.
    if end.map_or_else(|error| error::is_goaway(&error), |()| true) {
        standing.set_goaway();
    }
    latest.end();
    // Requests that it did not take any more are given back.
    drop(reader);
    poll_fn(|cx| {
        read_budget.refill();
        calls.poll_rest(cx)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::{io, mem, pin::pin, sync::Barrier, task::Waker, thread};

    use connect_tower::CallBody;

    use super::*;
    use crate::{
        client::{
            Channel,
            request_body::{CallLink, RequestState},
        },
        test_runtime::{NoIo, NoRuntime},
    };

    #[test]
    fn a_new_http1_connection_takes_a_request_before_its_driver_runs() {
        let channel = Channel::<NoRuntime>::new("http://example.com").unwrap();
        let remote = Arc::new(Remote::new("127.0.0.1:1".into()));
        let io = ClientIo::tls(Box::new(NoIo));
        let mut cx = Context::from_waker(Waker::noop());
        let mut opening = pin!(Http1Connection::open(io, remote, &channel.inner));
        let Poll::Ready(Ok((connection, _driver))) = opening.as_mut().poll(&mut cx) else {
            panic!("opening waits");
        };
        assert!(connection.is_ready());
        let body = RequestBody::http1(CallBody::empty(), Arc::default());
        let Ok(sending) = connection.send(Request::new(body)) else {
            panic!("the queue is closed");
        };
        // It is not given back.
        assert!(pin!(sending).poll(&mut cx).is_pending());
    }

    /// A server with one stream at a time. It takes HEADERS, and then the connection breaks.
    #[derive(Clone, Default)]
    struct Breaking(Arc<Mutex<Script>>);

    #[derive(Default)]
    struct Script {
        has_begun: bool,
        written: Vec<u8>,
    }

    impl Breaking {
        /// How many frames of HEADERS have come.
        fn headers(&self) -> usize {
            let script = self.0.lock().unwrap();
            // The preface.
            let mut rest = script.written.get(24..).unwrap_or(&[]);
            let mut count = 0;
            while let [l0, l1, l2, kind, ..] = *rest {
                count += usize::from(kind == 1);
                let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
                rest = rest.get(9 + length..).unwrap_or(&[]);
            }
            count
        }
    }

    impl hyper::rt::Read for Breaking {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            mut buf: hyper::rt::ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if mem::replace(&mut self.0.lock().unwrap().has_begun, true) {
                return Poll::Pending;
            }
            // SETTINGS with MAX_CONCURRENT_STREAMS.
            buf.put_slice(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
            Poll::Ready(Ok(()))
        }
    }

    impl hyper::rt::Write for Breaking {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().written.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.headers() {
                0 => Poll::Ready(Ok(())),
                _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_request_that_left_as_the_connection_broke_is_not_unsent() {
        let server = Breaking::default();
        let io = ClientIo::tls(Box::new(server.clone()));
        let remote = Arc::new(Remote::new("127.0.0.1:1".into()));
        let settings = Http2Settings {
            windows: Windows::new(65_535, 65_535),
            max_frame_size: 1 << 14,
            keep_alive: None,
        };
        let runtime = NoRuntime::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut opening = pin!(Http2Connection::open(io, remote, &runtime, settings));
        let Poll::Ready(Ok((connection, mut driver))) = opening.as_mut().poll(&mut cx) else {
            panic!("opening waits");
        };
        // It learns the server's limit.
        assert!(driver.as_mut().poll(&mut cx).is_pending());
        let links = [(); 2].map(|()| Arc::new(CallLink::default()));
        let mut sending = links.each_ref().map(|link| {
            let latest = connection.latest.clone();
            let body = RequestBody::http2(CallBody::empty(), Arc::clone(link), latest);
            let mut request = Request::new(body);
            *request.uri_mut() = http::Uri::from_static("http://example.com/");
            let Ok(sending) = connection.send(request) else {
                panic!("the queue is closed");
            };
            Box::pin(sending)
        });
        for sending in &mut sending {
            assert!(sending.as_mut().poll(&mut cx).is_pending());
        }
        while driver.as_mut().poll(&mut cx).is_pending() {}
        assert_eq!(server.headers(), 1);
        let ends = sending.map(|mut sending| match sending.as_mut().poll(&mut cx) {
            Poll::Ready(Err(mut error)) => error.take_message().is_some(),
            _ => panic!("it goes on"),
        });
        // The first has left; the second hyper gives back.
        assert_eq!(ends, [false, true]);
        assert_ne!(links[0].state(), RequestState::Unsent);
    }

    /// A connection that tells whether its queue was open when it was dropped.
    struct Connection(Arc<RequestQueue<()>>, Arc<Mutex<Option<bool>>>);

    impl Future for Connection {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl Drop for Connection {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = Some(self.0.lock().is_some());
        }
    }

    #[test]
    fn the_queue_is_closed_before_its_reader_is_dropped() {
        let queue = Arc::new(RequestQueue::new(()));
        let was_open = Arc::new(Mutex::new(None));
        let connection = Connection(Arc::clone(&queue), Arc::clone(&was_open));
        drop(Reader::new(&queue, connection));
        assert_eq!(*was_open.lock().unwrap(), Some(false));
    }

    /// The fault that this prevents: a request that is put into the queue after the reader has emptied it.
    #[test]
    fn a_sender_at_work_is_waited_for() {
        for _ in 0..100 {
            let queue = Arc::new(RequestQueue::new(Vec::new()));
            let freed = Arc::new(Mutex::new(Vec::new()));
            let sending = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut sender = queue.lock();
                    sending.wait();
                    // The slot is reserved; now the other thread runs.
                    (0..10).for_each(|_| thread::yield_now());
                    sender.as_mut().unwrap().push("request");
                    freed.lock().unwrap().push("queued");
                });
                sending.wait();
                queue.close();
                freed.lock().unwrap().push("reader dropped");
            });
            assert_eq!(*freed.lock().unwrap(), ["queued", "reader dropped"]);
            assert!(queue.lock().is_none());
        }
    }
}
