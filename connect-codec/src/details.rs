//! Typed error details.

use connect_proto::{Error, ErrorDetail};

use crate::json::{self, JsonMessage, JsonOptions};

/// Details of an [`Error`] by their message type.
///
/// The standard ones are in [`rpc`](crate::rpc); any generated message will do.
///
/// ```
/// use connect_codec::{ErrorExt, rpc::ErrorInfo};
/// use connect_proto::Error;
///
/// let info = ErrorInfo::new("PLAN", "example.com");
/// let error = Error::permission_denied("not in your plan").add_message_detail(&info);
///
/// let received: Option<ErrorInfo> = error.message_detail();
/// assert_eq!(received, Some(info));
/// ```
pub trait ErrorExt: Sized {
    /// Adds a message as a detail.
    ///
    /// Connect also sends its JSON form, for people who read the wire; a message without one, such as
    /// one that holds an `Any` of unknown type, is sent without.
    #[must_use]
    fn add_message_detail<M: prost::Message + JsonMessage>(self, message: &M) -> Self;

    /// The first detail of this message type that can be read; `None` if there is none.
    fn message_detail<M: prost::Message + JsonMessage>(&self) -> Option<M>;

    /// All details of this message type, in their order.
    ///
    /// # Errors
    /// Each is `internal` if the peer's bytes are no such message.
    fn message_details<M: prost::Message + JsonMessage>(
        &self,
    ) -> impl Iterator<Item = Result<M, Error>>;
}

impl ErrorExt for Error {
    fn add_message_detail<M: prost::Message + JsonMessage>(self, message: &M) -> Self {
        let detail = ErrorDetail::new(M::FULL_NAME, message.encode_to_vec());
        match json::to_string(message, &JsonOptions::default()) {
            Ok(text) => self.add_detail(detail.with_debug_json(text)),
            Err(_) => self.add_detail(detail),
        }
    }

    fn message_detail<M: prost::Message + JsonMessage>(&self) -> Option<M> {
        self.message_details().find_map(Result::ok)
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
    use crate::rpc::{self, BadRequest, ErrorInfo, RetryInfo};

    #[test]
    fn details_are_found_by_type() {
        let error = Error::invalid_argument("no")
            .add_message_detail(&BadRequest::new().violation("a", ""))
            .add_message_detail(&ErrorInfo::default())
            .add_message_detail(&BadRequest::new().violation("b", ""));
        let all: Result<Vec<BadRequest>, _> = error.message_details().collect();
        assert_eq!(
            all.unwrap(),
            [
                BadRequest::new().violation("a", ""),
                BadRequest::new().violation("b", "")
            ]
        );
        let first: BadRequest = error.message_detail().unwrap();
        assert_eq!(first, BadRequest::new().violation("a", ""));
        assert!(error.message_detail::<RetryInfo>().is_none());
    }

    #[test]
    fn details_carry_name_and_json() {
        let error = Error::aborted("").add_message_detail(&BadRequest::new().violation("a", ""));
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
        let error = Error::aborted("").add_message_detail(&any);
        assert_eq!(error.details()[0].debug_json(), None);
        assert_eq!(error.message_detail::<prost_types::Any>(), Some(any));
    }

    #[test]
    fn malformed_details_are_errors_and_hide_no_others() {
        let detail = ErrorDetail::new("google.rpc.RetryInfo", &b"\x0a\xff"[..]);
        let error = Error::unavailable("").add_detail(detail);
        assert_eq!(error.message_detail::<RetryInfo>(), None);
        let error = error.add_message_detail(&RetryInfo::default());
        assert_eq!(error.message_detail(), Some(RetryInfo::default()));

        let mut all = error.message_details::<RetryInfo>();
        let error = all.next().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(error.message().contains("google.rpc.RetryInfo"), "{error}");
        assert!(all.next().unwrap().is_ok());
    }

    #[test]
    fn the_default_registry_knows_them() {
        let error = Error::aborted("").add_message_detail(&rpc::Status {
            details: vec![prost_types::Any::from_msg(&RetryInfo::default()).unwrap()],
            ..rpc::Status::default()
        });
        let json = r#"{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo"}]}"#;
        assert_eq!(error.details()[0].debug_json(), Some(json));
    }
}
