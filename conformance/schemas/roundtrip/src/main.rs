//! Reads what Protobuf for Python wrote, binary and JSON, and writes each again in both: `roundtrip.py` compares.
//!
//! Requests are three frames (schema and message, binary, JSON), answers four: binary and JSON of the binary,
//! binary and JSON of the JSON. A frame is its length, little-endian in four bytes, and its bytes; an answer
//! that is an error has the highest bit of its length set.

use std::{
    error::Error,
    io::{self, Read, Write},
};

use bytes::{Bytes, BytesMut};
use connect_codec::{
    Codec, Decode, Encode, Prost,
    json::{JsonMessage, JsonOptions, TypeRegistry},
};

/// Generated code.
#[allow(missing_docs, unreachable_pub, unused_variables, clippy::all)]
mod schemas {
    include!(concat!(env!("OUT_DIR"), "/schemas.rs"));
}

/// What to do with the input of one format.
type Translate = fn(Bytes, &Codec, &Codec) -> [Answer; 2];
type Answer = Result<Bytes, String>;

const ERROR: u32 = 1 << 31;

fn main() -> Result<(), Box<dyn Error>> {
    let mut types = TypeRegistry::default();
    schemas::register(&mut types);
    let json = Codec::Json(JsonOptions::default().with_types(types));
    let (mut input, mut output) = (io::stdin().lock(), io::BufWriter::new(io::stdout().lock()));
    while let Some(name) = frame(&mut input)? {
        let name = String::from_utf8(name)?;
        let binary = frame(&mut input)?.ok_or("no binary")?;
        let text = frame(&mut input)?.ok_or("no JSON")?;
        let translate = schemas::find(&name).ok_or_else(|| format!("no message type {name}"))?;
        let answers = [
            translate(binary.into(), &Codec::default(), &json),
            translate(text.into(), &json, &json),
        ];
        for answer in answers.into_iter().flatten() {
            let (flag, bytes) = match answer {
                Ok(bytes) => (0, bytes),
                Err(error) => (ERROR, error.into()),
            };
            output.write_all(&(u32::try_from(bytes.len())? | flag).to_le_bytes())?;
            output.write_all(&bytes)?;
        }
        output.flush()?;
    }
    Ok(())
}

fn frame(input: &mut impl Read) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let mut len = [0; 4];
    match input.read_exact(&mut len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut bytes = vec![0; u32::from_le_bytes(len).try_into()?];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn translate<M: prost::Message + JsonMessage>(
    input: Bytes,
    from: &Codec,
    json: &Codec,
) -> [Answer; 2] {
    let message: M = match <Prost as Decode<M>>::decode(input, from) {
        Ok(message) => message,
        Err(error) => {
            return [
                Err(format!("cannot read: {error}")),
                Err(format!("cannot read: {error}")),
            ];
        }
    };
    [&Codec::default(), json].map(|codec| {
        let mut output = BytesMut::new();
        match Prost::encode(&message, codec, &mut output) {
            Ok(()) => Ok(output.freeze()),
            Err(error) => Err(format!("cannot write: {error}")),
        }
    })
}
