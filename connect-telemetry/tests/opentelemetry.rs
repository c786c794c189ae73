//! What OpenTelemetry is told, by the semantic conventions of version 1.44.

mod common;

use std::sync::{Arc, Mutex};

use common::{Clock, NOPE, UPPER, block_on, peer, router};
use connect_telemetry::OpenTelemetry;
use connect_tower::{
    CallBody, ChannelState, ChannelStats, Client, ClientConfig, Code, Connection, EndpointStats,
    InProcess, Prost, Protocol, Request, Response, Router, ServerStats,
};
use opentelemetry::{
    Context, KeyValue, Value,
    baggage::BaggageExt,
    propagation::TextMapCompositePropagator,
    trace::{SpanId, SpanKind, Status, TraceContextExt, TraceState},
};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ScopeMetrics},
    },
    propagation::{BaggagePropagator, TraceContextPropagator},
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tower_service::Service;

/// An SDK that keeps what it is told.
struct Sdk {
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    tracer_provider: SdkTracerProvider,
    meter_provider: SdkMeterProvider,
}

impl Sdk {
    fn new() -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        Self {
            tracer_provider: SdkTracerProvider::builder()
                .with_simple_exporter(spans.clone())
                .build(),
            meter_provider: SdkMeterProvider::builder().with_reader(reader).build(),
            spans,
            metrics,
        }
    }

    fn observer(&self) -> OpenTelemetry {
        let propagator = TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]);
        OpenTelemetry::new()
            .with_tracer_provider(&self.tracer_provider)
            .with_meter_provider(&self.meter_provider)
            .with_propagator(propagator)
    }

    /// The spans that have ended, in the order in which they did.
    fn spans(&self) -> Vec<SpanData> {
        let spans = self.spans.get_finished_spans().unwrap();
        self.spans.reset();
        spans
    }

    /// The names of histograms with their units, and each of their points: count, sum, attributes.
    fn histograms(&self) -> Vec<String> {
        self.meter_provider.force_flush().unwrap();
        let mut lines = Vec::new();
        for resource in self
            .metrics
            .get_finished_metrics()
            .unwrap()
            .iter()
            .rev()
            .take(1)
        {
            for scope in resource.scope_metrics() {
                assert_eq!(scope.scope().name(), "connect-telemetry");
                let schema = Some("https://opentelemetry.io/schemas/1.44.0");
                assert_eq!(scope.scope().schema_url(), schema);
                for metric in scope.metrics() {
                    let AggregatedMetrics::F64(MetricData::Histogram(data)) = metric.data() else {
                        panic!("{} is no histogram", metric.name());
                    };
                    for point in data.data_points() {
                        assert_eq!(
                            point.bounds().collect::<Vec<_>>(),
                            [
                                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
                                5.0, 7.5, 10.0
                            ]
                        );
                        lines.push(format!(
                            "{} {} {} x {}: {}",
                            metric.name(),
                            metric.unit(),
                            point.count(),
                            point.sum(),
                            text(point.attributes())
                        ));
                    }
                }
            }
        }
        lines.sort();
        lines
    }

    /// The counters that are no durations, with their units and points, as they were measured last.
    fn counters(&self) -> Vec<String> {
        self.metrics.reset();
        self.meter_provider.force_flush().unwrap();
        let mut lines = Vec::new();
        for resource in self.metrics.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
                let AggregatedMetrics::I64(MetricData::Sum(sum)) = metric.data() else {
                    panic!("{} is no counter", metric.name());
                };
                assert!(!sum.is_monotonic());
                lines.extend(sum.data_points().map(|point| {
                    let (name, unit) = (metric.name(), metric.unit());
                    let attributes = text(point.attributes());
                    format!("{name} {unit} {}: {attributes}", point.value())
                }));
            }
        }
        lines.sort();
        lines
    }
}

/// Attributes as text, in the order of their names.
fn text<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> String {
    let mut all: Vec<_> = attributes
        .into_iter()
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    all.sort();
    all.join(" ")
}

