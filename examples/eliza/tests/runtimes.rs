//! Any pair of runtimes talks, in each protocol, and a server on any of them stops cleanly when it is told to.

#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

const ELIZA: &str = env!("CARGO_BIN_EXE_eliza");
const RUNTIMES: [&str; 3] = ["tokio", "smol", "async-std"];

#[test]
fn any_pair_of_runtimes_talks() {
    for (server, signal) in RUNTIMES.into_iter().zip(["TERM", "INT", "TERM"]) {
        let mut serving = Command::new(ELIZA)
            .args(["serve", "--addr", "127.0.0.1:0", "--runtime", server])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(serving.stdout.take().unwrap());
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        let url = ready
            .split([' ', ','])
            .find(|word| word.starts_with("http"))
            .unwrap();
        for client in RUNTIMES {
            for protocol in ["connect", "grpc", "grpc-web"] {
                let said = Command::new(ELIZA)
                    .args(["say", "I feel happy", "--to", url])
                    .args(["--runtime", client, "--protocol", protocol])
                    .output()
                    .unwrap();
                assert!(said.status.success(), "{client} to {server}: {said:?}");
                let answer = String::from_utf8(said.stdout).unwrap();
                assert!(answer.contains("happy"), "{client} to {server}: {answer}");
            }
        }
        let id = serving.id().to_string();
        let killed = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap();
        assert!(killed.success());
        assert!(serving.wait().unwrap().success(), "{server}");
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(
            rest.ends_with("Eliza has stopped.\n"),
            "{server}: {ready}{rest}"
        );
    }
}

#[test]
fn the_conversation_is_the_same_on_every_runtime() {
    let conversation = |runtime| {
        let output = Command::new(ELIZA)
            .args(["--runtime", runtime])
            .output()
            .unwrap();
        assert!(output.status.success(), "{runtime}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        // The first line names the port.
        text.split_once('\n').unwrap().1.to_owned()
    };
    let tokio = conversation("tokio");
    assert!(tokio.contains("Ada"), "{tokio}");
    assert_eq!(conversation("smol"), tokio);
    assert_eq!(conversation("async-std"), tokio);
}
