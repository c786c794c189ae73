//! The loss of a stream, and what it means for its call.

use crate::{Code, Error, Side};

/// How the HTTP layer lost the peer's stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reset {
    /// An HTTP/2 RST_STREAM with this error code (RFC 9113, section 7).
    Http2(u32),
    /// The connection closed, or an HTTP/1.1 body ended early.
    ConnectionLost,
}

impl Reset {
    /// The error of a call whose stream was lost this way, on this side.
    ///
    /// A server sees any reset as the client's cancellation. On a client it is the map of gRPC, "Errors", from HTTP/2
    /// error codes, and `unavailable` for a lost connection.
    #[must_use]
    pub fn to_error(self, side: Side) -> Error {
        match (side, self) {
            (Side::Server, Self::Http2(code)) => Error::canceled(format!(
                "the client reset the stream with HTTP/2 error code {code}"
            )),
            (Side::Server, Self::ConnectionLost) => Error::canceled(
                "the connection to the client was lost before the request was complete",
            ),
            (Side::Client, Self::ConnectionLost) => Error::unavailable(
                "the connection to the server was lost before the response was complete",
            ),
            (Side::Client, Self::Http2(code)) => {
                let rpc_code = match code {
                    0x7 => Code::Unavailable,
                    0x8 => Code::Canceled,
                    0xb => Code::ResourceExhausted,
                    0xc => Code::PermissionDenied,
                    _ => Code::Internal,
                };
                Error::new(
                    rpc_code,
                    format!("the server reset the stream with HTTP/2 error code {code}"),
                )
            }
        }
    }
}