fn get<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|item| item.key.as_str() == key);
    found.map(|attribute| &attribute.value)
}

fn client(router: Router, clock: &Clock, protocol: Protocol) -> Client<InProcess> {
    let transport = InProcess::new(router).with_timer(Arc::new(clock.clone()));
    Client::new(transport).with_config(ClientConfig::new().with_protocol(protocol))
}

fn ask(client: &Client<InProcess>, text: &str) -> Result<Response<String>, connect_tower::Error> {
    let upper = UPPER;
    block_on(client.unary::<Prost, _, String>(&upper, Request::new(text.to_owned())))
}

#[test]
fn spans_and_durations_of_both_sides() {
    for (protocol, system, status) in [
        (Protocol::Connect, "connectrpc", "not_found"),
        (Protocol::Grpc, "grpc", "NOT_FOUND"),
        (Protocol::GrpcWeb, "grpc", "NOT_FOUND"),
    ] {
        let (sdk, clock) = (Sdk::new(), Clock::default());
        let router = router(&clock).add_observer(sdk.observer());
        let client = client(router, &clock, protocol).add_observer(sdk.observer());
        ask(&client, "hello").unwrap();
        ask(&client, "hello").unwrap();
        ask(&client, "not_found").unwrap_err();
        let spans = sdk.spans();
        let [server, client, .., failed_server, failed_client] = &*spans else {
            panic!("{} spans", spans.len());
        };
        let method = "rpc.method=test.v1.Text/Upper rpc.response.status_code";
        for (span, kind, attributes) in [
            (
                server,
                SpanKind::Server,
                format!("{method}=OK rpc.system.name={system}"),
            ),
            (
                client,
                SpanKind::Client,
                format!("{method}=OK rpc.system.name={system}"),
            ),
            (
                failed_server,
                SpanKind::Server,
                format!("{method}={status} rpc.system.name={system}"),
            ),
            (
                failed_client,
                SpanKind::Client,
                format!("error.type={status} {method}={status} rpc.system.name={system}"),
            ),
        ] {
            assert_eq!(span.name, "test.v1.Text/Upper");
            assert_eq!(span.span_kind, kind);
            assert_eq!(text(&span.attributes), attributes);
        }
        // What is not found is the client's failure, not the server's.
        assert_eq!(failed_server.status, Status::Unset);
        assert_eq!(failed_client.status, Status::error("no luck"));
        assert_eq!(client.status, Status::Unset);
        // The client began the trace.
        assert_eq!(client.parent_span_id, SpanId::INVALID);
        assert_eq!(server.parent_span_id, client.span_context.span_id());
        assert!(server.parent_span_is_remote);
        let trace = client.span_context.trace_id();
        assert_eq!(server.span_context.trace_id(), trace);
        assert_eq!(
            sdk.histograms(),
            [
                format!(
                    "rpc.client.call.duration s 1 x 0.02: error.type={status} {method}={status} \
                     rpc.system.name={system}"
                ),
                format!(
                    "rpc.client.call.duration s 2 x 0.04: {method}=OK rpc.system.name={system}"
                ),
                format!(
                    "rpc.server.call.duration s 1 x 0.02: {method}={status} rpc.system.name={system}"
                ),
                format!(
                    "rpc.server.call.duration s 2 x 0.04: {method}=OK rpc.system.name={system}"
                ),
            ]
        );
    }
}

