//! Spans, metrics and contexts by the conventions of OpenTelemetry.

mod gauges;
mod headers;

use std::{fmt, sync::Arc};

use connect_tower::{CallEnd, CallObserver, CallStart, ChannelStats, Observer, ServerStats, Side};
use http::uri::Authority;
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    global::{self, BoxedTracer},
    metrics::{Histogram, Meter, MeterProvider},
    propagation::TextMapPropagator,
    trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, TracerProvider},
};

use self::{
    gauges::Gauges,
    headers::{Read, Write},
};
use crate::outcome::{is_failure, status_code, system};

/// Tells OpenTelemetry of each call: a span and a duration, and a context that travels with it.
///
/// Names, attributes, units and buckets are those of the [semantic conventions] for RPC, version 1.44:
///
/// - spans of the kinds `SERVER` and `CLIENT`, named by the procedure, with `rpc.system.name`, `rpc.method`,
///   `rpc.response.status_code`, `error.type`, `server.address`, `server.port`, and on a server `network.peer.address` and
///   `network.peer.port`. What a server does not serve is `_OTHER`, with the path in `rpc.method_original`;
/// - histograms `rpc.server.call.duration` and `rpc.client.call.duration`, in seconds, with `rpc.system.name`, `rpc.method`,
///   `rpc.response.status_code` and `error.type`, and on a client `server.address` and `server.port`;
/// - a call has failed, by the status of its span and by `error.type`, if its code is one for which the server answers:
///   `unknown`, `deadline_exceeded`, `unimplemented`, `internal`, `unavailable`, `data_loss`. On a client every code is one.
///
/// A call that is retried or hedged is one: its span and its duration cover all attempts. The conventions have nothing for each.
///
/// Calls in gRPC and gRPC-Web are of the system `grpc`, in Connect of `connectrpc`.
///
/// The context of the call is current while it is polled, so that spans of handlers and of calls that they make are its
/// children. A client sends it in its headers, a server takes it from them, by the propagator: W3C's `traceparent`,
/// `tracestate` and `baggage`, if the application has set those of the SDK.
///
/// ```
/// use connect_telemetry::OpenTelemetry;
/// use connect_tower::{Client, InProcess, Router};
///
/// // After opentelemetry::global::set_tracer_provider, set_meter_provider and set_text_map_propagator.
/// let telemetry = OpenTelemetry::new();
/// let router = Router::new().add_observer(telemetry.clone());
/// let client = Client::new(InProcess::new(router)).add_observer(telemetry);
/// ```
///
/// [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/rpc/
#[derive(Clone)]
pub struct OpenTelemetry {
    tracer: Arc<BoxedTracer>,
    durations: Durations,
    gauges: Gauges,
    propagator: Option<Arc<dyn TextMapPropagator + Send + Sync>>,
}

#[derive(Clone)]
struct Durations {
    server: Histogram<f64>,
    client: Histogram<f64>,
}

impl OpenTelemetry {
    /// Uses the global providers, which are to be set before, and the global propagator, which may be set later. What is not
    /// set tells nobody anything.
    #[must_use]
    pub fn new() -> Self {
        let meter = global::meter_with_scope(scope());
        Self {
            tracer: Arc::new(global::tracer_with_scope(scope())),
            durations: Durations::new(&meter),
            gauges: Gauges::new(meter),
            propagator: None,
        }
    }

    /// Makes spans by this provider, in place of the global one.
    #[must_use]
    pub fn with_tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider<
            Tracer: Tracer<Span: Span + Send + Sync + 'static> + Send + Sync + 'static,
        >,
    {
        let tracer = provider.tracer_with_scope(scope());
        self.tracer = Arc::new(BoxedTracer::new(Box::new(tracer)));
        self
    }

    /// Measures by this provider, in place of the global one. To be set before anything is watched.
    #[must_use]
    pub fn with_meter_provider(mut self, provider: &dyn MeterProvider) -> Self {
        let meter = provider.meter_with_scope(scope());
        self.durations = Durations::new(&meter);
        self.gauges = Gauges::new(meter);
        self
    }

    /// Reads and writes headers by this propagator, in place of the global one.
    #[must_use]
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagator = Some(Arc::new(propagator));
        self
    }

    /// Measures a channel whenever the provider's reader asks, and forgets it once there are no numbers. A function that keeps
    /// the channel would keep its connections: with a connect-hyper channel it is `move || Some(weak.upgrade()?.stats())`, where
    /// `weak` is `channel.downgrade()`.
    ///
    /// ```
    /// use connect_telemetry::OpenTelemetry;
    /// use connect_tower::ChannelStats;
    ///
    /// let telemetry = OpenTelemetry::new();
    /// telemetry.watch_channel(|| Some(ChannelStats::default()));
    /// ```
    ///
    /// | up-down counter | unit | attributes |
    /// |---|---|---|
    /// | `http.client.open_connections` | `{connection}` | `http.connection.state`: `active` or `idle` |
    /// | `http.client.active_requests` | `{request}` | |
    /// | `connectrpc.client.waiting_calls` | `{call}` | |
    /// | `connectrpc.client.endpoints` | `{endpoint}` | `connectrpc.endpoint.state`: `idle`, `connecting`, `ready`, `failed` or `ejected` |
    ///
    /// All have `server.address` and `server.port` of the endpoint; calls that wait for whichever comes first those of the
    /// channel. The first two are of the semantic conventions for HTTP, version 1.44, which have no others for this.
    pub fn watch_channel(&self, stats: impl Fn() -> Option<ChannelStats> + Send + Sync + 'static) {
        self.gauges.watch_channel(stats);
    }

    /// Measures a server whenever the provider's reader asks, and forgets it once there are no numbers. With a connect-hyper
    /// server the function is `move || Some(handle.stats())`, where `handle` is `server.handle()`.
    ///
    /// ```
    /// use connect_telemetry::OpenTelemetry;
    /// use connect_tower::ServerStats;
    ///
    /// let telemetry = OpenTelemetry::new();
    /// telemetry.watch_server(|| Some(ServerStats::default()));
    /// ```
    ///
    /// | up-down counter | unit |
    /// |---|---|
    /// | `connectrpc.server.open_connections` | `{connection}` |
    /// | `connectrpc.server.active_calls` | `{call}` |
    pub fn watch_server(&self, stats: impl Fn() -> Option<ServerStats> + Send + Sync + 'static) {
        self.gauges.watch_server(stats);
    }

    /// The context of the caller, if its headers have one.
    fn extract(&self, start: &CallStart<'_>) -> Context {
        let (current, headers) = (Context::current(), Read::new(start.headers()));
        match &self.propagator {
            Some(propagator) => propagator.extract_with_context(&current, &headers),
            None => global::get_text_map_propagator(|propagator| {
                propagator.extract_with_context(&current, &headers)
            }),
        }
    }

    fn inject(&self, context: &Context, start: &mut CallStart<'_>) {
        let mut headers = Write(start.headers_mut());
        match &self.propagator {
            Some(propagator) => propagator.inject_context(context, &mut headers),
            None => global::get_text_map_propagator(|propagator| {
                propagator.inject_context(context, &mut headers);
            }),
        }
    }
}

