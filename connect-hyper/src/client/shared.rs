//! What all endpoints of a channel have in common.

use std::{fmt, sync::Arc};

use connect_tower::rt::SharedTimer;

use super::{
    connector::Connector,
    settings::{HttpVersion, Settings},
    target::Target,
};
use crate::{runtime::Runtime, tls::TlsConnector};

/// The runtime, the server and the settings of a channel.
pub(super) struct Shared<R: Runtime> {
    pub(super) runtime: R,
    /// The runtime again, as a trait object.
    pub(super) timer: SharedTimer,
    pub(super) target: Target,
    pub(super) connector: Connector,
    pub(super) tls: Option<Arc<dyn TlsConnector<R>>>,
    pub(super) settings: Settings,
}

/// Which HTTP a connection is to speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    Http1,
    Http2,
    /// Over TLS: what the server prefers.
    Either,
}

impl Want {
    /// Whether only HTTP/1.1 will do, for a server that prefers it over TLS, or not.
    pub(super) fn needs_http1(self, prefers_http1: bool) -> bool {
        match self {
            Self::Http1 => true,
            Self::Http2 => false,
            Self::Either => prefers_http1,
        }
    }
}

impl<R: Runtime> Shared<R> {
    /// Which HTTP a request of this version is to go over.
    pub(super) fn want(&self, version: http::Version) -> Want {
        if version == http::Version::HTTP_2 {
            return Want::Http2;
        }
        match self.settings.version {
            HttpVersion::Http1 => Want::Http1,
            HttpVersion::Http2 => Want::Http2,
            HttpVersion::Auto if self.target.is_tls() => Want::Either,
            HttpVersion::Auto => Want::Http1,
        }
    }

    /// Whether a connection may offer both versions, for the server to choose.
    pub(super) fn can_offer_both(&self) -> bool {
        self.target.is_tls() && self.settings.version != HttpVersion::Http2
    }
}

impl<R: Runtime> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("target", &format_args!("{}", self.target))
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