/// "gRPC", "Server": the codes that are a server's errors.
#[test]
fn which_codes_are_errors() {
    let (sdk, clock) = (Sdk::new(), Clock::default());
    let router = router(&clock).add_observer(sdk.observer());
    let client = client(router, &clock, Protocol::Connect);
    for (code, is_error) in [
        (Code::Canceled, false),
        (Code::Unknown, true),
        (Code::InvalidArgument, false),
        (Code::DeadlineExceeded, true),
        (Code::NotFound, false),
        (Code::AlreadyExists, false),
        (Code::PermissionDenied, false),
        (Code::ResourceExhausted, false),
        (Code::FailedPrecondition, false),
        (Code::Aborted, false),
        (Code::OutOfRange, false),
        (Code::Unimplemented, true),
        (Code::Internal, true),
        (Code::Unavailable, true),
        (Code::DataLoss, true),
        (Code::Unauthenticated, false),
    ] {
        ask(&client, code.as_str()).unwrap_err();
        let spans = sdk.spans();
        let [span] = &*spans else {
            panic!("{} spans", spans.len());
        };
        assert_eq!(get(span, "error.type").is_some(), is_error, "{code}");
        assert_eq!(
            matches!(span.status, Status::Error { .. }),
            is_error,
            "{code}"
        );
        let status = get(span, "rpc.response.status_code");
        assert_eq!(status, Some(&Value::from(code.as_str())), "{code}");
    }
}

/// A path that nobody serves may be anything: it is no name of a span and no label of a metric.
#[test]
fn a_procedure_that_nobody_serves() {
    let (sdk, clock) = (Sdk::new(), Clock::default());
    let client = client(
        router(&clock).add_observer(sdk.observer()),
        &clock,
        Protocol::Connect,
    );
    let nope = NOPE;
    let request = Request::new(String::new());
    block_on(client.unary::<Prost, _, String>(&nope, request)).unwrap_err();
    let spans = sdk.spans();
    assert_eq!(spans[0].name, "connectrpc");
    assert_eq!(
        text(&spans[0].attributes),
        "error.type=unimplemented rpc.method=_OTHER rpc.method_original=test.v1.Text/Nope \
         rpc.response.status_code=unimplemented rpc.system.name=connectrpc"
    );
    assert_eq!(
        sdk.histograms(),
        [
            "rpc.server.call.duration s 1 x 0: error.type=unimplemented rpc.method=_OTHER \
             rpc.response.status_code=unimplemented rpc.system.name=connectrpc"
        ]
    );
}

/// What the client has meant to call, and who it is, as the connection says.
#[test]
fn addresses() {
    for (host, address) in [
        (
            "shop.example:8080",
            "server.address=shop.example server.port=8080",
        ),
        ("shop.example", "server.address=shop.example"),
        (
            "[2001:db8::1]:443",
            "server.address=2001:db8::1 server.port=443",
        ),
        ("not a host", ""),
    ] {
        let (sdk, clock) = (Sdk::new(), Clock::default());
        let mut router = router(&clock).add_observer(sdk.observer());
        let mut request = http::Request::post("/test.v1.Text/Upper")
            .header("content-type", "application/json")
            .header("host", host)
            .body(CallBody::full("\"hello\""))
            .unwrap();
        request.extensions_mut().insert(Connection::new(peer()));
        let response = block_on(router.call(request)).unwrap();
        drop(response);
        let spans = sdk.spans();
        let attributes = format!(
            "network.peer.address=192.0.2.7 network.peer.port=50123 rpc.method=test.v1.Text/Upper \
             rpc.response.status_code=canceled rpc.system.name=connectrpc {address}"
        );
        assert_eq!(text(&spans[0].attributes), attributes.trim_end());
    }
}

