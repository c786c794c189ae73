//! The client under test on tokio: makes the calls that standard input describes.

use std::error::Error;

use conformance_suite::client::{self, Endpoint};
use connect_tokio::{Channel, ClientTls, HttpVersion};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    client::run(channel).await?;
    Ok(())
}

fn channel(endpoint: &Endpoint) -> Result<Channel, Box<dyn Error + Send + Sync>> {
    let version = if endpoint.http2 {
        HttpVersion::Http2
    } else {
        HttpVersion::Http1
    };
    let Some(server_cert) = &endpoint.server_cert else {
        let channel = Channel::builder(format!("http://{}", endpoint.authority));
        return Ok(channel.http_version(version).build()?);
    };
    let mut tls = ClientTls::new().ca(server_cert)?;
    if let Some((cert, key)) = &endpoint.identity {
        tls = tls.identity(cert, key)?;
    }
    let channel = Channel::builder(format!("https://{}", endpoint.authority));
    Ok(channel.http_version(version).tls(tls).build()?)
}
