//! The body of a streaming request that can be sent again.
//!
//! What a transport has taken of a stream of requests is kept, up to a limit, until the call has its response or the limit is
//! passed. Until then a further attempt sends the same bytes and goes on with the rest. The pieces are [`Bytes`]: keeping
//! them copies nothing.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_proto::Error;
use http_body::{Body, Frame, SizeHint};

use crate::call::{body::CallBody, shared::HeadSent};

/// A request's body, seen from the call that may send it again.
pub(crate) struct Replay(Arc<Shared>);

struct Shared {
    /// The number of the attempt that may read. It changes under the lock.
    attempt: AtomicU32,
    head_sent: Option<HeadSent>,
    state: Mutex<State>,
}

struct State {
    source: CallBody,
    has_ended: bool,
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    max_bytes: usize,
    /// How many of those that are kept the present attempt has sent.
    sent: usize,
    /// Nothing is kept any more: what the present attempt has sent was dropped.
    is_committed: bool,
}

/// What one attempt sends.
struct ReplayBody {
    shared: Arc<Shared>,
    attempt: u32,
}

impl Replay {
    /// Keeps up to so many bytes of the body, which may be that of a call object.
    pub(crate) fn new(source: CallBody, max_bytes: usize, head_sent: Option<HeadSent>) -> Self {
        Self(Arc::new(Shared {
            attempt: AtomicU32::new(0),
            head_sent,
            state: Mutex::new(State {
                source,
                has_ended: false,
                kept: VecDeque::new(),
                kept_bytes: 0,
                max_bytes,
                sent: 0,
                is_committed: false,
            }),
        }))
    }

    /// The body of a further attempt, from its beginning. That of the attempt before sends nothing more.
    pub(crate) fn body(&self) -> CallBody {
        let mut state = self.0.lock();
        let before = self.0.attempt.fetch_add(1, Ordering::SeqCst);
        state.sent = 0;
        drop(state);
        CallBody::boxed(ReplayBody {
            shared: Arc::clone(&self.0),
            attempt: before.wrapping_add(1),
        })
    }

    /// Whether all that was sent is kept.
    pub(crate) fn is_whole(&self) -> bool {
        !self.0.lock().is_committed
    }

    /// Keeps nothing any more: the present attempt is the last.
    pub(crate) fn commit(self) {
        self.0.lock().commit();
    }
}

impl Shared {
    /// A user's stream that panics is caught below; what is left is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for an attempt; none if another one has begun, be it while this one waited for the lock.
    fn lock_for(&self, attempt: u32) -> Option<MutexGuard<'_, State>> {
        let state = self.lock();
        self.is_present(attempt).then_some(state)
    }

    fn is_present(&self, attempt: u32) -> bool {
        self.attempt.load(Ordering::SeqCst) == attempt
    }
}

