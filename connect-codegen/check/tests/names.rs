//! Calls to services, and with messages, whose names are those of what generated code is made of.

pub mod support;

use connect_codegen_check::built::names::{
    r#match::r#type::{
        self as hard, NamesService, NamesServiceClient_, NamesServiceServer_, Response_,
        ResponseClient, ResponseServer, Service_, ServiceClient, ServiceServer, WellKnown,
        WellKnownClient, WellKnownServer, names_service, some,
    },
    services,
};
use connect_tower::{
    Client, ClientConfig, Decode, Encode, Error, InProcess, Prost, Request, Response,
    ResponseStream, Router, Service, Spec, Streaming,
    prost_types::{Any, Struct, Timestamp, Value, value::Kind},
};
use support::block_on;

#[derive(Clone, Debug)]
struct Echo;

type Answer<T> = Result<Response<T>, Error>;
type Answers<T> = Result<Response<ResponseStream<T>>, Error>;

/// Sends everything back.
fn echo<T: Send + 'static>(request: Request<Streaming<T>>) -> Response<ResponseStream<T>> {
    let mut messages = request.into_message();
    Response::new(ResponseStream::generate(|mut answers| async move {
        while let Some(message) = messages.message().await? {
            answers.send(message).await;
        }
        Ok(())
    }))
}

/// Sends one message back.
fn once<T: Send + 'static>(request: Request<T>) -> Response<ResponseStream<T>> {
    Response::new(ResponseStream::generate(|mut answers| async move {
        answers.send(request.into_message()).await;
        Ok(())
    }))
}

macro_rules! unary {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(async fn $method(&self, request: Request<$request>) -> Answer<$response> {
            drop(request);
            Ok(Response::new(<$response as Default>::default()))
        })*
    };
}

macro_rules! unary_echo {
    ($($method:ident($message:ty);)*) => {
        $(async fn $method(&self, request: Request<$message>) -> Answer<$message> {
            Ok(Response::new(request.into_message()))
        })*
    };
}

macro_rules! bidi_echo {
    ($($method:ident($message:ty);)*) => {
        $(async fn $method(&self, request: Request<Streaming<$message>>) -> Answers<$message> {
            Ok(echo(request))
        })*
    };
}

impl NamesService for Echo {
    unary! {
        new(hard::Request) -> hard::Response;
        clone(hard::Request) -> hard::Response;
        from_client(hard::Request) -> hard::Response;
        with_config(hard::Request) -> hard::Response;
        name(hard::Request) -> hard::Response;
        register(hard::Request) -> hard::Response;
        drop(hard::Request) -> hard::Response;
        self_(hard::Request) -> hard::Error;
        type_id(hard::Option) -> hard::Result;
        type_id_(hard::String) -> hard::Vec;
    }
    unary_echo! {
        call(hard::Some);
        default(hard::Default);
        into(hard::Debug);
        try_into(hard::Debug);
        request(hard::Request);
        t(hard::Clone);
    }

    async fn r#type(&self, _: Request<hard::Request>) -> Answers<hard::Response> {
        Ok(once(Request::new(hard::Response {})))
    }

    async fn r#await(&self, request: Request<Streaming<hard::Request>>) -> Answers<hard::Response> {
        let mut requests = request.into_message();
        Ok(Response::new(ResponseStream::generate(
            |mut answers| async move {
                while requests.message().await?.is_some() {
                    answers.send(hard::Response {}).await;
                }
                Ok(())
            },
        )))
    }

    async fn crate_(&self, request: Request<Streaming<hard::Request>>) -> Answers<hard::Response> {
        self.r#await(request).await
    }

    async fn await_with(&self, _: Request<Streaming<hard::Request>>) -> Answer<hard::Response> {
        Ok(Response::new(hard::Response {}))
    }

    async fn add_interceptor(&self, request: Request<Streaming<hard::Some>>) -> Answer<hard::Some> {
        let last = request.into_message().message().await?;
        Ok(Response::new(last.unwrap_or_default()))
    }

    async fn with_codecs(&self, request: Request<hard::Streaming>) -> Answers<hard::Streaming> {
        Ok(once(request))
    }

    async fn with_timer(
        &self,
        request: Request<hard::ResponseStream>,
    ) -> Answers<hard::ResponseStream> {
        Ok(once(request))
    }
}

impl Service_ for Echo {
    unary! {
        call(hard::Json) -> hard::Keywords;
    }
}

impl Response_ for Echo {
    unary_echo! {
        response(hard::Response);
    }
}

impl WellKnown for Echo {
    bidi_echo! {
        nothing(());
        times(Timestamp);
        anything(Any);
        strings(String);
        blobs(Vec<u8>);
        structs(Struct);
    }
}

impl services::Request for Echo {
    unary_echo! {
        response(services::Message);
    }
}

impl services::Client for Echo {
    unary_echo! {
        request(services::Message);
    }
}

impl services::Send for Echo {
    unary_echo! {
        sync(services::Message);
    }
}

impl services::Streaming for Echo {
    bidi_echo! {
        message(services::Message);
    }
}

/// A client for each codec, of this service.
fn clients(service: impl Service) -> Vec<Client<InProcess>> {
    let router = Router::new().add_service(service);
    let client = Client::new(InProcess::new(router));
    ["proto", "json"]
        .map(|codec| {
            let config = ClientConfig::new().with_codec(codec);
            client.clone().with_config(config)
        })
        .into()
}

