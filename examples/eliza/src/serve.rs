//! A server until it is told to stop: HTTP/1.1 and HTTP/2 on one port, and TLS on another if asked for.

use std::{error::Error, fs, io};

use connect_tokio::{Server, ServerTls, cors, health::Health};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tower_http::cors::{Any, CorsLayer};
use tower_layer::Layer;

use crate::{options::Serve, service};

pub(crate) async fn run(options: Serve) -> Result<(), Box<dyn Error>> {
    // Browsers ask first whether a page of another origin may call.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(cors::ALLOW_METHODS)
        .allow_headers(cors::ALLOW_HEADERS)
        .expose_headers(cors::EXPOSE_HEADERS);
    let health = Health::new();
    let service = cors.layer(service::router(&health)?);

    let stop = stop_signal(health)?;
    let plain = Server::bind(options.addr).await?;
    let addr = plain.local_addr()?;
    let tls = match options.tls {
        None => None,
        Some(tls) => {
            let identity = ServerTls::from_pem(&fs::read(tls.cert)?, &fs::read(tls.key)?)?;
            Some(Server::bind(tls.addr).await?.tls(identity))
        }
    };
    if let Some(tls) = &tls {
        println!("Eliza listens on https://{}", tls.local_addr()?);
    }
    println!("Eliza listens on http://{addr}, in Connect, gRPC and gRPC-Web. Try:\n");
    println!("{}", invitations(&addr.to_string()));

    let plain = plain.serve_with_shutdown(service.clone(), stopped(stop.clone()));
    match tls {
        None => plain.await,
        Some(tls) => {
            let tls = tls.serve_with_shutdown(service, stopped(stop));
            tokio::join!(plain, tls);
        }
    }
    println!("Eliza has stopped.");
    Ok(())
}

/// Turns true on Ctrl-C and SIGTERM, once nobody is to send new calls.
fn stop_signal(health: Health) -> io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        health.shutdown();
        let _ = stop.send(true);
    });
    Ok(stopped)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end too.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn invitations(addr: &str) -> String {
    const SAY: &str = "connectrpc.eliza.v1.ElizaService/Say";
    let json = r#"'{"sentence": "I feel happy"}'"#;
    format!(
        "  curl -H 'content-type: application/json' -d {json} http://{addr}/{SAY}
  curl 'http://{addr}/{SAY}?encoding=json&message=%7B%22sentence%22%3A%22hello%22%7D'
  grpcurl -plaintext -d {json} {addr} {SAY}
  buf curl --http2-prior-knowledge -d {json} http://{addr}/{SAY}
"
    )
}
