//! Connections of the client.

use std::net::SocketAddr;

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::Outgoing;
use crate::{Failure, scenario::Http};

/// Sends requests on one connection, which lives as long.
#[derive(Debug)]
pub(super) enum Sender {
    One(Option<http1::SendRequest<Outgoing>>),
    Two(http2::SendRequest<Outgoing>),
}

impl Sender {
    pub(super) async fn connect(addr: SocketAddr, http: Http) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        Ok(match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::task::spawn_local(connection);
                Self::One(Some(sender))
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::task::spawn_local(connection);
                Self::Two(sender)
            }
        })
    }

    /// HTTP/2 is shared by callers; HTTP/1.1 is one caller's, and an error for the next.
    pub(super) fn share(&mut self) -> Result<Self, Failure> {
        match self {
            Self::One(sender) => {
                let sender = sender.take().ok_or("HTTP/1.1 has one caller")?;
                Ok(Self::One(Some(sender)))
            }
            Self::Two(sender) => Ok(Self::Two(sender.clone())),
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Failure> {
        match self {
            Self::One(sender) => {
                let sender = sender.as_mut().ok_or("the connection is another's")?;
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Self::Two(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }
}
