//! hyper alone: reads the body, sends it back, and for gRPC the trailers that its clients wait for.

use std::{convert::Infallible, future::Future};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Either, Full, combinators::WithTrailers};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

use crate::load::Failure;

/// Trailers that are known from the start.
type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;
/// A body, with trailers or without.
pub(super) type Body = Either<Full<Bytes>, WithTrailers<Full<Bytes>, Trailers>>;

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    serve_with(listener, echo).await
}

/// The same loop for whoever only needs a function from request to response.
pub(super) async fn serve_with<F, R>(listener: TcpListener, answer: F) -> Result<(), Failure>
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Result<Response<Body>, hyper::Error>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that goes away is no concern of the server's.
            let _ = connection.await;
        });
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = Full::new(body.collect().await?.to_bytes());
    let content_type = head.headers.get(CONTENT_TYPE);
    let body = if content_type.is_some_and(|value| value == "application/grpc") {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        with_trailers(body, trailers)
    } else {
        Either::Left(body)
    };
    let mut response = Response::new(body);
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, value.clone());
    }
    Ok(response)
}

pub(super) fn with_trailers(body: Full<Bytes>, trailers: HeaderMap) -> Body {
    Either::Right(body.with_trailers(std::future::ready(Some(Ok(trailers)))))
}
