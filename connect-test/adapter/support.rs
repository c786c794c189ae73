//! What the tests share: tasks and sockets of the runtime, a service made of a closure, a running server, calls on a
//! channel, certificates.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use connect_hyper::{
    HttpVersion,
    runtime::{ListenOptions, Listener, Runtime},
    server::RequestBody,
};
use connect_proto::{Error, Spec, StreamType};
use connect_tower::{
    CallBody, Client, Prost, Transport,
    transport::{FailureKind, TransportError},
};
use futures_util::future::{AbortHandle, Aborted, abortable};
use http::{Request, Response, Version, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::oneshot,
};

pub(crate) use super::frames::*;
use crate::rt::{Channel, Rt, Server};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type BoxAnswer = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// Makes a test of an async function: `#[apply(async_test)]`.
macro_rules! async_test {
    ($(#[$attribute:meta])* async fn $name:ident() $body:block) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            crate::rt::block_on(async $body);
        }
    };
}
pub(crate) use async_test;

pub(crate) fn runtime() -> Rt {
    Default::default()
}

/// A task of the runtime under test. Dropping this leaves it running.
pub(crate) struct Task<T> {
    output: oneshot::Receiver<T>,
    abort: AbortHandle,
}

pub(crate) fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (sender, output) = oneshot::channel();
    let (future, abort) = abortable(future);
    runtime().spawn(async move {
        if let Ok(output) = future.await {
            let _ = sender.send(output);
        }
    });
    Task { output, abort }
}

impl<T> Task<T> {
    pub(crate) fn abort(&self) {
        self.abort.abort();
    }

    pub(crate) fn is_finished(&self) -> bool {
        !self.output.is_empty()
    }
}

/// The task's output; an error if it was aborted or panicked.
impl<T> Future for Task<T> {
    type Output = Result<T, Aborted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.output).poll(cx);
        polled.map(|output| output.map_err(|_| Aborted))
    }
}

/// Lets others run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The future's output, if it comes in time.
pub(crate) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = connect_tower::rt::Timer::sleep(&runtime(), time);
    tokio::select! {
        output = &mut future => Some(output),
        () = &mut sleep => None,
    }
}

/// A socket of the runtime under test, with the reading and writing of tokio's traits, which need no tokio runtime.
pub(crate) type Socket = TokioIo<<Rt as Runtime>::Io>;

pub(crate) async fn connect(address: SocketAddr) -> io::Result<Socket> {
    runtime().connect(address).await.map(TokioIo::new)
}

pub(crate) async fn listen() -> <Rt as Runtime>::Listener {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    runtime().listen(any, &ListenOptions::new()).await.unwrap()
}

/// A port that nobody else takes, and where connections are refused: nobody listens.
pub(crate) struct Refusing {
    pub(crate) address: SocketAddr,
    _socket: socket2::Socket,
}

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self {
            address,
            _socket: socket,
        }
    }
}

pub(crate) async fn accept(listener: &mut <Rt as Runtime>::Listener) -> Socket {
    let accepted = Listener::accept(listener).await.unwrap();
    TokioIo::new(accepted.into_io())
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: [u8; 4],
    pub(crate) payload: Vec<u8>,
}

/// HEADERS with the end of a request: POST, http, the path `/` (RFC 7541, appendix A).
pub(crate) fn http2_request(stream: u32) -> Vec<u8> {
    frame(HEADERS, 5, stream, &[0x83, 0x86, 0x84])
}

/// Reads frames until one of this kind comes.
pub(crate) async fn read_until(socket: &mut Socket, kind: u8) -> io::Result<Frame> {
    loop {
        let frame = read_frame(socket).await?;
        if frame.kind == kind {
            return Ok(frame);
        }
    }
}

