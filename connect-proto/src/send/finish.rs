//! How a sending side ends: what each protocol writes of its outcome.

use http::{HeaderMap, header::CONTENT_ENCODING};

use super::{Head, SendHalf, Start, State};
use crate::{
    Error,
    envelope::{FLAG_END_STREAM, FLAG_TRAILERS},
    metadata,
    protocol::{Wire, connect, grpc, grpc_web},
};

impl SendHalf {
    pub(super) fn finish_request(&mut self) {
        self.state = State::Finished(None);
        let compression = self.headers.get(CONTENT_ENCODING);
        let compression = compression.and_then(|value| value.to_str().ok());
        if let Head::Held(Start::Request { uri, get }) = &mut self.head {
            let with_query = get.and_then(|policy| {
                connect::get::uri_with_query(
                    uri,
                    policy.max_url_bytes(),
                    &self.content_type.codec,
                    compression,
                    self.waiting.peek(),
                )
            });
            if let Some(with_query) = with_query {
                *uri = with_query;
                self.waiting.clear();
                connect::strip_for_get(&mut self.headers);
            } else {
                *get = None;
            }
        }
        self.release_head();
    }

    pub(super) fn finish_response(&mut self, outcome: Result<HeaderMap, Error>) {
        let head_is_out = !matches!(self.head, Head::Held(_));
        let outcome = outcome.map_err(|error| self.max.cut(error.into_sent(self.forward_errors)));
        let trailers = match self.content_type.wire {
            Wire::ConnectUnary => {
                self.finish_unary(outcome);
                None
            }
            Wire::ConnectStream => {
                let (error, custom) = split_outcome(outcome);
                let end = connect::end_stream(error.as_ref(), custom);
                self.waiting.push_terminal(FLAG_END_STREAM, end);
                None
            }
            Wire::Grpc | Wire::GrpcWeb | Wire::GrpcWebText => {
                let head = (!head_is_out).then_some(&self.headers);
                let outcome = self.max.fit_status(outcome, self.content_type.wire, head);
                let (error, custom) = split_outcome(outcome);
                let trailers = grpc::trailers(error.as_ref(), custom);
                if error.is_some() && !head_is_out {
                    // gRPC, "Trailers-Only is permitted for calls that produce an immediate error."
                    metadata::append_all(&mut self.headers, trailers);
                    self.encoder.compression = None;
                    None
                } else if self.content_type.wire == Wire::Grpc {
                    Some(trailers)
                } else {
                    let payload = grpc_web::encode_trailers(&trailers);
                    self.waiting.push_terminal(FLAG_TRAILERS, payload);
                    None
                }
            }
        };
        self.state = State::Finished(trailers);
        self.release_head();
    }

    /// Connect, "Unary-Response": trailers are prefixed headers; an error is a JSON body with its own status.
    fn finish_unary(&mut self, outcome: Result<HeaderMap, Error>) {
        match self.max.fit_unary(outcome, &self.headers) {
            Ok(trailers) => metadata::append_trailers_prefixed(&mut self.headers, trailers),
            Err(error) => {
                self.waiting.clear();
                if let Head::Held(start) = &mut self.head {
                    *start = Start::Response(error.code().http_status());
                }
                let body = connect::write_unary_error(&mut self.headers, error);
                self.waiting.push_error_body(body);
            }
        }
    }
}

/// The error and the user's trailing metadata: the error's own if the call failed.
fn split_outcome(outcome: Result<HeaderMap, Error>) -> (Option<Error>, HeaderMap) {
    outcome.map_or_else(
        |mut error| {
            let custom = error.take_metadata();
            (Some(error), custom)
        },
        |trailers| (None, trailers),
    )
}
