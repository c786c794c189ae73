//! The programs under test, for any runtime: each adapter only starts them.

use std::{error::Error, io};

use connect_hyper::{
    Channel, ClientTls, HttpVersion, Runtime, Server, ServerTls,
    tls::{TlsAcceptor, TlsConnector},
};

use crate::{
    client::{self, Endpoint},
    delimited,
    proto::{ServerCompatRequest, ServerCompatResponse},
    server,
};

type Failure = Box<dyn Error + Send + Sync>;

/// The server: reads its settings from standard input, tells its port on standard output, and serves.
///
/// # Errors
///
/// When there are no settings, or they cannot be served.
pub async fn serve<R: Runtime>() -> Result<(), Failure>
where
    ServerTls: TlsAcceptor<R, R::Io>,
{
    let wanted: ServerCompatRequest =
        delimited::read(&mut io::stdin().lock())?.ok_or("no settings on standard input")?;
    let mut server = Server::<R>::bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;
    let creds = wanted.server_creds.clone().filter(|_| wanted.use_tls);
    if let Some(creds) = &creds {
        let mut tls = ServerTls::from_pem(&creds.cert, &creds.key)?;
        if !wanted.client_tls_cert.is_empty() {
            tls = tls.with_client_ca(&wanted.client_tls_cert)?;
        }
        server = server.with_tls(tls);
    }
    let ready = ServerCompatResponse {
        host: address.ip().to_string(),
        port: address.port().into(),
        pem_cert: creds.map(|creds| creds.cert).unwrap_or_default(),
    };
    delimited::write(&mut io::stdout().lock(), &ready)?;
    server.serve(server::router(&wanted)?).await;
    Ok(())
}

/// The client: makes the calls that standard input describes.
///
/// # Errors
///
/// When the runner's side of standard input or output breaks.
pub async fn call<R: Runtime>() -> Result<(), Failure>
where
    ClientTls: TlsConnector<R>,
{
    client::run(channel::<R>).await?;
    Ok(())
}

fn channel<R: Runtime>(endpoint: &Endpoint) -> Result<Channel<R>, Failure>
where
    ClientTls: TlsConnector<R>,
{
    let version = if endpoint.http2 {
        HttpVersion::Http2
    } else {
        HttpVersion::Http1
    };
    let Some(server_cert) = &endpoint.server_cert else {
        let channel = Channel::builder(format!("http://{}", endpoint.authority));
        return Ok(channel.with_http_version(version).build()?);
    };
    let mut tls = ClientTls::new().add_ca(server_cert)?;
    if let Some((cert, key)) = &endpoint.identity {
        tls = tls.with_identity(cert, key)?;
    }
    let channel = Channel::builder(format!("https://{}", endpoint.authority));
    Ok(channel.with_http_version(version).with_tls(tls).build()?)
}
