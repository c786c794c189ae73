//! Eliza for a page: `page/index.html` shows the conversation, this library makes the calls.

use connect_web::{ClientConfig, FetchTransport, Protocol, Streaming};
use eliza::{ElizaServiceClient, IntroduceRequest, IntroduceResponse, SayRequest};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// Messages and client, generated from `examples/eliza/proto/connectrpc/eliza/v1/eliza.proto`.
mod eliza {
    connect_web::include_proto!("connectrpc.eliza.v1");
}

/// A conversation with a server.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Eliza(ElizaServiceClient<FetchTransport>);

/// What Eliza says first, sentence by sentence.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Introduction(Streaming<IntroduceResponse, connect_web::FetchBody>);

#[wasm_bindgen]
impl Eliza {
    /// A conversation with the server of this URL, in the protocol `connect` or `grpc-web`.
    ///
    /// # Errors
    ///
    /// If there is no such protocol, or the URL is none.
    #[wasm_bindgen(constructor)]
    pub fn new(server: &str, protocol: &str) -> Result<Self, JsError> {
        let protocol = match protocol {
            "connect" => Protocol::Connect,
            "grpc-web" => Protocol::GrpcWeb,
            other => return Err(JsError::new(&format!("no protocol {other:?}"))),
        };
        let config = ClientConfig::new().with_protocol(protocol);
        let transport = FetchTransport::new(server)?;
        Ok(Self(ElizaServiceClient::new(transport).with_config(config)))
    }

    /// Eliza introduces herself: a server stream.
    ///
    /// # Errors
    ///
    /// If the call fails before the stream begins.
    pub async fn introduce(&self, name: String) -> Result<Introduction, JsError> {
        let answer = self.0.introduce(IntroduceRequest { name }).await?;
        Ok(Introduction(answer.into_message()))
    }

    /// What Eliza answers to a sentence: a unary call.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn say(&self, sentence: String) -> Result<String, JsError> {
        let answer = self.0.say(SayRequest { sentence }).await?;
        Ok(answer.into_message().sentence)
    }
}

#[wasm_bindgen]
impl Introduction {
    /// The next sentence, as soon as it is there; `undefined` after the last.
    ///
    /// # Errors
    ///
    /// If the stream breaks off.
    pub async fn next(&mut self) -> Result<Option<String>, JsError> {
        let sentence = self.0.message().await?;
        Ok(sentence.map(|response| response.sentence))
    }
}
