//! Tower layers around a router, whose errors are answers in the protocol of the caller.

use std::{
    cell::Cell,
    error::Error as StdError,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use connect_tokio::{
    CallBody, Channel, Client, ClientConfig, Code, Error, HttpVersion, Prost, Protocol, Request,
    Response, Router, Sent, Server, ServiceTransport, Spec, StreamType, TransportError,
};
use http::Request as HttpRequest;
use tower::{ServiceBuilder, load_shed::error::Overloaded, timeout::error::Elapsed};
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

/// What tower's layers fail with, as a program may want to have it in calls.
fn told(error: BoxError) -> Error {
    if error.is::<Overloaded>() {
        Error::unavailable("the server is busy")
    } else if error.is::<Elapsed>() {
        Error::deadline_exceeded("too slow for a layer")
    } else {
        Error::internal("a layer failed").with_source(error)
    }
}

/// A router whose calls wait until they are let go on.
fn waiting(go_on: &Arc<tokio::sync::Semaphore>) -> Router {
    let go_on = go_on.clone();
    Router::new().unary(ECHO, move |request: Request<String>| {
        let go_on = go_on.clone();
        async move {
            go_on.acquire().await.unwrap().forget();
            Ok(Response::new(request.into_message()))
        }
    })
}

async fn echo<T: connect_tokio::Transport>(client: &Client<T>) -> Result<String, Error> {
    let request = Request::new(String::from("hi"));
    let response = client.unary::<Prost, _, String>(&ECHO, request).await?;
    Ok(response.into_message())
}

#[tokio::test]
async fn the_limits_of_tower_go_around_a_server() {
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", server.local_addr().unwrap());
    let service = ServiceBuilder::new()
        .map_err(told)
        .load_shed()
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
        .service(waiting(&go_on));
    let serving = tokio::spawn(server.serve(service));
    for protocol in Protocol::ALL {
        let channel = Channel::builder(&uri).with_http_version(HttpVersion::Http2);
        let client = Client::new(channel.build().unwrap())
            .with_config(ClientConfig::new().with_protocol(protocol));
        // Whichever comes first runs, and the other is refused.
        let (one, other) = (echo(&client), echo(&client));
        tokio::pin!(one, other);
        let (refused, runs) = tokio::select! {
            refused = &mut one => (refused, other),
            refused = &mut other => (refused, one),
        };
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert_eq!(refused.message(), "the server is busy");
        go_on.add_permits(1);
        assert_eq!(runs.await.unwrap(), "hi");
    }
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_timeout_and_a_buffer_of_tower_go_around_a_router() {
    let go_on = Arc::new(tokio::sync::Semaphore::new(1));
    let service = ServiceBuilder::new()
        .map_err(told)
        .buffer(8)
        .timeout(Duration::from_secs(5))
        .service(waiting(&go_on));
    // What a server does with such a service's errors, without one: sockets know no paused time.
    let transport = tower::service_fn(move |request: HttpRequest<CallBody>| {
        let service = service.clone();
        async move {
            let answer = tower::ServiceExt::oneshot(service, request).await;
            answer.map_err(|error| TransportError::new(Sent::Yes, error))
        }
    });
    let client = Client::new(ServiceTransport::new(transport));
    assert_eq!(echo(&client).await.unwrap(), "hi");
    let error = echo(&client).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(error.message(), "too slow for a layer");
}

#[tokio::test]
async fn the_layers_of_tower_go_around_a_channel() {
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", server.local_addr().unwrap());
    let serving = tokio::spawn(server.serve(waiting(&go_on)));
    let channel = ServiceBuilder::new()
        .map_err(|error: BoxError| TransportError::new(Sent::No, told(error)))
        .load_shed()
        .concurrency_limit(1)
        .buffer(8)
        .timeout(Duration::from_secs(60))
        .service(Channel::new(&uri).unwrap());
    let client = Client::new(ServiceTransport::new(channel));
    let (one, other) = (echo(&client), echo(&client));
    tokio::pin!(one, other);
    let (refused, runs) = tokio::select! {
        refused = &mut one => (refused, other),
        refused = &mut other => (refused, one),
    };
    assert_eq!(refused.unwrap_err().message(), "the server is busy");
    go_on.add_permits(1);
    assert_eq!(runs.await.unwrap(), "hi");
    serving.abort();
}
