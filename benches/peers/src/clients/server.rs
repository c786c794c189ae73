//! The server of all clients: hyper alone, which sends back the bytes it gets.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Either, Full, combinators::WithTrailers};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

use super::Failure;

type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;
type Body = Either<Full<Bytes>, WithTrailers<Full<Bytes>, Trailers>>;

/// Serves until the process ends, and prints its address.
///
/// # Errors
///
/// When it cannot listen or accept.
pub async fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service_fn(echo));
            // A client that goes away is no concern of the server's.
            let _ = connection.await;
        });
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = Full::new(body.collect().await?.to_bytes());
    let content_type = head.headers.get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
    let body = match is_grpc {
        true => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Either::Right(body.with_trailers(std::future::ready(Some(Ok(trailers)))))
        }
        false => Either::Left(body),
    };
    let mut response = Response::new(body);
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, value.clone());
    }
    Ok(response)
}