/// What an HTTP/2 client begins with: the preface and empty settings.
pub(crate) const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Reads the next frame of a connection. A client sends its preface first.
pub(crate) async fn read_frame(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await?;
    let [a, b, c, kind, _flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    socket.read_exact(&mut payload).await?;
    Ok(Frame {
        kind,
        stream,
        payload,
    })
}

/// Reads what an HTTP/2 client says first.
pub(crate) async fn read_preface(socket: &mut Socket) -> io::Result<()> {
    socket.read_exact(&mut [0; 24]).await?;
    Ok(())
}

/// SETTINGS that say nothing.
pub(crate) const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// SETTINGS with `MAX_CONCURRENT_STREAMS`.
pub(crate) const fn settings(max_streams: u8) -> [u8; 15] {
    [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, max_streams]
}

/// HEADERS that are a whole answer, of status 200 and an empty message.
pub(crate) fn answer(stream: [u8; 4]) -> Vec<u8> {
    // RFC 7541: status 200 is entry 8 of the static table, content-type entry 31.
    let fields = [&[0x88, 0x0f, 0x10, 17][..], b"application/proto"].concat();
    [
        &[0, 0, fields.len() as u8, HEADERS, 5][..],
        &stream,
        &fields,
    ]
    .concat()
}

/// GOAWAY with `NO_ERROR`: the streams up to this one were processed.
pub(crate) fn goaway(last_stream: [u8; 4]) -> Vec<u8> {
    [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &last_stream, &[0; 4]].concat()
}

/// The next stream that the client opens.
pub(crate) async fn next_stream(socket: &mut Socket) -> io::Result<[u8; 4]> {
    loop {
        let frame = read_frame(socket).await?;
        if frame.kind == HEADERS {
            return Ok(frame.stream);
        }
    }
}

/// RST_STREAM with `REFUSED_STREAM`.
pub(crate) fn refused(stream: [u8; 4]) -> Vec<u8> {
    [&[0, 0, 4, 3, 0][..], &stream, &[0, 0, 0, 7]].concat()
}

/// A service made of a function.
#[derive(Clone)]
pub(crate) struct ServiceFn<F>(pub(crate) F);

impl<F, A> tower_service::Service<Request<RequestBody>> for ServiceFn<F>
where
    F: FnMut(Request<RequestBody>) -> A,
    A: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let answer = (self.0)(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// Answers with the request's body, of the same content type, and its HTTP version in a header.
pub(crate) fn echo() -> ServiceFn<impl FnMut(Request<RequestBody>) -> BoxAnswer + Clone> {
    ServiceFn(|request: Request<RequestBody>| -> BoxAnswer {
        Box::pin(async move {
            let version = format!("{:?}", request.version());
            let content_type = request.headers().get(CONTENT_TYPE).cloned();
            let body = request.into_body().map_err(BoxError::from).boxed_unsync();
            let mut response = Response::builder()
                .header("x-version", version)
                .body(body)
                .unwrap();
            if let Some(content_type) = content_type {
                response.headers_mut().insert(CONTENT_TYPE, content_type);
            }
            response
        })
    })
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(crate) fn text(text: impl Into<String>) -> Response<ResponseBody> {
    Response::new(full(text.into()))
}

/// A server that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    pub(crate) task: Task<()>,
}

impl Running {
    /// Begins the graceful shutdown.
    pub(crate) fn stop(self) -> Task<()> {
        let _ = self.stop.send(());
        self.task
    }

    pub(crate) fn uri(&self) -> String {
        format!("http://{}", self.address)
    }
}

pub(crate) async fn bind() -> Server {
    Server::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) fn start<S>(server: Server, service: S) -> Running
where
    S: connect_hyper::HttpService,
{
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = spawn(server.serve_with_shutdown(service, async {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop,
        task,
    }
}

/// A request that leaves the HTTP version to the channel.
pub(crate) fn post(body: CallBody) -> Request<CallBody> {
    Request::post("/service/Method").body(body).unwrap()
}

/// A request that demands HTTP/2.
pub(crate) fn post_http2(body: CallBody) -> Request<CallBody> {
    let mut request = post(body);
    *request.version_mut() = Version::HTTP_2;
    request
}

/// A whole answer: its head and body.
pub(crate) async fn call(
    channel: &Channel,
    request: Request<CallBody>,
) -> Result<Response<Bytes>, TransportError> {
    let (head, body) = channel.send(request).await?.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok(Response::from_parts(head, body))
}

/// As [`call`]; a request that met a connection as it was closed goes out again, as a client would send it.
pub(crate) async fn call_again(
    channel: &Channel,
    request: impl Fn() -> Request<CallBody>,
) -> Result<Response<Bytes>, TransportError> {
    loop {
        match call(channel, request()).await {
            Err(error) if error.kind() == FailureKind::Unsent => {}
            ended => return ended,
        }
    }
}

/// The procedure that [`echo`] is.
pub(crate) const ECHO: Spec = Spec::new("/service/Method", StreamType::Unary);

/// A client of the Connect protocol over HTTP/2.
pub(crate) fn http2_client(address: SocketAddr) -> Client<Channel> {
    let channel = Channel::builder(format!("http://{address}"))
        .with_http_version(HttpVersion::Http2)
        .build();
    Client::new(channel.unwrap())
}

/// A unary call: an empty message is no byte, and a request of it all in its HEADERS.
pub(crate) async fn unary(
    client: &Client<Channel>,
    spec: &Spec,
    message: &str,
) -> Result<String, Error> {
    let request = connect_tower::Request::new(message.to_owned());
    let response = client.unary::<Prost, _, _>(spec, request).await?;
    Ok(response.into_message())
}

/// A body whose chunks a test sends one by one. Dropping the sender ends it cleanly.
pub(crate) fn body_channel() -> (
    tokio::sync::mpsc::UnboundedSender<Result<Bytes, BoxError>>,
    Chunks,
) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    (sender, Chunks { receiver })
}

pub(crate) struct Chunks {
    receiver: tokio::sync::mpsc::UnboundedReceiver<Result<Bytes, BoxError>>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        self.receiver
            .poll_recv(cx)
            .map(|chunk| chunk.map(|chunk| chunk.map(http_body::Frame::data)))
    }
}

/// Certificates, made for one test.
pub(crate) mod certs {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    pub(crate) struct Authority {
        issuer: CertifiedIssuer<'static, KeyPair>,
    }

    pub(crate) struct Identity {
        pub(crate) chain: String,
        pub(crate) key: String,
        pub(crate) der: Vec<u8>,
    }

    /// A certificate that vouches for itself, without being an authority's, and its key.
    pub(crate) fn self_signed(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    impl Authority {
        pub(crate) fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            // Two authorities of one name would be mistaken for each other.
            let name = format!("authority {:x?}", &key.public_key_raw()[..8]);
            params.distinguished_name.push(DnType::CommonName, name);
            Self {
                issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            }
        }

        pub(crate) fn pem(&self) -> String {
            self.issuer.pem()
        }

        pub(crate) fn key(&self) -> String {
            self.issuer.key().serialize_pem()
        }

        pub(crate) fn issue(&self, name: &str) -> Identity {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new([name.to_owned()])
                .unwrap()
                .signed_by(&key, &self.issuer)
                .unwrap();
            Identity {
                chain: certificate.pem(),
                key: key.serialize_pem(),
                der: certificate.der().to_vec(),
            }
        }
    }
}
