//! The service: one method for each way in which a call can stream.

use connect_health::Health;
use connect_reflection::Reflection;
use connect_tower::{Error, Request, Response, ResponseStream, Router, Streaming};

use crate::{
    eliza::{
        self, ConverseRequest, ConverseResponse, ElizaService, ElizaServiceServer,
        IntroduceRequest, IntroduceResponse, SayRequest, SayResponse,
    },
    therapist,
};

/// The service on a router, ready to be served, and beside it what tools and load balancers ask for.
pub(crate) fn router(health: &Health) -> Router {
    health.set_serving(eliza::eliza_service::NAME);
    Router::new()
        .add_service(ElizaServiceServer::new(Eliza))
        .add_service(health.clone())
        .add_service(Reflection::new())
}

struct Eliza;

impl ElizaService for Eliza {
    async fn say(&self, request: Request<SayRequest>) -> Result<Response<SayResponse>, Error> {
        let sentence = therapist::reply(&request.message().sentence);
        Ok(Response::new(SayResponse { sentence }))
    }

    async fn introduce(
        &self,
        request: Request<IntroduceRequest>,
    ) -> Result<Response<ResponseStream<IntroduceResponse>>, Error> {
        let sentences = therapist::introduction(&request.message().name);
        let answers = sentences
            .into_iter()
            .map(|sentence| IntroduceResponse { sentence });
        Ok(Response::new(ResponseStream::from(answers)))
    }

    async fn converse(
        &self,
        request: Request<Streaming<ConverseRequest>>,
    ) -> Result<Response<ResponseStream<ConverseResponse>>, Error> {
        let mut heard = request.into_stream();
        Ok(Response::new(ResponseStream::generate(
            |mut answers| async move {
                while let Some(ConverseRequest { sentence }) = heard.message().await? {
                    let answer = therapist::reply(&sentence);
                    answers.send(ConverseResponse { sentence: answer }).await;
                    if therapist::is_farewell(&sentence) {
                        break;
                    }
                }
                Ok(())
            },
        )))
    }
}
