//! The listeners of a server, each with its own type of connections, so that none of them is boxed.

use std::{convert::Infallible, fmt, future::Future, sync::Arc};

use super::{accept, accept::Accepting, service::HttpService};
use crate::{
    runtime::{Either, ListenAddr, Listener, Runtime, race},
    tls::TlsAcceptor,
};

/// A listener, and the TLS of its connections.
pub struct Bound<R, L: Listener<R>> {
    pub(super) listener: L,
    pub(super) tls: Option<Arc<dyn TlsAcceptor<R, L::Io>>>,
}

/// The listeners that a server has beside its first: `()`, or a pair of such and one more. There is nothing to implement.
pub trait MoreListeners<R: Runtime>: sealed::Listeners<R> {}

impl<R: Runtime, T: sealed::Listeners<R>> MoreListeners<R> for T {}

pub(super) mod sealed {
    use super::{Accepting, Future, HttpService, Infallible, ListenAddr, Runtime};

    #[expect(unnameable_types, reason = "nobody else implements it")]
    pub trait Listeners<R: Runtime>: Send + 'static {
        /// Accepts connections without end.
        fn accept<S: HttpService>(
            &mut self,
            accepting: &Accepting<R>,
            service: S,
        ) -> impl Future<Output = Infallible> + Send;

        /// Where they listen, in order.
        fn add_local_addrs(&self, to: &mut Vec<ListenAddr>);
    }
}

impl<R: Runtime> sealed::Listeners<R> for () {
    async fn accept<S: HttpService>(&mut self, _: &Accepting<R>, _: S) -> Infallible {
        std::future::pending().await
    }

    fn add_local_addrs(&self, _: &mut Vec<ListenAddr>) {}
}

impl<R: Runtime, L: Listener<R>> sealed::Listeners<R> for Bound<R, L> {
    async fn accept<S: HttpService>(&mut self, accepting: &Accepting<R>, service: S) -> Infallible {
        accept::accept(&mut self.listener, self.tls.as_ref(), accepting, service).await
    }

    fn add_local_addrs(&self, to: &mut Vec<ListenAddr>) {
        to.extend(self.listener.local_addr());
    }
}

impl<R, M, L> sealed::Listeners<R> for (M, Bound<R, L>)
where
    R: Runtime,
    M: sealed::Listeners<R>,
    L: Listener<R>,
{
    async fn accept<S: HttpService>(&mut self, accepting: &Accepting<R>, service: S) -> Infallible {
        let (more, last) = self;
        let last = sealed::Listeners::accept(last, accepting, service.clone());
        match race(more.accept(accepting, service), last).await {
            Either::Left(never) | Either::Right(never) => never,
        }
    }

    fn add_local_addrs(&self, to: &mut Vec<ListenAddr>) {
        let (more, last) = self;
        more.add_local_addrs(to);
        last.add_local_addrs(to);
    }
}

impl<R, L: Listener<R>> fmt::Debug for Bound<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("local_addr", &self.listener.local_addr())
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
