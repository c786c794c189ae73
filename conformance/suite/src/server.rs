//! The service under test, as the comments in the suite's `service.proto` demand it.

use std::time::Duration;

use bytes::Bytes;
use connect_proto::InvalidCompressionName;
use connect_tower::{
    Connection, Error, Limits, Request, Response, ResponseStream, Router, ServerConfig, Streaming,
    gate_fn, rt::SharedTimer,
};
use http::HeaderMap;
use prost_types::Any;

use crate::{
    codecs, compression, convert,
    proto::{
        BidiStreamRequest, BidiStreamResponse, ClientStreamRequest, ClientStreamResponse,
        ConformancePayload, ConformanceService, ConformanceServiceServer, IdempotentUnaryRequest,
        IdempotentUnaryResponse, ServerCompatRequest, ServerStreamRequest, ServerStreamResponse,
        StreamResponseDefinition, UnaryRequest, UnaryResponse, UnaryResponseDefinition,
        UnimplementedRequest, UnimplementedResponse,
        conformance_payload::{ConnectGetInfo, RequestInfo},
        unary_response_definition,
    },
};

/// The service, with the settings that the runner asks for. Everything is compressed that may be.
///
/// # Errors
///
/// Never with the compressions of this crate.
pub fn router(wanted: &ServerCompatRequest) -> Result<Router, InvalidCompressionName> {
    let mut config = ServerConfig::new()
        .with_compressions(compression::all()?)
        .with_min_compress_bytes(0);
    if wanted.message_receive_limit > 0 {
        config = config.with_limits(
            Limits::default().with_recv_message_bytes(wanted.message_receive_limit as usize),
        );
    }
    let router = Router::new()
        .with_config(config)
        .with_codecs(codecs())
        .add_gate(gate_fn(|head, _| {
            if let Some(query) = head.uri().query() {
                let query = GetQuery(query.to_owned());
                head.extensions_mut().insert(query);
            }
            Ok(())
        }))
        .add_service(ConformanceServiceServer::new(Service));
    Ok(router)
}

/// The query of a request by GET.
#[derive(Clone)]
struct GetQuery(String);

#[derive(Debug)]
struct Service;

impl ConformanceService for Service {
    async fn unary(
        &self,
        request: Request<UnaryRequest>,
    ) -> Result<Response<UnaryResponse>, Error> {
        let (call, message) = request.into_parts();
        let requests = vec![convert::any(&message)];
        let response = Call(&call)
            .answer(message.response_definition, requests)
            .await?;
        Ok(response.map(|payload| UnaryResponse {
            payload: Some(payload),
        }))
    }

    async fn idempotent_unary(
        &self,
        request: Request<IdempotentUnaryRequest>,
    ) -> Result<Response<IdempotentUnaryResponse>, Error> {
        let (call, message) = request.into_parts();
        let requests = vec![convert::any(&message)];
        let response = Call(&call)
            .answer(message.response_definition, requests)
            .await?;
        Ok(response.map(|payload| IdempotentUnaryResponse {
            payload: Some(payload),
        }))
    }

    async fn unimplemented(
        &self,
        _: Request<UnimplementedRequest>,
    ) -> Result<Response<UnimplementedResponse>, Error> {
        Err(Error::unimplemented("this procedure is not implemented"))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<ClientStreamRequest>>,
    ) -> Result<Response<ClientStreamResponse>, Error> {
        let (call, mut messages) = request.into_parts();
        let (mut requests, mut definition) = (Vec::new(), None);
        while let Some(message) = messages.message().await? {
            let first = requests.is_empty();
            requests.push(convert::any(&message));
            if first {
                definition = message.response_definition;
            }
        }
        let response = Call(&call).answer(definition, requests).await?;
        Ok(response.map(|payload| ClientStreamResponse {
            payload: Some(payload),
        }))
    }

    async fn server_stream(
        &self,
        request: Request<ServerStreamRequest>,
    ) -> Result<Response<ResponseStream<ServerStreamResponse>>, Error> {
        let (call, message) = request.into_parts();
        let requests = vec![convert::any(&message)];
        let mut script = Script::new(&call, message.response_definition);
        script.requests = requests;
        let head = script.head()?;
        Ok(head.map(|()| {
            ResponseStream::generate(|mut answers| async move {
                while let Some(payload) = script.next().await {
                    answers
                        .send(ServerStreamResponse {
                            payload: Some(payload),
                        })
                        .await;
                }
                script.end()
            })
        }))
    }

    async fn bidi_stream(
        &self,
        request: Request<Streaming<BidiStreamRequest>>,
    ) -> Result<Response<ResponseStream<BidiStreamResponse>>, Error> {
        let (call, mut messages) = request.into_parts();
        let Some(first) = messages.message().await? else {
            return Ok(Response::new(ResponseStream::from(Vec::new())));
        };
        let any = convert::any(&first);
        let mut script = Script::new(&call, first.response_definition);
        script.requests.push(any);
        if !first.full_duplex {
            while let Some(message) = messages.message().await? {
                script.requests.push(convert::any(&message));
            }
        }
        let head = script.head()?;
        Ok(head.map(|()| {
            ResponseStream::generate(move |mut answers| async move {
                // In full duplex each answer waits for a request, as long as there are any.
                let mut more = first.full_duplex;
                while let Some(payload) = script.next().await {
                    answers
                        .send(BidiStreamResponse {
                            payload: Some(payload),
                        })
                        .await;
                    if more {
                        match messages.message().await? {
                            Some(message) => script.requests.push(convert::any(&message)),
                            None => more = false,
                        }
                    }
                }
                script.end()
            })
        }))
    }
}

