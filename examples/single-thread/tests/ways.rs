//! Every way to deploy answers, on many connections and both versions of HTTP.

#![cfg(unix)]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use connect_tokio::{Channel, Client, HttpVersion, Prost, Request, Response, Spec, StreamType};

const ECHO: Spec = Spec::new("/example.v1.EchoService/Echo", StreamType::Unary);

#[test]
fn every_way_answers() {
    for way in ["tokio-shared", "tokio-single", "smol-shared", "smol-single"] {
        let mut serving = Command::new(env!("CARGO_BIN_EXE_single-thread"))
            .args(["serve", way, "--threads", "3", "--addr", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = serving.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let uri = format!("http://{}", line.trim());
        let calls = async {
            for version in [HttpVersion::Http1, HttpVersion::Http2] {
                // Connections enough that every thread gets one.
                for number in 0..20 {
                    let channel = Channel::builder(&uri).with_http_version(version);
                    let client = Client::new(channel.build().unwrap());
                    let request = Request::new(format!("{way} {number}"));
                    let answer: Response<String> =
                        client.unary::<Prost, _, _>(&ECHO, request).await.unwrap();
                    assert_eq!(*answer.message(), format!("{way} {number}"));
                }
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(calls);
        serving.kill().unwrap();
        serving.wait().unwrap();
    }
}
