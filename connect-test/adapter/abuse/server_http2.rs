//! Clients of HTTP/2 that abuse a server which has its defaults.

use bytes::Bytes;
use connect_hyper::server::RequestBody;
use connect_tower::CallBody;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use macro_rules_attribute::apply;

use super::{
    attacks::{
        Attack, Ending, data_attacks, frame_attacks, header_attacks, open, padded, reset,
        reset_attacks, stream,
    },
    memory::{Held, lone_test},
    peer::Peer,
    support::{BoxAnswer, BoxError, ServiceFn, bind, call, post, start, text},
};
use crate::rt::Channel;

const MIB: usize = 1024 * 1024;

/// As the attacks want it: the requests to `/hold` are kept. Of the others, `/first` gets the first byte of an answer, `/refuse`
/// an answer that does not wait for its body, and the rest one that says how long the body was.
fn service() -> ServiceFn<impl FnMut(Request<RequestBody>) -> BoxAnswer + Clone> {
    ServiceFn(|request: Request<RequestBody>| -> BoxAnswer {
        Box::pin(async move {
            match request.uri().path() {
                "/hold" => {
                    let _kept = request;
                    std::future::pending().await
                }
                "/first" => {
                    let byte = stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from("x")))]);
                    let never = stream::once(async move {
                        let _kept = request;
                        std::future::pending().await
                    });
                    Response::new(StreamBody::new(byte.chain(never)).boxed_unsync())
                }
                "/refuse" => {
                    let mut refusal = text("no");
                    *refusal.status_mut() = StatusCode::FORBIDDEN;
                    refusal
                }
                _ => {
                    let body = request.into_body().collect().await.unwrap();
                    text(body.to_bytes().len().to_string())
                }
            }
        })
    })
}

async fn is_served(channel: &Channel) {
    let answer = call(channel, post(CallBody::full("four"))).await;
    assert_eq!(answer.unwrap().body(), "4");
}

/// Each ends its connection or costs little, and others are served meanwhile.
async fn withstands(attacks: Vec<Attack>) {
    for attack in attacks {
        let name = attack.name;
        let pieces: Vec<_> = attack.pieces().collect();
        let server = start(bind().await, service());
        let channel = Channel::new(server.uri()).unwrap();
        is_served(&channel).await;
        let held = Held::begin();
        let mut peer = Peer::client(server.address).await;
        peer.mount(&pieces, async || is_served(&channel).await)
            .await;
        let goes_on = peer.ping().await.is_ok();
        is_served(&channel).await;
        let peak = held.peak();
        assert!(peak < attack.memory, "{name}: {peak} bytes");
        let seen = peer.wait(|seen| goes_on || seen.goaway.is_some()).await;
        let ending = match (goes_on, seen.goaway) {
            (true, None) => Some(Ending::GoesOn),
            (_, Some(code)) => Some(Ending::GoAway(code)),
            (false, None) => None,
        };
        assert_eq!(ending, Some(attack.ending), "{name}: {seen:?}");
    }
}

#[apply(lone_test)]
async fn floods_of_headers_end_or_cost_little_and_others_are_served() {
    withstands(header_attacks()).await;
}

#[apply(lone_test)]
async fn floods_of_resets_end_and_others_are_served() {
    withstands(reset_attacks()).await;
}

#[apply(lone_test)]
async fn floods_of_control_frames_end_or_cost_little_and_others_are_served() {
    withstands(frame_attacks()).await;
}

#[apply(lone_test)]
async fn floods_of_small_data_end_and_others_are_served() {
    withstands(data_attacks()).await;
}

/// How the calls of a client come to nothing that have sent a part of their bodies.
struct Uploads {
    path: &'static str,
    /// By the client, once it has the first byte of the answer. Else by the server, when it has answered.
    are_canceled: bool,
}

/// DATA that nobody reads counts against the connection's window, with its padding, until it is given back.
#[apply(lone_test)]
async fn windows_come_back_from_ten_thousand_uploads_that_nobody_reads() {
    const ROUNDS: usize = 100;
    const CALLS: usize = 100;
    for uploads in [
        Uploads {
            path: "/first",
            are_canceled: true,
        },
        Uploads {
            path: "/refuse",
            are_canceled: false,
        },
    ] {
        let server = start(bind().await, service());
        let channel = Channel::new(server.uri()).unwrap();
        is_served(&channel).await;
        let held = Held::begin();
        let mut peer = Peer::client(server.address).await;
        let size = padded(1, 1000, 255).len() - 9;
        for round in 0..ROUNDS {
            let before = round * CALLS;
            peer.room((before + CALLS) * size).await;
            let streams = (before..before + CALLS).map(stream);
            let begun = streams.clone().flat_map(|stream| {
                [open(stream, uploads.path), padded(stream, 1000, 255)].concat()
            });
            peer.send(&begun.collect::<Vec<_>>()).await.unwrap();
            let all = before + CALLS;
            let seen = peer.wait(|seen| seen.heads >= all).await;
            assert!(seen.heads >= all, "{seen:?}");
            drop(seen);
            if uploads.are_canceled {
                let resets: Vec<_> = streams.flat_map(reset).collect();
                peer.send(&resets).await.unwrap();
            } else {
                let seen = peer.wait(|seen| seen.resets() >= all).await;
                assert_eq!(seen.resets.get(&0), Some(&all), "{seen:?}");
            }
            if round % 10 == 0 {
                is_served(&channel).await;
            }
        }
        // Longer than the window of a stream, and all that is left of the connection's if any was lost.
        let last = stream(ROUNDS * CALLS);
        peer.send(&open(last, "/")).await.unwrap();
        peer.upload(last, MIB, ROUNDS * CALLS * size).await;
        let all = ROUNDS * CALLS + 1;
        assert!(peer.wait(|seen| seen.heads >= all).await.heads >= all);
        let peak = held.peak();
        assert!(peak < 6 * MIB, "{}: {peak} bytes", uploads.path);
    }
}
