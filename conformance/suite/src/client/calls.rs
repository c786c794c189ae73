//! One call of each kind, with what the runner wants to happen on the way.
//!
//! To cancel a call is to drop it: what came until then is reported, with the error that says so.

use std::{future::Future, pin::pin, time::Duration};

use connect_tower::{BidiCall, Error, Request, Response, Transport, rt::SharedTimer};
use futures::future::{self, Either};
use prost::{Message, Name};

use super::Failure;
use crate::{
    convert,
    proto::{
        BidiStreamRequest, BidiStreamResponse, ClientCompatRequest, ClientResponseResult,
        ClientStreamRequest, ConformancePayload, ConformanceServiceClient, ServerStreamRequest,
        StreamType, client_compat_request::cancel::CancelTiming,
    },
};

/// Makes the call. An error of the call is part of the result; what fails here is the instruction itself.
pub(super) async fn make<T: Transport>(
    client: &ConformanceServiceClient<T>,
    timer: Option<SharedTimer>,
    wanted: &ClientCompatRequest,
) -> Result<ClientResponseResult, Failure> {
    let mut call = Call {
        client,
        timer,
        wanted,
        cancel: Cancel::of(wanted),
        result: ClientResponseResult::default(),
    };
    let outcome = match wanted.method() {
        "Unary" => {
            call.unary(async |request| client.unary(request).await, |r| r.payload)
                .await?
        }
        "IdempotentUnary" => {
            call.unary(
                async |request| client.idempotent_unary(request).await,
                |r| r.payload,
            )
            .await?
        }
        "Unimplemented" => {
            call.unary(
                async |request| client.unimplemented(request).await,
                |_| None,
            )
            .await?
        }
        "ServerStream" => call.server_stream().await?,
        "ClientStream" => call.client_stream().await?,
        "BidiStream" => call.bidi_stream().await?,
        other => return Err(format!("there is no method {other:?}").into()),
    };
    if let Err(error) = outcome {
        call.result.error = Some(convert::reported_error(&error));
        call.result.response_trailers = error.received().map(convert::headers).unwrap_or_default();
    }
    Ok(call.result)
}

/// When to cancel.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Cancel {
    Never,
    BeforeCloseSend,
    AfterCloseSend(u32),
    AfterResponses(usize),
}

impl Cancel {
    fn of(wanted: &ClientCompatRequest) -> Self {
        match wanted.cancel.as_ref().map(|cancel| &cancel.cancel_timing) {
            None => Self::Never,
            Some(None) => Self::AfterCloseSend(0),
            Some(Some(CancelTiming::BeforeCloseSend(()))) => Self::BeforeCloseSend,
            Some(Some(CancelTiming::AfterCloseSendMs(millis))) => Self::AfterCloseSend(*millis),
            Some(Some(CancelTiming::AfterNumResponses(count))) => {
                Self::AfterResponses(*count as usize)
            }
        }
    }
}

struct Call<'a, T: Transport> {
    client: &'a ConformanceServiceClient<T>,
    timer: Option<SharedTimer>,
    wanted: &'a ClientCompatRequest,
    cancel: Cancel,
    result: ClientResponseResult,
}

/// How the call itself ended.
type Outcome = Result<(), Error>;

