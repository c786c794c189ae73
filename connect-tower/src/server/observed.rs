//! Observers of a server's calls.

use connect_proto::{Detected, Side};
use http::{request::Parts, uri::Authority};

use crate::{
    call::observe::{CallGuard, CallStart, Observed},
    server::router::{Inner, Procedure},
};

impl Inner {
    /// Tells the observers of a call that has arrived.
    pub(crate) fn begin(
        &self,
        procedure: Option<&Procedure>,
        detected: Option<&Detected>,
        parts: &mut Parts,
    ) -> Option<CallGuard> {
        let observers = self.observers(procedure);
        if observers.is_empty() {
            return None;
        }
        let timer = self.timer_for(&parts.extensions).cloned();
        let mut start = CallStart {
            side: Side::Server,
            spec: procedure.map(|procedure| &procedure.route().spec),
            path: parts.uri.path(),
            protocol: detected.map(Detected::protocol),
            authority: parts.uri.authority().map(Authority::as_str),
            headers: &mut parts.headers,
            extensions: &mut parts.extensions,
        };
        Observed::begin(observers, &mut start, timer)
    }
}
