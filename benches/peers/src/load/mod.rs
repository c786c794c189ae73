//! The one client of all servers.

mod check;
mod outgoing;
mod sender;

use std::{cell::Cell, net::SocketAddr, rc::Rc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use self::{
    check::{Answers, Repeats},
    outgoing::{Feed, Outgoing},
    sender::Sender,
};
use crate::{
    Failure,
    messages::{self, MESSAGES_A_PIECE, SMALL},
    scenario::{Call, Http, MESSAGES, Protocol, Scenario, TURNS},
};

/// A client of one server, for one scenario.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    scenario: Scenario,
    head: Request<()>,
    request: Bytes,
    answers: Answers,
}

/// Connections, which end when this is dropped.
#[derive(Debug)]
pub struct Connections {
    _senders: Vec<Sender>,
}

impl Client {
    /// Prepares what is sent.
    ///
    /// # Errors
    ///
    /// When the address makes no URI.
    pub fn new(addr: SocketAddr, scenario: Scenario) -> Result<Self, Failure> {
        let mut head = Request::post(scenario.path()).body(())?;
        *head.headers_mut() = headers(&scenario);
        match scenario.http {
            Http::One => {
                let host = HeaderValue::try_from(addr.to_string())?;
                head.headers_mut().insert(HOST, host);
            }
            Http::Two => *head.uri_mut() = format!("http://{addr}{}", scenario.path()).parse()?,
        }
        Ok(Self {
            addr,
            scenario,
            head,
            request: messages::request(&scenario),
            answers: Answers::new(&scenario),
        })
    }

    /// Makes all calls of the scenario, so many at a time, and checks each answer.
    ///
    /// # Errors
    ///
    /// A connection that fails, or an answer that is not what it is to be.
    pub async fn run(self) -> Result<(), Failure> {
        let client = Rc::new(self);
        let at_once = client.scenario.at_once;
        let mut senders = Vec::new();
        let connections = match client.scenario.http {
            Http::One => at_once,
            Http::Two => client.scenario.connections,
        };
        for _ in 0..connections {
            senders.push(Sender::connect(client.addr, client.scenario.http).await?);
        }
        let left = Rc::new(Cell::new(client.scenario.calls));
        let mut callers = JoinSet::new();
        for caller in 0..at_once {
            let mut sender = senders[caller % connections].share()?;
            let (client, left) = (Rc::clone(&client), Rc::clone(&left));
            callers.spawn_local(async move {
                while take_one(&left) {
                    client.call(&mut sender).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller??;
        }
        Ok(())
    }

    /// As many connections as the scenario has calls, each after one call.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub async fn idle(self) -> Result<Connections, Failure> {
        let mut senders = Vec::new();
        for _ in 0..self.scenario.calls {
            let mut sender = Sender::connect(self.addr, self.scenario.http).await?;
            self.call(&mut sender).await?;
            senders.push(sender);
        }
        Ok(Connections { _senders: senders })
    }

    /// One call, checked.
    async fn call(&self, sender: &mut Sender) -> Result<(), Failure> {
        match self.scenario.call {
            Call::Unary | Call::Idle => {
                let response = self.send(sender, Outgoing::whole(&self.request)).await?;
                self.whole(response).await
            }
            Call::ClientStream => {
                let response = self.send(sender, pieces()).await?;
                self.whole(response).await
            }
            Call::ServerStream => {
                let response = self.send(sender, Outgoing::whole(&SMALL)).await?;
                self.stream(response, None).await
            }
            Call::Flood => {
                let response = self.send(sender, pieces()).await?;
                self.stream(response, None).await
            }
            Call::PingPong => {
                let (body, feed) = Outgoing::fed();
                feed.send();
                let response = self.send(sender, body).await?;
                self.stream(response, Some(feed)).await
            }
        }
    }

    async fn send(
        &self,
        sender: &mut Sender,
        body: Outgoing,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.head.clone().map(|()| body);
        let response = sender.send(request).await?;
        match response.status().as_u16() {
            200 => Ok(response),
            status => Err(format!("{}: HTTP status {status}", self.scenario.name).into()),
        }
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<(), Failure> {
        let body = response.into_body().collect().await?;
        self.check_status(body.trailers())?;
        self.answers.check(&body.to_bytes())
    }

    /// A stream of answers; with a feed each is waited for before the next message is sent.
    async fn stream(
        &self,
        response: Response<Incoming>,
        mut feed: Option<Feed>,
    ) -> Result<(), Failure> {
        let expected = match feed {
            None => MESSAGES,
            Some(_) => TURNS,
        };
        let mut body = response.into_body();
        let mut answers = Repeats::default();
        let mut sent = 1;
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => answers.take(&data)?,
                Err(frame) => self.check_status(frame.trailers_ref())?,
            }
            if let (Some(open), true) = (&feed, answers.messages() == sent) {
                if sent < expected {
                    open.send();
                    sent += 1;
                } else {
                    feed = None;
                }
            }
        }
        answers.end(expected)
    }

    fn check_status(&self, trailers: Option<&HeaderMap>) -> Result<(), Failure> {
        if self.scenario.protocol != Protocol::Grpc {
            return Ok(());
        }
        let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
        match status.map(HeaderValue::as_bytes) {
            Some(b"0") => Ok(()),
            _ => Err(format!("{}: gRPC status {trailers:?}", self.scenario.name).into()),
        }
    }
}

fn headers(scenario: &Scenario) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("compare/1.0"));
    let (content_type, name, value) = match scenario.protocol {
        Protocol::Grpc => ("application/grpc", "te", "trailers"),
        Protocol::Connect => ("application/proto", "connect-protocol-version", "1"),
        Protocol::Json => ("application/json", "connect-protocol-version", "1"),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(name, HeaderValue::from_static(value));
    if scenario.gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
    }
    headers
}

/// [`MESSAGES`] messages, many in a piece.
fn pieces() -> Outgoing {
    Outgoing::Pieces(MESSAGES / MESSAGES_A_PIECE)
}

fn take_one(left: &Cell<usize>) -> bool {
    let count = left.get();
    left.set(count.saturating_sub(1));
    count > 0
}