/// What travelled beside the messages of a call.
struct Call<'a>(&'a Request<()>);

impl Call<'_> {
    /// The one answer to all requests.
    async fn answer(
        &self,
        definition: Option<UnaryResponseDefinition>,
        requests: Vec<Any>,
    ) -> Result<Response<ConformancePayload>, Error> {
        let info = self.info(requests);
        let Some(definition) = definition else {
            return Ok(Response::new(ConformancePayload {
                request_info: Some(info),
                ..Default::default()
            }));
        };
        let headers = convert::header_map(&definition.response_headers)?;
        let trailers = convert::header_map(&definition.response_trailers)?;
        pause(self.timer(), definition.response_delay_ms).await;
        let data = match definition.response {
            Some(unary_response_definition::Response::Error(mut wanted)) => {
                wanted.details.push(convert::any(&info));
                // An error has one kind of metadata.
                let mut metadata = headers;
                extend(&mut metadata, &trailers);
                return Err(convert::error(wanted).with_metadata(metadata));
            }
            Some(unary_response_definition::Response::ResponseData(data)) => data,
            None => Bytes::new(),
        };
        let mut response = Response::new(ConformancePayload {
            data,
            request_info: Some(info),
        });
        *response.headers_mut() = headers;
        *response.trailers_mut() = trailers;
        Ok(response)
    }

    fn info(&self, requests: Vec<Any>) -> RequestInfo {
        let timeout = self.0.timeout();
        RequestInfo {
            request_headers: convert::headers(self.0.headers()),
            timeout_ms: timeout.and_then(|timeout| i64::try_from(timeout.as_millis()).ok()),
            requests,
            connect_get_info: self.0.extensions().get().map(get_info),
        }
    }

    /// The clock of the runtime that serves the call.
    fn timer(&self) -> Option<&SharedTimer> {
        self.0.extensions().get().and_then(Connection::timer)
    }
}

fn get_info(GetQuery(query): &GetQuery) -> ConnectGetInfo {
    let parameter = |(name, value): (_, _)| crate::proto::Header {
        name: String::from(name),
        value: vec![String::from(value)],
    };
    ConnectGetInfo {
        query_params: form_urlencoded::parse(query.as_bytes())
            .map(parameter)
            .collect(),
    }
}

/// The answers of a stream, as its first request defines them.
struct Script {
    timer: Option<SharedTimer>,
    definition: StreamResponseDefinition,
    /// Told with the first answer, or with the error if there is none.
    info: Option<RequestInfo>,
    sent: usize,
    /// Requests that no answer has told of yet.
    requests: Vec<Any>,
}

impl Script {
    fn new(call: &Request<()>, definition: Option<StreamResponseDefinition>) -> Self {
        Self {
            timer: Call(call).timer().cloned(),
            definition: definition.unwrap_or_default(),
            info: Some(Call(call).info(Vec::new())),
            sent: 0,
            requests: Vec::new(),
        }
    }

    fn head(&self) -> Result<Response<()>, Error> {
        let mut response = Response::new(());
        *response.headers_mut() = convert::header_map(&self.definition.response_headers)?;
        *response.trailers_mut() = convert::header_map(&self.definition.response_trailers)?;
        Ok(response)
    }

    async fn next(&mut self) -> Option<ConformancePayload> {
        let data = self.definition.response_data.get(self.sent)?.clone();
        pause(self.timer.as_ref(), self.definition.response_delay_ms).await;
        self.sent += 1;
        Some(ConformancePayload {
            data,
            request_info: self.take_info(),
        })
    }

    fn end(mut self) -> Result<(), Error> {
        let Some(mut wanted) = self.definition.error.take() else {
            return Ok(());
        };
        if self.sent == 0 {
            wanted
                .details
                .extend(self.take_info().map(|info| convert::any(&info)));
        }
        // The response's trailers go out beside the error.
        Err(convert::error(wanted))
    }

    fn take_info(&mut self) -> Option<RequestInfo> {
        let requests = std::mem::take(&mut self.requests);
        match self.info.take() {
            Some(info) => Some(RequestInfo { requests, ..info }),
            None if requests.is_empty() => None,
            None => Some(RequestInfo {
                requests,
                ..Default::default()
            }),
        }
    }
}

async fn pause(timer: Option<&SharedTimer>, millis: u32) {
    if let Some(timer) = timer.filter(|_| millis > 0) {
        let delay = Duration::from_millis(millis.into());
        timer.sleep(delay).await;
    }
}

fn extend(map: &mut HeaderMap, more: &HeaderMap) {
    for (name, value) in more {
        map.append(name, value.clone());
    }
}
