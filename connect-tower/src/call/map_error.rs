//! A body with other errors.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    pub(crate) struct MapError<B: Body, E> {
        #[pin]
        body: B,
        map: fn(B::Error) -> E,
    }
}

impl<B: Body, E> MapError<B, E> {
    pub(crate) const fn new(body: B, map: fn(B::Error) -> E) -> Self {
        Self { body, map }
    }
}

impl<B: Body<Data = Bytes>, E> Body for MapError<B, E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let this = self.project();
        this.body.poll_frame(cx).map_err(*this.map)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
