//! The router: procedures by path, and the settings of their calls.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fmt,
    future::Future,
    sync::Arc,
};

use bytes::Bytes;
use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{Compressions, DeadlinePolicy, Error, Limits, ServerConfig, Spec};
use http::{Extensions, Request as HttpRequest, Response as HttpResponse};
use http_body::Body;

use crate::{
    BoxError, BoxFuture,
    call::body::CallBody,
    call::connection::Connection,
    call::incoming::IncomingBody,
    call::observe::Observer,
    call::oneshot::Oneshot,
    call::rt::{SharedTimer, no_timer},
    interceptor::{DynInterceptor, Interceptor},
    message::request::Request,
    message::response::{Response, ResponseStream},
    message::streaming::Streaming,
    server::gate::{DynGate, Gate},
    server::methods::{Methods, Route, Service},
};

/// Serves calls: procedures by path, over any HTTP server that takes a [`tower_service::Service`].
///
/// A router speaks Connect, gRPC and gRPC-Web on every procedure. It is a service for requests with any body, so it
/// stands alone behind an adapter, inside a stack of tower layers, inside another framework's router, or in a test
/// without a socket. A clone is cheap.
///
/// Settings belong to the router, whenever they are made: a [gate](Self::add_gate) also guards services that are added
/// after it. A [merged](Self::merge) router's procedures keep the settings that they had, so that some services can
/// have limits of their own; gates, interceptors and observers of both routers apply, the outer router's first.
///
/// ```
/// use connect_tower::{Limits, Request, Response, Router, Spec, StreamType};
///
/// const UPPER: Spec = Spec::new("/demo.v1.Text/Upper", StreamType::Unary);
///
/// let router = Router::new()
///     .unary(UPPER, |request: Request<String>| async move {
///         Ok(Response::new(request.message().to_uppercase()))
///     })
///     .with_limits(Limits::default().with_recv_message_bytes(1024));
/// assert_eq!(router.procedures().count(), 1);
/// ```
#[derive(Clone)]
pub struct Router {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Clone)]
pub(crate) struct Inner {
    /// The procedures by path: places in `procedures`.
    paths: HashMap<Arc<str>, usize>,
    procedures: Vec<Entry>,
    /// The paths of services, `/package.Service`.
    services: HashSet<String>,
    /// The schemas of the services; no two are equal.
    descriptor_sets: Vec<&'static [u8]>,
    /// The first is the router's own, the others came by merging.
    scopes: Vec<Scope>,
    timer: Option<SharedTimer>,
    fallback: Option<Arc<Fallback>>,
}

#[derive(Clone)]
struct Entry {
    route: Route,
    /// A place in `scopes`.
    scope: usize,
}

/// A procedure of a router: all that its calls need, in one pointer.
#[derive(Clone)]
pub(crate) struct Procedure {
    router: Arc<Inner>,
    index: usize,
}

impl Procedure {
    pub(crate) fn route(&self) -> &Route {
        &self.router.procedures[self.index].route
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.router.scopes[self.router.procedures[self.index].scope]
    }

    /// The timer of a call whose request has these extensions.
    pub(crate) fn timer<'a>(&'a self, extensions: &'a Extensions) -> &'a SharedTimer {
        match self.router.timer_for(extensions) {
            Some(timer) => timer,
            None => no_timer(),
        }
    }

    /// The codecs that its messages can be had in.
    pub(crate) fn offered_codecs(&self) -> impl Iterator<Item = &Codec> {
        let supported = |codec: &&Codec| self.route().handler.supports(codec);
        self.scope().codecs.iter().filter(supported)
    }

    pub(crate) fn router(&self) -> Router {
        Router {
            inner: self.router.clone(),
        }
    }
}

/// The settings of some procedures.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub(crate) config: ServerConfig,
    pub(crate) codecs: Codecs,
    pub(crate) gates: Vec<Arc<dyn DynGate>>,
    pub(crate) interceptors: Vec<Arc<dyn DynInterceptor>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// How many of the gates, interceptors and observers belong to the routers that this one was merged into.
    outer_gates: usize,
    outer_interceptors: usize,
    outer_observers: usize,
}

pub(crate) type Fallback =
    dyn Fn(HttpRequest<IncomingBody>) -> BoxFuture<'static, HttpResponse<CallBody>> + Send + Sync;

