//! A server on a free port, and a conversation with it in every protocol and codec.

use std::error::Error;

use connect_health::Health;
use connect_hyper::{Channel, Runtime, Server};
use connect_tower::{ClientConfig, Protocol};
use tokio::sync::oneshot;

use crate::{
    eliza::{ConverseRequest, ElizaServiceClient, IntroduceRequest, SayRequest},
    service,
};

pub(crate) async fn run<R: Runtime>() -> Result<(), Box<dyn Error>> {
    let server = Server::<R>::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", server.local_addr()?);
    println!("Eliza listens on {url}: one service, three protocols, one port.");

    let (stop, stopped) = oneshot::channel::<()>();
    let router = service::router(&Health::new());
    let serving = server.serve_with_shutdown(router, async {
        // An error means that the tour is over too.
        let _ = stopped.await;
    });
    let conversations = async {
        let outcome = talk_in_all(Channel::<R>::new(&url)?).await;
        drop(stop);
        outcome
    };
    let (outcome, ()) = tokio::join!(conversations, serving);
    outcome?;
    println!("\nThat was one handler for all of it. Next: `cargo run -p eliza -- serve`");
    Ok(())
}

/// A conversation in every protocol and codec.
async fn talk_in_all<R: Runtime>(channel: Channel<R>) -> Result<(), connect_tower::Error> {
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec);
            println!("\n--- {protocol}, {codec}");
            talk(&ElizaServiceClient::new(channel.clone()).with_config(config)).await?;
        }
    }
    Ok(())
}

async fn talk<R: Runtime>(
    eliza: &ElizaServiceClient<Channel<R>>,
) -> Result<(), connect_tower::Error> {
    let name = String::from("Ada");
    let mut greeting = eliza
        .introduce(IntroduceRequest { name })
        .await?
        .into_stream();
    while let Some(part) = greeting.message().await? {
        println!("  Eliza: {}", part.sentence);
    }

    let sentence = String::from("I feel happy");
    println!("  Ada:   {sentence}");
    let answer = eliza.say(SayRequest { sentence }).await?;
    println!("  Eliza: {}", answer.message().sentence);

    // Each sentence waits for the answer to the one before: both streams are open at once.
    let mut call = eliza.converse();
    for sentence in [
        "I think machines listen well",
        "My mother says so too",
        "Goodbye",
    ] {
        println!("  Ada:   {sentence}");
        let sentence = sentence.to_owned();
        call.send(ConverseRequest { sentence }).await?;
        match call.message().await? {
            Some(answer) => println!("  Eliza: {}", answer.sentence),
            None => println!("  (Eliza has left)"),
        }
    }
    call.close_send();
    while call.message().await?.is_some() {}
    Ok(())
}
