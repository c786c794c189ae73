//! What a service offers: its procedures and the functions that serve them.

use std::{future::Future, sync::Arc};

use connect_codec::{Decode, Encode};
use connect_proto::{Error, Spec, StreamType};

use crate::{
    message::request::Request,
    message::response::{Response, ResponseStream},
    message::streaming::Streaming,
    server::handler::{Handler, Many, One, Typed},
};

/// A service: a name and procedures. Generated code implements it for each service of a `.proto` file.
///
/// ```
/// use connect_tower::{Error, Methods, Prost, Request, Response, Router, Service, Spec, StreamType};
///
/// const UPPER: Spec = Spec::new("/demo.v1.Text/Upper", StreamType::Unary);
///
/// struct Text;
///
/// impl Service for Text {
///     const NAME: &'static str = "demo.v1.Text";
///
///     fn register(self, methods: &mut Methods) {
///         methods.unary::<Prost, _, _, _, _>(UPPER, |request: Request<String>| async move {
///             Ok(Response::new(request.message().to_uppercase()))
///         });
///     }
/// }
///
/// let router = Router::new().add_service(Text);
/// ```
pub trait Service {
    /// The full name, `package.Service`.
    const NAME: &'static str;

    /// Adds all procedures.
    fn register(self, methods: &mut Methods);
}

/// Collects procedures and the functions that serve them.
///
/// Each method's type parameters are the message library, request and response message, function and future; all but
/// the library are inferred. The stream type is that of the method, whatever the [`Spec`] says.
#[derive(Default)]
pub struct Methods {
    pub(crate) routes: Vec<Route>,
}

/// A procedure and its handler.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) spec: Spec,
    pub(crate) handler: Arc<dyn Handler>,
}

impl Methods {
    /// Serves a procedure of one request and one response message.
    pub fn unary<L, Req, Res, F, Fut>(&mut self, spec: Spec, function: F) -> &mut Self
    where
        L: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: Send + 'static,
        F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Res>, Error>> + Send + 'static,
    {
        let handler = Typed::<L, One<Req>, One<Res>, F>::new(function);
        self.add(spec, StreamType::Unary, handler)
    }

    /// Serves a procedure of one request message and a stream of responses.
    pub fn server_stream<L, Req, Res, F, Fut>(&mut self, spec: Spec, function: F) -> &mut Self
    where
        L: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: 'static,
        F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<ResponseStream<Res>>, Error>> + Send + 'static,
    {
        let handler = Typed::<L, One<Req>, Many<Res>, F>::new(function);
        self.add(spec, StreamType::ServerStream, handler)
    }

    /// Serves a procedure of a stream of requests and one response message.
    pub fn client_stream<L, Req, Res, F, Fut>(&mut self, spec: Spec, function: F) -> &mut Self
    where
        L: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: Send + 'static,
        F: Fn(Request<Streaming<Req>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Res>, Error>> + Send + 'static,
    {
        let handler = Typed::<L, Many<Req>, One<Res>, F>::new(function);
        self.add(spec, StreamType::ClientStream, handler)
    }

    /// Serves a procedure of streams both ways, in any order.
    pub fn bidi_stream<L, Req, Res, F, Fut>(&mut self, spec: Spec, function: F) -> &mut Self
    where
        L: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: 'static,
        F: Fn(Request<Streaming<Req>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<ResponseStream<Res>>, Error>> + Send + 'static,
    {
        let handler = Typed::<L, Many<Req>, Many<Res>, F>::new(function);
        self.add(spec, StreamType::BidiStream, handler)
    }

    fn add(
        &mut self,
        spec: Spec,
        stream_type: StreamType,
        handler: impl Handler + 'static,
    ) -> &mut Self {
        let spec = if spec.stream_type() == stream_type {
            spec
        } else {
            Spec::from_path(spec.procedure().to_owned(), stream_type)
                .with_idempotency(spec.idempotency())
        };
        let handler = Arc::new(handler);
        self.routes.push(Route { spec, handler });
        self
    }
}

impl std::fmt::Debug for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let specs = self.routes.iter().map(|route| &route.spec);
        f.debug_list().entries(specs).finish()
    }
}
