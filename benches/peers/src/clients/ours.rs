//! This project, as a user writes it, on either runtime.

use bytes::Bytes;
use connect_tokio::{ClientConfig, HttpVersion, Protocol, Transport};

use super::{
    Failure,
    scenario::{NUMBER, Scenario, TEXT, Way},
};

#[allow(missing_docs, reason = "generated")]
mod proto {
    connect_tokio::include_proto!("bench.v1");
}

use proto::{BenchServiceClient, EchoMessage};

impl Scenario {
    fn version(&self) -> HttpVersion {
        match self.way {
            Way::Grpc | Way::ConnectHttp2 => HttpVersion::Http2,
            Way::ConnectHttp1 => HttpVersion::Http1,
        }
    }
}

#[derive(Clone)]
pub(super) struct Client<T> {
    client: BenchServiceClient<T>,
    data: Bytes,
}

impl<T: Transport> Client<T> {
    fn new(transport: T, scenario: &Scenario) -> Self {
        let protocol = match scenario.way {
            Way::Grpc => Protocol::Grpc,
            Way::ConnectHttp2 | Way::ConnectHttp1 => Protocol::Connect,
        };
        let config = ClientConfig::new().with_protocol(protocol);
        Self {
            client: BenchServiceClient::new(transport).with_config(config),
            data: scenario.data(),
        }
    }

    pub(super) async fn call(&self) -> Result<(), Failure> {
        let message = EchoMessage {
            text: TEXT.to_owned(),
            number: NUMBER,
            flag: true,
            data: self.data.clone(),
        };
        let echo = self.client.echo(message).await?.into_message();
        let is_right = echo.text == TEXT && echo.number == NUMBER && echo.flag;
        match is_right && echo.data.len() == self.data.len() {
            true => Ok(()),
            false => Err("the answer is wrong".into()),
        }
    }
}

pub(super) fn on_tokio(
    uri: &str,
    scenario: &Scenario,
) -> Result<Client<connect_tokio::Channel>, Failure> {
    let channel = connect_tokio::Channel::builder(uri)
        .with_http_version(scenario.version())
        .build()?;
    Ok(Client::new(channel, scenario))
}

pub(super) fn on_smol(
    uri: &str,
    scenario: &Scenario,
) -> Result<Client<connect_smol::Channel>, Failure> {
    let channel = connect_smol::Channel::builder(uri)
        .with_http_version(scenario.version())
        .build()?;
    Ok(Client::new(channel, scenario))
}
