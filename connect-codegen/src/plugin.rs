//! The protocol between `protoc` or `buf` and a plugin: a request on stdin, a response on stdout.
//!
//! Specification: `google/protobuf/compiler/plugin.proto`.

use prost::Message as _;
use prost_types::{
    FileDescriptorSet,
    compiler::{
        CodeGeneratorRequest, CodeGeneratorResponse,
        code_generator_response::{Feature, File},
    },
};

use crate::{
    Config, Error,
    generate::generate_from,
    options,
    schemas::{FILES_OF_REQUEST, Schemas},
};

/// Answers an encoded `CodeGeneratorRequest` by an encoded `CodeGeneratorResponse`: all that
/// `protoc-gen-connect-prost` does, as a function of bytes.
///
/// What is wrong with options or files is in the `error` of the response, as the protocol has it; the
/// feature that it declares is `FEATURE_PROTO3_OPTIONAL`.
///
/// # Errors
/// If the bytes are no such request.
pub fn plugin(request: &[u8]) -> Result<Vec<u8>, Error> {
    let decoded = CodeGeneratorRequest::decode(request)
        .map_err(|error| Error::new(format!("stdin is no CodeGeneratorRequest: {error}")))?;
    let mut response = CodeGeneratorResponse {
        supported_features: Some(Feature::Proto3Optional as u64),
        ..CodeGeneratorResponse::default()
    };
    match files(decoded, request) {
        Ok(files) => response.file = files,
        Err(error) => response.error = Some(error.to_string()),
    }
    Ok(response.encode_to_vec())
}

fn files(request: CodeGeneratorRequest, encoded: &[u8]) -> Result<Vec<File>, Error> {
    let config = Config::from_options(request.parameter())?;
    let set = FileDescriptorSet {
        file: request.proto_file,
    };
    let schemas = Schemas::with_encoded(&set, encoded, FILES_OF_REQUEST);
    let files = generate_from(schemas, &request.file_to_generate, &config)?;
    let files = files.into_iter().map(|file| File {
        name: Some(file.name),
        content: Some(file.content),
        ..File::default()
    });
    Ok(files.collect())
}

/// What `protoc-gen-connect-prost --help` prints.
#[doc(hidden)]
#[must_use]
pub fn help() -> String {
    format!("{HELP_HEAD}{}{HELP_TAIL}", options::help())
}

const HELP_HEAD: &str = "\
protoc-gen-connect-prost generates Rust for ConnectRPC: messages, JSON, service traits, servers, clients.

protoc and buf start it; it reads a CodeGeneratorRequest and writes a CodeGeneratorResponse.

  protoc --connect-prost_out=src/proto --connect-prost_opt=OPTION,... -I proto proto/greet.proto

  # buf.gen.yaml
  version: v2
  plugins:
    - local: protoc-gen-connect-prost
      out: src/proto
      strategy: all
      opt: [OPTION, ...]

Options, with their defaults in brackets:

";

const HELP_TAIL: &str = "
Paths are those of Protobuf with a leading dot, .pkg.Message or .pkg.Message.field; each stands for
all below it, and `.` for everything. Commas in brackets and quotes are part of a value. A name alone
switches on: default_methods is default_methods=true.

Unified mode is the default: messages and services in one place. For services alone, over messages
that are elsewhere: messages=false,extern_path=.=::my_messages

  -h, --help       print this
  -V, --version    print the version
";
