//! What observers see of calls over real connections: HTTP ends a response in more than one way.

use std::{future::pending, sync::Arc};

use connect_hyper::HttpVersion;
use connect_tower::{
    CallEnd, CallObserver, CallStart, Code, Error, Observer, Peer, Prost, Protocol, Request,
    Response, ResponseStream, Router, Side, Spec, StreamType,
};
use macro_rules_attribute::apply;
use tokio::sync::{Notify, mpsc};

use super::support::{async_test, bind, spawn, start};
use crate::rt::{Channel, Client, ClientConfig};

const UPPER: Spec = Spec::new("/test.v1.Text/Upper", StreamType::Unary);
const SPLIT: Spec = Spec::new("/test.v1.Text/Split", StreamType::ServerStream);

/// Tells how each call has ended.
#[derive(Clone)]
struct Ends(mpsc::UnboundedSender<String>);

struct End(Ends, String);

impl Observer for Ends {
    fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        let is_loopback = |addr: std::net::SocketAddr| addr.ip().is_loopback();
        let host = start.authority().unwrap_or("no host");
        let name = match start.side() {
            _ if !host.starts_with("127.0.0.1:") => host,
            Side::Client => return None,
            Side::Server => match start.peer().and_then(Peer::addr) {
                Some(addr) if is_loopback(addr) => start.spec().map_or("unknown", Spec::method),
                _ => "no peer",
            },
        };
        let name = name.to_owned();
        Some(Box::new(End(self.clone(), name)))
    }
}

impl CallObserver for End {
    fn end(&self, end: &CallEnd<'_>) {
        assert!(end.duration().is_some());
        let code = end.code().map_or("ok", Code::as_str);
        let dropped = if end.is_dropped() { " dropped" } else { "" };
        let (sent, received) = (end.sent().messages(), end.received().messages());
        let line = format!(
            "{} {code}{dropped}, sent {sent}, received {received}",
            self.1
        );
        let _ = self.0.0.send(line);
    }
}

/// `Upper` fails for the empty message, and waits for ever at "wait".
fn router(waits: Arc<Notify>) -> Router {
    Router::new()
        .unary(UPPER, move |request: Request<String>| {
            let waits = Arc::clone(&waits);
            async move {
                match request.message().as_str() {
                    "" => Err(Error::not_found("nothing")),
                    "wait" => {
                        waits.notify_one();
                        pending().await
                    }
                    text => Ok(Response::new(text.to_uppercase())),
                }
            }
        })
        .server_stream(SPLIT, |request: Request<String>| async move {
            let words = request.message().split(' ').map(str::to_owned);
            let words: Vec<_> = words.collect();
            Ok(Response::new(ResponseStream::from(words)))
        })
}

#[apply(async_test)]
async fn a_server_sees_how_calls_end_over_each_version_of_http() {
    let (sender, mut ends) = mpsc::unbounded_channel();
    let waits = Arc::new(Notify::new());
    let router = router(Arc::clone(&waits)).add_observer(Ends(sender.clone()));
    let server = start(bind().await, router);
    for (version, protocol) in [
        (HttpVersion::Http1, Protocol::Connect),
        (HttpVersion::Http1, Protocol::GrpcWeb),
        (HttpVersion::Http2, Protocol::Connect),
        (HttpVersion::Http2, Protocol::Grpc),
        (HttpVersion::Http2, Protocol::GrpcWeb),
    ] {
        let channel = Channel::builder(server.uri())
            .with_http_version(version)
            .build()
            .unwrap();
        let client = Client::new(channel)
            .with_config(ClientConfig::new().with_protocol(protocol))
            .add_observer(Ends(sender.clone()));
        let ask = |text: &str| {
            let (client, request) = (client.clone(), Request::new(text.to_owned()));
            async move { client.unary::<Prost, _, String>(&UPPER, request).await }
        };
        ask("hello").await.unwrap();
        let line = ends.recv().await.unwrap();
        assert_eq!(
            line, "Upper ok, sent 1, received 1",
            "{version:?} {protocol}"
        );

        ask("").await.unwrap_err();
        let line = ends.recv().await.unwrap();
        assert_eq!(
            line, "Upper not_found, sent 0, received 1",
            "{version:?} {protocol}"
        );

        let request = Request::new(String::from("one two"));
        let call = client
            .server_stream::<Prost, _, String>(&SPLIT, request)
            .await;
        let mut words = call.unwrap().into_stream();
        while words.message().await.unwrap().is_some() {}
        let line = ends.recv().await.unwrap();
        assert_eq!(
            line, "Split ok, sent 2, received 1",
            "{version:?} {protocol}"
        );

        if version == HttpVersion::Http1 {
            // Its end of the connection may be closed, and it may still wait for the answer.
            continue;
        }
        // Whoever waits for the answer goes away once the handler runs.
        let waiting = spawn(ask("wait"));
        waits.notified().await;
        waiting.abort();
        let line = ends.recv().await.unwrap();
        assert_eq!(
            line, "Upper canceled dropped, sent 0, received 1",
            "{version:?} {protocol}"
        );
    }
}
