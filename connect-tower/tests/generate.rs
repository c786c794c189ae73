//! Streams written as async code.

mod common;

use common::{SPLIT, block_on, poll_until_stalled};
use connect_tower::{Code, Error, Prost, Request, Response, ResponseStream, Router};
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
    let made = std::sync::atomic::AtomicUsize::new(0);
    let made: &'static _ = Box::leak(Box::new(made));
    let mut stream = ResponseStream::generate(|mut numbers| async move {
        loop {
            let number = made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            numbers.send(number).await;
        }
    });
    for number in 0..3 {
        let next = Box::pin(stream.next());
        let next = poll_until_stalled(std::pin::pin!(next)).unwrap();
        assert_eq!(next, Some(Ok(number)));
        assert_eq!(made.load(std::sync::atomic::Ordering::SeqCst), number + 1);
    }
}

#[test]
fn a_call_that_ends_early_drops_the_code() {
    let alive = std::sync::Arc::new(());
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
        assert_eq!(std::sync::Arc::strong_count(&alive), 3);
        drop(stream);
        assert_eq!(std::sync::Arc::strong_count(&alive), 2);
    });
}
