//! A line for each call, with the id that the request came with.

use connect_tokio::{Call, Error, Interceptor, Next, Reply};
use tower_http::request_id::RequestId;

pub(crate) struct Log;

impl Interceptor for Log {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let procedure = call.spec().procedure().to_owned();
        // A layer around the router has left it.
        let id = call.extensions().get::<RequestId>();
        let id = id.and_then(|id| id.header_value().to_str().ok());
        let id = id.unwrap_or("-").to_owned();
        let reply = next.run(call).await;
        match &reply {
            Ok(_) => println!("  log: {id} {procedure} ok"),
            Err(error) => println!("  log: {id} {procedure} {}", error.code()),
        }
        reply
    }
}
