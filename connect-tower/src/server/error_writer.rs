//! RPC errors for plain HTTP middleware.

use connect_proto::{Error, detect};
use http::{HeaderValue, Response, header::CONTENT_TYPE, request::Parts};

use crate::call::body::CallBody;

/// The whole response with which a request fails, in the protocol that its caller speaks: for tower middleware that
/// refuses requests before a router sees them.
///
/// A request that is not a call is answered in plain HTTP, with the status of the error's code and its message as text.
///
/// ```
/// use connect_tower::{Error, error_response};
///
/// # fn main() -> Result<(), http::Error> {
/// let request = http::Request::post("/demo.v1.Text/Upper")
///     .header("content-type", "application/json")
///     .body(())?;
/// let (parts, ()) = request.into_parts();
/// let response = error_response(&parts, &Error::unauthenticated("who are you?"));
/// assert_eq!(response.status(), 401);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn error_response(request: &Parts, error: &Error) -> Response<CallBody> {
    match detect(request) {
        Ok(detected) => detected.reject(error).map(CallBody::from),
        Err(_) => {
            let mut response = Response::new(CallBody::full(error.message().to_owned()));
            *response.status_mut() = error.code().http_status();
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            response
        }
    }
}
