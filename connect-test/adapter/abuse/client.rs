//! Servers that abuse a client which has its defaults: impossible settings, and answers that do not end.

use std::{sync::Arc, time::Duration};

use connect_hyper::HttpVersion;
use connect_tower::{Client, Code, Prost};
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    attacks::{
        END_HEADERS, END_STREAM, FIRST_ENTRY, PUSH_PROMISE, field, headers, post as head_of_post,
        reset,
    },
    frames::{ACK, CONTINUATION, DATA, GOAWAY, HEADERS, PING, SETTINGS, WINDOW_UPDATE, frame},
    is_served,
    memory::{Held, lone_test},
    peer::Peer,
    support::{ECHO, Socket, accept, bind, echo, listen, read_preface, spawn, start},
};
use crate::rt::{Channel, Request};

const MIB: usize = 1024 * 1024;

/// What a server says to every client, whatever it is asked.
struct Script {
    name: &'static str,
    /// Sent at once; what follows when the request has come.
    settings: Vec<u8>,
    begin: Vec<u8>,
    /// Sent after that, for ever.
    again: Vec<u8>,
    code: Code,
    /// What client and server may hold at the most.
    memory: usize,
}

impl Script {
    fn holds(self, memory: usize) -> Self {
        Self { memory, ..self }
    }
}

/// An answer, and what follows it.
fn script(name: &'static str, begin: Vec<u8>, again: Vec<u8>, code: Code) -> Script {
    Script {
        name,
        settings: settings(3, 100),
        begin,
        again,
        code,
        memory: MIB,
    }
}

/// What cannot follow.
fn broken(name: &'static str, begin: Vec<u8>) -> Script {
    script(name, begin, Vec::new(), Code::Unavailable)
}

/// What cannot come first.
fn broken_settings(name: &'static str, settings: Vec<u8>) -> Script {
    Script {
        settings,
        ..broken(name, Vec::new())
    }
}

/// What ends a call to a server that breaks no rule, and does not answer.
const DEADLINE: Code = Code::DeadlineExceeded;

fn settings(id: u8, value: u32) -> Vec<u8> {
    frame(
        SETTINGS,
        0,
        0,
        &[&[0, id][..], &value.to_be_bytes()].concat(),
    )
}

/// The fields of a head: a status of the static table, and the content type.
fn head(status: u8, content_type: &str) -> Vec<u8> {
    let length = u8::try_from(content_type.len()).unwrap();
    [&[status, 0x0f, 0x10, length][..], content_type.as_bytes()].concat()
}

/// RFC 7541, appendix A.
const STATUS_200: u8 = 0x88;
const STATUS_500: u8 = 0x8e;

fn http2() -> Vec<Script> {
    let ok = headers(0, 1, &head(STATUS_200, "application/proto"));
    let continue_ = headers(0, 1, &[&[0x08, 3][..], b"100"].concat());
    let field_of_1k = field(0, "a", &[b'a'; 1000]);
    let trailers = frame(HEADERS, END_STREAM, 1, &field_of_1k);
    let more_fields = frame(CONTINUATION, 0, 1, &field_of_1k);
    let bomb = [
        head(STATUS_200, "application/proto"),
        field(0x40, "a", &[b'a'; 3900]),
        vec![FIRST_ENTRY; 60_000],
    ]
    .concat();
    let forever = |name, again, code| script(name, Vec::new(), again, code);
    vec![
        broken_settings("MAX_FRAME_SIZE of 0", settings(5, 0)),
        broken_settings("MAX_FRAME_SIZE of too little", settings(5, 16_383)),
        broken_settings("MAX_FRAME_SIZE of too much", settings(5, 1 << 24)),
        broken_settings("INITIAL_WINDOW_SIZE of 2 GiB", settings(4, 1 << 31)),
        broken_settings("ENABLE_PUSH of 2", settings(2, 2)),
        broken_settings("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        broken_settings("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        broken_settings(
            "an acknowledgement with settings",
            frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 1]),
        ),
        broken(
            "a frame of 16 MiB",
            vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
        ),
        broken(
            "a window of more than 2 GiB",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        broken(
            "a promise",
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2][..], &head_of_post("/")].concat(),
            ),
        ),
        broken("a reset of no stream", reset(9)),
        Script {
            code: DEADLINE,
            ..broken_settings("MAX_CONCURRENT_STREAMS of 0", settings(3, 0))
        },
        Script {
            code: DEADLINE,
            ..broken_settings(
                "a table of 4 GiB, and no room for a field",
                [settings(1, u32::MAX), settings(6, 0)].concat(),
            )
        },
        script(
            "HPACK's bomb in a head",
            headers(0, 1, &bomb),
            Vec::new(),
            Code::Unavailable,
        ),
        script(
            "a head without end",
            frame(HEADERS, 0, 1, &head(STATUS_200, "application/proto")),
            more_fields.clone(),
            Code::Unavailable,
        ),
        script(
            "trailers without end",
            [ok.clone(), trailers].concat(),
            more_fields,
            Code::Unavailable,
        ),
        script(
            "100 (Continue) for ever",
            Vec::new(),
            continue_.repeat(100),
            Code::Unavailable,
        )
        .holds(2 * MIB),
        script(
            "a body for ever, whatever the window",
            ok.clone(),
            frame(DATA, 0, 1, &[0; 16_000]),
            Code::Internal,
        ),
        script(
            "a body of nothing for ever",
            ok.clone(),
            frame(DATA, 0, 1, &[]),
            Code::Unavailable,
        ),
        script(
            "the body of an error for ever",
            headers(0, 1, &head(STATUS_500, "text/html")),
            frame(DATA, 0, 1, &[b'a'; 16_000]),
            Code::Unknown,
        ),
        script(
            "the JSON of an error for ever",
            headers(0, 1, &head(STATUS_500, "application/json")),
            frame(DATA, 0, 1, &[b' '; 16_000]),
            Code::Unknown,
        ),
        forever(
            "PING for ever",
            frame(PING, 0, 0, &[0; 8]).repeat(100),
            DEADLINE,
        ),
        forever("SETTINGS for ever", settings(3, 100).repeat(100), DEADLINE),
        forever(
            "WINDOW_UPDATE by 0 for ever",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            Code::Unavailable,
        ),
        forever(
            "frames of no known kind for ever",
            frame(0xbe, 0, 0, &[0; 100]).repeat(100),
            DEADLINE,
        ),
        forever(
            "GOAWAY for ever",
            frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).repeat(100),
            DEADLINE,
        ),
    ]
}

