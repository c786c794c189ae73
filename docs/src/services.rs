//! The services that the chapters call.

use connect_tokio::{Error, Request, Response, ResponseStream, Router, Streaming};

use crate::{
    greet::{
        CountDownRequest, CountDownResponse, GreetRequest, GreetResponse, GreetService,
        GreetServiceServer,
    },
    talk::{Number, TalkService, TalkServiceServer},
};

/// The service of the first chapter.
#[derive(Clone, Copy, Debug)]
pub struct Greeter;

/// A router with the service of the first chapter.
#[must_use]
pub fn router() -> Router {
    Router::new().add_service(GreetServiceServer::new(Greeter))
}

/// A router with the service of the chapter on streaming.
#[must_use]
pub fn talk_router() -> Router {
    Router::new().add_service(TalkServiceServer::new(Talker))
}

impl GreetService for Greeter {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Error> {
        let name = &request.message().name;
        if name.is_empty() {
            return Err(Error::invalid_argument("name must not be empty"));
        }
        let greeting = format!("Hello, {name}!");
        Ok(Response::new(GreetResponse { greeting }))
    }

    async fn count_down(
        &self,
        request: Request<CountDownRequest>,
    ) -> Result<Response<ResponseStream<CountDownResponse>>, Error> {
        let numbers = (0..=request.message().from).rev();
        let numbers = numbers.map(|number| CountDownResponse { number });
        Ok(Response::new(ResponseStream::from(numbers)))
    }
}

struct Talker;

impl TalkService for Talker {
    async fn double(&self, request: Request<Number>) -> Result<Response<Number>, Error> {
        let value = request.message().value.saturating_mul(2);
        Ok(Response::new(Number { value }))
    }

    async fn count_to(
        &self,
        request: Request<Number>,
    ) -> Result<Response<ResponseStream<Number>>, Error> {
        let numbers = (1..=request.message().value).map(|value| Number { value });
        Ok(Response::new(ResponseStream::from(numbers)))
    }

    async fn sum(&self, request: Request<Streaming<Number>>) -> Result<Response<Number>, Error> {
        let mut numbers = request.into_stream();
        let mut value = 0_i64;
        while let Some(number) = numbers.message().await? {
            value = value.saturating_add(number.value);
        }
        Ok(Response::new(Number { value }))
    }

    async fn running_sum(
        &self,
        request: Request<Streaming<Number>>,
    ) -> Result<Response<ResponseStream<Number>>, Error> {
        let mut numbers = request.into_stream();
        Ok(Response::new(ResponseStream::generate(
            |mut answers| async move {
                let mut value = 0_i64;
                while let Some(number) = numbers.message().await? {
                    value = value.saturating_add(number.value);
                    answers.send(Number { value }).await;
                }
                Ok(())
            },
        )))
    }
}