impl Observer for OpenTelemetry {
    fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        let system = system(start.protocol());
        let side = start.side();
        let (kind, parent, duration) = match side {
            Side::Server => (
                SpanKind::Server,
                self.extract(start),
                &self.durations.server,
            ),
            Side::Client => (SpanKind::Client, Context::current(), &self.durations.client),
        };
        let method = start.procedure().unwrap_or("_OTHER").to_owned();
        let mut labels = vec![
            KeyValue::new("rpc.system.name", system),
            KeyValue::new("rpc.method", method.clone()),
        ];
        let mut attributes = labels.clone();
        attributes.extend(called(start));
        if side == Side::Client {
            labels.extend(called(start));
        }
        let name = match start.spec() {
            Some(_) => method.into(),
            None => {
                let path = start.path().trim_start_matches('/').to_owned();
                attributes.push(KeyValue::new("rpc.method_original", path));
                system.into()
            }
        };
        if let Some(addr) = start.peer().and_then(|peer| peer.addr()) {
            let address = addr.ip().to_string();
            attributes.push(KeyValue::new("network.peer.address", address));
            attributes.push(KeyValue::new("network.peer.port", i64::from(addr.port())));
        }
        let span = SpanBuilder {
            name,
            ..SpanBuilder::default()
        };
        let span = span.with_kind(kind).with_attributes(attributes);
        let context = parent.with_span(span.start_with_context(&*self.tracer, &parent));
        if side == Side::Client {
            self.inject(&context, start);
        }
        Some(Box::new(ObservedCall {
            context,
            side,
            system,
            labels,
            duration: duration.clone(),
        }))
    }
}

struct ObservedCall {
    context: Context,
    side: Side,
    system: &'static str,
    /// What the duration is recorded with, but for the outcome.
    labels: Vec<KeyValue>,
    duration: Histogram<f64>,
}

impl CallObserver for ObservedCall {
    fn in_scope(&self, work: &mut dyn FnMut()) {
        let _current = self.context.clone().attach();
        work();
    }

    fn end(&self, end: &CallEnd<'_>) {
        let span = self.context.span();
        let status = status_code(end.code(), self.system);
        let mut outcome = vec![KeyValue::new("rpc.response.status_code", status)];
        if let Some(error) = end.error() {
            if is_failure(error.code(), self.side) {
                outcome.push(KeyValue::new("error.type", status));
                span.set_status(Status::error(error.message().to_owned()));
            }
        }
        span.set_attributes(outcome.iter().cloned());
        span.end();
        if let Some(duration) = end.duration() {
            outcome.extend(self.labels.iter().cloned());
            self.duration.record(duration.as_secs_f64(), &outcome);
        }
    }
}

impl Durations {
    fn new(meter: &Meter) -> Self {
        let histogram = |name: &'static str, about: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(about)
                .with_boundaries(BOUNDARIES.to_vec())
                .build()
        };
        Self {
            server: histogram(
                "rpc.server.call.duration",
                "Measures the duration of an incoming Remote Procedure Call (RPC).",
            ),
            client: histogram(
                "rpc.client.call.duration",
                "Measures the duration of an outgoing Remote Procedure Call (RPC).",
            ),
        }
    }
}

/// Semantic conventions, "Metric: `rpc.server.call.duration`": in seconds.
const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
        .build()
}

/// `server.address` and `server.port`: what the client means to call.
fn called(start: &CallStart<'_>) -> Vec<KeyValue> {
    start.authority().map(server).unwrap_or_default()
}

/// `server.address` and `server.port` of `host:port`, `host` or `unix:/path`.
fn server(address: &str) -> Vec<KeyValue> {
    if let Some(path) = address.strip_prefix("unix:") {
        return vec![KeyValue::new("server.address", path.to_owned())];
    }
    let Ok(authority) = address.parse::<Authority>() else {
        return Vec::new();
    };
    let host = authority.host();
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let mut attributes = vec![KeyValue::new("server.address", host.to_owned())];
    if let Some(port) = authority.port_u16() {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    attributes
}

impl Default for OpenTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OpenTelemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetry").finish_non_exhaustive()
    }
}
