//! The lines that an operator reads, and the spans that they stand in.

mod common;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{Clock, NOPE, SPLIT, UPPER, block_on, peer, router};
use connect_telemetry::Tracing;
use connect_tower::{
    CallBody, Client, ClientConfig, Connection, Error, InProcess, Prost, Protocol, Request,
    Response, RetryPolicy, Router, gate_fn,
};
use tower_service::Service;
use tracing_subscriber::fmt::MakeWriter;

/// What the subscriber has written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }

    /// Runs work whose spans and lines are written down.
    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .without_time()
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A call to an observed server over a connection, and what was written.
fn on_server(router: Router, message: &str) -> String {
    let log = Log::default();
    log.with(|| {
        let mut router = router.add_observer(Tracing::new());
        let mut request = http::Request::post("/test.v1.Text/Upper")
            .header("content-type", "application/json")
            .body(CallBody::full(format!("\"{message}\"")))
            .unwrap();
        let connection = Connection::new(peer());
        request.extensions_mut().insert(connection);
        let response = block_on(router.call(request)).unwrap();
        let mut body = response.into_body();
        block_on(std::future::poll_fn(|cx| {
            http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx)
        }));
    });
    log.take()
}

#[test]
fn a_line_for_each_call_of_a_server() {
    let clock = Clock::default();
    let span = |status| {
        format!(
            "rpc.server{{rpc.system.name=\"connectrpc\" rpc.service=\"test.v1.Text\" rpc.method=\"Upper\" \
             network.peer.address=192.0.2.7:50123 rpc.response.status_code=\"{status}\" duration_ms=20.0}}: \
             connect::server: test.v1.Text/Upper {status}"
        )
    };
    let ok = span("OK");
    assert_eq!(
        on_server(router(&clock), "hello"),
        format!(
            " INFO {ok} after 20ms, received 1 message of 7 bytes, sent 1 message of 7 bytes\n"
        )
    );
    for (level, code) in [
        (" INFO", "invalid_argument"),
        (" INFO", "not_found"),
        (" INFO", "unauthenticated"),
        (" INFO", "resource_exhausted"),
        (" WARN", "deadline_exceeded"),
        (" WARN", "unimplemented"),
        (" WARN", "unavailable"),
        ("ERROR", "unknown"),
        ("ERROR", "internal"),
        ("ERROR", "data_loss"),
    ] {
        let span = span(code);
        let len = code.len() + 2;
        assert_eq!(
            on_server(router(&clock), code),
            format!(
                "{level} {span} after 20ms, received 1 message of {len} bytes, sent nothing: \
                 {code}: no luck: the disk is full\n"
            )
        );
    }
}

/// What handlers and gates log stands in the span of their call.
#[test]
fn what_is_logged_in_a_call_stands_in_its_span() {
    let clock = Clock::default();
    let router = router(&clock)
        .unary(UPPER, |_: Request<String>| async {
            tracing::info!("in the handler");
            Ok(Response::new(String::new()))
        })
        .add_gate(gate_fn(|_, _| {
            tracing::info!("in the gate");
            Ok(())
        }));
    let log = on_server(router, "hello");
    let lines: Vec<_> = log.lines().collect();
    for (line, text) in lines.iter().zip([
        "tracing: in the gate",
        "tracing: in the handler",
        "connect::server: test.v1.Text/Upper OK",
    ]) {
        assert!(
            line.starts_with(" INFO rpc.server{rpc.system.name="),
            "{line}"
        );
        assert!(line.contains(text), "{line}");
    }
    assert_eq!(lines.len(), 3);
}

fn client(router: Router, clock: &Clock) -> Client<InProcess> {
    let transport = InProcess::new(router).with_timer(Arc::new(clock.clone()));
    Client::new(transport)
        .with_config(ClientConfig::new().with_protocol(Protocol::Grpc))
        .add_observer(Tracing::new())
}

