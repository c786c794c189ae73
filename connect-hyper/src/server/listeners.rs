//! The listeners of a server, each with its own type of connections, so that none of them is boxed.

use std::{convert::Infallible, fmt, future::Future, sync::Arc};

use super::{
    accept,
    accept::Accepting,
    service::HttpService,
    workers::{self, Worker},
};
use crate::{
    runtime::{Either, ListenAddr, Listener, Runtime, race},
    tls::TlsAcceptor,
};

/// A listener, and the TLS of its connections.
pub struct Bound<R, L: Listener<R>> {
    pub(super) sockets: Sockets<R, L>,
    pub(super) tls: Option<Arc<dyn TlsAcceptor<R, L::Io>>>,
}

/// Where the connections of a listener are accepted.
pub(super) enum Sockets<R, L> {
    /// Where the server serves.
    Here(L),
    /// On threads that have a socket each.
    Workers(Vec<Worker<R, L>>),
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
        let tls = self.tls.as_ref();
        match &mut self.sockets {
            Sockets::Here(listener) => accept::accept(listener, tls, accepting, service).await,
            Sockets::Workers(workers) => workers::accept(workers, tls, accepting, service).await,
        }
    }

    fn add_local_addrs(&self, to: &mut Vec<ListenAddr>) {
        to.extend(self.local_addr());
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

impl<R, L: Listener<R>> Bound<R, L> {
    pub(super) fn here(listener: L) -> Self {
        Self {
            sockets: Sockets::Here(listener),
            tls: None,
        }
    }

    pub(super) fn local_addr(&self) -> Option<ListenAddr> {
        match &self.sockets {
            Sockets::Here(listener) => listener.local_addr(),
            Sockets::Workers(workers) => workers::local_addr(workers),
        }
    }
}

impl<R, L: Listener<R>> fmt::Debug for Bound<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("local_addr", &self.local_addr())
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
