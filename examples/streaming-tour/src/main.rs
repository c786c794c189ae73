//! All four stream types over one HTTP/2 connection: what each looks like in code, how a side says that it has sent all,
//! what happens when a client goes away, and who waits for whom. `cargo run -p streaming-tour` prints what it sees.

mod service;

/// Messages, service and client, generated from `proto/meter/v1/meter.proto`.
mod meter {
    connect_tokio::include_proto!("meter.v1");
}

use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use connect_tokio::{Channel, HttpVersion, Router, Server, Transport};
use meter::{MeterServiceClient, MeterServiceServer, ReadRequest, Reading, WatchRequest};
use service::Meter;
use tokio::sync::watch;

type Outcome = Result<(), Box<dyn StdError>>;

#[tokio::main]
async fn main() -> Outcome {
    let meter = Meter::new();
    let (made, watchers) = (meter.made(), meter.watchers());
    let router = Router::new().add_service(MeterServiceServer::new(meter));
    let server = Server::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", server.local_addr()?);
    tokio::spawn(server.serve(router));

    let channel = Channel::builder(uri)
        .with_http_version(HttpVersion::Http2)
        .build()?;
    let client = MeterServiceClient::new(channel);
    unary(&client).await?;
    client_stream(&client).await?;
    half_close(&client).await?;
    refused_midway(&client).await?;
    back_pressure(&client, &made).await?;
    cancellation(&client, watchers).await
}

async fn unary<T: Transport>(client: &MeterServiceClient<T>) -> Outcome {
    let response = client.read(ReadRequest {}).await?;
    println!(
        "unary: the meter shows {} Wh",
        response.message().watt_hours
    );
    Ok(())
}

async fn client_stream<T: Transport>(client: &MeterServiceClient<T>) -> Outcome {
    let mut call = client.upload();
    for watt_hours in [10, 20, 30] {
        call.send(Reading { watt_hours }).await?;
    }
    // Closes this side; the answer comes after.
    let summary = call.close_and_receive().await?.into_message();
    println!(
        "client stream: {} readings, {} Wh in all",
        summary.count, summary.watt_hours
    );
    Ok(())
}

/// A bidi call has two sides, and each ends for itself.
async fn half_close<T: Transport>(client: &MeterServiceClient<T>) -> Outcome {
    let mut call = client.compare();
    for watt_hours in [100, 130, 190] {
        call.send(Reading { watt_hours }).await?;
        if let Some(difference) = call.message().await? {
            println!("bidi stream: {watt_hours} Wh, {:+}", difference.watt_hours);
        }
    }
    call.close_send();
    while let Some(difference) = call.message().await? {
        let total = if difference.is_total { "in all " } else { "" };
        println!(
            "bidi stream, half closed: {total}{:+}",
            difference.watt_hours
        );
    }
    println!("bidi stream: the server has closed its side too");
    Ok(())
}

/// A server may answer before the client has sent all.
async fn refused_midway<T: Transport>(client: &MeterServiceClient<T>) -> Outcome {
    let mut call = client.upload();
    call.send(Reading { watt_hours: -1 }).await?;
    let answer = call.close_and_receive().await;
    if let Err(error) = answer {
        println!("client stream: {error}");
    }
    Ok(())
}

/// The handler makes readings without end. A client that does not read stops it.
async fn back_pressure(client: &MeterServiceClient<Channel>, made: &Arc<AtomicI64>) -> Outcome {
    let mut readings = client.watch(WatchRequest {}).await?.into_stream();
    let before = made.load(Ordering::Relaxed);
    for _ in 0..1_000 {
        readings.message().await?;
    }
    // The stream's flow-control window of 1 MiB holds some hundred thousand of them, and then the handler waits.
    let under_way = made.load(Ordering::Relaxed) - before - 1_000;
    assert!(under_way < 200_000, "{under_way}");
    println!("server stream: 1000 readings taken, fewer than 200000 more are under way");
    Ok(())
}

/// Dropping a call cancels it, wherever its handler stands.
async fn cancellation(
    client: &MeterServiceClient<Channel>,
    mut watchers: watch::Receiver<usize>,
) -> Outcome {
    let mut readings = client.watch(WatchRequest {}).await?.into_stream();
    readings.message().await?;
    println!(
        "server stream: the server has {} watcher",
        *watchers.borrow()
    );
    drop(readings);
    watchers.wait_for(|open| *open == 0).await?;
    println!("server stream, dropped: it has none");
    Ok(())
}
