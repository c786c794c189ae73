//! One call: a connection, the request in that connection's form, and another try if that does no harm.

use std::sync::Arc;

use connect_proto::{Error, Idempotency};
use connect_tower::{
    CallBody,
    transport::{Sent, TransportError},
};
use http::{Request, Response, Uri, Version, header::HOST, request, uri::PathAndQuery};
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    Inner,
    connection::Standing,
    endpoint::{Http1Lease, Http2Lease, Lease},
    error,
    remote::Remote,
    request_body::{CallLink, RequestBody, RequestState},
    response_body::ChannelBody,
    target::Target,
};
use crate::runtime::Runtime;

/// How often one request is sent at most, apart from tries that a draining connection refused: see [`Standing`]. Every try but
/// the first follows one that surely was not processed, or one of an idempotent procedure that met a connection which was
/// being closed.
const MAX_TRIES: usize = 3;

/// How often one request is sent at most in all.
///
/// Some servers end every connection by a GOAWAY after so many calls, and of many calls at once each connection then takes
/// only some. So a call may need more tries than [`MAX_TRIES`] to have its turn.
const MAX_TRIES_IN_ALL: usize = 50;

/// A request that can be sent.
struct Outgoing {
    head: request::Parts,
    body: CallBody,
    target: PathAndQuery,
}

/// What became of one try.
enum Tried {
    Answered(Response<ChannelBody>),
    /// It may be sent again, and here it is.
    Again(Again),
    Failed(TransportError),
}

/// A request that may be sent again.
struct Again {
    outgoing: Box<Outgoing>,
    failure: TransportError,
    /// Of the connection that did not take it.
    standing: Arc<Standing>,
}

pub(super) async fn send<R: Runtime>(
    channel: Arc<Inner<R>>,
    request: Request<CallBody>,
) -> Result<Response<ChannelBody>, TransportError> {
    let (head, body) = request.into_parts();
    let server = &channel.shared.target;
    let want = channel.shared.want(head.version);
    let target = server.path(&head.uri).map_err(unsent)?;
    let mut outgoing = Outgoing { head, body, target };
    // Of the connections that did not take the request.
    let mut standings: Vec<Arc<Standing>> = Vec::new();
    loop {
        let is_again = !standings.is_empty();
        let (lease, member) = channel.endpoints.check_out(want, is_again).await?;
        let tried = match lease {
            Lease::Http1(lease) => over_http1(server, lease, outgoing).await,
            Lease::Http2(lease) => over_http2(server, lease, outgoing).await,
        };
        let again = match tried {
            Tried::Answered(mut response) => {
                if let Some(member) = member {
                    member.follow(&mut response);
                }
                return Ok(response);
            }
            Tried::Failed(error) => {
                if let Some(member) = member {
                    member.lost(&error);
                }
                return Err(error);
            }
            Tried::Again(again) => again,
        };
        standings.push(again.standing);
        // All of them each time: the answers of other calls may have come since.
        let counted = standings.iter().filter(|it| !it.has_drained()).count();
        if counted == MAX_TRIES || standings.len() == MAX_TRIES_IN_ALL {
            return Err(again.failure);
        }
        outgoing = *again.outgoing;
    }
}

async fn over_http1(server: &Target, mut lease: Http1Lease, outgoing: Outgoing) -> Tried {
    let remote = Arc::clone(lease.remote());
    let Outgoing {
        mut head,
        body,
        target,
    } = outgoing;
    head.version = Version::HTTP_11;
    head.uri = Uri::from(target.clone());
    if !head.headers.contains_key(HOST) {
        // A map that is full, beyond what any server takes, is sent without.
        let _ = head.headers.try_insert(HOST, server.host_header().clone());
    }
    // A server that closes an idle connection may do so while the request is on its way. RFC 9110, section 9.2.2: what
    // is idempotent may then be sent again.
    let copy = match lease.is_used() && is_idempotent(&head) {
        true => body.try_clone().map(|body| (head.clone(), body)),
        false => None,
    };
    let link = Arc::new(CallLink::default());
    let body = RequestBody::http1(body, Arc::clone(&link));
    let sending = match lease.send(Request::from_parts(head, body)) {
        Ok(sending) => sending,
        Err(request) => return not_queued(*request, target, &remote, Arc::default()),
    };
    let mut error = match sending.await {
        Ok(response) => return Tried::Answered(answered(response, link, Lease::Http1(lease))),
        Err(error) => error,
    };
    let recovered = recover(&mut error, target.clone());
    let error = error.into_error();
    let copy = copy.filter(|_| error::is_lost(&error));
    let again = recovered.or_else(|| {
        let (head, body) = copy?;
        Some(Box::new(Outgoing { head, body, target }))
    });
    let failure = error::request(error, &remote);
    match again {
        // A port that speaks something else will not speak HTTP the next time.
        Some(outgoing) if remote.mistaken().is_none() => Tried::Again(Again {
            outgoing,
            failure,
            standing: Arc::default(),
        }),
        _ => Tried::Failed(failure),
    }
}

