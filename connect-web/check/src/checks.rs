//! The checks: each a few calls in one protocol, and what must come of them.

use std::{fmt::Debug, pin::Pin, task::Poll, time::Duration};

use connect_web::{
    Client, ClientConfig, Code, Error, ErrorExt, FetchTransport, GetPolicy, Prost, Protocol,
    Request, Response, Spec, Streaming, before, rpc::RetryInfo,
};

use crate::{
    BROKEN, COUNT, FAIL, FAIL_LATE, HANG, HANG_LATE, LEADING, METHOD, NAME, NOTE, NOTED, TRAILING,
    UPPER,
};

type Outcome = Result<(), String>;
type Check = for<'a> fn(&'a Caller) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Names and outcomes of all checks.
pub(crate) async fn all(server: &str, place: &str) -> Vec<(String, Outcome)> {
    let checks: [(&str, Check); 13] = [
        ("a unary call with metadata", |c| Box::pin(unary(c))),
        ("a large and compressed answer", |c| Box::pin(large(c))),
        ("GET where the schema allows it", |c| Box::pin(get(c))),
        ("an interceptor", |c| Box::pin(interceptor(c))),
        ("a stream with compressed messages", |c| Box::pin(count(c))),
        ("an error with details", |c| Box::pin(error(c))),
        ("an error in mid-stream", |c| Box::pin(late_error(c))),
        ("a deadline aborts a call", |c| Box::pin(deadline(c))),
        ("a deadline aborts a stream", |c| Box::pin(late_deadline(c))),
        ("a dropped call is aborted", |c| Box::pin(dropped(c))),
        ("a dropped stream is aborted", |c| Box::pin(late_dropped(c))),
        ("no server", |c| Box::pin(no_server(c))),
        ("a connection that breaks", |c| Box::pin(broken(c))),
    ];
    let mut outcomes = Vec::new();
    for protocol in [Protocol::Connect, Protocol::GrpcWeb] {
        let caller = Caller {
            server: server.to_owned(),
            place: format!("{place}, {protocol}"),
            protocol,
        };
        for (name, check) in checks {
            outcomes.push((format!("{protocol}: {name}"), check(&caller).await));
        }
    }
    outcomes
}

struct Caller {
    server: String,
    /// Unlike that of any other run of these checks.
    place: String,
    protocol: Protocol,
}

impl Caller {
    fn config(&self) -> ClientConfig {
        ClientConfig::new().with_protocol(self.protocol)
    }

    fn client(&self) -> Client<FetchTransport> {
        self.client_of(&self.server)
    }

    fn client_of(&self, server: &str) -> Client<FetchTransport> {
        let transport = FetchTransport::new(server).expect("an address");
        Client::new(transport).with_config(self.config())
    }

    async fn call(&self, spec: &Spec, message: impl Into<Request<String>>) -> Answer {
        self.client()
            .unary::<Prost, _, _>(spec, message.into())
            .await
    }

    async fn stream(
        &self,
        spec: &Spec,
        request: Request<String>,
    ) -> Result<Streaming<String, connect_web::FetchBody>, String> {
        let client = self.client();
        let answer = client.server_stream::<Prost, _, _>(spec, request);
        Ok(answer.await.map_err(text)?.into_message())
    }

    /// Returns once the server has seen that the call of this name was given up.
    async fn given_up(&self, name: &str) -> Outcome {
        let request = Request::new(name.to_owned()).with_timeout(Duration::from_secs(20));
        let noted = self.call(&NOTED, request).await;
        noted
            .map(drop)
            .map_err(|error| format!("the server has not seen it: {error}"))
    }
}

type Answer = Result<Response<String>, Error>;

async fn unary(caller: &Caller) -> Outcome {
    let answer = caller
        .call(&UPPER, Request::new("grüße ✓".to_owned()))
        .await
        .map_err(text)?;
    equal(answer.message().as_str(), "GRÜSSE ✓")?;
    equal(
        answer.headers().get(LEADING).map(|v| v.as_bytes()),
        Some(b"first"),
    )?;
    equal(
        answer.trailers().get(TRAILING).map(|v| v.as_bytes()),
        Some(b"last"),
    )?;
    // An empty message is a body of no bytes, in Connect.
    let answer = caller
        .call(&UPPER, Request::new(String::new()))
        .await
        .map_err(text)?;
    equal(answer.message().as_str(), "")
}

async fn large(caller: &Caller) -> Outcome {
    let request = Request::new("a".repeat(1 << 20));
    let answer = caller.call(&UPPER, request).await.map_err(text)?;
    equal(answer.message() == &"A".repeat(1 << 20), true)?;
    // Compressed the other way too.
    let client = caller
        .client()
        .with_config(caller.config().with_send_compression("gzip"));
    let request = Request::new("b".repeat(1 << 20));
    let answer: Answer = client.unary::<Prost, _, _>(&UPPER, request).await;
    equal(
        answer.map_err(text)?.message() == &"B".repeat(1 << 20),
        true,
    )
}

async fn get(caller: &Caller) -> Outcome {
    let client = caller
        .client()
        .with_config(caller.config().with_get(GetPolicy::default()));
    let answer: Answer = client
        .unary::<Prost, _, _>(&METHOD, Request::new("q".repeat(99)))
        .await;
    let expected = match caller.protocol {
        Protocol::Connect => "GET",
        Protocol::Grpc | Protocol::GrpcWeb => "POST",
    };
    equal(answer.map_err(text)?.message().as_str(), expected)
}