/// The context goes through two services: each server's span is the parent of the call that its handler makes.
#[test]
fn a_context_goes_through_services() {
    let (sdk, clock) = (Sdk::new(), Clock::default());
    let behind = router(&clock).add_observer(sdk.observer());
    let behind = client(behind, &clock, Protocol::Grpc).add_observer(sdk.observer());
    let front = Router::new()
        .unary(UPPER, move |request: Request<String>| {
            let behind = behind.clone();
            async move {
                let context = Context::current();
                let tenant = context.baggage().get("tenant").map(ToString::to_string);
                assert_eq!(tenant.as_deref(), Some("blue"));
                let upper = UPPER;
                let request = Request::new(request.into_message());
                behind.unary::<Prost, _, String>(&upper, request).await
            }
        })
        .add_observer(sdk.observer());
    let client = client(front, &clock, Protocol::Connect).add_observer(sdk.observer());
    let outer = Context::new().with_baggage([KeyValue::new("tenant", "blue")]);
    {
        let _current = outer.attach();
        ask(&client, "hello").unwrap();
    }
    assert!(
        !Context::current().has_active_span(),
        "nothing is left behind"
    );
    let spans = sdk.spans();
    let kinds: Vec<_> = spans.iter().map(|span| span.span_kind.clone()).collect();
    let (server, client) = (SpanKind::Server, SpanKind::Client);
    assert_eq!(kinds, [server.clone(), client.clone(), server, client]);
    for pair in spans.windows(2) {
        assert_eq!(pair[0].parent_span_id, pair[1].span_context.span_id());
        assert_eq!(
            pair[0].span_context.trace_id(),
            pair[1].span_context.trace_id()
        );
    }
    assert_eq!(spans[3].parent_span_id, SpanId::INVALID);
}

