//! What all ways to look have in common: names of systems and codes, and which codes are failures.
#![cfg_attr(
    not(any(feature = "opentelemetry", feature = "tracing")),
    allow(dead_code, reason = "there is nothing to look with")
)]

use connect_tower::{Code, Protocol, Side};

/// `rpc.system.name`. gRPC-Web is gRPC in another framing. A request of no known protocol has come to a server that speaks
/// all of them.
pub(crate) fn system(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Grpc | Protocol::GrpcWeb) => "grpc",
        Some(Protocol::Connect) | None => "connectrpc",
    }
}

/// `rpc.response.status_code`: gRPC's names of codes for gRPC, Connect's for Connect, which has none for success.
pub(crate) fn status_code(code: Option<Code>, system: &str) -> &'static str {
    let Some(code) = code else {
        return "OK";
    };
    if system == "connectrpc" {
        return code.as_str();
    }
    match code {
        Code::Canceled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether a call with this code has failed. For a client every error is one; for a server those that are not the client's
/// own doing.
pub(crate) fn is_failure(code: Code, side: Side) -> bool {
    match side {
        Side::Client => true,
        Side::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}
