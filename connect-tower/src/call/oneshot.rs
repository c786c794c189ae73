//! One request to a service.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::call::polled_again;

pin_project! {
    /// Waits until the service is ready, then for its response.
    pub(crate) struct Oneshot<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, F> {
        Waiting {
            service: S,
            // Taken when the service is ready.
            request: Option<R>,
        },
        Calling {
            #[pin]
            future: F,
        },
    }
}

impl<S: Service<R>, R> Oneshot<S, R> {
    pub(crate) const fn new(service: S, request: R) -> Self {
        Self {
            state: State::Waiting {
                service,
                request: Some(request),
            },
        }
    }
}

impl<S: Service<R>, R> Future for Oneshot<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else {
                        return polled_again();
                    };
                    service.call(request)
                }
            };
            state.set(State::Calling { future });
        }
    }
}
