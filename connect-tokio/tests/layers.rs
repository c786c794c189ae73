//! Tower layers around a router, whose errors are answers in the protocol of the caller.

use std::{
    cell::Cell,
    error::Error as StdError,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use connect_tokio::{
    Channel, Client, ClientConfig, Code, Error, HttpVersion, Prost, Protocol, Request, Response,
    Router, Server, Spec, StreamType,
};
use http::Request as HttpRequest;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

const ECHO: Spec = Spec::new("/test.v1.Test/Echo", StreamType::Unary);

/// Where the layer fails.
#[derive(Clone, Copy, Debug)]
enum Fail {
    Never,
    Ready,
    Call,
}

/// What it fails with.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Rpc,
    /// An RPC error as the source of another.
    Wrapped,
    Other,
}

impl Kind {
    fn error(self) -> BoxError {
        let busy = Error::resource_exhausted("busy");
        match self {
            Self::Rpc => busy.into(),
            Self::Wrapped => io::Error::other(Wrapper(busy)).into(),
            Self::Other => "a secret of the server's".into(),
        }
    }
}

#[derive(Debug)]
struct Wrapper(Error);

impl std::fmt::Display for Wrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a layer failed")
    }
}

impl StdError for Wrapper {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// A layer's service: its errors are boxed, as those of tower's own are, and it is not `Sync`.
#[derive(Clone)]
struct Layered<S> {
    inner: S,
    fail: Fail,
    kind: Kind,
    calls: Cell<usize>,
}

impl<S, B> Service<HttpRequest<B>> for Layered<S>
where
    S: Service<HttpRequest<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if let Fail::Ready = self.fail {
            return Poll::Ready(Err(self.kind.error()));
        }
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        if let Fail::Call = self.fail {
            let error = self.kind.error();
            return Box::pin(async move { Err(error) });
        }
        let call = self.inner.call(request);
        Box::pin(async move { call.await.map_err(Into::into) })
    }
}

#[tokio::test]
async fn a_layer_that_fails_answers_in_the_protocol_of_the_caller() {
    let busy = (Code::ResourceExhausted, "busy");
    for (fail, kind, expected) in [
        (Fail::Never, Kind::Rpc, None),
        (Fail::Ready, Kind::Rpc, Some(busy)),
        (Fail::Call, Kind::Rpc, Some(busy)),
        (Fail::Call, Kind::Wrapped, Some(busy)),
        (
            Fail::Call,
            Kind::Other,
            Some((Code::Internal, "the service failed")),
        ),
    ] {
        let inner = Router::new().unary(ECHO, |request: Request<String>| async move {
            Ok(Response::new(request.into_message()))
        });
        let service = Layered {
            inner,
            fail,
            kind,
            calls: Cell::new(0),
        };
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", server.local_addr().unwrap());
        let serving = tokio::spawn(server.serve(service));
        for protocol in Protocol::ALL {
            let channel = Channel::builder(&uri).with_http_version(HttpVersion::Http2);
            let client = Client::new(channel.build().unwrap())
                .with_config(ClientConfig::new().with_protocol(protocol));
            let request = Request::new(String::from("hi"));
            let answer = client.unary::<Prost, String, String>(&ECHO, request).await;
            match (answer, expected) {
                (Ok(response), None) => assert_eq!(response.message(), "hi"),
                (Err(error), Some(expected)) => {
                    assert_eq!(
                        (error.code(), error.message()),
                        expected,
                        "{protocol} {fail:?}"
                    );
                }
                (answer, _) => panic!("{protocol} {fail:?} {kind:?}: {answer:?}"),
            }
        }
        serving.abort();
    }
}
