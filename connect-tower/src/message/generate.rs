//! Streams of messages written as plain async code.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use connect_proto::Error;
use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::ResponseStream;

impl<M: Send + 'static> ResponseStream<M> {
    /// The messages that a piece of async code sends, one after another; its result ends the stream.
    ///
    /// Nothing is spawned: the code runs when the next message is pulled, and waits in
    /// [`send`](Yielder::send) until the message before has left, so a client that does not read is not
    /// worked for. When the call ends early, the code is dropped where it stands.
    ///
    /// ```
    /// use connect_tower::{Error, Request, Response, ResponseStream, Streaming};
    ///
    /// async fn echo(
    ///     request: Request<Streaming<String>>,
    /// ) -> Result<Response<ResponseStream<String>>, Error> {
    ///     let mut lines = request.into_stream();
    ///     Ok(Response::new(ResponseStream::generate(
    ///         |mut answers| async move {
    ///             while let Some(line) = lines.message().await? {
    ///                 answers.send(line).await;
    ///             }
    ///             Ok(())
    ///         },
    ///     )))
    /// }
    /// ```
    #[must_use]
    pub fn generate<F, Fut>(code: F) -> Self
    where
        F: FnOnce(Yielder<M>) -> Fut,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let future = code(Yielder { slot: slot.clone() });
        Self::new(Generated {
            future: Some(future),
            error: None,
            slot,
        })
    }
}

/// Sends messages out of [`ResponseStream::generate`].
pub struct Yielder<M> {
    slot: Arc<Mutex<Slot<M>>>,
}

struct Slot<M> {
    message: Option<M>,
    /// Who waits until the message was taken.
    sender: Option<Waker>,
}

impl<M> Default for Slot<M> {
    fn default() -> Self {
        Self {
            message: None,
            sender: None,
        }
    }
}

impl<M> Yielder<M> {
    /// Sends a message and waits until it has been taken.
    ///
    /// Dropped before that, the message is sent all the same.
    pub async fn send(&mut self, message: M) {
        let mut message = Some(message);
        poll_fn(|cx| {
            let mut slot = lock(&self.slot);
            if slot.message.is_none() {
                slot.message = message.take();
                if slot.message.is_none() {
                    // Ours was put in before, and has been taken since.
                    return Poll::Ready(());
                }
            }
            slot.sender = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

pin_project! {
    struct Generated<M, Fut> {
        // None once the code has ended.
        #[pin]
        future: Option<Fut>,
        // How it ended, until that was yielded.
        error: Option<Error>,
        slot: Arc<Mutex<Slot<M>>>,
    }
}

impl<M, Fut: Future<Output = Result<(), Error>>> Stream for Generated<M, Fut> {
    type Item = Result<M, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let sender = lock(this.slot).sender.take();
        // The code may poll its parts by wakers of their own; then the one that waits is told.
        if let Some(sender) = sender.filter(|sender| !sender.will_wake(cx.waker())) {
            sender.wake();
        }
        if let Some(future) = this.future.as_mut().as_pin_mut() {
            if let Poll::Ready(ended) = future.poll(cx) {
                this.future.set(None);
                *this.error = ended.err();
            }
        }
        // A message whose `send` was dropped still comes before the end.
        if let Some(message) = lock(this.slot).message.take() {
            return Poll::Ready(Some(Ok(message)));
        }
        if this.future.is_some() {
            return Poll::Pending;
        }
        Poll::Ready(this.error.take().map(Err))
    }
}

fn lock<M>(slot: &Mutex<Slot<M>>) -> MutexGuard<'_, Slot<M>> {
    // Nothing that can panic runs under the lock.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M> fmt::Debug for Yielder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}