#[test]
fn a_line_for_each_call_of_a_client() {
    let clock = Clock::default();
    let (log, client) = (Log::default(), client(router(&clock), &clock));
    let split = SPLIT;
    let request = || Request::new(String::from("one two"));
    let prefix = "rpc.client{rpc.system.name=\"grpc\" rpc.service=\"test.v1.Text\" rpc.method=\"Split\" \
                  rpc.response.status_code=";
    log.with(|| {
        block_on(async {
            let call = client.server_stream::<Prost, _, String>(&split, request());
            let mut words = call.await.unwrap().into_stream();
            while words.message().await.unwrap().is_some() {}
        });
    });
    assert_eq!(
        log.take(),
        format!(
            "DEBUG {prefix}\"OK\" duration_ms=20.0}}: connect::client: test.v1.Text/Split OK after 20ms, \
             received 2 messages of 10 bytes, sent 1 message of 9 bytes\n"
        )
    );
    log.with(|| {
        let call = client.server_stream::<Prost, _, String>(&split, request());
        drop(block_on(call).unwrap());
    });
    assert_eq!(
        log.take(),
        format!(
            "DEBUG {prefix}\"CANCELLED\" duration_ms=20.0}}: connect::client: test.v1.Text/Split CANCELLED \
             (dropped) after 20ms, received nothing, sent 1 message of 9 bytes: canceled: the call was dropped \
             before its end\n"
        )
    );
    let nope = NOPE;
    log.with(|| block_on(client.unary::<Prost, _, String>(&nope, request())).unwrap_err());
    let line = log.take();
    assert!(line.starts_with(" WARN rpc.client{"), "{line}");
    assert!(
        line.contains("test.v1.Text/Nope UNIMPLEMENTED after 0ns"),
        "{line}"
    );
}

/// What a retry policy has hidden from the caller.
#[test]
fn a_line_of_a_client_says_how_many_attempts_it_took() {
    let failures = Arc::new(AtomicU32::new(2));
    let router = Router::new().unary(UPPER, move |request: Request<String>| {
        let fails = failures.load(Ordering::Relaxed) > 0;
        failures.fetch_sub(u32::from(fails), Ordering::Relaxed);
        async move {
            match fails {
                true => Err(Error::unavailable("not yet")),
                false => Ok(Response::new(request.into_message())),
            }
        }
    });
    let policy = RetryPolicy::new()
        .with_any_method(true)
        .with_initial_backoff(Duration::ZERO);
    let transport = InProcess::new(router).with_timer(Arc::new(Clock::default()));
    let client = Client::new(transport)
        .with_retry(policy)
        .add_observer(Tracing::new());
    let (log, upper) = (Log::default(), UPPER);
    for line in [
        "rpc.response.status_code=\"OK\" duration_ms=0.0 attempts=3}: connect::client: test.v1.Text/Upper OK after 0ns in 3 attempts, \
         received 1 message of 7 bytes, sent 3 messages of 21 bytes\n",
        "rpc.response.status_code=\"OK\" duration_ms=0.0}: connect::client: test.v1.Text/Upper OK after 0ns, \
         received 1 message of 7 bytes, sent 1 message of 7 bytes\n",
    ] {
        let request = Request::new(String::from("hello"));
        log.with(|| block_on(client.unary::<Prost, _, String>(&upper, request)).unwrap());
        let written = log.take();
        assert!(written.ends_with(line), "{written}");
    }
}

#[test]
fn a_procedure_that_nobody_serves_has_no_name() {
    let clock = Clock::default();
    let (log, nope) = (Log::default(), NOPE);
    log.with(|| {
        let router = router(&clock).add_observer(Tracing::new());
        let client = Client::new(InProcess::new(router));
        let request = Request::new(String::new());
        block_on(client.unary::<Prost, _, String>(&nope, request)).unwrap_err();
    });
    let line = log.take();
    assert!(
        line.contains("rpc.service=\"_OTHER\" rpc.method=\"_OTHER\""),
        "{line}"
    );
    assert!(line.starts_with(" WARN "), "{line}");
}
