//! A server, in a process of its own. It drains when a line comes on its input, and ends when the input does.

use std::{error::Error, io, net::SocketAddr, thread, time::Duration};

use connect_hyper::{Runtime, Server};
use connect_tower::{Request, Response, ResponseStream, Router, rt::SharedTimer};
use futures_channel::oneshot;

use crate::rpc::{
    FleetService, FleetServiceServer, GetRequest, GetResponse, WatchRequest, WatchResponse,
};

/// How long streams have to end before a drain ends them. Short, for an example.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an answer takes, so that there are always calls in flight.
const WORK: Duration = Duration::from_millis(2);

/// The time between ticks.
const TICK: Duration = Duration::from_millis(20);

struct Member {
    number: u32,
    timer: SharedTimer,
}

impl FleetService for Member {
    async fn get(
        &self,
        _: Request<GetRequest>,
    ) -> Result<Response<GetResponse>, connect_tower::Error> {
        self.timer.sleep(WORK).await;
        Ok(Response::new(GetResponse {
            server: self.number,
        }))
    }

    async fn watch(
        &self,
        _: Request<WatchRequest>,
    ) -> Result<Response<ResponseStream<WatchResponse>>, connect_tower::Error> {
        let (server, timer) = (self.number, self.timer.clone());
        Ok(Response::new(ResponseStream::generate(
            move |mut ticks| async move {
                loop {
                    ticks.send(WatchResponse { server }).await;
                    timer.sleep(TICK).await;
                }
            },
        )))
    }
}

/// Serves until it is told to drain.
pub(crate) async fn run<R: Runtime>(
    number: u32,
    address: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    let member = Member {
        number,
        timer: std::sync::Arc::new(R::default()),
    };
    let router = Router::new().add_service(FleetServiceServer::new(member));
    let server = Server::<R>::bind(address)
        .await?
        .with_drain_timeout(DRAIN_TIMEOUT);
    let (drain, told) = oneshot::channel::<()>();
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        drop(drain);
        // Whoever started this process is gone.
        if !read.is_ok_and(|bytes| bytes > 0) {
            std::process::exit(0);
        }
    });
    println!("serving");
    server
        .serve_with_shutdown(router, async {
            let _ = told.await;
        })
        .await;
    Ok(())
}