/// W3C Trace Context: what comes in goes on.
#[test]
fn the_headers_of_w3c() {
    let (sdk, clock) = (Sdk::new(), Clock::default());
    let client = client(
        router(&clock).add_observer(sdk.observer()),
        &clock,
        Protocol::Connect,
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::new(String::from("hello"))
        .add_header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .unwrap()
        .add_header("tracestate", "vendor=1")
        .unwrap();
    let upper = UPPER;
    block_on(client.unary::<Prost, _, String>(&upper, request)).unwrap();
    let spans = sdk.spans();
    assert_eq!(spans[0].span_context.trace_id().to_string(), trace);
    assert_eq!(spans[0].parent_span_id.to_string(), "00f067aa0ba902b7");
    let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
    assert_eq!(*spans[0].span_context.trace_state(), state);

    // Headers that make no sense begin a new trace.
    let request = Request::new(String::from("hello"))
        .add_header("traceparent", "nonsense")
        .unwrap();
    block_on(client.unary::<Prost, _, String>(&upper, request)).unwrap();
    assert_eq!(sdk.spans()[0].parent_span_id, SpanId::INVALID);
}

/// RFC 9110, section 5.3, and W3C Trace Context, section 3.3.1.1: fields of one name are one list. 3.2: a second `traceparent`
/// makes both invalid.
#[test]
fn headers_of_several_fields() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let later = format!("01-{trace}-00f067aa0ba902b8-01");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let sdk = Sdk::new();
    let router = Router::new()
        .unary(UPPER, move |request: Request<String>| {
            let context = Context::current();
            let baggage = context.baggage();
            let mut tenants: Vec<_> = baggage
                .iter()
                .map(|(key, (value, _))| format!("{key}={value}"))
                .collect();
            tenants.sort();
            keep.lock().unwrap().push(tenants.join(" "));
            async move { Ok(Response::new(request.into_message())) }
        })
        .add_observer(sdk.observer());
    let client = client(router, &Clock::default(), Protocol::Connect);
    let call = |fields: &[(&'static str, &str)]| {
        let mut request = Request::new(String::from("hello"));
        for (name, value) in fields {
            request = request.add_header(*name, *value).unwrap();
        }
        let upper = UPPER;
        block_on(client.unary::<Prost, _, String>(&upper, request)).unwrap();
        (sdk.spans().remove(0), seen.lock().unwrap().remove(0))
    };

    let (span, baggage) = call(&[
        ("traceparent", &parent),
        ("tracestate", "a=1,b=2"),
        ("tracestate", ""),
        ("tracestate", "c=3"),
        ("baggage", "tenant=blue"),
        ("baggage", "user=7"),
    ]);
    assert_eq!(span.span_context.trace_id().to_string(), trace);
    assert_eq!(span.span_context.trace_state().header(), "a=1,b=2,c=3");
    assert_eq!(baggage, "tenant=blue user=7");

    for second in [&parent, &later, "nonsense", ""] {
        for [first, second] in [[&*parent, second], [second, &*parent]] {
            let (span, _) = call(&[("traceparent", first), ("traceparent", second)]);
            let new = span.parent_span_id == SpanId::INVALID;
            assert!(new, "{first:?} and {second:?}");
            assert_ne!(span.span_context.trace_id().to_string(), trace);
        }
    }
}

/// W3C Trace Context, section 3.3.1.3: an empty `tracestate` says nothing, so it is not sent.
#[test]
fn an_empty_trace_state_is_not_sent() {
    let sdk = Sdk::new();
    let router = Router::new().unary(UPPER, |request: Request<String>| async move {
        assert!(request.headers().contains_key("traceparent"));
        let state = request.headers().contains_key("tracestate");
        Ok(Response::new(state.to_string()))
    });
    let client = client(router, &Clock::default(), Protocol::Connect).add_observer(sdk.observer());
    let response = ask(&client, "hello").unwrap();
    assert_eq!(response.message(), "false");
}

/// Channels and servers are measured when somebody asks: of those with the same address the sum.
#[test]
fn what_is_open_and_what_waits() {
    let sdk = Sdk::new();
    let observer = sdk.observer();
    assert!(sdk.counters().is_empty(), "nothing is watched");
    let endpoint = |address: &str, calls| EndpointStats {
        address: address.to_owned(),
        state: ChannelState::Ready,
        is_ejected: false,
        connections: 3,
        idle_connections: 1,
        active_calls: calls,
        waiting_calls: 0,
    };
    let stats = ChannelStats {
        authority: String::from("shop.internal"),
        state: ChannelState::Ready,
        waiting_calls: 7,
        endpoints: vec![
            endpoint("192.0.2.1:8080", 5),
            EndpointStats {
                is_ejected: true,
                ..endpoint("unix:/run/shop.sock", 0)
            },
            endpoint("192.0.2.1:1, 192.0.2.2:1", 0),
        ],
    };
    let kept = Arc::new(stats.clone());
    let weak = Arc::downgrade(&kept);
    observer.watch_channel(move || Some((*weak.upgrade()?).clone()));
    let other = ChannelStats {
        endpoints: vec![endpoint("192.0.2.1:8080", 2)],
        ..ChannelStats::default()
    };
    // Clones of an observer are the same one.
    observer.clone().watch_channel(move || Some(other.clone()));
    observer.watch_server(|| {
        Some(ServerStats {
            connections: 11,
            active_calls: 13,
        })
    });
    let server = [
        "connectrpc.server.active_calls {call} 13: ",
        "connectrpc.server.open_connections {connection} 11: ",
    ];
    let counters = sdk.counters();
    for line in [
        "connectrpc.client.endpoints {endpoint} 2: connectrpc.endpoint.state=ready server.address=192.0.2.1 \
         server.port=8080",
        "connectrpc.client.endpoints {endpoint} 1: connectrpc.endpoint.state=ejected \
         server.address=/run/shop.sock",
        "connectrpc.client.waiting_calls {call} 0: server.address=192.0.2.1 server.port=8080",
        "connectrpc.client.waiting_calls {call} 7: server.address=shop.internal",
        "http.client.active_requests {request} 7: server.address=192.0.2.1 server.port=8080",
        "http.client.active_requests {request} 0: server.address=192.0.2.1:1, 192.0.2.2:1",
        "http.client.open_connections {connection} 2: http.connection.state=idle server.address=192.0.2.1 \
         server.port=8080",
        "http.client.open_connections {connection} 4: http.connection.state=active server.address=192.0.2.1 \
         server.port=8080",
        server[0],
        server[1],
    ] {
        assert!(counters.contains(&line.to_owned()), "{line}: {counters:#?}");
    }
    // One that has gone is forgotten.
    drop(kept);
    let counters = sdk.counters();
    let line = "http.client.active_requests {request} 2: server.address=192.0.2.1 server.port=8080";
    assert!(counters.contains(&line.to_owned()), "{counters:#?}");
    assert!(
        !counters.iter().any(|line| line.contains("shop")),
        "{counters:#?}"
    );
}
