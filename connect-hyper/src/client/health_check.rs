//! What endpoints are asked to know whether they serve.

use std::{fmt, sync::Arc};

use http::HeaderMap;

/// What [`with_health_check`](super::ChannelBuilder::with_health_check) asks each endpoint. A name alone is one too.
///
/// ```
/// use connect_hyper::client::HealthCheck;
/// use http::{HeaderValue, header::AUTHORIZATION};
///
/// fn token() -> HeaderValue {
///     HeaderValue::from_static("Bearer of-this-hour")
/// }
///
/// let check = HealthCheck::new("greet.v1.GreetService").with_headers(|headers| {
///     headers.insert(AUTHORIZATION, token());
/// });
/// assert_eq!(check.service(), "greet.v1.GreetService");
/// ```
#[derive(Clone)]
pub struct HealthCheck {
    service: Arc<str>,
    headers: Option<Arc<AddHeaders>>,
}

type AddHeaders = dyn Fn(&mut HeaderMap) + Send + Sync;

impl HealthCheck {
    /// Asks for a service by its full name, such as `greet.v1.GreetService`, or by `""` for the server as a whole.
    #[must_use]
    pub fn new(service: impl Into<Arc<str>>) -> Self {
        Self {
            service: service.into(),
            headers: None,
        }
    }

    /// Adds metadata to each request, such as the token that a gate wants. The function is called for every stream that is
    /// opened, so it may give another token each time; it must not block. Default: none.
    #[must_use]
    pub fn with_headers(mut self, add: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.headers = Some(Arc::new(add));
        self
    }

    /// The service that is asked for.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(add) = &self.headers {
            add(headers);
        }
    }
}

impl From<&str> for HealthCheck {
    fn from(service: &str) -> Self {
        Self::new(service)
    }
}

impl From<String> for HealthCheck {
    fn from(service: String) -> Self {
        Self::new(service)
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthCheck")
            .field("service", &self.service)
            .field("headers", &self.headers.is_some())
            .finish()
    }
}
