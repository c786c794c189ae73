//! The server under test on tokio: reads its settings from standard input and tells its port on standard output.

use std::{error::Error, io};

use conformance_suite::{
    delimited,
    proto::{ServerCompatRequest, ServerCompatResponse},
    server,
};
use connect_tokio::{Server, ServerTls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let wanted: ServerCompatRequest =
        delimited::read(&mut io::stdin().lock())?.ok_or("no settings on standard input")?;
    let mut server = Server::bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;
    let creds = wanted.server_creds.clone().filter(|_| wanted.use_tls);
    if let Some(creds) = &creds {
        let mut tls = ServerTls::from_pem(&creds.cert, &creds.key)?;
        if !wanted.client_tls_cert.is_empty() {
            tls = tls.client_ca(&wanted.client_tls_cert)?;
        }
        server = server.tls(tls);
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
