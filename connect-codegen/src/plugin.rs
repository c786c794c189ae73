//! The protocol between `protoc` or `buf` and a plugin: a request on stdin, a response on stdout.
//!
//! Specification: `google/protobuf/compiler/plugin.proto`.

use std::path::PathBuf;

use prost::{Message as _, bytes::Bytes};

use crate::{
    Config, Error,
    descriptor::FileDescriptor,
    error::Columns,
    generate::{read, write},
    options,
    schema::{EDITION_2024, EDITION_PROTO2},
};

/// As much of a `CodeGeneratorRequest` as is read here.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, repeated, tag = "1")]
    file_to_generate: Vec<String>,
    #[prost(string, tag = "2")]
    parameter: String,
    /// Each a `FileDescriptorProto`.
    #[prost(bytes = "bytes", repeated, tag = "15")]
    proto_file: Vec<Bytes>,
}

/// A `CodeGeneratorResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(string, optional, tag = "1")]
    error: Option<String>,
    #[prost(uint64, tag = "2")]
    supported_features: u64,
    #[prost(int32, tag = "3")]
    minimum_edition: i32,
    #[prost(int32, tag = "4")]
    maximum_edition: i32,
    #[prost(message, repeated, tag = "15")]
    file: Vec<File>,
}

/// A file of a `CodeGeneratorResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "15")]
    content: String,
}

/// `FEATURE_PROTO3_OPTIONAL` and `FEATURE_SUPPORTS_EDITIONS`.
const FEATURES: u64 = 1 | 2;

/// Answers an encoded `CodeGeneratorRequest` by an encoded `CodeGeneratorResponse`: all that
/// `protoc-gen-connect-prost` does, as a function of bytes.
///
/// What is wrong with options or files is in the `error` of the response, as the protocol has it, with
/// the line of the file if there is one of its name below the current directory. It
/// declares `FEATURE_PROTO3_OPTIONAL` and `FEATURE_SUPPORTS_EDITIONS`, for all up to 2024.
///
/// # Errors
/// If the bytes are no such request.
pub fn plugin(request: &[u8]) -> Result<Vec<u8>, Error> {
    let request = Request::decode(request)
        .map_err(|error| Error::new(format!("stdin is no CodeGeneratorRequest: {error}")))?;
    let (file, error) = match files(request) {
        Ok(files) => (files, None),
        Err(error) => {
            // A plugin is not told where files are: often below the directory it runs in.
            let here = |file: &str| Some(PathBuf::from(file)).filter(|path| path.exists());
            let error = error.show(Columns::Tabs, here);
            (Vec::new(), Some(error.to_string()))
        }
    };
    let response = Response {
        error,
        supported_features: FEATURES,
        minimum_edition: EDITION_PROTO2,
        maximum_edition: EDITION_2024,
        file,
    };
    Ok(response.encode_to_vec())
}

fn files(request: Request) -> Result<Vec<File>, Error> {
    let config = Config::from_options(&request.parameter)?;
    let files = request.proto_file.into_iter().map(FileDescriptor::new);
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let schema = read(&files, &request.file_to_generate, &config)?;
    let files = write(&schema, &files, &config)?
        .into_iter()
        .map(|file| File {
            name: file.name,
            content: file.content,
        });
    Ok(files.collect())
}

/// What `protoc-gen-connect-prost --help` prints.
#[doc(hidden)]
#[must_use]
pub fn help() -> &'static str {
    options::HELP
}
