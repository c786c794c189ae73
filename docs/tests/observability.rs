//! What the chapter on observability shows is what comes out: each block after `<!-- telemetry: NAME -->` is compared with a
//! call over two services, through sockets. `UPDATE=1 cargo test -p connect-docs --test observability` writes them anew.

use std::{
    collections::HashMap,
    env,
    fmt::Write as _,
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

use connect_docs::greet::{
    CountDownRequest, CountDownResponse, GreetRequest, GreetResponse, GreetService,
    GreetServiceClient, GreetServiceServer,
};
use connect_tokio::{
    Channel, Client, ClientConfig, Error, Protocol, Request, Response, ResponseStream, Router,
    Server,
    telemetry::{OpenTelemetry, Tracing},
};
use opentelemetry::{KeyValue, trace::SpanId};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    },
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tokio::{sync::oneshot, task::JoinHandle};

const CHAPTER: &str = "observability.md";

/// A process, as far as OpenTelemetry goes.
struct Process {
    name: &'static str,
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    tracer_provider: SdkTracerProvider,
    meter_provider: SdkMeterProvider,
}

impl Process {
    fn new(name: &'static str) -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        Self {
            name,
            tracer_provider: SdkTracerProvider::builder()
                .with_simple_exporter(spans.clone())
                .build(),
            meter_provider: SdkMeterProvider::builder().with_reader(reader).build(),
            spans,
            metrics,
        }
    }

    fn observer(&self) -> OpenTelemetry {
        OpenTelemetry::new()
            .with_tracer_provider(&self.tracer_provider)
            .with_meter_provider(&self.meter_provider)
            .with_propagator(TraceContextPropagator::new())
    }
}

/// A service on a port of its own.
struct Running {
    port: u16,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn serve(router: Router) -> Running {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve_with_shutdown(router, async {
        let _ = stopped.await;
    }));
    Running { port, stop, task }
}

impl Running {
    fn channel(&self) -> Channel {
        Channel::new(format!("http://127.0.0.1:{}", self.port)).unwrap()
    }

    /// Waits until all calls have ended on this side, too.
    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }
}

/// The service `back`.
struct Back;

impl GreetService for Back {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Error> {
        let name = &request.message().name;
        let known = match name.as_str() {
            "" => Err(Error::invalid_argument("name must not be empty")),
            "Eve" => {
                Err(Error::internal("no greeting could be made").with_source("the disk is full"))
            }
            _ => Ok(format!("Hello, {name}!")),
        };
        known.map(|greeting| Response::new(GreetResponse { greeting }))
    }

    async fn count_down(
        &self,
        _: Request<CountDownRequest>,
    ) -> Result<Response<ResponseStream<CountDownResponse>>, Error> {
        Err(Error::unimplemented("only greetings here"))
    }
}

/// The service `front`, which asks `back`.
struct Front(GreetServiceClient<Channel>);

impl GreetService for Front {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Error> {
        self.0.greet(request.into_message()).await
    }

    async fn count_down(
        &self,
        _: Request<CountDownRequest>,
    ) -> Result<Response<ResponseStream<CountDownResponse>>, Error> {
        Err(Error::unimplemented("only greetings here"))
    }
}

fn ada() -> GreetRequest {
    GreetRequest { name: "Ada".into() }
}

#[tokio::test]
async fn one_call_over_two_services() {
    let [program, front, back] = ["program", "front", "back"].map(Process::new);
    let back_service = GreetServiceServer::new(Back);
    let back_server = serve(
        Router::new()
            .add_service(back_service)
            .add_observer(back.observer()),
    )
    .await;
    let grpc = ClientConfig::new().with_protocol(Protocol::Grpc);
    let to_back = Client::new(back_server.channel())
        .with_config(grpc)
        .add_observer(front.observer());
    let front_service = GreetServiceServer::new(Front(GreetServiceClient::from_client(to_back)));
    let front_router = Router::new()
        .add_service(front_service)
        .add_observer(front.observer());
    let front_server = serve(front_router).await;
    let client = GreetServiceClient::new(front_server.channel()).add_observer(program.observer());

    let answer = client.greet(ada()).await.unwrap();
    assert_eq!(answer.message().greeting, "Hello, Ada!");
    let ports = [(front_server.port, "8080"), (back_server.port, "8081")];
    drop(client);
    front_server.stop().await;
    back_server.stop().await;

    let processes = [program, front, back];
    compare("trace", &trace(&processes, &ports));
    compare("metrics", &metrics(&processes, &ports));
}

/// The spans of all processes, children below their parents.
fn trace(processes: &[Process], ports: &[(u16, &str)]) -> String {
    let mut spans: Vec<(&str, SpanData)> = Vec::new();
    for process in processes {
        let finished = process.spans.get_finished_spans().unwrap();
        spans.extend(finished.into_iter().map(|span| (process.name, span)));
    }
    let traces: Vec<_> = spans
        .iter()
        .map(|(_, span)| span.span_context.trace_id())
        .collect();
    assert!(
        traces.iter().all(|trace| *trace == traces[0]),
        "one trace: {traces:?}"
    );
    let mut text = String::new();
    let mut numbers = HashMap::from([(SpanId::INVALID, String::from("none"))]);
    let mut parent = SpanId::INVALID;
    while let Some((process, span)) = spans.iter().find(|(_, span)| span.parent_span_id == parent) {
        let number = numbers.len().to_string();
        let _ = writeln!(
            text,
            "{process}: {:?} {}, trace 1, span {number}, parent {}{}",
            span.span_kind,
            span.name,
            numbers[&parent],
            if span.parent_span_is_remote {
                " (remote)"
            } else {
                ""
            },
        );
        for line in attributes(&span.attributes, ports) {
            let _ = writeln!(text, "  {line}");
        }
        parent = span.span_context.span_id();
        numbers.insert(parent, number);
    }
    assert_eq!(numbers.len(), spans.len() + 1, "a chain: {spans:?}");
    text
}

