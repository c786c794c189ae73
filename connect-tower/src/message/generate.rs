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

use super::response::{CompressNext, ResponseStream};

impl<M: Send + 'static> ResponseStream<M> {
    /// The messages that a piece of async code sends, one after another; its result ends the stream.
    ///
    /// Nothing is spawned: the code runs when the next message is pulled, and waits in
    /// [`send`](Yielder::send) until the last message has left, so no work is done for a client that does
    /// not read. When the call ends early, the code is dropped where it stands.
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
        let future = code(Yielder {
            slot: slot.clone(),
            compress: None,
        });
        let compress = Arc::new(CompressNext::default());
        let mut stream = Self::new(Generated {
            future: Some(future),
            error: None,
            slot,
            compress: compress.clone(),
        });
        stream.compress = Some(compress);
        stream
    }
}

/// Sends messages out of [`ResponseStream::generate`].
///
/// It may be moved into another task, which can outlive both the code and the stream.
pub struct Yielder<M> {
    slot: Arc<Mutex<Slot<M>>>,
    compress: Option<bool>,
}

struct Slot<M> {
    message: Option<(M, Option<bool>)>,
    /// Who waits until the message was taken.
    sender: Option<Sender>,
    /// The stream's reader, while it waits for a message.
    receiver: Option<Waker>,
    /// The stream is polling the code now, and looks for a message afterwards.
    polling: bool,
    /// The stream has ended or was dropped.
    closed: bool,
}

struct Sender {
    waker: Waker,
    /// It waited while the stream polled the code.
    polling: bool,
}

impl<M> Default for Slot<M> {
    fn default() -> Self {
        Self {
            message: None,
            sender: None,
            receiver: None,
            polling: false,
            closed: false,
        }
    }
}

impl<M> Yielder<M> {
    /// Whether the messages that follow are compressed, as far as the client accepts it and they are large enough. Before
    /// that it is as [the response says](crate::Response::with_compress).
    pub fn set_compress(&mut self, compress: bool) {
        self.compress = Some(compress);
    }

    /// Sends a message and waits until it has been taken: `true`. Once the stream has ended or been
    /// dropped nobody takes it, and the answer is `false`, at once.
    ///
    /// The code of [`generate`](ResponseStream::generate) is dropped with its stream, so it never sees `false`. A task
    /// that the yielder was moved into does, and should end then.
    ///
    /// If this future is dropped before that, the message is sent all the same.
    pub async fn send(&mut self, message: M) -> bool {
        let mut message = Some((message, self.compress));
        poll_fn(|cx| {
            let mut slot = lock(&self.slot);
            if slot.closed {
                // Without a message in the slot, ours was taken before the stream was dropped.
                let taken = message.is_none() && slot.message.is_none();
                return Poll::Ready(taken);
            }
            let mut receiver = None;
            if slot.message.is_none() {
                slot.message = message.take();
                if slot.message.is_none() {
                    // Ours was put in before, and has been taken since.
                    return Poll::Ready(true);
                }
                receiver = slot.receiver.take();
            }
            let polling = slot.polling;
            let before = slot.sender.replace(Sender {
                waker: cx.waker().clone(),
                polling,
            });
            // Wakers are code of the runtime: they run, and are dropped, outside the lock.
            drop(slot);
            drop(before);
            if let Some(receiver) = receiver {
                receiver.wake();
            }
            Poll::Pending
        })
        .await
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
        compress: Arc<CompressNext>,
    }

    impl<M, Fut> PinnedDrop for Generated<M, Fut> {
        fn drop(this: Pin<&mut Self>) {
            let sender = {
                let mut slot = lock(&this.slot);
                slot.closed = true;
                slot.sender.take()
            };
            if let Some(sender) = sender {
                sender.waker.wake();
            }
        }
    }
}

impl<M, Fut: Future<Output = Result<(), Error>>> Stream for Generated<M, Fut> {
    type Item = Result<M, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if let Some(code) = this.future.as_mut().as_pin_mut() {
            lock(this.slot).polling = true;
            let polled = code.poll(cx);
            lock(this.slot).polling = false;
            if let Poll::Ready(ended) = polled {
                this.future.set(None);
                *this.error = ended.err();
            }
        }
        let mut slot = lock(this.slot);
        // A message whose `send` was dropped still comes before the end.
        if let Some((message, compress)) = slot.message.take() {
            this.compress.set(compress);
            let sender = slot.sender.take();
            drop(slot);
            // A `send` that the code polls itself is polled again with the next pull; any other has to be woken.
            if let Some(sender) = sender {
                if !(sender.polling && sender.waker.will_wake(cx.waker())) {
                    sender.waker.wake();
                }
            }
            return Poll::Ready(Some(Ok(message)));
        }
        if this.future.is_some() {
            let before = slot.receiver.replace(cx.waker().clone());
            drop(slot);
            drop(before);
            return Poll::Pending;
        }
        // The code has ended, and the stream with it.
        slot.closed = true;
        drop(slot);
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
