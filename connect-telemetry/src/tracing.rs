//! A span and a line for each call, by `tracing`.

use std::fmt;

use connect_tower::{CallEnd, CallObserver, CallStart, Code, Observer, Side, Traffic};
use tracing::{Level, Span, field::Empty, level_filters::LevelFilter};

use crate::outcome::{is_failure, status_code, system};

/// Makes a span of each call, and writes a line when it ends.
///
/// The span is current while the call is polled, so that whatever handlers, interceptors and gates log stands in it. It is
/// named `rpc.server` or `rpc.client`, has the level INFO, and these fields, of which the last three come at the end:
///
/// | field | value |
/// |---|---|
/// | `rpc.system.name` | `connectrpc` or `grpc` |
/// | `rpc.service`, `rpc.method` | the names of the called service and method; `_OTHER` for what nobody serves |
/// | `network.peer.address` | on a server, the other end of the connection, with its port |
/// | `rpc.response.status_code` | `OK`, or the error's code |
/// | `duration_ms` | how long the call took, in milliseconds |
/// | `attempts` | on a client, how many attempts the call took, if that was more than one |
///
/// The line is written inside of the span. It names the procedure, the code, the time, the attempts and what was sent again if
/// there was any, the messages both ways with their sizes as they were encoded, and the error with its sources. Its level says who has to care:
///
/// | level | on a server | on a client |
/// |---|---|---|
/// | ERROR | `unknown`, `internal`, `data_loss`: something is broken here | |
/// | WARN | `deadline_exceeded`, `unimplemented`, `unavailable` | every error but `canceled` by dropping the call |
/// | INFO | success, and what the client did wrong | |
/// | DEBUG | | success, and calls that were dropped |
///
/// Targets are `connect::server` and `connect::client`, for filters. Without a subscriber, calls are not observed.
///
/// ```
/// use connect_telemetry::Tracing;
/// use connect_tower::{Client, InProcess, Router};
///
/// let router = Router::new().add_observer(Tracing::new());
/// let client = Client::new(InProcess::new(router)).add_observer(Tracing::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing(());

impl Tracing {
    /// Spans and lines for the subscriber that is current when a call begins.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

struct TracedCall {
    span: Span,
    side: Side,
    system: &'static str,
    procedure: String,
}

impl Observer for Tracing {
    fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        if LevelFilter::current() == LevelFilter::OFF {
            return None;
        }
        let system = system(start.protocol());
        let procedure = start.procedure().unwrap_or("_OTHER");
        let (service, method) = procedure.rsplit_once('/').unwrap_or(("_OTHER", "_OTHER"));
        let span = match start.side() {
            Side::Server => tracing::info_span!(
                target: "connect::server",
                "rpc.server",
                rpc.system.name = system,
                rpc.service = service,
                rpc.method = method,
                network.peer.address = Empty,
                rpc.response.status_code = Empty,
                duration_ms = Empty,
            ),
            Side::Client => tracing::info_span!(
                target: "connect::client",
                "rpc.client",
                rpc.system.name = system,
                rpc.service = service,
                rpc.method = method,
                rpc.response.status_code = Empty,
                duration_ms = Empty,
                attempts = Empty,
            ),
        };
        if let Some(addr) = start.peer().and_then(|peer| peer.addr()) {
            span.record("network.peer.address", tracing::field::display(addr));
        }
        Some(Box::new(TracedCall {
            span,
            side: start.side(),
            system,
            procedure: procedure.to_owned(),
        }))
    }
}

impl CallObserver for TracedCall {
    fn in_scope(&self, work: &mut dyn FnMut()) {
        self.span.in_scope(work);
    }

    fn end(&self, end: &CallEnd<'_>) {
        let status = status_code(end.code(), self.system);
        self.span.record("rpc.response.status_code", status);
        if let Some(duration) = end.duration() {
            let milliseconds = duration.as_secs_f64() * 1000.0;
            self.span.record("duration_ms", milliseconds);
        }
        let attempts = end.attempts().count();
        if attempts > 1 {
            self.span.record("attempts", attempts);
        }
        let line = Line { call: self, end };
        self.span.in_scope(|| match (self.side, self.level(end)) {
            (Side::Server, Level::ERROR) => tracing::error!(target: "connect::server", "{line}"),
            (Side::Server, Level::WARN) => tracing::warn!(target: "connect::server", "{line}"),
            (Side::Server, _) => tracing::info!(target: "connect::server", "{line}"),
            (Side::Client, Level::WARN) => tracing::warn!(target: "connect::client", "{line}"),
            (Side::Client, _) => tracing::debug!(target: "connect::client", "{line}"),
        });
    }
}

impl TracedCall {
    fn level(&self, end: &CallEnd<'_>) -> Level {
        match (self.side, end.code()) {
            (Side::Client, None) => Level::DEBUG,
            (Side::Client, Some(Code::Canceled)) if end.is_dropped() => Level::DEBUG,
            (Side::Client, Some(_)) => Level::WARN,
            (Side::Server, Some(Code::Unknown | Code::Internal | Code::DataLoss)) => Level::ERROR,
            (Side::Server, Some(code)) if is_failure(code, Side::Server) => Level::WARN,
            (Side::Server, _) => Level::INFO,
        }
    }
}

/// What an operator reads of a call.
struct Line<'a> {
    call: &'a TracedCall,
    end: &'a CallEnd<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, end } = self;
        let status = status_code(end.code(), call.system);
        write!(f, "{} {status}", call.procedure)?;
        if end.is_dropped() {
            f.write_str(" (dropped)")?;
        }
        if let Some(duration) = end.duration() {
            write!(f, " after {duration:?}")?;
        }
        match (end.attempts().count(), end.attempts().resends()) {
            (1, 0) => {}
            (1, resends) => write!(f, ", sent again {resends} times")?,
            (count, 0) => write!(f, " in {count} attempts")?,
            (count, resends) => write!(f, " in {count} attempts, sent again {resends} times")?,
        }
        f.write_str(", received ")?;
        traffic(f, end.received())?;
        f.write_str(", sent ")?;
        traffic(f, end.sent())?;
        match end.error() {
            Some(error) if error.message().is_empty() => Ok(()),
            Some(error) => write!(f, ": {error:#}"),
            None => Ok(()),
        }
    }
}

fn traffic(f: &mut fmt::Formatter<'_>, traffic: Traffic) -> fmt::Result {
    match traffic.messages() {
        0 => f.write_str("nothing"),
        1 => write!(f, "1 message of {} bytes", traffic.encoded_bytes()),
        many => write!(f, "{many} messages of {} bytes", traffic.encoded_bytes()),
    }
}