/// The durations of all processes.
fn metrics(processes: &[Process], ports: &[(u16, &str)]) -> String {
    let mut text = String::new();
    for process in processes {
        process.meter_provider.force_flush().unwrap();
        for resource in process.metrics.get_finished_metrics().unwrap() {
            let mut metrics: Vec<_> = resource
                .scope_metrics()
                .flat_map(|scope| scope.metrics())
                .collect();
            metrics.sort_by_key(|metric| std::cmp::Reverse(metric.name().to_owned()));
            for metric in metrics {
                let AggregatedMetrics::F64(MetricData::Histogram(data)) = metric.data() else {
                    panic!("{} is no histogram", metric.name());
                };
                for point in data.data_points() {
                    let (name, unit) = (metric.name(), metric.unit());
                    let _ = writeln!(
                        text,
                        "{}: {name} in {unit}, {} call",
                        process.name,
                        point.count()
                    );
                    for line in attributes(point.attributes(), ports) {
                        let _ = writeln!(text, "  {line}");
                    }
                }
            }
        }
    }
    text
}

#[tokio::test]
async fn what_is_open_and_what_waits() {
    let program = Process::new("program");
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let (handle, watched) = (server.handle(), server.handle());
    tokio::spawn(server.serve(Router::new().add_service(GreetServiceServer::new(Back))));
    let channel = Channel::new(format!("http://127.0.0.1:{port}")).unwrap();
    let client = GreetServiceClient::new(channel.clone());
    client.greet(ada()).await.unwrap();
    while channel.outstanding() + handle.stats().active_calls > 0 {
        tokio::task::yield_now().await;
    }

    let telemetry = program.observer();
    let weak = channel.downgrade();
    telemetry.watch_channel(move || Some(weak.upgrade()?.stats()));
    telemetry.watch_server(move || Some(watched.stats()));
    compare("gauges", &gauges(&program, &[(port, "8080")]));
}

/// What a process has counted, one a line.
fn gauges(process: &Process, ports: &[(u16, &str)]) -> String {
    process.meter_provider.force_flush().unwrap();
    let mut lines = Vec::new();
    for resource in process.metrics.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            let AggregatedMetrics::I64(MetricData::Sum(data)) = metric.data() else {
                panic!("{} is no counter", metric.name());
            };
            for point in data.data_points() {
                let attributes = attributes(point.attributes(), ports).join(", ");
                let line = format!("{} {} {attributes}", metric.name(), point.value());
                lines.push(line.trim_end().to_owned() + "\n");
            }
        }
    }
    lines.sort();
    lines.concat()
}

/// Attributes in the order of their names, one a line; ports of servers as they are in the chapter, others as any.
fn attributes<'a>(
    attributes: impl IntoIterator<Item = &'a KeyValue>,
    ports: &[(u16, &str)],
) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let mut value = attribute.value.to_string();
        if attribute.key.as_str().ends_with(".port") {
            let known = ports.iter().find(|(port, _)| port.to_string() == value);
            value = known.map_or("50000", |(_, shown)| shown).to_owned();
        }
        lines.push(format!("{} = {value}", attribute.key));
    }
    lines.sort();
    lines
}

/// What a subscriber has written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_of_a_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // The test's runtime has one thread.
    let _current = tracing::subscriber::set_default(subscriber);
    let service = GreetServiceServer::new(Back);
    let router = Router::new()
        .add_service(service)
        .add_observer(Tracing::new());
    let server = serve(router).await;
    let client = GreetServiceClient::new(server.channel());
    client.greet(ada()).await.unwrap();
    client.greet(GreetRequest::default()).await.unwrap_err();
    client
        .greet(GreetRequest { name: "Eve".into() })
        .await
        .unwrap_err();
    drop(client);
    server.stop().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    compare("log", &shown(&text));
}

/// The lines of calls, with times and ports that are always the same.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for line in text
        .lines()
        .filter(|line| line.contains("connect::server: "))
    {
        let (before, rest) = line.split_once("127.0.0.1:").expect("a peer");
        let (_, rest) = rest.split_once(' ').expect("more fields");
        let (fields, rest) = rest.split_once("duration_ms=").expect("a duration");
        let (_, rest) = rest.split_once('}').expect("the end of the span");
        let (name, rest) = rest.split_once(" after ").expect("a duration");
        let (_, rest) = rest.split_once(", ").expect("more words");
        let _ = writeln!(
            shown,
            "{before}127.0.0.1:50000 {fields}duration_ms=0.412}}{name} after 412µs, {rest}"
        );
    }
    shown
}

/// Compares the block with what came out, or writes it.
fn compare(name: &str, expected: &str) {
    // The tests run at once.
    static FILE: Mutex<()> = Mutex::new(());
    let _alone = FILE.lock();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(CHAPTER);
    let text = fs::read_to_string(&path).unwrap();
    let marker = format!("<!-- telemetry: {name} -->\n```text\n");
    let (before, rest) = text
        .split_once(&marker)
        .unwrap_or_else(|| panic!("{CHAPTER} has no {marker}"));
    let (block, after) = rest.split_once("```").expect("an end of the block");
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}{marker}{expected}```{after}")).unwrap();
        return;
    }
    assert_eq!(block, expected, "{CHAPTER}, {name}");
}
