//! The one method of the service, in both versions.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use connect_tower::{
    Code, Error, Request, Response, ResponseStream, Router, Streaming, bytes::Bytes,
};
use futures_core::Stream;

use crate::{
    DescriptorError,
    index::{FileId, Index},
    v1::{
        self, ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
        ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
        server_reflection_request::MessageRequest as Question,
        server_reflection_response::MessageResponse as Answer,
    },
    v1alpha,
};

/// Begins the streams in which questions about schemas are answered.
#[derive(Clone)]
pub(crate) struct Reflector {
    shared: Arc<Shared>,
}

struct Shared {
    /// The application's own descriptor sets.
    sets: Vec<Bytes>,
    /// The last index, as routers do not change while they serve.
    built: Mutex<Option<Built>>,
}

/// The index of a router, and the sets that it was built from.
struct Built {
    sets: Vec<&'static [u8]>,
    index: Result<Arc<Index>, DescriptorError>,
}

type Requests = Request<Streaming<ServerReflectionRequest>>;
type Responses = Result<Response<ResponseStream<ServerReflectionResponse>>, Error>;

impl v1::ServerReflection for Reflector {
    async fn server_reflection_info(&self, requests: Requests) -> Responses {
        self.answers(requests)
    }
}

impl v1alpha::ServerReflection for Reflector {
    async fn server_reflection_info(&self, requests: Requests) -> Responses {
        self.answers(requests)
    }
}

impl Reflector {
    pub(crate) fn new(sets: Vec<Bytes>) -> Self {
        let built = Mutex::default();
        Self {
            shared: Arc::new(Shared { sets, built }),
        }
    }

    fn answers(&self, requests: Requests) -> Responses {
        let Some(router) = requests.extensions().get::<Router>() else {
            return Err(Error::internal(
                "reflection found no router in the extensions of its request",
            ));
        };
        let index = self.index(router).map_err(|error| {
            Error::internal(format!(
                "the server's descriptor sets are of no use: {error}"
            ))
        })?;
        let services = router.service_names().into_iter().map(String::from);
        Ok(Response::stream(Answers {
            index,
            services: services.collect(),
            requests: requests.into_stream(),
            sent: HashSet::new(),
        }))
    }

    /// Calls wait for each other while the index is built: milliseconds, for the first call.
    fn index(&self, router: &Router) -> Result<Arc<Index>, DescriptorError> {
        let Shared { sets, built } = &*self.shared;
        let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
        let of_router = router.descriptor_sets();
        match &*built {
            Some(built) if built.sets == of_router => built.index.clone(),
            _ => {
                let index = Index::new(sets, of_router).map(Arc::new);
                *built = Some(Built {
                    sets: of_router.to_vec(),
                    index: index.clone(),
                });
                index
            }
        }
    }
}

/// One answer to each request.
struct Answers {
    index: Arc<Index>,
    services: Vec<String>,
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
                .answer(question)
                .unwrap_or_else(|| error(Code::NotFound, what_is_missing(question))),
        };
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        }
    }

    fn answer(&mut self, question: &Question) -> Option<Answer> {
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
            file_descriptor_proto: index.with_imports(file?, &mut self.sent),
        }))
    }

    fn list_services(&self) -> Answer {
        let service = self.services.iter().cloned();
        Answer::ListServicesResponse(ListServiceResponse {
            service: service.map(|name| ServiceResponse { name }).collect(),
        })
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
