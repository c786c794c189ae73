//! An axum application with an RPC service: one state, plain HTTP routes beside it, tower-http's layers around both, a
//! gate that asks for a bearer token, and an interceptor that logs. `cargo run -p middleware` serves it and calls it.

mod app;
mod auth;
mod log;

/// Messages, service and client, generated from `proto/notes/v1/notes.proto`.
mod notes {
    connect_tokio::include_proto!("notes.v1");
}

use std::error::Error as StdError;

use connect_tokio::{CallBody, Channel, Request, Server, Transport};
use http_body_util::BodyExt;
use notes::{AddRequest, NotesServiceClient};

type Outcome = Result<(), Box<dyn StdError>>;

#[tokio::main]
async fn main() -> Outcome {
    let server = Server::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", server.local_addr()?);
    tokio::spawn(server.serve(app::app()));
    let channel = Channel::new(uri)?;

    let client = NotesServiceClient::new(channel.clone());
    for (id, token) in [
        ("one", None),
        ("two", Some("token-of-mallory")),
        ("three", Some("token-of-ada")),
    ] {
        println!("add a note, with {}:", token.unwrap_or("no token"));
        add(&client, id, token).await?;
    }
    println!("GET /notes:");
    list(channel).await
}

async fn add(client: &NotesServiceClient<Channel>, id: &str, token: Option<&str>) -> Outcome {
    let text = String::from("bring milk");
    let mut request = Request::new(AddRequest { text }).add_header("x-request-id", id)?;
    if let Some(token) = token {
        request = request.add_header("authorization", format!("Bearer {token}"))?;
    }
    match client.add(request).await {
        Ok(response) => {
            let id = response.headers().get("x-request-id");
            println!("  the response is that of {id:?}");
            let added = response.into_message();
            println!("  {} has {} note", added.author, added.count);
        }
        Err(error) => println!("  {error}"),
    }
    Ok(())
}

/// A channel takes any HTTP request to its server.
async fn list(channel: Channel) -> Outcome {
    let request = http::Request::get("/notes").body(CallBody::empty())?;
    let response = channel.send(request).await?;
    let server = response.headers().get(http::header::SERVER).cloned();
    let body = response.into_body().collect().await?.to_bytes();
    println!("  {} from {server:?}", String::from_utf8_lossy(&body));
    Ok(())
}
