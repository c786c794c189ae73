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
    pub(crate) descriptor_sets: Vec<&'static [u8]>,
    pass_router: bool,
}

/// A procedure and its handler.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) spec: Spec,
    pub(crate) handler: Arc<dyn Handler>,
    /// Whether requests carry the router that serves them.
    pub(crate) pass_router: bool,
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

    /// Adds the schemas of these procedures, an encoded `google.protobuf.FileDescriptorSet` with all imports. They are in
    /// the router's [`descriptor_sets`](crate::Router::descriptor_sets), where reflection finds them. Generated code calls it.
    pub fn add_descriptor_set(&mut self, set: &'static [u8]) -> &mut Self {
        self.descriptor_sets.push(set);
        self
    }

    /// Puts the [`Router`](crate::Router) that serves a call into the extensions of its request, for the procedures that
    /// are added after this: for services that describe the others, such as reflection.
    ///
    /// ```
    /// use connect_tower::{Request, Response, Prost, Router, Spec, StreamType};
    ///
    /// const COUNT: Spec = Spec::new("/demo.v1.Services/Count", StreamType::Unary);
    ///
    /// let router = Router::new().add_methods(|methods| {
    ///     methods.pass_router().unary::<Prost, _, _, _, _>(COUNT, |request: Request<()>| async move {
    ///         let router: Option<&Router> = request.extensions().get();
    ///         let services = router.map_or(0, |router| router.service_names().len());
    ///         Ok(Response::new(services.to_string()))
    ///     });
    /// });
    /// ```
    pub fn pass_router(&mut self) -> &mut Self {
        self.pass_router = true;
        self
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
        self.routes.push(Route {
            spec,
            handler: Arc::new(handler),
            pass_router: self.pass_router,
        });
        self
    }
}

impl std::fmt::Debug for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let specs = self.routes.iter().map(|route| &route.spec);
        f.debug_list().entries(specs).finish()
    }
}
