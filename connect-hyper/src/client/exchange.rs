//! One request on one connection.

use std::sync::Arc;

use connect_tower::{CallBody, transport::TransportError};
use http::{Request, Response, Uri, Version, header::HOST, uri::PathAndQuery};
use hyper::body::Incoming;

use super::{
    endpoint::{Http1Lease, Http2Lease, Lease},
    error,
    request_body::{CallLink, GivenUp, RequestBody, RequestState},
    response_body::ChannelBody,
    target::Target,
};

pub(super) type Outcome = Result<Response<ChannelBody>, TransportError>;

/// Sends a request to this path on the connection that a call has got.
pub(super) async fn exchange(
    server: &Target,
    lease: Lease,
    request: Request<CallBody>,
    path: PathAndQuery,
) -> Outcome {
    match lease {
        Lease::Http1(lease) => over_http1(server, lease, request, path).await,
        Lease::Http2(lease) => over_http2(server, lease, request, path).await,
    }
}

async fn over_http1(
    server: &Target,
    mut lease: Http1Lease,
    mut request: Request<CallBody>,
    path: PathAndQuery,
) -> Outcome {
    let remote = Arc::clone(lease.remote());
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from(path);
    if !request.headers().contains_key(HOST) {
        // A map that is full, beyond what any server takes, is sent without.
        let host = server.host_header().clone();
        let _ = request.headers_mut().try_insert(HOST, host);
    }
    let is_used = lease.is_used();
    let link = Arc::new(CallLink::default());
    let request = request.map(|body| RequestBody::http1(body, Arc::clone(&link)));
    let Ok(sending) = lease.send(request) else {
        return Err(error::connection_closed(&remote));
    };
    let waiting = Waiting(Some(link));
    let outcome = sending.await;
    let link = waiting.end();
    let error = match outcome {
        Ok(response) => return Ok(answered(response, link, Lease::Http1(lease))),
        Err(error) => error,
    };
    // hyper gives back what it did not begin to send.
    let is_begun = error.message().is_none();
    let error = error.into_error();
    Err(match is_begun {
        false if remote.mistaken().is_none() => error::connection_closed(&remote),
        _ if is_used && error::is_lost(&error) => error::stale(error, &remote),
        _ => error::request(error, &remote),
    })
}

/// A call that waits for its response. Dropped, it gives up its request: hyper may have the response already, which nobody
/// takes any more, and would go on with the request's body.
struct Waiting(Option<Arc<CallLink>>);

impl Waiting {
    /// The call has an outcome.
    fn end(mut self) -> Arc<CallLink> {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.give_up(GivenUp::Cancelled);
        }
    }
}

async fn over_http2(
    server: &Target,
    lease: Http2Lease,
    mut request: Request<CallBody>,
    path: PathAndQuery,
) -> Outcome {
    let connection = &lease.connection;
    let (remote, answers) = (&connection.remote, &connection.answers);
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = server.absolute(path);
    let link = Arc::new(CallLink::default());
    let latest = connection.latest.clone();
    let request = request.map(|body| RequestBody::http2(body, Arc::clone(&link), latest));
    let before = answers.count();
    let Ok(sending) = connection.send(request) else {
        return Err(error::connection_closed(remote).with_progress(answers.more_than(0)));
    };
    let waiting = Waiting(Some(link));
    let outcome = sending.await;
    let link = waiting.end();
    let error = match outcome {
        Ok(response) => {
            answers.add();
            return Ok(answered(response, link, Lease::Http2(lease)));
        }
        Err(error) => error.into_error(),
    };
    let progress = match error::is_of_stream(&error) {
        // The connection goes on: it is to have served others since.
        true => answers.more_than(before),
        false => {
            lease.retire();
            answers.more_than(0)
        }
    };
    let failure = match link.state() {
        RequestState::Unsent => error::connection_closed(remote),
        RequestState::Lost => error::connection_lost(remote),
        _ => error::request(error, remote),
    };
    Err(failure.with_progress(progress))
}

fn answered(
    response: Response<Incoming>,
    link: Arc<CallLink>,
    lease: Lease,
) -> Response<ChannelBody> {
    response.map(|incoming| ChannelBody::new(incoming, link, lease))
}
