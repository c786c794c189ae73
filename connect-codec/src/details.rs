//! Typed error details, and the standard ones of `google.rpc`.

use connect_proto::{Error, ErrorDetail};

use crate::json::{self, JsonMessage, JsonOptions};

/// The standard error details, as messages: [`BadRequest`](rpc::BadRequest),
/// [`RetryInfo`](rpc::RetryInfo), [`ErrorInfo`](rpc::ErrorInfo) and so on.
///
/// Names and numbers are those of the Protobuf package `google.rpc`.
pub mod rpc {
    include!("generated/google.rpc.rs");
}

/// Details of an [`Error`] by their message type.
///
/// ```
/// use connect_codec::{ErrorExt, rpc::RetryInfo};
/// use connect_proto::Error;
///
/// let retry = RetryInfo {
///     retry_delay: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
/// };
/// let error = Error::unavailable("out of capacity").with_message_detail(&retry);
///
/// let back: RetryInfo = error.message_detail().expect("one is there")?;
/// assert_eq!(back, retry);
/// # Ok::<(), Error>(())
/// ```
pub trait ErrorExt: Sized {
    /// Adds a message as a detail.
    ///
    /// Connect also sends its JSON form, for people who read the wire; a message without one, such as
    /// one that holds an `Any` of unknown type, is sent without.
    #[must_use]
    fn with_message_detail<M: prost::Message + JsonMessage>(self, message: &M) -> Self;

    /// The first detail of this message type; `None` if there is none.
    ///
    /// # Errors
    /// `internal` if the peer's bytes are no such message.
    fn message_detail<M: prost::Message + JsonMessage>(&self) -> Option<Result<M, Error>>;

    /// All details of this message type, in their order.
    fn message_details<M: prost::Message + JsonMessage>(
        &self,
    ) -> impl Iterator<Item = Result<M, Error>>;
}

impl ErrorExt for Error {
    fn with_message_detail<M: prost::Message + JsonMessage>(self, message: &M) -> Self {
        let detail = ErrorDetail::new(M::FULL_NAME, message.encode_to_vec());
        match json::to_string(message, &JsonOptions::default()) {
            Ok(text) => self.with_detail(detail.with_debug_json(text)),
            Err(_) => self.with_detail(detail),
        }
    }

    fn message_detail<M: prost::Message + JsonMessage>(&self) -> Option<Result<M, Self>> {
        self.message_details().next()
    }

    fn message_details<M: prost::Message + JsonMessage>(
        &self,
    ) -> impl Iterator<Item = Result<M, Self>> {
        let details = self.details().iter();
        let of_type = details.filter(|detail| detail.type_name() == M::FULL_NAME);
        of_type.map(|detail| {
            M::decode(detail.value().clone()).map_err(|error| {
                let name = M::FULL_NAME;
                Self::internal(format!("error detail {name}: {error}"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use connect_proto::Code;

    use super::*;
    use crate::rpc::{BadRequest, ErrorInfo, RetryInfo, bad_request::FieldViolation};

    fn bad_request(field: &str) -> BadRequest {
        BadRequest {
            field_violations: vec![FieldViolation {
                field: field.into(),
                ..FieldViolation::default()
            }],
        }
    }

    #[test]
    fn details_are_found_by_type() {
        let error = Error::invalid_argument("no")
            .with_message_detail(&bad_request("a"))
            .with_message_detail(&ErrorInfo::default())
            .with_message_detail(&bad_request("b"));
        let all: Result<Vec<BadRequest>, _> = error.message_details().collect();
        assert_eq!(all.unwrap(), [bad_request("a"), bad_request("b")]);
        let first: BadRequest = error.message_detail().unwrap().unwrap();
        assert_eq!(first, bad_request("a"));
        assert!(error.message_detail::<RetryInfo>().is_none());
    }

    #[test]
    fn details_carry_name_and_json() {
        let error = Error::aborted("").with_message_detail(&bad_request("a"));
        let detail = &error.details()[0];
        assert_eq!(detail.type_name(), "google.rpc.BadRequest");
        assert_eq!(
            detail.debug_json(),
            Some(r#"{"fieldViolations":[{"field":"a"}]}"#)
        );
    }

    #[test]
    fn a_detail_without_json_form_is_sent_without() {
        let any = prost_types::Any {
            type_url: "type.googleapis.com/unknown.Type".into(),
            value: vec![],
        };
        let error = Error::aborted("").with_message_detail(&any);
        assert_eq!(error.details()[0].debug_json(), None);
        assert_eq!(
            error.message_detail::<prost_types::Any>().unwrap().unwrap(),
            any
        );
    }

    #[test]
    fn malformed_details_are_errors() {
        let detail = ErrorDetail::new("google.rpc.RetryInfo", &b"\x0a\xff"[..]);
        let error = Error::unavailable("").with_detail(detail);
        let error = error.message_detail::<RetryInfo>().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(error.message().contains("google.rpc.RetryInfo"), "{error}");
    }

    #[test]
    fn the_default_registry_knows_them() {
        let error = Error::aborted("").with_message_detail(&rpc::Status {
            details: vec![prost_types::Any::from_msg(&RetryInfo::default()).unwrap()],
            ..rpc::Status::default()
        });
        let json = r#"{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo"}]}"#;
        assert_eq!(error.details()[0].debug_json(), Some(json));
    }
}