async fn interceptor(caller: &Caller) -> Outcome {
    let client = caller.client().add_interceptor(before(|call| {
        if call.spec().procedure() == FAIL.procedure() {
            return Err(Error::permission_denied("not from here"));
        }
        Ok(())
    }));
    let answer: Answer = client
        .unary::<Prost, _, _>(&UPPER, Request::new("a".to_owned()))
        .await;
    equal(answer.map_err(text)?.message().as_str(), "A")?;
    let answer: Answer = client
        .unary::<Prost, _, _>(&FAIL, Request::new(String::new()))
        .await;
    equal(code(answer), Some(Code::PermissionDenied))
}

async fn count(caller: &Caller) -> Outcome {
    let client = caller.client();
    let answer = client.server_stream::<Prost, u32, u32>(&COUNT, Request::new(5000));
    let mut numbers = answer.await.map_err(text)?.into_message();
    let mut next = 0;
    while let Some(number) = numbers.message().await.map_err(text)? {
        equal(number, next)?;
        next += 1;
    }
    equal(next, 5000)?;

    // One message that is worth to be compressed.
    let long = "long ".repeat(10_000);
    let mut answers = caller
        .stream(&HANG_LATE, Request::new(long.clone()))
        .await?;
    equal(answers.message().await.map_err(text)? == Some(long), true)
}

async fn error(caller: &Caller) -> Outcome {
    match caller.call(&FAIL, Request::new(String::new())).await {
        Ok(_) => Err("it did not fail".to_owned()),
        Err(error) => is_failure(&error),
    }
}

async fn late_error(caller: &Caller) -> Outcome {
    let mut answers = caller
        .stream(&FAIL_LATE, Request::new("first".to_owned()))
        .await?;
    equal(
        answers.message().await.map_err(text)?.as_deref(),
        Some("first"),
    )?;
    match answers.message().await {
        Ok(_) => Err("it did not fail".to_owned()),
        Err(error) => is_failure(&error),
    }
}

async fn deadline(caller: &Caller) -> Outcome {
    let name = format!("deadline {}", caller.place);
    let request = Request::new(name.clone()).with_timeout(Duration::from_millis(100));
    equal(
        code(caller.call(&HANG, request).await),
        Some(Code::DeadlineExceeded),
    )?;
    caller.given_up(&name).await
}

async fn late_deadline(caller: &Caller) -> Outcome {
    let name = format!("late deadline {}", caller.place);
    let request = Request::new(name.clone()).with_timeout(Duration::from_secs(1));
    let mut answers = caller.stream(&HANG_LATE, request).await?;
    // It comes while the stream goes on: nothing waits for the end of the body.
    equal(
        answers.message().await.map_err(text)?.as_deref(),
        Some(&*name),
    )?;
    equal(code(answers.message().await), Some(Code::DeadlineExceeded))?;
    caller.given_up(&name).await
}

async fn dropped(caller: &Caller) -> Outcome {
    let name = format!("dropped {}", caller.place);
    let client = caller.client();
    let mut call =
        Box::pin(client.unary::<Prost, String, String>(&HANG, Request::new(name.clone())));
    // Until the request has arrived: the server notes nothing of one that it has not seen.
    let arrived = Request::new(format!("arrived {name}"));
    let mut arrived = Box::pin(caller.call(&NOTED, arrived));
    let answered = std::future::poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => arrived.as_mut().poll(cx).map(|_| false),
    });
    equal(answered.await, false)?;
    drop(call);
    caller.given_up(&name).await
}

async fn late_dropped(caller: &Caller) -> Outcome {
    let name = format!("late dropped {}", caller.place);
    let mut answers = caller
        .stream(&HANG_LATE, Request::new(name.clone()))
        .await?;
    equal(
        answers.message().await.map_err(text)?.as_deref(),
        Some(&*name),
    )?;
    drop(answers);
    caller.given_up(&name).await
}

async fn no_server(caller: &Caller) -> Outcome {
    let client = caller.client_of("http://127.0.0.1:2");
    let answer: Answer = client
        .unary::<Prost, _, _>(&UPPER, Request::new("a".to_owned()))
        .await;
    match answer {
        Ok(_) => Err("there is a server on port 2".to_owned()),
        Err(error) => {
            equal(error.code(), Code::Unavailable)?;
            equal(
                error
                    .message()
                    .starts_with("no answer from http://127.0.0.1:2 ("),
                true,
            )
        }
    }
}

async fn broken(caller: &Caller) -> Outcome {
    let name = format!("broken {}", caller.place);
    let request = Request::new(String::new())
        .add_header(NAME, name.as_str())
        .map_err(text)?;
    let mut answers = caller.stream(&BROKEN, request).await?;
    equal(answers.message().await.map_err(text)?.as_deref(), Some("a"))?;
    caller.call(&NOTE, Request::new(name)).await.map_err(text)?;
    equal(code(answers.message().await), Some(Code::Unavailable))
}

fn is_failure(error: &Error) -> Outcome {
    equal(error.code(), Code::ResourceExhausted)?;
    equal(error.message(), "no more ✓ of that")?;
    let retry: RetryInfo = error.message_detail().ok_or("the error has no detail")?;
    equal(retry.retry_delay.map(|delay| delay.seconds), Some(5))?;
    equal(
        error
            .received()
            .and_then(|metadata| metadata.get(LEADING))
            .map(|v| v.as_bytes()),
        Some(b"sorry"),
    )
}

fn code<T>(answer: Result<T, Error>) -> Option<Code> {
    answer.err().map(|error| error.code())
}

#[allow(clippy::needless_pass_by_value, reason = "it is for `map_err`")]
fn text(error: Error) -> String {
    error.to_string()
}

#[allow(clippy::needless_pass_by_value, reason = "most are made in place")]
fn equal<A: PartialEq<B> + Debug, B: Debug>(found: A, expected: B) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?} instead of {expected:?}"))
}
