//! The one method of the service, in both versions.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use connect_tower::{Code, Error, Request, Response, ResponseStream, Streaming};
use futures_core::Stream;

use crate::{
    index::{FileId, Index},
    v1::{
        self, ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
        ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
        server_reflection_request::MessageRequest as Question,
        server_reflection_response::MessageResponse as Answer,
    },
    v1alpha,
};

/// Answers questions about schemas.
#[derive(Clone)]
pub(crate) struct Reflector {
    index: Arc<Index>,
    services: Arc<[String]>,
}

type Requests = Request<Streaming<ServerReflectionRequest>>;
type Responses = Result<Response<ResponseStream<ServerReflectionResponse>>, Error>;

impl v1::ServerReflection for Reflector {
    async fn server_reflection_info(&self, requests: Requests) -> Responses {
        Ok(self.answers(requests))
    }
}

impl v1alpha::ServerReflection for Reflector {
    async fn server_reflection_info(&self, requests: Requests) -> Responses {
        Ok(self.answers(requests))
    }
}

impl Reflector {
    pub(crate) fn new(index: Arc<Index>, services: Vec<String>) -> Self {
        Self {
            index,
            services: services.into(),
        }
    }

    fn answers(&self, requests: Requests) -> Response<ResponseStream<ServerReflectionResponse>> {
        Response::stream(Answers {
            reflector: self.clone(),
            requests: requests.into_stream(),
            sent: HashSet::new(),
        })
    }

    /// `sent` are the files that the client has.
    fn answer(&self, question: &Question, sent: &mut HashSet<FileId>) -> Option<Answer> {
        let index = &self.index;
        let file = match question {
            Question::ListServices(_) => return Some(self.list_services()),
            Question::AllExtensionNumbersOfType(message) => {
                return index.extension_numbers(message).map(|numbers| {
                    Answer::AllExtensionNumbersResponse(ExtensionNumberResponse {
                        base_type_name: message.clone(),
                        extension_number: numbers,
                    })
                });
            }
            Question::FileByFilename(name) => index.file(name),
            Question::FileContainingSymbol(symbol) => index.file_of_symbol(symbol),
            Question::FileContainingExtension(extension) => {
                index.file_of_extension(&extension.containing_type, extension.extension_number)
            }
        };
        Some(Answer::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto: index.with_imports(file?, sent),
        }))
    }

    fn list_services(&self) -> Answer {
        let service = self.services.iter().cloned();
        Answer::ListServicesResponse(ListServiceResponse {
            service: service.map(|name| ServiceResponse { name }).collect(),
        })
    }
}

/// One answer to each request.
struct Answers {
    reflector: Reflector,
    requests: Streaming<ServerReflectionRequest>,
    /// The files that were sent in this stream, which need not be sent again.
    sent: HashSet<FileId>,
}

impl Answers {
    /// What cannot be answered does not end the stream: the client may have other questions.
    fn next(&mut self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let answer = match &request.message_request {
            None => error(
                Code::InvalidArgument,
                "the request asks for nothing that this server knows of",
            ),
            Some(question) => self
                .reflector
                .answer(question, &mut self.sent)
                .unwrap_or_else(|| error(Code::NotFound, what_is_missing(question))),
        };
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        }
    }
}

impl Stream for Answers {
    type Item = Result<ServerReflectionResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let request = Pin::new(&mut self.requests).poll_next(cx);
        request.map(|request| Some(request?.map(|request| self.next(request))))
    }
}

fn error(code: Code, message: &str) -> Answer {
    Answer::ErrorResponse(ErrorResponse {
        error_code: code.number().into(),
        error_message: message.to_owned(),
    })
}

/// The name that was asked for is in the request, which goes back with the answer.
fn what_is_missing(question: &Question) -> &'static str {
    match question {
        Question::FileByFilename(_) => "no file of this name",
        Question::FileContainingSymbol(_) => "no file declares this symbol",
        Question::FileContainingExtension(_) => "no file declares this extension",
        Question::AllExtensionNumbersOfType(_) => "no message of this name",
        Question::ListServices(_) => "no services",
    }
}
