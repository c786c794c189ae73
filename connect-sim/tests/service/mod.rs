//! A service that counts its calls, and clients that check their answers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use connect_hyper::HttpVersion;
use connect_sim::{Channel, Host, World};
use connect_tower::{
    Client, ClientConfig, Code, Error, Prost, Protocol, Request, Response, Router, Spec,
    StreamType, Streaming,
};
use futures_util::{StreamExt as _, future::join_all, stream};

static UPPER: Spec = Spec::new("/sim.v1.Sim/Upper", StreamType::Unary);
static COUNT: Spec = Spec::new("/sim.v1.Sim/Count", StreamType::ServerStream);
static ECHO: Spec = Spec::new("/sim.v1.Sim/Echo", StreamType::BidiStream);

pub(crate) const CLIENTS: [&str; 3] = ["one", "two", "three"];
/// Of each client.
pub(crate) const CALLS: usize = 10;

const TIMEOUT: Duration = Duration::from_secs(3);
/// Of a stream.
const MESSAGES: u32 = 20;

/// How often each call ran.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<BTreeMap<String, u32>>>);

impl Runs {
    fn add(&self, name: &str) {
        *self.0.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    }

    fn of(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

async fn pause(world: &World, millis: u64) {
    world
        .sleep(Duration::from_millis(world.random(millis)))
        .await;
}

/// Answers after up to a second.
pub(crate) fn router(world: &World, runs: &Runs) -> Router {
    let (upper, count, echo) = (runs.clone(), runs.clone(), runs.clone());
    let [upper_world, count_world, echo_world] = [(); 3].map(|()| world.clone());
    Router::new()
        .unary(UPPER.clone(), move |request: Request<String>| {
            let name = request.into_message();
            upper.add(name_of(&name));
            let world = upper_world.clone();
            async move {
                pause(&world, 1000).await;
                Ok(Response::new(name.to_uppercase()))
            }
        })
        .server_stream(COUNT.clone(), move |request: Request<String>| {
            count.add(request.message());
            let world = count_world.clone();
            async move {
                let numbers = stream::iter(0..MESSAGES).then(move |number| {
                    let world = world.clone();
                    async move {
                        pause(&world, 50).await;
                        Ok(number)
                    }
                });
                Ok(Response::stream(numbers))
            }
        })
        .bidi_stream(ECHO.clone(), move |request: Request<Streaming<String>>| {
            let name = request
                .headers()
                .get(NAME)
                .and_then(|name| name.to_str().ok());
            echo.add(name.unwrap_or_default());
            let world = echo_world.clone();
            async move {
                let messages = request.into_stream().then(move |message| {
                    let world = world.clone();
                    async move {
                        pause(&world, 50).await;
                        message
                    }
                });
                Ok(Response::stream(messages))
            }
        })
}

const NAME: &str = "x-name";

/// What stands before the padding of a message: the client, and the call's number.
fn name_of(message: &str) -> &str {
    message.trim_end_matches('x').trim_end()
}

/// A client on a host.
pub(crate) struct Caller {
    world: World,
    host: Host,
    client: Client<Channel>,
    version: HttpVersion,
    runs: Runs,
}

impl Caller {
    /// Speaks one of the protocols over one of the versions of HTTP.
    pub(crate) fn new(world: &World, host: Host, runs: &Runs) -> Self {
        let (protocol, version) = [
            (Protocol::Connect, HttpVersion::Http1),
            (Protocol::GrpcWeb, HttpVersion::Http1),
            (Protocol::Connect, HttpVersion::Http2),
            (Protocol::Grpc, HttpVersion::Http2),
            (Protocol::GrpcWeb, HttpVersion::Http2),
        ][usize::try_from(world.random(5)).unwrap()];
        let channel = host.channel_builder("http://server:80");
        let channel = channel.with_http_version(version).build().unwrap();
        Self {
            world: world.clone(),
            host,
            client: Client::new(channel).with_config(ClientConfig::new().with_protocol(protocol)),
            version,
            runs: runs.clone(),
        }
    }

    /// Makes calls, some at the same time; returns how many were answered.
    pub(crate) async fn call(self) -> usize {
        let calls = (0..CALLS).map(|number| self.one(format!("{} {number}", self.host)));
        let answered = join_all(calls).await;
        self.client.transport().drain().await;
        answered.into_iter().filter(|answered| *answered).count()
    }

    /// Whether it was answered.
    async fn one(&self, name: String) -> bool {
        let world = &self.world;
        pause(world, 20_000).await;
        let began = world.now();
        let answer = match world.random(3) {
            0 => self.upper(&name).await,
            1 if self.version == HttpVersion::Http2 => self.echo(&name).await,
            _ => self.count(&name).await,
        };
        let took = world.now() - began;
        let outcome = answer
            .as_ref()
            .map_or_else(ToString::to_string, |()| "answered".to_owned());
        world.note(format_args!("{name}: {outcome}"));
        assert!(took <= TIMEOUT, "{name} ended {:?} late", took - TIMEOUT);
        let ran = self.runs.of(&name);
        assert!(ran <= 1, "{name} ran {ran} times");
        match &answer {
            Ok(()) => assert_eq!(ran, 1, "{name} was answered"),
            Err(error) => match error.code() {
                Code::DeadlineExceeded => assert_eq!(took, TIMEOUT, "{name}: {error}"),
                Code::Unavailable => {}
                code => panic!("{name}: {code}: {error}"),
            },
        }
        answer.is_ok()
    }

    async fn upper(&self, name: &str) -> Result<(), Error> {
        // Some need more than one frame of HTTP/2, and some more than its first window.
        let more = 1_usize << self.world.random(17);
        let message = format!("{name} {}", "x".repeat(more));
        let request = Request::new(message.clone()).with_timeout(TIMEOUT);
        let answer = self
            .client
            .unary::<Prost, _, String>(&UPPER, request)
            .await?;
        assert_eq!(*answer.message(), message.to_uppercase());
        Ok(())
    }

    async fn count(&self, name: &str) -> Result<(), Error> {
        let request = Request::new(name.to_owned()).with_timeout(TIMEOUT);
        let answer = self.client.server_stream::<Prost, _, u32>(&COUNT, request);
        let mut answers = answer.await?.into_message();
        let mut expected = 0;
        while let Some(number) = answers.message().await? {
            assert_eq!(number, expected);
            expected += 1;
        }
        assert_eq!(expected, MESSAGES);
        Ok(())
    }

    async fn echo(&self, name: &str) -> Result<(), Error> {
        let request = Request::new(())
            .with_timeout(TIMEOUT)
            .add_header(NAME, name)?;
        let mut call = self
            .client
            .bidi_stream::<Prost, String, String>(&ECHO, request);
        for number in 0..MESSAGES {
            let message = format!("{name} {number}");
            call.send(message.clone()).await?;
            assert_eq!(call.message().await?, Some(message));
        }
        call.close_send();
        assert_eq!(call.message().await?, None);
        Ok(())
    }
}
