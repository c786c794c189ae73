//! The server, with procedures that fail, hang and break off.

use std::{
    collections::HashSet,
    convert::Infallible,
    error::Error as StdError,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use connect_tokio::{
    DeadlinePolicy, Error, ErrorExt, Request, Response, ResponseStream, Router, Server, cors,
    gate_fn, rpc::RetryInfo,
};
use connect_web_check::{
    COUNT, FAIL, FAIL_LATE, HANG, HANG_LATE, LEADING, METHOD, NAME, NOTE, NOTED, TRAILING, UPPER,
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::Notify;
use tower_http::cors::{Any, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) async fn run() -> Result<(), Box<dyn StdError>> {
    let mut allowed = cors::ALLOW_HEADERS.to_vec();
    allowed.push(HeaderName::from_static(NAME));
    let mut exposed = cors::EXPOSE_HEADERS.to_vec();
    exposed.extend([LEADING, "trailer-x-trailing"].map(HeaderName::from_static));
    let layer = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(cors::ALLOW_METHODS)
        .allow_headers(allowed)
        .expose_headers(exposed);

    // A browser that gives a call up closes its connection, and waits for nothing.
    let server = Server::bind("127.0.0.1:0")
        .await?
        .with_http1_half_close(None);
    println!("http://{}", server.local_addr()?);
    server.serve(layer.layer(router(&Notes::default()))).await;
    Ok(())
}

fn router(notes: &Notes) -> Router {
    let (hang, hang_late, noted, note) =
        (notes.clone(), notes.clone(), notes.clone(), notes.clone());
    Router::new()
        .unary(UPPER.clone(), upper)
        .unary(METHOD.clone(), |request: Request<String>| async move {
            Ok(Response::new(method(&request)))
        })
        .server_stream(COUNT.clone(), |request: Request<u32>| async move {
            Ok(Response::new(ResponseStream::from(0..*request.message())))
        })
        .unary(FAIL.clone(), |_: Request<String>| async {
            Err::<Response<String>, _>(failure())
        })
        .server_stream(FAIL_LATE.clone(), |request: Request<String>| async {
            let first = Ok(request.into_message());
            Ok(Response::stream(stream::iter([first, Err(failure())])))
        })
        .unary(HANG.clone(), move |request: Request<String>| {
            let name = request.into_message();
            hang.add(format!("arrived {name}"));
            let note = hang.when_dropped(name);
            async move {
                let _note = note;
                pending::<Result<Response<String>, Error>>().await
            }
        })
        .server_stream(HANG_LATE.clone(), move |request: Request<String>| {
            let name = request.into_message();
            let note = hang_late.when_dropped(name.clone());
            async move {
                let first = stream::iter([Ok(name)]);
                let never = stream::pending().map(move |never: Infallible| {
                    let _ = &note;
                    match never {}
                });
                Ok(Response::stream(first.chain(never)))
            }
        })
        .unary(NOTED.clone(), move |request: Request<String>| {
            let notes = noted.clone();
            async move {
                notes.wait(request.message()).await;
                Ok(Response::new(request.into_message()))
            }
        })
        .unary(NOTE.clone(), move |request: Request<String>| {
            note.add(request.into_message());
            async { Ok(Response::new(String::new())) }
        })
        .add_gate(gate_fn(|head, _| {
            // Only a GET has a query.
            let method = Method(if head.uri().query().is_some() {
                "GET"
            } else {
                "POST"
            });
            head.extensions_mut().insert(method);
            Ok(())
        }))
        // Deadlines are the page's to keep here.
        .with_deadline_policy(DeadlinePolicy::default().with_min(Duration::from_secs(60)))
        .with_fallback(Broken(notes.clone()))
}

#[derive(Clone)]
struct Method(&'static str);

fn method(request: &Request<String>) -> String {
    let method = request.extensions().get::<Method>();
    method.map_or_else(String::new, |method| method.0.to_owned())
}

async fn upper(request: Request<String>) -> Result<Response<String>, Error> {
    let answer = request.message().to_uppercase();
    Response::new(answer)
        .add_header(LEADING, "first")?
        .add_trailer(TRAILING, "last")
}

fn failure() -> Error {
    let retry = RetryInfo {
        retry_delay: Some(connect_tokio::prost_types::Duration {
            seconds: 5,
            nanos: 0,
        }),
    };
    let mut metadata = HeaderMap::new();
    metadata.insert(LEADING, HeaderValue::from_static("sorry"));
    Error::resource_exhausted("no more ✓ of that")
        .add_message_detail(&retry)
        .with_metadata(metadata)
}

/// What has happened, by name.
#[derive(Clone, Default)]
struct Notes(Arc<(Mutex<HashSet<String>>, Notify)>);

impl Notes {
    fn add(&self, name: String) {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
        self.0.1.notify_waiters();
    }

    async fn wait(&self, name: &str) {
        loop {
            let news = self.0.1.notified();
            if self
                .0
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(name)
            {
                return;
            }
            news.await;
        }
    }

    fn when_dropped(&self, name: String) -> WhenDropped {
        WhenDropped {
            notes: self.clone(),
            name,
        }
    }
}

struct WhenDropped {
    notes: Notes,
    name: String,
}

impl Drop for WhenDropped {
    fn drop(&mut self) {
        self.notes.add(std::mem::take(&mut self.name));
    }
}

/// Answers `BROKEN` by hand: no handler can break a connection.
#[derive(Clone)]
struct Broken(Notes);

type BrokenBody = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, &'static str>>>;

impl<B> Service<http::Request<B>> for Broken {
    type Response = http::Response<BrokenBody>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let header = |name| request.headers().get(name).cloned();
        let name = header(NAME).unwrap_or_else(|| HeaderValue::from_static(""));
        let notes = self.0.clone();
        // An envelope with a `StringValue` of "a".
        let message = Bytes::from_static(&[0, 0, 0, 0, 3, 10, 1, b'a']);
        let first = stream::iter([Ok(Frame::data(message))]);
        let end = stream::once(async move {
            notes.wait(name.to_str().unwrap_or_default()).await;
            Err("the connection breaks")
        });
        let mut response = http::Response::new(StreamBody::new(first.chain(end).boxed()));
        if let Some(content_type) = header("content-type") {
            response.headers_mut().insert("content-type", content_type);
        }
        std::future::ready(Ok(response))
    }
}
