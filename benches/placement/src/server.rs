//! The server, in a process of its own, with two threads.

use std::{
    io::{self, Write},
    process, thread,
    time::Duration,
};

use connect_tokio::{CallTasks, Error, Request, Response, Router, Server, Spec, StreamType};

use crate::Failure;

/// Answers with what it is asked.
pub(crate) const ECHO: Spec = Spec::new("/bench.v1.BenchService/Echo", StreamType::Unary);
/// Holds its thread for as many milliseconds as the message says. It sleeps: what computes holds its thread alike, but would wait
/// for a processor too, with whatever else runs on the machine.
pub(crate) const HOLD: Spec = Spec::new("/bench.v1.BenchService/Hold", StreamType::Unary);

/// Prints the address and serves until the input ends.
pub(crate) fn run(tasks: CallTasks) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0").await?.with_call_tasks(tasks);
        println!("{}", server.local_addr()?);
        io::stdout().flush()?;
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            process::exit(0);
        });
        let router = Router::new()
            .unary(ECHO, async |request: Request<String>| {
                Ok(Response::new(request.into_message()))
            })
            .unary(HOLD, async |request: Request<String>| {
                let millis = request.message().parse();
                let millis = millis.map_err(|_| Error::invalid_argument("not a number"))?;
                thread::sleep(Duration::from_millis(millis));
                Ok(Response::new(String::new()))
            });
        // On a task, as a handler is: the thread of `block_on` is not one of the two.
        tokio::spawn(server.serve(router)).await?;
        Ok(())
    })
}
