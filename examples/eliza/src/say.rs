//! One sentence to a running server.

use std::error::Error;

use connect_hyper::{Channel, ClientTls, Runtime, tls::TlsConnector};
use connect_tower::{ClientConfig, GetPolicy};

use crate::{
    eliza::{ElizaServiceClient, SayRequest},
    options::{Say, read},
};

pub(crate) async fn run<R: Runtime>(options: Say) -> Result<(), Box<dyn Error>>
where
    ClientTls: TlsConnector<R>,
{
    let mut channel = Channel::<R>::builder(&options.to);
    if let Some(path) = options.ca {
        channel = channel.with_tls(ClientTls::new().add_ca(&read(&path)?)?);
    }
    let mut config = ClientConfig::new()
        .with_protocol(options.protocol)
        .with_codec(options.codec);
    if options.get {
        config = config.with_get(GetPolicy::default());
    }
    let client = ElizaServiceClient::new(channel.build()?).with_config(config);
    let sentence = options.sentence;
    let response = client.say(SayRequest { sentence }).await?;
    println!("{}", response.message().sentence);
    Ok(())
}
