//! connect-proto's machines on hyper, by hand: what a protocol costs without handlers, messages and layers.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use connect_proto::{RecvEvent, SendHalf, ServerConfig, Spec, StreamType, Time, Transmit, detect};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::bare::{self, Body};
use crate::{load::Failure, workload::PATH};

static CONFIG: LazyLock<ServerConfig> = LazyLock::new(ServerConfig::new);
const SPEC: Spec = Spec::new(PATH, StreamType::Unary);

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    bare::serve_with(listener, answer).await
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let accepted = detect(&head).and_then(|call| call.accept(&head, &SPEC, &CONFIG, Time::ZERO));
    let (mut recv, mut send) = match accepted {
        Ok(halves) => halves,
        Err(rejection) => {
            let response = rejection.into_response();
            return Ok(response.map(|body| Either::Left(Full::new(body))));
        }
    };
    let mut request = None;
    let ending = loop {
        match recv.poll_event() {
            Some(Ok(RecvEvent::Message(message))) => request = Some(message),
            Some(Ok(RecvEvent::End(_))) => break Ok(()),
            Some(Err(error)) => break Err(error),
            None => match body.frame().await {
                None => recv.recv_eof(),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        recv.recv_data(data);
                    }
                }
            },
        }
    };
    let answered = ending.and_then(|()| {
        let request = request.unwrap_or_default();
        send.send_message(|buffer| {
            buffer.extend_from_slice(&request);
            Ok(())
        })
    });
    send.finish(answered.map(|()| HeaderMap::new()));
    Ok(response(&mut send))
}

fn response(send: &mut SendHalf) -> Response<Body> {
    let head = send.poll_response_head().expect("the call is finished");
    let (mut data, mut rest) = (Bytes::new(), BytesMut::new());
    let mut trailers = None;
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            Transmit::Data(piece) if data.is_empty() => data = piece,
            Transmit::Data(piece) => rest.extend_from_slice(&piece),
            Transmit::Trailers(map) => trailers = Some(map),
            Transmit::Reset(error) => panic!("a server that answers at once was reset: {error}"),
        }
    }
    if !rest.is_empty() {
        data = [&data[..], &rest[..]].concat().into();
    }
    let body = Full::new(data);
    let body = match trailers {
        Some(trailers) => bare::with_trailers(body, trailers),
        None => Either::Left(body),
    };
    Response::from_parts(head, body)
}
