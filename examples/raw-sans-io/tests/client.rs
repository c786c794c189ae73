//! The client against the server, and against servers that misbehave.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use connect_proto::{CallOptions, ClientConfig, Code, Error, GetPolicy, Protocol, Spec};
use raw_sans_io::{
    INTRODUCE, SAY,
    client::{self, Responses},
    eliza::{IntroduceRequest, IntroduceResponse, SayRequest, SayResponse},
    server,
};

fn configs() -> impl Iterator<Item = ClientConfig> {
    [Protocol::Connect, Protocol::GrpcWeb]
        .into_iter()
        .flat_map(|protocol| {
            ["proto", "json"].map(|codec| {
                let timeout = Duration::from_secs(20);
                let config = ClientConfig::new().with_default_timeout(timeout);
                config.with_protocol(protocol).with_codec(codec)
            })
        })
}

fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || server::serve(&listener));
    addr
}

fn say(addr: &str, config: &ClientConfig, sentence: &str) -> Result<Vec<String>, Error> {
    let request = SayRequest {
        sentence: sentence.into(),
    };
    let answers: Responses<SayResponse> =
        client::call(addr, config, &SAY, &CallOptions::new(), &request)?;
    answers
        .map(|answer| answer.map(|answer| answer.sentence))
        .collect()
}

fn introduce(addr: &str, config: &ClientConfig, name: &str) -> Result<Vec<String>, Error> {
    let request = IntroduceRequest { name: name.into() };
    let answers: Responses<IntroduceResponse> =
        client::call(addr, config, &INTRODUCE, &CallOptions::new(), &request)?;
    answers
        .map(|answer| answer.map(|answer| answer.sentence))
        .collect()
}

#[test]
fn calls_are_answered_in_every_protocol_and_codec() {
    let addr = start();
    for config in configs() {
        assert_eq!(
            say(&addr, &config, "Yes").unwrap(),
            ["Why do you say \"Yes\"?"]
        );
        let greeting = introduce(&addr, &config, "Ada").unwrap();
        assert_eq!(greeting, ["Hello, Ada.", "I am Eliza.", "How are you?"]);
        let error = introduce(&addr, &config, "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid_argument: name must not be empty"
        );
    }
}

#[test]
fn calls_may_be_large_compressed_in_text_and_by_get() {
    let addr = start();
    let long = "I think that ".repeat(5000);
    for config in configs() {
        for config in [
            config.clone().with_send_compression("gzip"),
            config.clone().with_get(GetPolicy::default()),
            config.with_grpc_web_text(true),
        ] {
            let answers = say(&addr, &config, &long).unwrap();
            assert_eq!(answers, [format!("Why do you say \"{long}\"?")]);
            assert_eq!(introduce(&addr, &config, "Ada").unwrap().len(), 3);
        }
    }
}

#[test]
fn calls_that_cannot_be_made_say_why() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let config = ClientConfig::new().with_default_timeout(Duration::from_secs(20));
    let grpc = config.clone().with_protocol(Protocol::Grpc);
    let unknown = Spec::new("/connectrpc.eliza.v1.ElizaService/Nope", SAY.stream_type());
    let server = start();
    for (addr, config, spec, code, words) in [
        (
            &unused,
            &config,
            &SAY,
            Code::Unavailable,
            "connect to 127.0.0.1",
        ),
        (
            &String::from("no address"),
            &config,
            &SAY,
            Code::Unavailable,
            "connect to no address",
        ),
        (&server, &grpc, &SAY, Code::Unimplemented, "needs HTTP/2"),
        (&server, &config, &unknown, Code::Unimplemented, "404"),
    ] {
        let request = SayRequest::default();
        let answers =
            client::call::<_, SayResponse>(addr, config, spec, &CallOptions::new(), &request);
        let error = answers
            .and_then(|answers| answers.collect::<Result<Vec<_>, _>>())
            .unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// What a call of Say comes to whose server answers with these bytes, and then closes, or waits for the client to.
fn answered_with(
    answer: &'static [u8],
    closes: bool,
    timeout: Duration,
) -> Result<Vec<String>, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"{\"sentence\":\"hm\"}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(answer).unwrap();
        if !closes {
            // Ends when the client closes.
            let _ = stream.read(&mut [0]);
        }
    });
    let config = ClientConfig::new()
        .with_codec("json")
        .with_default_timeout(timeout);
    let outcome = say(&addr, &config, "hm");
    peer.join().unwrap();
    outcome
}

#[test]
fn responses_may_be_framed_in_every_way() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"sentence\":\"a\"}"[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{\"\r\ne\r\nsentence\":\"a\"}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"sentence\":\"a\"}",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"sentence\":\"a\"}",
    ] {
        let answers = answered_with(answer, true, Duration::from_secs(20)).unwrap();
        assert_eq!(answers, ["a"]);
    }
}

#[test]
fn a_response_without_content_is_not_waited_for() {
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    let error = answered_with(answer, false, Duration::from_secs(20)).unwrap_err();
    assert_eq!(error.code(), Code::Unknown, "{error}");
}

#[test]
fn servers_that_misbehave_are_named() {
    let patient = Duration::from_secs(20);
    for (answer, code) in [
        (&b""[..], Code::Unavailable),
        (b"HTTP/1.1 200 OK\r\n", Code::Unavailable),
        (b"SSH-2.0-hello\r\n\r\n", Code::Internal),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\nhello",
            Code::Unknown,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{",
            Code::Unavailable,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{]",
            Code::Internal,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}}\r\n",
            Code::Internal,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
            Code::Unavailable,
        ),
    ] {
        let error = answered_with(answer, true, patient).unwrap_err();
        let shown = String::from_utf8_lossy(answer);
        assert_eq!(error.code(), code, "{shown}: {error}");
    }
}

#[test]
fn servers_that_are_silent_are_left() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{",
    ] {
        let error = answered_with(answer, false, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    }
}
