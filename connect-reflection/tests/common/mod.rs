//! Questions to a router with reflection.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate and uses its own part of this"
)]

pub use crate::tower::block_on;

use connect_codegen::descriptors;
use connect_reflection::{
    Reflection,
    v1::{
        self, ServerReflectionClient, ServerReflectionRequest, ServerReflectionResponse,
        server_reflection_request::MessageRequest as Question,
        server_reflection_response::MessageResponse as Answer,
    },
    v1alpha,
};
use connect_tower::{Client, InProcess, Router};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The files of `tests/proto`, with what they import.
pub fn zoo() -> FileDescriptorSet {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
    let files = ["zoo/zoo.proto", "zoo/note.proto"].map(|file| format!("{root}/{file}"));
    let set = descriptors(&files, &[root]).unwrap();
    FileDescriptorSet::decode(set.as_slice()).unwrap()
}

pub fn client(router: Router) -> Client<InProcess> {
    Client::new(InProcess::new(router))
}

pub fn reflecting(sets: impl IntoIterator<Item = FileDescriptorSet>) -> Client<InProcess> {
    client(Router::new().add_service(reflection(sets)))
}

/// Reflection with these sets of the application, beside those of the router.
pub fn reflection(sets: impl IntoIterator<Item = FileDescriptorSet>) -> Reflection {
    let add = |reflection: Reflection, set: FileDescriptorSet| {
        reflection.add_descriptor_set(set.encode_to_vec())
    };
    sets.into_iter().fold(Reflection::new(), add)
}

pub fn request(question: Question) -> ServerReflectionRequest {
    ServerReflectionRequest {
        host: "here".to_owned(),
        message_request: Some(question),
    }
}

/// The responses to requests of one stream, in version 1 or in the one before; each is read before the next request.
pub async fn responses(
    client: &Client<InProcess>,
    version: u8,
    requests: impl IntoIterator<Item = ServerReflectionRequest>,
) -> Vec<ServerReflectionResponse> {
    let mut call = if version == 1 {
        ServerReflectionClient::from_client(client.clone()).server_reflection_info()
    } else {
        v1alpha::ServerReflectionClient::from_client(client.clone()).server_reflection_info()
    };
    let mut responses = Vec::new();
    for request in requests {
        call.send(request).await.unwrap();
        responses.push(call.message().await.unwrap().unwrap());
    }
    call.close_send();
    assert_eq!(call.message().await.unwrap(), None);
    responses
}

/// The answers to questions of one stream.
pub fn answers(
    client: &Client<InProcess>,
    questions: impl IntoIterator<Item = Question>,
) -> Vec<Answer> {
    let requests = questions.into_iter().map(request);
    let responses = block_on(responses(client, 1, requests));
    let answers = responses.into_iter();
    answers
        .map(|response| response.message_response.unwrap())
        .collect()
}

pub fn answer(client: &Client<InProcess>, question: Question) -> Answer {
    answers(client, [question]).remove(0)
}

/// The files of an answer.
pub fn files(answer: &Answer) -> Vec<FileDescriptorProto> {
    let Answer::FileDescriptorResponse(response) = answer else {
        panic!("no files: {answer:?}");
    };
    let files = response.file_descriptor_proto.iter();
    files
        .map(|file| FileDescriptorProto::decode(file.clone()).unwrap())
        .collect()
}

pub fn file_names(answer: &Answer) -> Vec<String> {
    let files = files(answer).into_iter();
    files.map(|file| file.name().to_owned()).collect()
}

pub fn symbol(name: &str) -> Question {
    Question::FileContainingSymbol(name.to_owned())
}

pub fn file(name: &str) -> Question {
    Question::FileByFilename(name.to_owned())
}

pub fn extension(message: &str, number: i32) -> Question {
    Question::FileContainingExtension(v1::ExtensionRequest {
        containing_type: message.to_owned(),
        extension_number: number,
    })
}

pub fn extensions(message: &str) -> Question {
    Question::AllExtensionNumbersOfType(message.to_owned())
}