/// Two routers serve the same procedures: see [`Router::merge`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteConflict {
    procedures: Vec<String>,
}

impl RouteConflict {
    /// The paths of the procedures, in alphabetical order.
    #[must_use]
    pub fn procedures(&self) -> &[String] {
        &self.procedures
    }
}

impl fmt::Display for RouteConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "served already: {}", self.procedures.join(", "))
    }
}

impl std::error::Error for RouteConflict {}

impl Router {
    /// A router that serves nothing yet, with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                paths: HashMap::new(),
                procedures: Vec::new(),
                services: HashSet::new(),
                descriptor_sets: Vec::new(),
                scopes: vec![Scope::default()],
                timer: None,
                fallback: None,
            }),
        }
    }

    /// Adds a service. A procedure that is served already is served by this one from now on; where that would be a
    /// mistake, use [`try_add_service`](Self::try_add_service).
    #[must_use]
    pub fn add_service<S: Service>(self, service: S) -> Self {
        self.add_methods(|methods| service.register(methods))
    }

    /// Adds a service.
    ///
    /// # Errors
    ///
    /// If one of its procedures is served already.
    pub fn try_add_service<S: Service>(self, service: S) -> Result<Self, RouteConflict> {
        let mut methods = Methods::default();
        service.register(&mut methods);
        self.check_conflict(methods.routes.iter().map(|route| route.spec.procedure()))?;
        Ok(self.add_routes(methods))
    }

    /// Adds procedures that are served by functions, in messages of any library. A procedure that is served already is
    /// served by the new function from now on.
    #[must_use]
    pub fn add_methods(self, add: impl FnOnce(&mut Methods)) -> Self {
        let mut methods = Methods::default();
        add(&mut methods);
        self.add_routes(methods)
    }

    /// Serves a procedure of one request and one response message, without generated code.
    #[must_use]
    pub fn unary<Req, Res, F, Fut>(self, spec: Spec, function: F) -> Self
    where
        Prost: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: Send + 'static,
        F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Res>, Error>> + Send + 'static,
    {
        self.add_methods(|methods| {
            methods.unary::<Prost, _, _, _, _>(spec, function);
        })
    }

    /// Serves a procedure of one request message and a stream of responses, without generated code.
    #[must_use]
    pub fn server_stream<Req, Res, F, Fut>(self, spec: Spec, function: F) -> Self
    where
        Prost: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: 'static,
        F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<ResponseStream<Res>>, Error>> + Send + 'static,
    {
        self.add_methods(|methods| {
            methods.server_stream::<Prost, _, _, _, _>(spec, function);
        })
    }

    /// Serves a procedure of a stream of requests and one response message, without generated code.
    #[must_use]
    pub fn client_stream<Req, Res, F, Fut>(self, spec: Spec, function: F) -> Self
    where
        Prost: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: Send + 'static,
        F: Fn(Request<Streaming<Req>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Res>, Error>> + Send + 'static,
    {
        self.add_methods(|methods| {
            methods.client_stream::<Prost, _, _, _, _>(spec, function);
        })
    }

    /// Serves a procedure of streams both ways, without generated code.
    #[must_use]
    pub fn bidi_stream<Req, Res, F, Fut>(self, spec: Spec, function: F) -> Self
    where
        Prost: Decode<Req> + Encode<Res>,
        Req: 'static,
        Res: 'static,
        F: Fn(Request<Streaming<Req>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<ResponseStream<Res>>, Error>> + Send + 'static,
    {
        self.add_methods(|methods| {
            methods.bidi_stream::<Prost, _, _, _, _>(spec, function);
        })
    }

    /// Adds the procedures of another router, which keep that router's limits, compressions, codecs and deadline
    /// policy, and its gates and interceptors, inside of this router's. Its timer and its fallback are taken where this
    /// router has none.
    ///
    /// # Errors
    ///
    /// If both serve the same procedure.
    pub fn merge(mut self, other: Self) -> Result<Self, RouteConflict> {
        self.check_conflict(other.procedures().map(Spec::procedure))?;
        let inner = Arc::make_mut(&mut self.inner);
        let other = Arc::unwrap_or_clone(other.inner);
        let offset = inner.scopes.len();
        let own = inner.scopes[0].clone();
        for mut scope in other.scopes {
            scope.gates.splice(..0, own.gates.iter().cloned());
            scope
                .interceptors
                .splice(..0, own.interceptors.iter().cloned());
            scope.observers.splice(..0, own.observers.iter().cloned());
            scope.outer_gates = own.gates.len();
            scope.outer_interceptors = own.interceptors.len();
            scope.outer_observers = own.observers.len();
            inner.scopes.push(scope);
        }
        for mut entry in other.procedures {
            entry.scope += offset;
            inner.add(entry);
        }
        inner.services.extend(other.services);
        inner.add_descriptor_sets(&other.descriptor_sets);
        inner.timer = inner.timer.take().or(other.timer);
        inner.fallback = inner.fallback.take().or(other.fallback);
        Ok(self)
    }

    /// Adds a gate, after those that are there.
    #[must_use]
    pub fn add_gate(mut self, gate: impl Gate) -> Self {
        let gate: Arc<dyn DynGate> = Arc::new(gate);
        for scope in self.scopes_mut() {
            scope.gates.insert(scope.outer_gates, gate.clone());
            scope.outer_gates += 1;
        }
        self
    }

    /// Adds an interceptor, inside of those that are there.
    #[must_use]
    pub fn add_interceptor(mut self, interceptor: impl Interceptor) -> Self {
        let interceptor: Arc<dyn DynInterceptor> = Arc::new(interceptor);
        for scope in self.scopes_mut() {
            let place = scope.outer_interceptors;
            scope.interceptors.insert(place, interceptor.clone());
            scope.outer_interceptors += 1;
        }
        self
    }

    /// Adds an observer, inside of those that are there. Procedures that nobody serves are told to the observers of this
    /// router, not to those of [merged](Self::merge) ones.
    #[must_use]
    pub fn add_observer(mut self, observer: impl Observer) -> Self {
        let observer: Arc<dyn Observer> = Arc::new(observer);
        for scope in self.scopes_mut() {
            let place = scope.outer_observers;
            scope.observers.insert(place, observer.clone());
            scope.outer_observers += 1;
        }
        self
    }

    /// Answers requests whose path belongs to no service of this router: pages, files, another framework's router.
    ///
    /// A path `/package.Service/Method` of a service that has other methods here is answered as an unknown method.
    #[must_use]
    pub fn with_fallback<S, B>(mut self, service: S) -> Self
    where
        S: tower_service::Service<
                HttpRequest<IncomingBody>,
                Response = HttpResponse<B>,
                Error = Infallible,
                Future: Send,
            > + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Arc::make_mut(&mut self.inner).fallback = Some(Arc::new(move |request| {
            let answer = Oneshot::new(service.clone(), request);
            Box::pin(async move {
                match answer.await {
                    Ok(response) => response.map(CallBody::foreign),
                    Err(never) => match never {},
                }
            })
        }));
        self
    }

    /// Sets limits, compressions, deadline policy and the rest at once; see [`ServerConfig`] for the defaults.
    #[must_use]
    pub fn with_config(self, config: ServerConfig) -> Self {
        self.configure(|scope| scope.config = config)
    }

    /// Sets the limits of calls; see [`Limits`] for the defaults.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.change_config(|config| config.with_limits(limits))
    }

    /// Sets the compressions to accept and to answer with. Default: those of the enabled features.
    #[must_use]
    pub fn with_compressions(self, compressions: Compressions) -> Self {
        self.change_config(|config| config.with_compressions(compressions))
    }

    /// Sets what becomes of the timeouts that clients ask for. Default: they are taken as they are.
    #[must_use]
    pub fn with_deadline_policy(self, policy: DeadlinePolicy) -> Self {
        self.change_config(|config| config.with_deadline_policy(policy))
    }

    /// Sets the codecs on offer; a call in any other is answered with HTTP 415. Default: `proto` and `json`.
    #[must_use]
    pub fn with_codecs(self, codecs: Codecs) -> Self {
        self.configure(|scope| scope.codecs = codecs)
    }

    /// Sets the timer that deadlines are measured with. Without one it is the one that the adapter leaves in the
    /// [`Connection`] of each request; without that either, deadlines are not enforced.
    #[must_use]
    pub fn with_timer(mut self, timer: SharedTimer) -> Self {
        Arc::make_mut(&mut self.inner).timer = Some(timer);
        self
    }

    /// Limits, compressions and deadline policy of the procedures that were not [merged](Self::merge) into this router.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        &self.inner.scopes[0].config
    }

    /// The codecs on offer for the procedures that were not [merged](Self::merge) into this router.
    #[must_use]
    pub fn codecs(&self) -> &Codecs {
        &self.inner.scopes[0].codecs
    }

    /// The router's own timer, if it was given one.
    #[must_use]
    pub fn timer(&self) -> Option<&SharedTimer> {
        self.inner.timer()
    }

    /// The procedures that are served, in no order.
    pub fn procedures(&self) -> impl Iterator<Item = &Spec> {
        self.inner.procedures.iter().map(|entry| &entry.route.spec)
    }

    /// The full names of the services that have a procedure here, in alphabetical order.
    #[must_use]
    pub fn service_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.procedures().map(Spec::service).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The schemas of the services, each an encoded `google.protobuf.FileDescriptorSet`, in the order in which they were
    /// [added](Methods::add_descriptor_set). No two sets are equal; a file may be in several.
    #[must_use]
    pub fn descriptor_sets(&self) -> &[&'static [u8]] {
        &self.inner.descriptor_sets
    }

    fn add_routes(mut self, methods: Methods) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        for route in methods.routes {
            let service = service_path(route.spec.procedure());
            inner.services.insert(service.to_owned());
            inner.add(Entry { route, scope: 0 });
        }
        inner.add_descriptor_sets(&methods.descriptor_sets);
        self
    }

    fn check_conflict<'a>(
        &self,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<(), RouteConflict> {
        let known = paths.filter(|path| self.inner.paths.contains_key(*path));
        let mut procedures: Vec<_> = known.map(String::from).collect();
        procedures.sort_unstable();
        if procedures.is_empty() {
            Ok(())
        } else {
            Err(RouteConflict { procedures })
        }
    }

    fn scopes_mut(&mut self) -> &mut [Scope] {
        &mut Arc::make_mut(&mut self.inner).scopes
    }

    fn configure(mut self, change: impl FnOnce(&mut Scope)) -> Self {
        change(&mut self.scopes_mut()[0]);
        self
    }

    fn change_config(self, change: impl FnOnce(ServerConfig) -> ServerConfig) -> Self {
        self.configure(|scope| scope.config = change(scope.config.clone()))
    }
}

