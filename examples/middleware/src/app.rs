//! The application: RPC and plain HTTP routes over one state.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, extract::State, routing};
use connect_tokio::{Error, Request, Response, Router, bearer};
use http::{HeaderName, HeaderValue, header};
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    set_header::SetResponseHeaderLayer,
};

use crate::{
    auth::{self, Author},
    log::Log,
    notes::{AddRequest, AddResponse, NotesService, NotesServiceServer},
};

/// What the service and the routes share.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn push(&self, text: String) -> usize {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(text);
        notes.len()
    }

    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl NotesService for Notes {
    async fn add(&self, request: Request<AddRequest>) -> Result<Response<AddResponse>, Error> {
        let Some(Author(author)) = request.extensions().get().cloned() else {
            return Err(Error::internal("the gate left no author"));
        };
        // `connect_tokio::Server` tells who is at the other end, through axum too.
        if request.peer().and_then(|peer| peer.addr()).is_none() {
            return Err(Error::internal("the caller has no address"));
        }
        let count = self.push(request.into_message().text);
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        Ok(Response::new(AddResponse { count, author }))
    }
}

/// The application as one service, for `connect_tokio::Server`.
pub(crate) fn app() -> axum::Router {
    let notes = Notes::default();
    // What belongs to calls goes around the procedures: it answers in the caller's protocol.
    let rpc = Router::new()
        .add_service(NotesServiceServer::new(notes.clone()))
        .add_gate(bearer(auth::author))
        .add_interceptor(Log);
    let request_id = HeaderName::from_static("x-request-id");
    // What belongs to HTTP goes around all of it: the layer that is added last sees a request first.
    axum::Router::new()
        .route("/notes", routing::get(list))
        .with_state(notes)
        .fallback_service(rpc)
        .layer(SetResponseHeaderLayer::if_not_present(
            header::SERVER,
            HeaderValue::from_static("notes"),
        ))
        .layer(SetSensitiveRequestHeadersLayer::new([
            header::AUTHORIZATION,
        ]))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
}

/// A plain HTTP route.
async fn list(State(notes): State<Notes>) -> Json<Vec<String>> {
    Json(notes.all())
}