fn is_idempotent(head: &request::Parts) -> bool {
    let declared = head.extensions.get::<Idempotency>();
    head.method.is_idempotent() || declared.is_some_and(|it| *it != Idempotency::Unknown)
}

async fn over_http2(server: &Target, lease: Http2Lease, outgoing: Outgoing) -> Tried {
    let connection = &lease.connection;
    let Outgoing {
        mut head,
        body,
        target,
    } = outgoing;
    head.version = Version::HTTP_2;
    head.uri = server.absolute(target.clone());
    // hyper gives a request back only if it never came to a stream. One whose stream the server then
    // refused, or closed unprocessed by a GOAWAY, is sent again from this copy.
    let copy = body.try_clone().map(|body| (head.clone(), body));
    let link = Arc::new(CallLink::default());
    let body = RequestBody::http2(body, Arc::clone(&link), connection.latest.clone());
    let sending = match connection.send(Request::from_parts(head, body)) {
        Ok(sending) => sending,
        Err(request) => {
            let standing = Arc::clone(&connection.standing);
            return not_queued(*request, target, &connection.remote, standing);
        }
    };
    let mut error = match sending.await {
        Ok(response) => {
            connection.standing.set_answered();
            return Tried::Answered(answered(response, link, Lease::Http2(lease)));
        }
        Err(error) => error,
    };
    let recovered = recover(&mut error, target.clone());
    let error = error.into_error();
    if error::is_goaway(&error) {
        // The connection's task may be about to see it.
        connection.standing.set_goaway();
    }
    if !error::is_of_stream(&error) {
        lease.retire();
    }
    let remote = &connection.remote;
    let failure = match link.state() {
        RequestState::Unsent => error::connection_closed(remote),
        RequestState::Lost => error::connection_lost(remote),
        _ => error::request(error, remote),
    };
    // A port that speaks something else will not speak HTTP/2 the next time.
    if failure.sent() != Sent::No || remote.mistaken().is_some() {
        return Tried::Failed(failure);
    }
    let again = recovered.or_else(|| {
        let (head, body) = copy?;
        Some(Box::new(Outgoing { head, body, target }))
    });
    match again {
        Some(outgoing) => Tried::Again(Again {
            outgoing,
            failure,
            standing: Arc::clone(&connection.standing),
        }),
        None => Tried::Failed(failure),
    }
}

fn answered(
    response: Response<Incoming>,
    link: Arc<CallLink>,
    lease: Lease,
) -> Response<ChannelBody> {
    response.map(|incoming| ChannelBody::new(incoming, link, lease))
}

/// The connection had ended before the request was queued.
fn not_queued(
    request: Request<RequestBody>,
    target: PathAndQuery,
    remote: &Remote,
    standing: Arc<Standing>,
) -> Tried {
    let failure = error::connection_closed(remote);
    if remote.mistaken().is_some() {
        return Tried::Failed(failure);
    }
    Tried::Again(Again {
        outgoing: Box::new(outgoing(request, target)),
        failure,
        standing,
    })
}

/// The request, if hyper did not start to send it.
fn recover(
    error: &mut TrySendError<Request<RequestBody>>,
    target: PathAndQuery,
) -> Option<Box<Outgoing>> {
    Some(Box::new(outgoing(error.take_message()?, target)))
}

fn outgoing(request: Request<RequestBody>, target: PathAndQuery) -> Outgoing {
    let (head, body) = request.into_parts();
    Outgoing {
        head,
        body: body.into_inner(),
        target,
    }
}

fn unsent(error: Error) -> TransportError {
    TransportError::new(Sent::No, error)
}
