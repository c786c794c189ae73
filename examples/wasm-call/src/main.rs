//! The core in a WebAssembly module: a client's and a server's side of whole calls, in every protocol and codec.
//!
//! Built for `wasm32-unknown-unknown` the module imports nothing, as there is nothing that the core wants of its host: no
//! socket, no clock, no randomness. `run.mjs` checks that and runs it; `.ci/run wasm` does both. Natively it is an
//! ordinary program that does the same.
//!
//! In a module of your own the host would call something like [`serve`], with the bytes that it has received.

use std::{process::ExitCode, time::Duration};

use bytes::{Bytes, BytesMut};
use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, Protocol, RecvEvent, RecvHalf, SendHalf, ServerConfig,
    Side, Spec, StreamType, Time, Transmit, detect,
};
use http::{HeaderMap, Request, Response, Version};

const REPEAT: Spec = Spec::new("/example.v1.Echo/Repeat", StreamType::Unary);
const WORDS: Spec = Spec::new("/example.v1.Echo/Words", StreamType::ServerStream);

fn main() -> ExitCode {
    match every_call() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody sees this in a module without imports; there the status is all that is said.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Calls both procedures in all protocols and codecs, with messages large enough to be compressed both ways.
fn every_call() -> Result<(), Error> {
    let text = "so much depends upon ".repeat(200);
    let words: Vec<String> = text.split(' ').map(String::from).collect();
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec)
                .with_send_compression("gzip");
            expect(call(&config, &REPEAT, &text)? == [text.clone()])?;
            expect(call(&config, &WORDS, &text)? == words)?;

            // The deadline has come as soon as the driver says so.
            let config = config.with_default_timeout(Duration::ZERO);
            let error = call(&config, &REPEAT, &text).err();
            expect(error.is_some_and(|error| error.code() == Code::DeadlineExceeded))?;
        }
    }
    Ok(())
}

fn expect(holds: bool) -> Result<(), Error> {
    holds
        .then_some(())
        .ok_or_else(|| Error::internal("a call came to something else than it should"))
}

/// The client's side of a call, its request handed to [`serve`] instead of a socket.
fn call(config: &ClientConfig, spec: &Spec, text: &String) -> Result<Vec<String>, Error> {
    let codec = codec(config.codec())?;
    let (mut send, expect) = config.start(spec, &CallOptions::new(), Time::ZERO)?;
    send.send_message(|buffer| Prost::encode(text, &codec, buffer))?;
    send.finish(Ok(HeaderMap::new()));
    let head = send.poll_request_head();
    let mut head = head.ok_or_else(|| Error::internal("a finished request has a head"))?;
    head.version = Version::HTTP_2;
    let (body, _) = transmitted(&mut send)?;

    let (response, trailers) = serve(Request::from_parts(head, body), Time::ZERO)?;
    let (head, body) = response.into_parts();
    let mut recv = expect.recv_head(head);
    let answers = received(&mut recv, body, trailers)?;
    answers
        .into_iter()
        .map(|answer| Prost::decode(answer, &codec).map_err(|error| error.into_error(Side::Client)))
        .collect()
}

/// A server as a function of bytes: a whole request, and the whole response with its trailers.
fn serve(
    request: Request<Bytes>,
    now: Time,
) -> Result<(Response<Bytes>, Option<HeaderMap>), Error> {
    let (head, body) = request.into_parts();
    let config = ServerConfig::new();
    let spec = if head.uri.path() == WORDS.procedure() {
        &WORDS
    } else {
        &REPEAT
    };
    let codecs = Codecs::default();
    let accepted = detect(&head).and_then(|call| match codecs.get(call.codec()) {
        Some(_) => call.accept(&head, spec, &config, now),
        None => Err(call.unsupported_codec(&head, spec, codecs.names())),
    });
    let (mut recv, mut send) = match accepted {
        Ok(halves) => halves,
        Err(rejection) => return Ok((rejection.into_response(), None)),
    };
    recv.handle_timeout(now);
    send.handle_timeout(now);
    let outcome = received(&mut recv, body, None).and_then(|mut messages| {
        // Both procedures take one message: without it the half would have ended with an error.
        answer(messages.pop().unwrap_or_default(), spec, &mut send)
    });
    send.finish(outcome.map(|()| HeaderMap::new()));
    let head = send.poll_response_head();
    let head = head.ok_or_else(|| Error::internal("a finished response has a head"))?;
    let (body, trailers) = transmitted(&mut send)?;
    Ok((Response::from_parts(head, body), trailers))
}

/// The handlers: the text as it came, or its words one by one.
fn answer(request: Bytes, spec: &Spec, send: &mut SendHalf) -> Result<(), Error> {
    let codec = codec(send.codec())?;
    let text = Prost::decode(request, &codec);
    let text: String = text.map_err(|error| error.into_error(Side::Server))?;
    if spec.stream_type() == StreamType::Unary {
        return send.send_message(|buffer| Prost::encode(&text, &codec, buffer));
    }
    for word in text.split(' ').map(String::from) {
        send.send_message(|buffer| Prost::encode(&word, &codec, buffer))?;
    }
    Ok(())
}

/// All messages of a body, if it ends well.
fn received(
    recv: &mut RecvHalf,
    body: Bytes,
    trailers: Option<HeaderMap>,
) -> Result<Vec<Bytes>, Error> {
    recv.recv_data(body);
    match trailers {
        Some(trailers) => recv.recv_trailers(trailers),
        None => recv.recv_eof(),
    }
    let mut messages = Vec::new();
    while let Some(event) = recv.poll_event() {
        match event? {
            RecvEvent::Message(message) => messages.push(message),
            RecvEvent::End(_) => {}
        }
    }
    Ok(messages)
}

/// The whole body, and the trailers after it.
fn transmitted(send: &mut SendHalf) -> Result<(Bytes, Option<HeaderMap>), Error> {
    let (mut body, mut trailers) = (BytesMut::new(), None);
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            Transmit::Data(data) => body.extend_from_slice(&data),
            Transmit::Trailers(map) => trailers = Some(map),
            Transmit::Reset(error) => return Err(error),
        }
    }
    Ok((body.freeze(), trailers))
}

fn codec(name: &str) -> Result<Codec, Error> {
    let codecs = Codecs::default();
    let codec = codecs.get(name).cloned();
    codec.ok_or_else(|| Error::unimplemented(format!("there is no codec {name:?}")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_call_comes_to_what_it_should() {
        super::every_call().unwrap();
    }
}