impl Inner {
    /// The procedure at a path.
    pub(crate) fn find(self: &Arc<Self>, path: &str) -> Option<Procedure> {
        let index = *self.paths.get(path)?;
        Some(Procedure {
            router: self.clone(),
            index,
        })
    }

    /// Adds a procedure, in place of the one at its path.
    fn add(&mut self, entry: Entry) {
        let path = entry.route.spec.procedure();
        match self.paths.get(path) {
            Some(&index) => self.procedures[index] = entry,
            None => {
                self.paths.insert(path.into(), self.procedures.len());
                self.procedures.push(entry);
            }
        }
    }

    /// The fallback for a path without a procedure; `None` for the unknown methods of a known service.
    pub(crate) fn fallback_for(&self, path: &str) -> Option<&Arc<Fallback>> {
        let fallback = self.fallback.as_ref()?;
        (!self.services.contains(service_path(path))).then_some(fallback)
    }

    pub(crate) fn timer(&self) -> Option<&SharedTimer> {
        self.timer.as_ref()
    }

    /// The timer of a call whose request has these extensions.
    pub(crate) fn timer_for<'a>(&'a self, extensions: &'a Extensions) -> Option<&'a SharedTimer> {
        let of_connection = || extensions.get().and_then(Connection::timer);
        self.timer().or_else(of_connection)
    }

    /// Who is told of calls of this procedure, or of one that nobody serves.
    pub(crate) fn observers(&self, procedure: Option<&Procedure>) -> &[Arc<dyn Observer>] {
        let place = procedure.map_or(0, |procedure| self.procedures[procedure.index].scope);
        &self.scopes[place].observers
    }

    fn add_descriptor_sets(&mut self, sets: &[&'static [u8]]) {
        for set in sets {
            if !self.descriptor_sets.contains(set) {
                self.descriptor_sets.push(set);
            }
        }
    }
}

/// `/package.Service` of `/package.Service/Method`.
fn service_path(procedure: &str) -> &str {
    procedure
        .rsplit_once('/')
        .map_or("", |(service, _)| service)
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("services", &self.service_names())
            .finish_non_exhaustive()
    }
}
