//! Heads of requests from bytes.

use connect_proto::{
    Code, Idempotency, RecvEvent, ServerConfig, Spec, StreamType, Time, detect as detect_head,
};
use http::{Method, Request, Uri, Version, request::Parts};

use super::{COMPRESSIONS, input::header_lines};

/// A head in lines: the first is method and path, each further one a header. Detected, then accepted by a
/// procedure of each stream type; what is refused must have an answer.
pub fn detect(data: &[u8]) {
    if let Some(head) = head_from_lines(data) {
        accept_everywhere(&head);
    }
}

/// The query of a Connect GET.
pub fn get_query(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(uri) = format!("/test.v1.Test/Call?{query}").parse::<Uri>() else {
        return;
    };
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::GET;
    head.uri = uri;
    accept_everywhere(&head);
}

fn accept_everywhere(head: &Parts) {
    let detected = match detect_head(head) {
        Ok(detected) => detected,
        Err(rejection) => {
            // gRPC's and streams' answers to a broken timeout are errors in their protocols, with HTTP status 200.
            let is_bad_timeout = rejection.error().code() == Code::InvalidArgument;
            let response = rejection.into_response();
            let is_refused = response.status().is_client_error()
                || head.version < Version::HTTP_2
                || is_bad_timeout && response.headers().contains_key("content-type");
            assert!(is_refused, "{response:?}");
            return;
        }
    };
    let config = ServerConfig::new().with_compressions(COMPRESSIONS.clone());
    for stream_type in StreamType::ALL {
        let spec = Spec::new("/test.v1.Test/Call", stream_type)
            .with_idempotency(Idempotency::NoSideEffects);
        match detected.accept(head, &spec, &config, Time::ZERO) {
            Err(rejection) => {
                let response = rejection.into_response();
                assert!(response.status() != 200 || !response.headers().is_empty());
            }
            Ok((mut recv, _)) => {
                recv.recv_eof();
                let mut endings = 0;
                while let Some(event) = recv.poll_event() {
                    endings += usize::from(!matches!(event, Ok(RecvEvent::Message(_))));
                }
                assert_eq!(endings, 1, "an ended body has one ending");
            }
        }
    }
}

fn head_from_lines(data: &[u8]) -> Option<Parts> {
    let end = data.iter().position(|&byte| byte == b'\n');
    let (first, lines) = data.split_at(end.unwrap_or(data.len()));
    let space = first.iter().position(|&byte| byte == b' ')?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::from_bytes(&first[..space]).ok()?;
    head.uri = Uri::try_from(&first[space + 1..]).ok()?;
    head.headers = header_lines(lines);
    head.version = match head.headers.contains_key("x-http-version") {
        true => Version::HTTP_11,
        false => Version::HTTP_2,
    };
    Some(head)
}