impl State {
    fn commit(&mut self) {
        if !self.is_committed {
            self.is_committed = true;
            self.kept.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// The next of the pieces that were taken from the source before.
    fn take_kept(&mut self) -> Option<Bytes> {
        if self.is_committed {
            return self.kept.pop_front();
        }
        let data = self.kept.get(self.sent)?.clone();
        self.sent += 1;
        Some(data)
    }

    fn keep(&mut self, data: &Bytes) {
        if self.is_committed {
            return;
        }
        // A piece of one byte costs more than a byte.
        self.kept_bytes += data.len() + size_of::<Bytes>();
        self.kept.push_back(data.clone());
        self.sent += 1;
        if self.kept_bytes > self.max_bytes {
            self.commit();
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.source).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) if frame.data_ref().is_some() => {}
            // This side has given the request up, or it is none of ours.
            Some(_) => self.commit(),
            None => self.has_ended = true,
        }
        if let Some(data) = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok()?.data_ref())
        {
            self.keep(data);
        }
        Poll::Ready(frame)
    }
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(mut state) = self.lock() else {
            let error = Error::canceled("the request was given up, and is sent again");
            return Poll::Ready(Some(Err(error)));
        };
        match state.take_kept() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => state.poll_source(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_some_and(|state| {
            state.sent == state.kept.len() && (state.has_ended || state.source.is_end_stream())
        })
    }

    /// Exact only for what was not begun.
    fn size_hint(&self) -> SizeHint {
        match self.lock() {
            Some(state) if state.kept_bytes == 0 && !state.has_ended => state.source.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for ReplayBody {
    /// In the same process a caller learns at once that nobody reads any more. A connection may have dropped the body because
    /// it ended, and the request may go out again.
    fn drop(&mut self) {
        let Some(mut state) = self.lock() else {
            return;
        };
        let has_begun = self.shared.head_sent.as_ref().map(HeadSent::has_begun);
        if has_begun == Some(true) || state.is_committed {
            state.commit();
            let source = mem::take(&mut state.source);
            drop(state);
            drop(source);
        }
    }
}

impl ReplayBody {
    /// The state, if this is the present attempt. One that was given up does not wait for the lock, which the next may hold.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        if !self.shared.is_present(self.attempt) {
            return None;
        }
        self.shared.lock_for(self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, task::Waker};

    use super::*;

    /// A body of pieces.
    struct Pieces(Vec<&'static str>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.is_empty() {
                true => Poll::Ready(None),
                false => Poll::Ready(Some(Ok(Frame::data(self.0.remove(0).into())))),
            }
        }
    }

    fn replay(max_bytes: usize) -> Replay {
        let pieces = Pieces(vec!["a", "b", "c"]);
        Replay::new(CallBody::foreign(pieces), max_bytes, None)
    }

    /// The next piece; an error for a body that may not read.
    fn next(body: &mut CallBody) -> Option<Result<Bytes, Error>> {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(frame) = Pin::new(body).poll_frame(&mut cx) else {
            panic!("the body waits");
        };
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    fn rest(body: &mut CallBody) -> Vec<Bytes> {
        let mut rest = Vec::new();
        while let Some(data) = next(body) {
            rest.push(data.unwrap());
        }
        rest
    }

    #[test]
    fn a_further_attempt_sends_what_was_sent_and_the_rest() {
        let replay = replay(1024);
        for sent in 0..=4 {
            let mut body = replay.body();
            for _ in 0..sent {
                let _ = next(&mut body);
            }
            assert!(replay.is_whole());
        }
        assert_eq!(rest(&mut replay.body()), ["a", "b", "c"]);
    }

    #[test]
    fn an_attempt_that_was_given_up_sends_nothing_more() {
        let replay = replay(1024);
        let mut first = replay.body();
        assert_eq!(next(&mut first).unwrap().unwrap(), "a");
        let mut second = replay.body();
        assert!(next(&mut first).unwrap().is_err());
        assert!(!first.is_end_stream());
        assert_eq!(rest(&mut second), ["a", "b", "c"]);
    }

    /// It may have been the present one when it began to wait for the lock.
    #[test]
    fn an_attempt_that_is_given_up_while_it_waits_for_the_lock_changes_nothing() {
        let replay = replay(1024);
        let _first = replay.body();
        assert!(replay.0.lock_for(1).is_some());
        let _second = replay.body();
        assert!(replay.0.lock_for(1).is_none());
        assert!(replay.0.lock_for(2).is_some());
    }

    #[test]
    fn once_committed_the_present_attempt_goes_on_where_it_is() {
        for sent in 0..=3 {
            let replay = replay(1024);
            assert_eq!(rest(&mut replay.body()), ["a", "b", "c"]);
            let mut body = replay.body();
            for _ in 0..sent {
                let _ = next(&mut body);
            }
            replay.commit();
            assert_eq!(rest(&mut body), ["a", "b", "c"][sent..]);
        }
    }

    #[test]
    fn it_keeps_so_much_and_no_more() {
        let piece = 1 + size_of::<Bytes>();
        for (max_bytes, whole_pieces) in [(0, 0), (piece, 1), (2 * piece, 2), (3 * piece, 3)] {
            let replay = replay(max_bytes);
            let mut body = replay.body();
            let mut count = 0;
            while next(&mut body).is_some() && replay.is_whole() {
                count += 1;
            }
            assert_eq!(count, whole_pieces, "{max_bytes}");
        }
    }
}
