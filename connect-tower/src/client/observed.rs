//! Observers of a client's calls.

use std::future::Future;

use connect_proto::{Error, Side, Spec};
use http::uri::Authority;

use super::Client;
use crate::{
    call::observe::{CallGuard, CallStart, InScope, Observed},
    message::{request::Request, response::Response, streaming::Streaming},
    transport::Transport,
};

impl<T: Transport> Client<T> {
    /// Tells the observers of a call that is made.
    pub(crate) fn begin<Req>(&self, spec: &Spec, request: &mut Request<Req>) -> Option<CallGuard> {
        if self.settings.observers.is_empty() {
            return None;
        }
        let head = &mut request.head;
        let mut start = CallStart {
            side: Side::Client,
            spec: Some(spec),
            path: spec.procedure(),
            protocol: Some(self.config().protocol()),
            authority: self.transport.authority().map(Authority::as_str),
            headers: &mut head.headers,
            extensions: &mut head.extensions,
        };
        let own = self.settings.timer.clone();
        let timer = own.or_else(|| self.transport.timer());
        let call = Observed::begin(&self.settings.observers, &mut start, timer)?;
        head.observed = Some(call.observed().clone());
        Some(call)
    }

    /// A call that ends with its response.
    pub(crate) async fn observe_single<Req, Res, F>(
        &self,
        spec: &Spec,
        mut request: Request<Req>,
        make: impl FnOnce(Request<Req>) -> F,
    ) -> Result<Response<Res>, Error>
    where
        F: Future<Output = Result<Response<Res>, Error>>,
    {
        let call = self.begin(spec, &mut request);
        let response = InScope::new(call.as_ref(), make(request)).await;
        if let Some(call) = call {
            call.end(response.as_ref().map(|_| ()));
        }
        response
    }

    /// A call that ends with the stream of its response.
    pub(crate) async fn observe_stream<Req, Res, F>(
        &self,
        spec: &Spec,
        mut request: Request<Req>,
        make: impl FnOnce(Request<Req>) -> F,
    ) -> Result<Response<Streaming<Res, T::Body>>, Error>
    where
        F: Future<Output = Result<Response<Streaming<Res, T::Body>>, Error>>,
    {
        let call = self.begin(spec, &mut request);
        match InScope::new(call.as_ref(), make(request)).await {
            Ok(response) => Ok(response.map(|stream| stream.with_call(call))),
            Err(error) => {
                if let Some(call) = call {
                    call.end(Err(&error));
                }
                Err(error)
            }
        }
    }
}
