//! What browsers need in CORS headers to make calls from pages of other origins.
//!
//! A browser asks first whether a page may send a call's method and headers, and shows the page only those headers of
//! the answer that the server exposes. These are the names that the three protocols use; add those of your own
//! metadata. Trailing metadata of Connect unary calls comes as headers with the prefix `trailer-`.
//!
//! ```
//! use connect_tower::{Router, cors};
//! use tower_http::cors::{Any, CorsLayer};
//! use tower_layer::Layer;
//!
//! let layer = CorsLayer::new()
//!     .allow_origin(Any)
//!     .allow_methods(cors::ALLOW_METHODS)
//!     .allow_headers(cors::ALLOW_HEADERS)
//!     .expose_headers(cors::EXPOSE_HEADERS);
//! let service = layer.layer(Router::new());
//! ```

use http::{HeaderName, Method, header};

/// The methods that calls use: GET for Connect calls without side effects, POST for all others.
pub const ALLOW_METHODS: [Method; 2] = [Method::GET, Method::POST];

/// The request headers of the protocols that need a page to be allowed to send them.
pub const ALLOW_HEADERS: [HeaderName; 12] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("connect-protocol-version"),
    HeaderName::from_static("connect-timeout-ms"),
    HeaderName::from_static("connect-content-encoding"),
    HeaderName::from_static("connect-accept-encoding"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-previous-rpc-attempts"),
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
];

/// The response headers of the protocols that a page must be able to read.
pub const EXPOSE_HEADERS: [HeaderName; 7] = [
    header::CONTENT_ENCODING,
    HeaderName::from_static("connect-content-encoding"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-status-details-bin"),
];
