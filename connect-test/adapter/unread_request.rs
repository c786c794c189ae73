//! HTTP/1.1: an answer that begins before the request was read leaves at once.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use connect_hyper::server::RequestBody;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{BoxError, ServiceFn, async_test, bind, connect, start, within};

/// The beginning of an answer that goes on for ever, and the request that it leaves unread.
struct Beginning {
    first: Option<&'static [u8]>,
    _unread: RequestBody,
}

impl Body for Beginning {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let first = self.first.take().map(Bytes::from_static);
        first.map_or(Poll::Pending, |first| {
            Poll::Ready(Some(Ok(Frame::data(first))))
        })
    }
}

/// Part of the request is in the server's buffer when the answer begins, and stays there.
#[apply(async_test)]
async fn an_answer_is_not_held_back_by_an_unread_request() {
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        let body = Beginning {
            first: Some(b"first"),
            _unread: request.into_body(),
        };
        Response::new(body.boxed_unsync())
    });
    let server = start(bind().await, service);
    let mut socket = connect(server.address).await.unwrap();
    let request = b"POST / HTTP/1.1
host: x
transfer-encoding: chunked

\
        5
these
6
chunks
3
are
4
left
";
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(b"first\r\n") {
            assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0);
        }
    };
    // It comes at once or never.
    let read = within(Duration::from_secs(10), reading).await;
    read.expect("the answer is held back");
}
