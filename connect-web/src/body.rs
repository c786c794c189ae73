//! A response's body, read as it comes.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_tower::BodyError;
use http_body::{Body, Frame};
use js_sys::{Uint8Array, futures::JsFuture};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};

use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use crate::js::{self, AbortOnDrop};

/// The body of a response of [`FetchTransport`](crate::FetchTransport), read chunk by chunk as it is polled.
///
/// The browser reads ahead by itself, as much as its window of the connection allows. Dropped before its end it aborts
/// the request.
pub struct FetchBody {
    reading: Option<SendWrapper<Reading>>,
}

struct Reading {
    reader: ReadableStreamDefaultReader,
    next: Option<JsFuture>,
    _abort: AbortOnDrop,
}

impl FetchBody {
    /// A response without a body has no stream.
    pub(crate) fn new(stream: Option<ReadableStream>, abort: AbortOnDrop) -> Self {
        let reading = stream.map(|stream| Reading {
            // Nobody else has seen the stream, so it cannot be locked.
            reader: stream.get_reader().unchecked_into(),
            next: None,
            _abort: abort,
        });
        Self {
            reading: reading.map(SendWrapper::new),
        }
    }
}

/// Node.js up to 24 at least may forget a request's signal while its body is read, once memory was collected; it is then
/// this that tells it.
impl Drop for Reading {
    fn drop(&mut self) {
        // As a future, for nobody asks what became of it: a promise that fails unheard ends a program of Node.js.
        drop(JsFuture::from(self.reader.cancel()));
    }
}

impl Reading {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, JsValue>> {
        let next = self
            .next
            .get_or_insert_with(|| JsFuture::from(self.reader.read()));
        let result = ready!(Pin::new(next).poll(cx));
        self.next = None;
        // An object with `done`, and with `value` unless it is done.
        Poll::Ready(result.map(|result| {
            let chunk = js::get(&result, "value")?;
            Some(chunk.unchecked_into::<Uint8Array>().to_vec().into())
        }))
    }
}

impl Body for FetchBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(None);
        };
        let chunk = ready!(reading.poll_next(cx));
        if !matches!(chunk, Ok(Some(_))) {
            self.reading = None;
        }
        Poll::Ready(match chunk {
            Ok(chunk) => chunk.map(Frame::data).map(Ok),
            Err(thrown) => Some(Err(cut_off(&thrown))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none()
    }
}

impl fmt::Debug for FetchBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchBody")
            .field("is_end_stream", &self.is_end_stream())
            .finish_non_exhaustive()
    }
}

/// Browsers do not tell how a body was cut off; only that one was aborted from this side.
fn cut_off(thrown: &JsValue) -> BodyError {
    let error = if js::is_abort(thrown) {
        BodyError::http2(HTTP2_CANCEL)
    } else {
        BodyError::connection_lost()
    };
    error.with_source(js::describe(thrown))
}

/// RFC 9113, section 7: "the stream is no longer needed".
const HTTP2_CANCEL: u32 = 8;
