//! Streams written as async code.

mod common;

use std::{
    future::{Future, pending, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use common::{SPLIT, block_on, poll_until_stalled};
use connect_tower::{Code, Error, Prost, Request, Response, ResponseStream, Router, Yielder};
use futures_util::{StreamExt, future::join};

#[test]
fn messages_come_in_order_and_the_result_ends_the_stream() {
    block_on(async {
        let numbers: Vec<_> = ResponseStream::generate(|mut numbers| async move {
            for number in 0..3 {
                numbers.send(number).await;
            }
            Err(Error::aborted("enough"))
        })
        .collect()
        .await;
        assert_eq!(numbers[..3], [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(numbers[3].as_ref().unwrap_err().code(), Code::Aborted);
        assert_eq!(numbers.len(), 4);
    });
}

/// Parts of the code that are polled by wakers of their own are woken too.
#[test]
fn the_code_may_have_parts_with_their_own_wakers() {
    block_on(async {
        let numbers: Vec<_> = ResponseStream::generate(|mut numbers| async move {
            let sending = async {
                for number in 0..3 {
                    numbers.send(number).await;
                }
            };
            let mut parts = futures_util::stream::FuturesUnordered::from_iter([sending]);
            join(async { while parts.next().await.is_some() {} }, async {}).await;
            Ok(())
        })
        .map(Result::unwrap)
        .collect()
        .await;
        assert_eq!(numbers, [0, 1, 2]);
    });
}

/// No message is made before the one before has left.
#[test]
fn the_code_works_no_further_than_it_is_pulled() {
    let made = AtomicUsize::new(0);
    let made: &'static _ = Box::leak(Box::new(made));
    let mut stream = ResponseStream::generate(|mut numbers| async move {
        loop {
            let number = made.fetch_add(1, Ordering::SeqCst);
            numbers.send(number).await;
        }
    });
    for number in 0..3 {
        let next = Box::pin(stream.next());
        let next = poll_until_stalled(std::pin::pin!(next)).unwrap();
        assert_eq!(next, Some(Ok(number)));
        assert_eq!(made.load(Ordering::SeqCst), number + 1);
    }
}

#[test]
fn a_call_that_ends_early_drops_the_code() {
    let alive = Arc::new(());
    let held = alive.clone();
    let router = Router::new().server_stream(SPLIT, move |_: Request<String>| {
        let held = held.clone();
        async move {
            Ok(Response::new(ResponseStream::generate(
                |mut words| async move {
                    let _held = held;
                    loop {
                        words.send(String::from("word")).await;
                    }
                },
            )))
        }
    });
    let client = common::client(router);
    block_on(async {
        let request = Request::new(String::new());
        let mut stream = client
            .server_stream::<Prost, _, String>(&SPLIT, request)
            .await
            .unwrap()
            .into_stream();
        assert!(stream.message().await.unwrap().is_some());
        assert_eq!(Arc::strong_count(&alive), 3);
        drop(stream);
        assert_eq!(Arc::strong_count(&alive), 2);
    });
}

/// A task that counts how often it was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn task() -> (Arc<Task>, Waker) {
    let task = Arc::new(Task::default());
    (task.clone(), Waker::from(task))
}

/// A stream whose yielder was moved out of the code, which itself goes on as `code`.
fn moved_out(
    code: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> (ResponseStream<u32>, Yielder<u32>) {
    let mut moved = None;
    let stream = ResponseStream::generate(|yielder| {
        moved = Some(yielder);
        code
    });
    (stream, moved.unwrap())
}

#[test]
fn a_yielder_in_another_task_wakes_the_reader_and_is_woken() {
    let (mut stream, mut numbers) = moved_out(pending());
    let (reader, reader_waker) = task();
    let (writer, writer_waker) = task();
    let mut reading = Context::from_waker(&reader_waker);
    let mut writing = Context::from_waker(&writer_waker);
    for number in 0..3 {
        assert!(stream.poll_next_unpin(&mut reading).is_pending());
        let mut sent = pin!(numbers.send(number));
        assert!(sent.as_mut().poll(&mut writing).is_pending());
        assert_eq!(reader.0.swap(0, Ordering::SeqCst), 1);
        assert_eq!(
            stream.poll_next_unpin(&mut reading),
            Poll::Ready(Some(Ok(number)))
        );
        assert_eq!(writer.0.swap(0, Ordering::SeqCst), 1);
        assert_eq!(sent.poll(&mut writing), Poll::Ready(true));
    }
}

/// Both ends in one task, side by side: a message that is taken wakes the task for the one who sent it.
#[test]
fn a_yielder_beside_its_stream_in_one_task_is_woken() {
    let (mut stream, mut numbers) = moved_out(pending());
    let (task, waker) = task();
    let mut cx = Context::from_waker(&waker);
    let mut sent = pin!(numbers.send(1));
    assert!(sent.as_mut().poll(&mut cx).is_pending());
    assert_eq!(stream.poll_next_unpin(&mut cx), Poll::Ready(Some(Ok(1))));
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    assert_eq!(sent.poll(&mut cx), Poll::Ready(true));
}

#[test]
fn code_that_sends_wakes_nobody() {
    let mut stream = ResponseStream::generate(|mut numbers: Yielder<u32>| async move {
        for number in 0..3 {
            assert!(numbers.send(number).await);
        }
        Ok(())
    });
    let (task, waker) = task();
    let mut cx = Context::from_waker(&waker);
    for number in 0..3 {
        assert_eq!(
            stream.poll_next_unpin(&mut cx),
            Poll::Ready(Some(Ok(number)))
        );
    }
    assert_eq!(stream.poll_next_unpin(&mut cx), Poll::Ready(None));
    assert_eq!(task.0.load(Ordering::SeqCst), 0);
}

#[test]
fn nothing_is_sent_once_the_stream_is_dropped() {
    let (stream, mut numbers) = moved_out(pending());
    let (writer, waker) = task();
    let mut cx = Context::from_waker(&waker);
    {
        let mut sent = pin!(numbers.send(1));
        assert!(sent.as_mut().poll(&mut cx).is_pending());
        drop(stream);
        assert_eq!(writer.0.load(Ordering::SeqCst), 1);
        assert_eq!(sent.poll(&mut cx), Poll::Ready(false));
    }
    assert_eq!(pin!(numbers.send(2)).poll(&mut cx), Poll::Ready(false));
}

#[test]
fn nothing_is_sent_once_the_code_has_ended() {
    let (mut stream, mut numbers) = moved_out(ready(Ok(())));
    let (_, waker) = task();
    let mut cx = Context::from_waker(&waker);
    assert_eq!(stream.poll_next_unpin(&mut cx), Poll::Ready(None));
    assert_eq!(pin!(numbers.send(1)).poll(&mut cx), Poll::Ready(false));
}
