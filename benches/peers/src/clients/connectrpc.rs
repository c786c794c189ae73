//! The `connectrpc` crate, as its guide writes it.

use bytes::Bytes;
use connectrpc::{
    Protocol,
    client::{ClientConfig, ClientTransport, Http2Connection, HttpClient, SharedHttp2Connection},
};

use super::{
    Failure,
    scenario::{NUMBER, Scenario, TEXT, Way},
};

#[allow(warnings, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/connectrpc/_connectrpc.rs"));
}

use proto::bench::v1::{BenchServiceClient, EchoMessage};

#[derive(Clone)]
pub(super) struct Client<T> {
    client: BenchServiceClient<T>,
    data: Bytes,
}

impl<T> Client<T>
where
    T: ClientTransport,
    <T::ResponseBody as hyper::body::Body>::Error: std::fmt::Display,
{
    fn new(transport: T, uri: http::Uri, scenario: &Scenario) -> Self {
        let protocol = match scenario.way {
            Way::Grpc => Protocol::Grpc,
            Way::ConnectHttp2 | Way::ConnectHttp1 => Protocol::Connect,
        };
        let config = ClientConfig::new(uri).with_protocol(protocol);
        Self {
            client: BenchServiceClient::new(transport, config),
            data: scenario.data(),
        }
    }

    pub(super) async fn call(&self) -> Result<(), Failure> {
        let message = EchoMessage {
            text: TEXT.to_owned(),
            number: NUMBER,
            flag: true,
            data: self.data.to_vec(),
            ..EchoMessage::default()
        };
        let response = self.client.echo(message).await?;
        let echo = response.view();
        let is_right = echo.text == TEXT && echo.number == NUMBER && echo.flag;
        match is_right && echo.data.len() == self.data.len() {
            true => Ok(()),
            false => Err("the answer is wrong".into()),
        }
    }
}

/// Over the transport that its guide names for gRPC.
pub(super) type Http2 = Client<SharedHttp2Connection>;

/// Over the one that it names for HTTP/1.1.
pub(super) type Http1 = Client<HttpClient>;

pub(super) async fn http2(uri: &str, scenario: &Scenario) -> Result<Http2, Failure> {
    let uri: http::Uri = uri.parse()?;
    let connection = Http2Connection::connect_plaintext(uri.clone()).await?;
    Ok(Client::new(connection.shared(1024), uri, scenario))
}

pub(super) fn http1(uri: &str, scenario: &Scenario) -> Result<Http1, Failure> {
    Ok(Client::new(HttpClient::plaintext(), uri.parse()?, scenario))
}
