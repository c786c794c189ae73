//! Answers Google's conformance runner: each request holds a message in one format and names the format to
//! write it in. Requests and answers are Protobuf with a little-endian length of four bytes before them.

use std::{
    error::Error,
    io::{self, Read, Write},
};

use bytes::{Bytes, BytesMut};
use connect_codec::{
    Codec, Decode, Encode, Prost,
    json::{JsonMessage, JsonOptions, TypeRegistry},
};
use prost::Message;

use proto::{
    conformance::{
        ConformanceRequest, ConformanceResponse, TestCategory, WireFormat,
        conformance_request::Payload, conformance_response::Result as Answer,
    },
    protobuf_test_messages::{editions, proto2, proto3},
};

/// The runner's messages.
#[allow(missing_docs, clippy::all)]
mod proto {
    connect_codec::include_protos!();
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut types = TypeRegistry::default();
    for register in [
        editions::register_types,
        editions::proto2::register_types,
        editions::proto3::register_types,
        proto2::register_types,
        proto3::register_types,
    ] {
        register(&mut types);
    }
    let json = JsonOptions::default().with_types(types);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(request) = read(&mut input)? {
        let result = Some(answer(&request, &json));
        write(&mut output, &ConformanceResponse { result })?;
    }
    Ok(())
}

/// The next request; `None` when the runner is done.
fn read(input: &mut impl Read) -> Result<Option<ConformanceRequest>, Box<dyn Error>> {
    let mut len = [0; 4];
    match input.read_exact(&mut len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut bytes = vec![0; u32::from_le_bytes(len).try_into()?];
    input.read_exact(&mut bytes)?;
    Ok(Some(ConformanceRequest::decode(bytes.as_slice())?))
}

fn write(output: &mut impl Write, response: &ConformanceResponse) -> Result<(), Box<dyn Error>> {
    let bytes = response.encode_to_vec();
    output.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
    output.write_all(&bytes)?;
    Ok(output.flush()?)
}

fn answer(request: &ConformanceRequest, json: &JsonOptions) -> Answer {
    let name = request.message_type.strip_prefix("protobuf_test_messages.");
    match name.unwrap_or(&request.message_type) {
        "proto2.TestAllTypesProto2" => translate::<proto2::TestAllTypesProto2>(request, json),
        "proto3.TestAllTypesProto3" => translate::<proto3::TestAllTypesProto3>(request, json),
        "editions.TestAllTypesEdition2023" => {
            translate::<editions::TestAllTypesEdition2023>(request, json)
        }
        "editions.proto2.TestAllTypesProto2" => {
            translate::<editions::proto2::TestAllTypesProto2>(request, json)
        }
        "editions.proto3.TestAllTypesProto3" => {
            translate::<editions::proto3::TestAllTypesProto3>(request, json)
        }
        // An older way to learn which tests are known to fail; empty says none.
        "conformance.FailureSet" => Answer::ProtobufPayload(Bytes::new()),
        other => Answer::Skipped(format!("no message type {other}")),
    }
}

fn translate<M: Message + JsonMessage>(request: &ConformanceRequest, json: &JsonOptions) -> Answer {
    let (codec, input) = match &request.payload {
        Some(Payload::ProtobufPayload(bytes)) => (Codec::default(), bytes.clone()),
        Some(Payload::JsonPayload(text)) => {
            let ignore = request.test_category() == TestCategory::JsonIgnoreUnknownParsingTest;
            let json = json.clone().with_reject_unknown(!ignore);
            (Codec::Json(json), Bytes::from(text.clone()))
        }
        _ => return Answer::Skipped("neither binary nor JSON".to_owned()),
    };
    let message: M = match <Prost as Decode<M>>::decode(input, &codec) {
        Ok(message) => message,
        Err(error) => return Answer::ParseError(error.to_string()),
    };
    let mut output = BytesMut::new();
    match request.requested_output_format() {
        WireFormat::Protobuf => match Prost::encode(&message, &Codec::default(), &mut output) {
            Ok(()) => Answer::ProtobufPayload(output.freeze()),
            Err(error) => Answer::SerializeError(error.to_string()),
        },
        WireFormat::Json => {
            match Prost::encode(&message, &Codec::Json(json.clone()), &mut output) {
                Ok(()) => match String::from_utf8(output.into()) {
                    Ok(text) => Answer::JsonPayload(text),
                    Err(error) => Answer::RuntimeError(error.to_string()),
                },
                Err(error) => Answer::SerializeError(error.to_string()),
            }
        }
        _ => Answer::Skipped("neither binary nor JSON".to_owned()),
    }
}
