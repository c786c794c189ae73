//! The browser's clock and timeouts.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use connect_tower::{
    Time,
    rt::{SharedTimer, Sleep, Timer},
};
use js_sys::Function;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};

use crate::js;

/// The browser's clock, with which [`FetchTransport`](crate::FetchTransport) keeps deadlines: `performance.now()`, and
/// `setTimeout` to be woken.
///
/// For calls that no transport of this crate drives, such as those in process, and for sleeping between retries.
#[must_use]
pub fn timer() -> SharedTimer {
    Arc::new(WebTimer)
}

#[derive(Debug)]
struct WebTimer;

impl Timer for WebTimer {
    fn now(&self) -> Time {
        // Wherever there is `fetch`, there is `performance`. It may be coarse, but never goes back.
        let elapsed = js::get(&js_sys::global(), "performance")
            .and_then(|performance| {
                let now: Function = js::get(&performance, "now")?.dyn_into().ok()?;
                now.call0(&performance).ok()?.as_f64()
            })
            .and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok());
        Time::from_epoch(elapsed.unwrap_or_default())
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        Box::pin(SleepFuture {
            at,
            timeout: SendWrapper::new(Timeout::new(at.saturating_since(self.now()))),
        })
    }
}

struct SleepFuture {
    at: Time,
    timeout: SendWrapper<Timeout>,
}

impl Future for SleepFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.timeout.is_over() {
            let rest = self.at.saturating_since(WebTimer.now());
            if rest.is_zero() {
                return Poll::Ready(());
            }
            // It was cut, or went off a little early.
            self.timeout = SendWrapper::new(Timeout::new(rest));
        }
        let state = &mut *self.timeout.state.borrow_mut();
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            waker @ None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// A callback that `setTimeout` was asked for. Dropping it takes that back.
struct Timeout {
    state: Rc<RefCell<State>>,
    id: JsValue,
    /// What JavaScript calls; it must live as long as that can happen.
    _callback: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct State {
    is_over: bool,
    waker: Option<Waker>,
}

impl Timeout {
    fn new(duration: Duration) -> Self {
        let state = Rc::<RefCell<State>>::default();
        let shared = state.clone();
        let callback = Closure::once(move || {
            let mut state = shared.borrow_mut();
            state.is_over = true;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        // A longer time would overflow its 31 bits and end at once.
        let millis = (duration.as_secs_f64() * 1000.0)
            .ceil()
            .min(f64::from(i32::MAX));
        let id = js::function("setTimeout").and_then(|set| {
            set.call2(&js_sys::global(), callback.as_ref(), &millis.into())
                .ok()
        });
        Self {
            state,
            id: id.unwrap_or_default(),
            _callback: callback,
        }
    }

    fn is_over(&self) -> bool {
        self.state.borrow().is_over
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        if let Some(clear) = js::function("clearTimeout") {
            // It cannot fail; one that has gone off is ignored.
            let _ = clear.call1(&js_sys::global(), &self.id);
        }
    }
}