fn http1() -> Vec<Script> {
    let script = |name, begin: &str, again: &str, code| {
        script(
            name,
            begin.as_bytes().to_vec(),
            again.as_bytes().repeat(100),
            code,
        )
    };
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\n";
    let chunked = ok.to_owned() + "transfer-encoding: chunked\r\n\r\n";
    vec![
        script(
            "100 (Continue) for ever",
            "",
            "HTTP/1.1 100 Continue\r\n\r\n",
            DEADLINE,
        )
        .holds(2 * MIB),
        script(
            "a status line for ever",
            "HTTP/1.1 200 ",
            "OK OK OK",
            Code::Internal,
        ),
        script("fields for ever", ok, "a: b\r\n", Code::Internal),
        script(
            "a field for ever",
            &(ok.to_owned() + "a: "),
            "aaaaaaaaaa",
            Code::Internal,
        ),
        script(
            "chunk extensions for ever",
            &(chunked.clone() + "1;"),
            "a=b;a=b;a=b;",
            Code::Internal,
        ),
        script(
            "chunks with extensions for ever",
            &chunked,
            "1;a=b;a=b;a=b;a=b;a=b\r\n\0\r\n",
            Code::Internal,
        ),
        script(
            "a chunk of more than can be",
            &(chunked.clone() + "fffffffffffffffff\r\n"),
            "a",
            Code::Internal,
        ),
        script(
            "trailers for ever",
            &(chunked.clone() + "0\r\n"),
            "a: b\r\n",
            Code::Internal,
        ),
        script(
            "a body for ever",
            &(ok.to_owned() + "\r\n"),
            &"a".repeat(100),
            Code::ResourceExhausted,
        )
        .holds(8 * MIB),
        script(
            "the body of an error for ever",
            "HTTP/1.1 500 Oh\r\ncontent-type: text/html\r\n\r\n",
            &"a".repeat(100),
            Code::Unknown,
        ),
        script(
            "the JSON of an error for ever",
            "HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\n\r\n",
            &" ".repeat(100),
            Code::Unknown,
        )
        .holds(3 * MIB),
    ]
}

/// Says what it has to, until nobody listens any more.
async fn play(mut socket: Socket, version: HttpVersion, script: Arc<Script>) {
    let Script {
        settings,
        begin,
        again,
        ..
    } = &*script;
    match version {
        HttpVersion::Http2 => {
            if read_preface(&mut socket).await.is_err() {
                return;
            }
            let mut peer = Peer::new(socket);
            let mut sent = peer.send(settings).await;
            peer.wait(|seen| seen.heads > 0).await;
            if sent.is_ok() {
                sent = peer.send(begin).await;
            }
            while sent.is_ok() && !again.is_empty() {
                sent = peer.send(again).await;
            }
            peer.wait(|_| false).await;
        }
        _ => {
            // The request, which comes at once.
            let _ = socket.read(&mut [0; 4096]).await;
            let mut sent = socket.write_all(begin).await;
            while sent.is_ok() && !again.is_empty() {
                sent = socket.write_all(again).await;
            }
        }
    }
}

#[apply(lone_test)]
async fn answers_without_sense_or_end_fail_their_call_and_others_are_served() {
    let good = start(bind().await, echo());
    let good = Channel::new(good.uri()).unwrap();
    let scripts = http2()
        .into_iter()
        .map(|script| (HttpVersion::Http2, script));
    let scripts = scripts.chain(
        http1()
            .into_iter()
            .map(|script| (HttpVersion::Http1, script)),
    );
    for (version, script) in scripts {
        let (name, code, memory) = (script.name, script.code, script.memory);
        let mut listener = listen().await;
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        let serving = spawn(async move {
            loop {
                let socket = accept(&mut listener).await;
                spawn(play(socket, version, Arc::clone(&script)));
            }
        });
        is_served(&good).await;
        let held = Held::begin();
        let channel = Channel::builder(format!("http://{address}")).with_http_version(version);
        let client = Client::new(channel.build().unwrap());
        let timeout = match code {
            DEADLINE => Duration::from_millis(100),
            _ => Duration::from_secs(60),
        };
        let calling = spawn(async move {
            let request = Request::new("x".to_owned()).with_timeout(timeout);
            client.unary::<Prost, String, String>(&ECHO, request).await
        });
        is_served(&good).await;
        let error = calling.await.unwrap().unwrap_err();
        is_served(&good).await;
        serving.abort();
        let peak = held.peak();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(peak < memory, "{name}: {peak} bytes");
    }
}
