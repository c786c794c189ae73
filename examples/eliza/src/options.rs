//! What the command line asks for.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use connect_tower::Protocol;
use lexopt::{Arg, Parser, ValueExt};

/// What to print when the command line is not understood.
pub(crate) const USAGE: &str = "\
usage: eliza                              a server and a conversation with it, in every protocol
       eliza serve [options]              a server, until Ctrl-C or SIGTERM
         --addr ADDR                        where to listen; 127.0.0.1:8080 by default
         --tls-addr ADDR --cert PEM --key PEM
                                            where to listen with TLS too, and the files to prove it with
       eliza say SENTENCE [options]       one sentence to a running server
         --to URL                           the server; http://127.0.0.1:8080 by default
         --protocol connect|grpc|grpc-web   connect by default
         --codec proto|json                 proto by default
         --get                              Connect only: as an HTTP GET
         --ca PEM                           whom to trust, for an https URL
       all of them: --runtime tokio|smol|async-std
                                            tokio by default";

/// What to do, and on which runtime.
pub(crate) struct Options {
    pub(crate) runtime: RuntimeName,
    pub(crate) command: Command,
}

#[derive(Clone, Copy)]
pub(crate) enum RuntimeName {
    AsyncStd,
    Smol,
    Tokio,
}

pub(crate) enum Command {
    Help,
    Tour,
    Serve(Serve),
    Say(Say),
}

pub(crate) struct Serve {
    pub(crate) addr: SocketAddr,
    pub(crate) tls: Option<Tls>,
}

pub(crate) struct Tls {
    pub(crate) addr: SocketAddr,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) struct Say {
    pub(crate) sentence: String,
    pub(crate) to: String,
    pub(crate) protocol: Protocol,
    pub(crate) codec: String,
    pub(crate) get: bool,
    pub(crate) ca: Option<PathBuf>,
}

impl Options {
    pub(crate) fn from_args(args: impl Iterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let args: Vec<_> = args.collect();
        let mut parser = Parser::from_args(args);
        let mut runtime = RuntimeName::Tokio;
        let command = loop {
            match parser.next()? {
                None => break Command::Tour,
                Some(Arg::Long("help") | Arg::Short('h')) => break Command::Help,
                Some(Arg::Long("runtime")) => runtime = RuntimeName::read(&mut parser)?,
                Some(Arg::Value(name)) if name == "serve" => {
                    break Command::serve(parser, &mut runtime)?;
                }
                Some(Arg::Value(name)) if name == "say" => {
                    break Command::say(parser, &mut runtime)?;
                }
                Some(other) => return Err(other.unexpected()),
            }
        };
        Ok(Self { runtime, command })
    }
}

impl RuntimeName {
    fn read(parser: &mut Parser) -> Result<Self, lexopt::Error> {
        match parser.value()?.string()?.as_str() {
            "async-std" => Ok(Self::AsyncStd),
            "smol" => Ok(Self::Smol),
            "tokio" => Ok(Self::Tokio),
            other => Err(format!("no runtime {other:?}").into()),
        }
    }
}

impl Command {
    fn serve(mut parser: Parser, runtime: &mut RuntimeName) -> Result<Self, lexopt::Error> {
        let mut addr = SocketAddr::from(([127, 0, 0, 1], 8080));
        let (mut tls_addr, mut cert, mut key) = (None, None, None);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("addr") => addr = parser.value()?.parse()?,
                Arg::Long("tls-addr") => tls_addr = Some(parser.value()?.parse()?),
                Arg::Long("cert") => cert = Some(PathBuf::from(parser.value()?)),
                Arg::Long("runtime") => *runtime = RuntimeName::read(&mut parser)?,
                Arg::Long("key") => key = Some(PathBuf::from(parser.value()?)),
                Arg::Long("help") | Arg::Short('h') => return Ok(Self::Help),
                other => return Err(other.unexpected()),
            }
        }
        let tls = match (tls_addr, cert, key) {
            (None, None, None) => None,
            (Some(addr), Some(cert), Some(key)) => Some(Tls { addr, cert, key }),
            _ => return Err("--tls-addr, --cert and --key go together".into()),
        };
        Ok(Self::Serve(Serve { addr, tls }))
    }

    fn say(mut parser: Parser, runtime: &mut RuntimeName) -> Result<Self, lexopt::Error> {
        let mut sentence = None;
        let mut say = Say {
            sentence: String::new(),
            to: String::from("http://127.0.0.1:8080"),
            protocol: Protocol::Connect,
            codec: String::from("proto"),
            get: false,
            ca: None,
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Value(value) if sentence.is_none() => sentence = Some(value.string()?),
                Arg::Long("to") => say.to = parser.value()?.string()?,
                Arg::Long("protocol") => {
                    say.protocol = match parser.value()?.string()?.as_str() {
                        "connect" => Protocol::Connect,
                        "grpc" => Protocol::Grpc,
                        "grpc-web" => Protocol::GrpcWeb,
                        other => return Err(format!("no protocol {other:?}").into()),
                    }
                }
                Arg::Long("codec") => say.codec = parser.value()?.string()?,
                Arg::Long("runtime") => *runtime = RuntimeName::read(&mut parser)?,
                Arg::Long("get") => say.get = true,
                Arg::Long("ca") => say.ca = Some(PathBuf::from(parser.value()?)),
                Arg::Long("help") | Arg::Short('h') => return Ok(Self::Help),
                other => return Err(other.unexpected()),
            }
        }
        say.sentence = sentence.ok_or("say what?")?;
        Ok(Self::Say(say))
    }
}

/// A file that the command line names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
