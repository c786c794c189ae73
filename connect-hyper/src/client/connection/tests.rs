use std::{collections::VecDeque, io, pin::pin, sync::Barrier, task::Waker, thread};

use connect_tower::CallBody;

use super::*;
use crate::{
    client::request_body::{CallLink, RequestState},
    frames::{HEAD, HEADERS},
    test_runtime::{NoIo, NoRuntime},
};

#[test]
fn a_new_http1_connection_takes_a_request_before_its_driver_runs() {
    let runtime = NoRuntime::default();
    let settings = Http1Settings {
        max_headers: 100,
        buffer_size: 1 << 14,
    };
    let remote = Arc::new(Remote::new("127.0.0.1:1".into()));
    let io = ClientIo::tls(Box::new(NoIo));
    let mut cx = Context::from_waker(Waker::noop());
    let mut opening = pin!(Http1Connection::open(io, remote, &runtime, settings));
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

/// A server that says what a test says, and keeps what is written to it at once.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    said: VecDeque<&'static [u8]>,
    reader: Option<Waker>,
    writes: Vec<Vec<u8>>,
    /// The connection breaks when it has HEADERS.
    breaks: bool,
}

/// SETTINGS with `MAX_CONCURRENT_STREAMS`.
const ONE_STREAM: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1];
const HUNDRED_STREAMS: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];

impl Scripted {
    fn say(&self, bytes: &'static [u8]) {
        let mut script = self.0.lock().unwrap();
        script.said.push_back(bytes);
        let reader = script.reader.take();
        drop(script);
        reader.into_iter().for_each(Waker::wake);
    }

    /// A connection to it, once it has said its settings.
    fn open(&self) -> (Http2Connection, Http2Driver) {
        let io = ClientIo::tls(Box::new(self.clone()));
        let remote = Arc::new(Remote::new("127.0.0.1:1".into()));
        let runtime = NoRuntime::default();
        let settings = Http2Settings {
            windows: Windows::new(65_535, 65_535),
            max_frame_size: 1 << 14,
            max_header_size: 1 << 14,
            send_buffer_size: 1 << 14,
            keep_alive: None,
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut opening = pin!(Http2Connection::open(io, remote, &runtime, settings));
        let Poll::Ready(Ok((connection, mut driver))) = opening.as_mut().poll(&mut cx) else {
            panic!("opening waits");
        };
        assert!(pin!(driver.start()).poll(&mut cx).is_ready());
        (connection, driver)
    }

    /// How many frames of HEADERS have come.
    fn headers(&self) -> usize {
        let written = self.0.lock().unwrap().writes.concat();
        // The preface.
        let mut rest = written.get(24..).unwrap_or(&[]);
        let mut count = 0;
        while let [l0, l1, l2, kind, ..] = *rest {
            count += usize::from(kind == HEADERS);
            let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
            rest = rest.get(HEAD + length..).unwrap_or(&[]);
        }
        count
    }
}

impl hyper::rt::Read for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut script = self.0.lock().unwrap();
        let Some(bytes) = script.said.pop_front() else {
            script.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        buf.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().writes.push(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let breaks = self.0.lock().unwrap().breaks;
        match breaks && self.headers() > 0 {
            false => Poll::Ready(Ok(())),
            true => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request on a connection, which takes it.
fn send(
    connection: &Http2Connection,
    body: CallBody,
    link: Arc<CallLink>,
) -> Pin<Box<impl Future<Output = SendResult> + use<>>> {
    let body = RequestBody::http2(body, link, connection.latest.clone());
    let mut request = Request::new(body);
    *request.uri_mut() = http::Uri::from_static("http://example.com/");
    let Ok(sending) = connection.send(request) else {
        panic!("the queue is closed");
    };
    Box::pin(sending)
}

#[test]
fn a_request_that_left_as_the_connection_broke_is_not_unsent() {
    let server = Scripted::default();
    server.0.lock().unwrap().breaks = true;
    server.say(ONE_STREAM);
    let (connection, driver) = server.open();
    let mut cx = Context::from_waker(Waker::noop());
    let mut driving = pin!(async { driver.run(drop, || {}).await.run().await });
    let links = [(); 2].map(|()| Arc::new(CallLink::default()));
    let mut sending = links
        .each_ref()
        .map(|link| send(&connection, CallBody::empty(), Arc::clone(link)));
    for sending in &mut sending {
        assert!(sending.as_mut().poll(&mut cx).is_pending());
    }
    while driving.as_mut().poll(&mut cx).is_pending() {}
    assert_eq!(server.headers(), 1);
    let ends = sending.map(|mut sending| match sending.as_mut().poll(&mut cx) {
        Poll::Ready(Err(mut error)) => error.take_message().is_some(),
        _ => panic!("it goes on"),
    });
    // The first has left. The second hyper gives back, or it waited for its stream.
    let is_unsent = |index: usize| ends[index] || links[index].state() == RequestState::Unsent;
    assert_eq!([0, 1].map(is_unsent), [false, true]);
}

/// Else the next connection would be opened with the pings that the server has complained of.
#[test]
fn too_many_pings_are_told_before_the_connection_is_closed_to_calls() {
    let server = Scripted::default();
    server.say(HUNDRED_STREAMS);
    let (connection, driver) = server.open();
    let mut cx = Context::from_waker(Waker::noop());
    let mut was_closed = None;
    {
        let driving = driver.run(drop, || was_closed = Some(connection.is_closed()));
        let mut driving = pin!(driving);
        // GOAWAY, and the end.
        server.say(b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings");
        server.say(b"");
        while driving.as_mut().poll(&mut cx).is_pending() {}
    }
    assert_eq!(was_closed, Some(false));
    assert!(connection.is_closed());
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

#[test]
fn heads_and_bodies_that_are_ready_together_leave_in_one_write() {
    let server = Scripted::default();
    server.say(HUNDRED_STREAMS);
    let (connection, driver) = server.open();
    let mut cx = Context::from_waker(Waker::noop());
    let mut driving = pin!(driver.run(drop, || {}));
    assert!(driving.as_mut().poll(&mut cx).is_pending());
    assert!(driving.as_mut().poll(&mut cx).is_pending());
    server.0.lock().unwrap().writes.clear();
    let mut sending = [(); 3].map(|()| send(&connection, CallBody::full("body"), Arc::default()));
    for sending in &mut sending {
        assert!(sending.as_mut().poll(&mut cx).is_pending());
    }
    assert!(driving.as_mut().poll(&mut cx).is_pending());
    // The calls that are ready come first.
    assert!(server.0.lock().unwrap().writes.is_empty());
    assert!(driving.as_mut().poll(&mut cx).is_pending());
    // h2 takes nothing of a body before it writes the head: that write has waited for the bodies.
    assert_eq!(server.0.lock().unwrap().writes.len(), 1);
}