impl<T: Transport> Call<'_, T> {
    async fn unary<Req, Res>(
        &mut self,
        call: impl AsyncFnOnce(Request<Req>) -> Result<Response<Res>, Error>,
        payload: fn(Res) -> Option<ConformancePayload>,
    ) -> Result<Outcome, Failure>
    where
        Req: Message + Name + Default,
    {
        let request = self.request(self.only_message::<Req>()?)?;
        let outcome = self.unless_cancelled(call(request)).await;
        Ok(outcome.map(|response| self.single(response, payload)))
    }

    async fn server_stream(&mut self) -> Result<Outcome, Failure> {
        let request = self.request(self.only_message::<ServerStreamRequest>()?)?;
        let (client, cancel, mut result) =
            (self.client, self.cancel, std::mem::take(&mut self.result));
        let call = async {
            let response = client.server_stream(request).await?;
            result.response_headers = convert::headers(response.headers());
            let mut stream = response.into_stream();
            while let Some(message) = stream.message().await? {
                result.payloads.push(message.payload.unwrap_or_default());
                if cancel == Cancel::AfterResponses(result.payloads.len()) {
                    return Err(cancelled());
                }
            }
            result.response_trailers = convert::headers(stream.trailers());
            Ok(())
        };
        let outcome = self.unless_cancelled(call).await;
        self.result = result;
        Ok(outcome)
    }

    async fn client_stream(&mut self) -> Result<Outcome, Failure> {
        let messages = self.messages::<ClientStreamRequest>()?;
        let mut call = self.client.client_stream_with(self.request(())?);
        for (message, left) in messages
            .into_iter()
            .zip((1..=self.wanted.request_messages.len()).rev())
        {
            sleep(self.timer.as_ref(), self.wanted.request_delay_ms).await;
            if call.send(message).await.is_err() {
                // The response says why.
                self.result.num_unsent_requests = i32::try_from(left)?;
                break;
            }
        }
        if self.cancel == Cancel::BeforeCloseSend {
            return Ok(Err(cancelled()));
        }
        let outcome = self.unless_cancelled(call.close_and_receive()).await;
        Ok(outcome.map(|response| self.single(response, |message| message.payload)))
    }

    async fn bidi_stream(&mut self) -> Result<Outcome, Failure> {
        let messages = self.messages::<BidiStreamRequest>()?;
        let full_duplex = self.wanted.stream_type() == StreamType::FullDuplexBidiStream;
        let mut call = self.client.bidi_stream_with(self.request(())?);
        let mut more = true;
        for (message, left) in messages
            .into_iter()
            .zip((1..=self.wanted.request_messages.len()).rev())
        {
            sleep(self.timer.as_ref(), self.wanted.request_delay_ms).await;
            if call.send(message).await.is_err() {
                // The next answer says why.
                self.result.num_unsent_requests = i32::try_from(left)?;
                break;
            }
            if full_duplex {
                match receive(&mut call, &mut self.result, self.cancel).await {
                    Ok(answered) => more = answered,
                    Err(error) => return Ok(Err(error)),
                }
            }
            if !more {
                break;
            }
        }
        if self.cancel == Cancel::BeforeCloseSend {
            return Ok(Err(cancelled()));
        }
        call.close_send();
        let (cancel, mut result) = (self.cancel, std::mem::take(&mut self.result));
        let rest = async {
            while more {
                more = receive(&mut call, &mut result, cancel).await?;
            }
            Ok(())
        };
        let outcome = self.unless_cancelled(rest).await;
        self.result = result;
        Ok(outcome)
    }

    /// The outcome of the call, or that it was cancelled so long after all was sent.
    async fn unless_cancelled<R>(
        &self,
        call: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        let Cancel::AfterCloseSend(millis) = self.cancel else {
            return call.await;
        };
        match future::select(pin!(call), pin!(sleep(self.timer.as_ref(), millis))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(cancelled()),
        }
    }

    fn single<Res>(
        &mut self,
        response: Response<Res>,
        payload: fn(Res) -> Option<ConformancePayload>,
    ) {
        self.result.response_headers = convert::headers(response.headers());
        self.result.response_trailers = convert::headers(response.trailers());
        self.result
            .payloads
            .push(payload(response.into_message()).unwrap_or_default());
    }

    fn request<M>(&self, message: M) -> Result<Request<M>, Failure> {
        let mut request = Request::new(message);
        *request.headers_mut() = convert::header_map(&self.wanted.request_headers)?;
        Ok(match self.wanted.timeout_ms {
            Some(millis) => request.with_timeout(Duration::from_millis(millis.into())),
            None => request,
        })
    }

    fn messages<M: Message + Name + Default>(&self) -> Result<Vec<M>, Failure> {
        let messages = self.wanted.request_messages.iter();
        messages
            .map(|any| any.to_msg::<M>().map_err(Into::into))
            .collect()
    }

    fn only_message<M: Message + Name + Default>(&self) -> Result<M, Failure> {
        let [message] = <[M; 1]>::try_from(self.messages()?)
            .map_err(|messages| format!("one message is wanted, there are {}", messages.len()))?;
        Ok(message)
    }
}

/// Waits for the next answer; false after the last.
async fn receive<T: Transport>(
    call: &mut BidiCall<BidiStreamRequest, BidiStreamResponse, T>,
    result: &mut ClientResponseResult,
    cancel: Cancel,
) -> Result<bool, Error> {
    if result.payloads.is_empty() {
        result.response_headers = convert::headers(&call.headers().await?);
    }
    let Some(message) = call.message().await? else {
        result.response_trailers = convert::headers(&call.trailers());
        return Ok(false);
    };
    result.payloads.push(message.payload.unwrap_or_default());
    if cancel == Cancel::AfterResponses(result.payloads.len()) {
        return Err(cancelled());
    }
    Ok(true)
}

fn cancelled() -> Error {
    Error::canceled("the runner wanted the call to be cancelled")
}

async fn sleep(timer: Option<&SharedTimer>, millis: u32) {
    if let Some(timer) = timer.filter(|_| millis > 0) {
        let delay = Duration::from_millis(millis.into());
        timer.sleep(delay).await;
    }
}
