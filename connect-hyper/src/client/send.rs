//! One request of a channel. Whether it goes out again is for the call above to decide, from what the error says.

use std::sync::Arc;

use connect_tower::{Attempts, CallBody, Deadline};
use http::Request;

use super::{
    Inner,
    exchange::{Outcome, exchange},
    group::Unanswered,
};
use crate::runtime::Runtime;

pub(super) async fn send<R: Runtime>(
    channel: Arc<Inner<R>>,
    mut request: Request<CallBody>,
) -> Outcome {
    let deadline = request.extensions_mut().remove::<Deadline>();
    let server = &channel.shared.target;
    let path = server.path(request.uri())?;
    let want = channel.shared.want(request.version());
    // One HTTP/1.1 connection was closed while it was idle: others may be too.
    let skip_idle = Attempts::of(request.extensions()).resends() > 0;
    let (lease, member) = channel.endpoints.check_out(want, skip_idle).await?;
    let unanswered = Unanswered::new(member, deadline);
    let mut outcome = exchange(server, lease, request, path).await;
    unanswered.end(&mut outcome);
    outcome
}
