//! A server until it is told to stop: HTTP/1.1 and HTTP/2 on one port, and TLS on another if asked for.

use std::{error::Error, io, thread};

use connect_health::Health;
use connect_hyper::{
    HttpService, Runtime, Server, ServerTls, runtime::ListenOptions, server::MoreListeners,
    tls::TlsAcceptor,
};
use connect_tower::cors;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};
use tower_layer::Layer;

use crate::{
    options::{Serve, read},
    service,
};

pub(crate) async fn run<R: Runtime>(options: Serve) -> Result<(), Box<dyn Error>>
where
    ServerTls: TlsAcceptor<R, R::Io>,
{
    // Browsers ask first whether a page of another origin may call.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(cors::ALLOW_METHODS)
        .allow_headers(cors::ALLOW_HEADERS)
        .expose_headers(cors::EXPOSE_HEADERS);
    let health = Health::new();
    let service = cors.layer(service::router(&health));

    let stop = stop_signal(health)?;
    let server = Server::<R>::bind(options.addr).await?;
    match options.tls {
        None => serve(server, service, stop).await,
        Some(tls) => {
            let identity = ServerTls::from_pem(&read(&tls.cert)?, &read(&tls.key)?)?;
            let listener = R::default().listen(tls.addr, &ListenOptions::new()).await?;
            serve(server.add_tls_listener(listener, identity), service, stop).await;
        }
    }
    println!("Eliza has stopped.");
    Ok(())
}

/// One server, whatever it listens on: one shutdown, and one set of limits.
async fn serve<R: Runtime, M: MoreListeners<R>>(
    server: Server<R, R::Listener, M>,
    service: impl HttpService,
    stop: watch::Receiver<bool>,
) {
    let addresses = server.local_addrs();
    let [plain, secure @ ..] = &addresses[..] else {
        return;
    };
    for address in secure {
        println!("Eliza listens on https://{address}");
    }
    println!("Eliza listens on http://{plain}, in Connect, gRPC and gRPC-Web. Try:\n");
    println!("{}", invitations(&plain.to_string()));
    server.serve_with_shutdown(service, stopped(stop)).await;
}

/// Turns true on Ctrl-C and SIGTERM, once nobody is to send new calls.
fn stop_signal(health: Health) -> io::Result<watch::Receiver<bool>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (stop, stopped) = watch::channel(false);
    // A thread, because each runtime has signals of its own or none. The channel is tokio's and runs on any of them.
    thread::spawn(move || {
        signals.forever().next();
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
