//! A service and a clock that stands still unless a handler moves it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate and uses its own part of this"
)]

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use connect_tower::{
    Error, Peer, Request, Response, ResponseStream, Router, Spec, StreamType, Time,
    rt::{Sleep, Timer},
};

pub const UPPER: Spec = Spec::new("/test.v1.Text/Upper", StreamType::Unary);
pub const SPLIT: Spec = Spec::new("/test.v1.Text/Split", StreamType::ServerStream);
pub const NOPE: Spec = Spec::new("/test.v1.Text/Nope", StreamType::Unary);

/// Milliseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    pub fn advance(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Timer for Clock {
    fn now(&self) -> Time {
        Time::from_epoch(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }

    fn sleep_until(&self, _: Time) -> Sleep {
        Box::pin(std::future::pending())
    }
}

/// Takes 20 ms a call. `Upper` fails with the code that it is asked for.
pub fn router(clock: &Clock) -> Router {
    let (unary, stream) = (clock.clone(), clock.clone());
    Router::new()
        .unary(UPPER, move |request: Request<String>| {
            let clock = unary.clone();
            async move {
                clock.advance(20);
                match request.message().parse() {
                    Ok(code) => Err(Error::new(code, "no luck").with_source("the disk is full")),
                    Err(_) => Ok(Response::new(request.message().to_uppercase())),
                }
            }
        })
        .server_stream(SPLIT, move |request: Request<String>| {
            let clock = stream.clone();
            async move {
                clock.advance(20);
                let words = request.message().split(' ').map(str::to_owned);
                let words: Vec<_> = words.collect();
                Ok(Response::new(ResponseStream::from(words)))
            }
        })
        .with_timer(Arc::new(clock.clone()))
}

pub fn peer() -> Peer {
    Peer::new(([192, 0, 2, 7], 50_123).into())
}

/// Runs a future that waits for nothing but itself.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}
