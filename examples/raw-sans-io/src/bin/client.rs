//! Calls a server of the Eliza service; see `USAGE`.

use std::{env, process::ExitCode, time::Duration};

use connect_proto::{CallOptions, ClientConfig, Error, Protocol};
use raw_sans_io::{
    INTRODUCE, SAY, client,
    eliza::{IntroduceRequest, IntroduceResponse, SayRequest, SayResponse},
};

const USAGE: &str = "\
usage: client [options] say SENTENCE
       client [options] introduce NAME
         --to ADDR                       the server; 127.0.0.1:8081 by default
         --protocol connect|grpc-web     connect by default
         --codec proto|json              proto by default";

fn main() -> ExitCode {
    let mut addr = String::from("127.0.0.1:8081");
    let mut config = ClientConfig::new().with_default_timeout(Duration::from_secs(10));
    let mut args = env::args().skip(1);
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        config = match (name.as_str(), value.as_str()) {
            ("--to", _) => {
                addr = value;
                config
            }
            ("--protocol", "connect") => config.with_protocol(Protocol::Connect),
            ("--protocol", "grpc-web") => config.with_protocol(Protocol::GrpcWeb),
            ("--codec", "proto" | "json") => config.with_codec(value),
            ("say", _) => return finish(say(&addr, &config, value)),
            ("introduce", _) => return finish(introduce(&addr, &config, value)),
            _ => break,
        };
    }
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn finish(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(addr: &str, config: &ClientConfig, sentence: String) -> Result<(), Error> {
    let request = SayRequest { sentence };
    for answer in client::call(addr, config, &SAY, &CallOptions::new(), &request)? {
        let SayResponse { sentence } = answer?;
        println!("{sentence}");
    }
    Ok(())
}

fn introduce(addr: &str, config: &ClientConfig, name: String) -> Result<(), Error> {
    let request = IntroduceRequest { name };
    for answer in client::call(addr, config, &INTRODUCE, &CallOptions::new(), &request)? {
        let IntroduceResponse { sentence } = answer?;
        println!("{sentence}");
    }
    Ok(())
}
