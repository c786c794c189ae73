//! The `tonic` crate, as its guide writes it.

use bytes::Bytes;
use tonic::transport::Channel;

use super::{
    Failure,
    scenario::{NUMBER, Scenario, TEXT},
};

#[allow(warnings, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/tonic/bench.v1.rs"));
}

use proto::{EchoMessage, bench_service_client::BenchServiceClient};

#[derive(Clone)]
pub(super) struct Client {
    client: BenchServiceClient<Channel>,
    data: Bytes,
}

impl Client {
    pub(super) async fn connect(uri: &str, scenario: &Scenario) -> Result<Self, Failure> {
        Ok(Self {
            client: BenchServiceClient::connect(uri.to_owned()).await?,
            data: scenario.data(),
        })
    }

    pub(super) async fn call(&mut self) -> Result<(), Failure> {
        let message = EchoMessage {
            text: TEXT.to_owned(),
            number: NUMBER,
            flag: true,
            data: self.data.clone(),
        };
        let echo = self.client.echo(message).await?.into_inner();
        let is_right = echo.text == TEXT && echo.number == NUMBER && echo.flag;
        match is_right && echo.data.len() == self.data.len() {
            true => Ok(()),
            false => Err("the answer is wrong".into()),
        }
    }
}