async fn round<M>(client: &Client<InProcess>, spec: &Spec, message: M)
where
    M: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static,
    Prost: Encode<M> + Decode<M>,
{
    let mut call = client.bidi_stream::<Prost, M, M>(spec, Request::new(()));
    for _ in 0..2 {
        call.send(message.clone()).await.unwrap();
        assert_eq!(call.message().await.unwrap().as_ref(), Some(&message));
    }
    drop(call);
}

fn some() -> hard::Some {
    hard::Some {
        default: Some(hard::Default {
            default: Some(false),
        }),
        clone: Some(hard::Clone {
            clone: "Clone".into(),
        }),
        send: vec![hard::Send { sync: 0 }],
        hash_map: [("key".into(), hard::HashMap::default())].into(),
        future: Some(some::Future::Message(hard::Message {
            encoded_len: "1".into(),
            clear: "all".into(),
        })),
        ..hard::Some::default()
    }
}

#[test]
fn methods_named_like_those_of_traits_and_clients() {
    for client in clients(NamesServiceServer_::new(Echo)) {
        let generated = NamesServiceClient_::from_client(client.clone());
        let request = hard::Request {};
        block_on(async {
            generated.new_(request).await?;
            generated.clone(request).await?;
            generated.from_client_(request).await?;
            generated.with_config_(request).await?;
            generated.name(request).await?;
            generated.register(request).await?;
            generated.drop(request).await?;
            generated.self_(request).await?;
            generated.type_id(hard::Option::default()).await?;
            generated.type_id_(hard::String::default()).await?;
            assert_eq!(generated.call(some()).await?.into_message(), some());
            generated.default(hard::Default { default: None }).await?;
            generated.into_(hard::Debug::default()).await?;
            generated.try_into_(hard::Debug::default()).await?;
            generated.request(request).await?;
            generated.t(hard::Clone::default()).await?;
            let mut types = generated.r#type(request).await?.into_message();
            assert!(types.message().await?.is_some() && types.message().await?.is_none());
            for mut call in [
                generated.r#await(),
                generated.crate_(),
                generated.crate_with(Request::new(())),
            ] {
                call.send(request).await?;
                assert!(call.message().await?.is_some());
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    }
}

/// Their names in the client depend on what else a client can do.
#[test]
fn methods_by_their_specs() {
    for client in clients(NamesServiceServer_::new(Echo)) {
        block_on(async {
            let spec = &names_service::ADD_INTERCEPTOR;
            let mut call =
                client.client_stream::<Prost, hard::Some, hard::Some>(spec, Request::new(()));
            call.send(some()).await?;
            let answer: Response<hard::Some> = call.close_and_receive().await?;
            assert_eq!(answer.into_message(), some());
            let spec = &names_service::WITH_CODECS;
            let answer = client
                .server_stream::<Prost, _, hard::Streaming>(spec, Request::new(hard::Streaming {}))
                .await?;
            assert!(answer.into_message().message().await?.is_some());
            Ok::<_, Error>(())
        })
        .unwrap();
    }
}

#[test]
fn services_named_like_messages() {
    for client in clients(ServiceServer::new(Echo)) {
        let client = ServiceClient::from_client(client);
        block_on(client.call(hard::Json::default())).unwrap();
    }
    for client in clients(ResponseServer::new(Echo)) {
        let client = ResponseClient::from_client(client);
        block_on(client.response(hard::Response {})).unwrap();
    }
}

#[test]
fn services_named_like_what_calls_are_made_of() {
    let message = services::Message {
        text: "hello".into(),
    };
    for client in clients(services::RequestServer::new(Echo)) {
        let client = services::RequestClient::from_client(client);
        let answer = block_on(client.response(message.clone())).unwrap();
        assert_eq!(answer.into_message(), message);
    }
    for client in clients(services::ClientServer::new(Echo)) {
        let client = services::ClientClient::from_client(client);
        let answer = block_on(client.request(message.clone())).unwrap();
        assert_eq!(answer.into_message(), message);
    }
    for client in clients(services::SendServer::new(Echo)) {
        let client = services::SendClient::from_client(client);
        let answer = block_on(client.sync(message.clone())).unwrap();
        assert_eq!(answer.into_message(), message);
    }
    for client in clients(services::StreamingServer::new(Echo)) {
        let spec = &services::streaming::MESSAGE;
        block_on(round(&client, spec, message.clone()));
        let client = services::StreamingClient::from_client(client);
        let mut call = client.message();
        block_on(call.send(message.clone())).unwrap();
        assert_eq!(block_on(call.message()).unwrap(), Some(message.clone()));
    }
}

#[test]
fn streams_of_well_known_types() {
    for client in clients(WellKnownServer::new(Echo)) {
        let time = Timestamp {
            seconds: 1_700_000_000,
            nanos: 5_000_000,
        };
        let text = Value {
            kind: Some(Kind::StringValue("value".into())),
        };
        let object = Struct {
            fields: [("key".into(), text)].into(),
        };
        // With a JSON form that needs no registry.
        let any = Any {
            type_url: String::new(),
            value: Vec::new(),
        };
        block_on(async {
            use hard::well_known as specs;
            round(&client, &specs::NOTHING, ()).await;
            round(&client, &specs::TIMES, time).await;
            round(&client, &specs::ANYTHING, any).await;
            round(&client, &specs::STRINGS, String::from("text")).await;
            round(&client, &specs::BLOBS, vec![0, 255]).await;
            round(&client, &specs::STRUCTS, object).await;
        });
        let client = WellKnownClient::from_client(client);
        let mut call = client.strings();
        block_on(call.send("typed".into())).unwrap();
        assert_eq!(block_on(call.message()).unwrap().as_deref(), Some("typed"));
    }
}
