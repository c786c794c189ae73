//! hyper alone: reads the body, answers with bytes that are prepared or that came, and for gRPC with the trailers that its
//! clients wait for.

use std::{
    future::Future,
    net::TcpListener,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    rt::{Executor, Read, Write},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::{self, HttpServerConnExec},
};
use prost::Message as _;
use smol_hyper::rt::FuturesIo;

use crate::{
    Failure,
    messages::{self, MESSAGES_A_PIECE, PIECE, SMALL},
    scenario::{MESSAGES, paths},
};

pub(super) async fn serve_on_tokio(listener: tokio::net::TcpListener) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        tokio::spawn(connection(io, TokioExecutor::new(), answer));
    }
}

pub(super) async fn serve_on_smol(listener: TcpListener) -> Result<(), Failure> {
    let listener = smol::net::TcpListener::try_from(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let io = FuturesIo::new(stream);
        smol::spawn(connection(io, Smol, answer)).detach();
    }
}

/// smol's global executor.
#[derive(Clone)]
struct Smol;

impl<F> Executor<F> for Smol
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        smol::spawn(future).detach();
    }
}

async fn connection<I, E, F>(io: I, executor: E, answer: fn(Request<Incoming>) -> F)
where
    I: Read + Write + Unpin + 'static,
    E: HttpServerConnExec<F, AnswerBody>,
    F: Future<Output = Result<Response<AnswerBody>, hyper::Error>> + 'static,
{
    let builder = auto::Builder::new(executor);
    let connection = builder.serve_connection(io, service_fn(answer));
    // A client that goes away is no concern of the server's.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<AnswerBody>, hyper::Error> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|value| value == "application/grpc");
    let data = match head.uri.path() {
        paths::CHAT => Data::Through(body),
        paths::REPEAT => {
            body.collect().await?;
            Data::Pieces(MESSAGES / MESSAGES_A_PIECE)
        }
        paths::COLLECT => {
            let bytes = body.collect().await?.to_bytes();
            let count = messages::count(bytes.len() / SMALL.len());
            let answer = messages::enveloped(&count.encode_to_vec(), false);
            Data::Whole(answer)
        }
        _ => Data::Whole(body.collect().await?.to_bytes()),
    };
    let mut response = Response::new(AnswerBody { data, is_grpc });
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, value.clone());
    }
    Ok(response)
}

/// What is answered, and for gRPC its trailers.
struct AnswerBody {
    data: Data,
    is_grpc: bool,
}

enum Data {
    Whole(Bytes),
    /// So many more pieces.
    Pieces(usize),
    /// What comes.
    Through(Incoming),
    Sent,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.data {
            Data::Whole(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                self.data = Data::Sent;
                return Poll::Ready(Some(Ok(frame)));
            }
            Data::Pieces(left) if *left > 0 => {
                *left -= 1;
                return Poll::Ready(Some(Ok(Frame::data(PIECE.clone()))));
            }
            Data::Through(incoming) => {
                // What ends a request may be an empty frame, of which h2 lets a peer send a hundred before the end of its streams.
                loop {
                    match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                        Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                        Some(frame) => return Poll::Ready(Some(frame)),
                        None => break,
                    }
                }
                self.data = Data::Sent;
            }
            Data::Pieces(_) | Data::Sent => {}
        }
        Poll::Ready(std::mem::take(&mut self.is_grpc).then(|| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.data, Data::Sent) && !self.is_grpc
    }

    fn size_hint(&self) -> SizeHint {
        match &self.data {
            // What tells HTTP/1.1 the length.
            Data::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Data::Pieces(_) | Data::Through(_) | Data::Sent => SizeHint::default(),
        }
    }
}
