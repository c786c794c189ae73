//! A server of quotes. Its generated code is in git: reviewers see it, and no build generates it.

mod quotes;

// One attribute keeps `cargo fmt` from all of the generated modules.
#[rustfmt::skip]
mod generated;

use connect_tokio::{Router, Server};
use generated::quotes::v1::QuoteServiceServer;
use quotes::Quotes;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind("127.0.0.1:8080").await?;
    println!("listening on http://127.0.0.1:8080");
    let router = Router::new().add_service(QuoteServiceServer::new(Quotes::new()));
    server.serve(router).await;
    Ok(())
}
