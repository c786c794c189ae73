//! Workers: threads that each have a runtime, a listening socket, and the connections that come in by it.
//!
//! A worker's thread begins when it is bound, since its socket belongs to its runtime. There it waits for the server to
//! serve, and runs the same accept loop as any listener.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, pending},
    io,
    pin::Pin,
    sync::Arc,
    thread,
};

use futures_channel::oneshot;

use super::{
    accept,
    accept::Accepting,
    bind,
    drain::{DrainHandle, Shutdown},
    service::HttpService,
};
use crate::{
    runtime::{ListenAddr, ListenOptions, Listener, Runtime, WorkerRuntime, can_share_port, race},
    tls::TlsAcceptor,
};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread that listens, and waits for what it is to do. When that cannot come any more, it ends.
pub(super) struct Worker<R, L> {
    listener: L,
    runtime: R,
    job: oneshot::Sender<Job>,
}

/// Starts as many workers, on one address.
///
/// # Errors
///
/// When there are to be none, the system cannot share ports, or one of them cannot be started or listen.
pub(super) async fn start<R: WorkerRuntime>(
    address: String,
    number: Option<usize>,
    options: ListenOptions,
    drain: &DrainHandle,
) -> io::Result<Vec<Worker<R, R::Listener>>> {
    if !can_share_port() {
        let text =
            "workers share a port by SO_REUSEPORT, which this system does not have: use bind()";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let number = match number {
        Some(0) => {
            let text = "a server has one worker at least";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Some(number) => number,
        None => thread::available_parallelism()?.get(),
    };
    let options = options.with_reuse_port(true);
    let first: Worker<R, _> = start_one(0, address.clone(), options.clone(), drain).await?;
    // The first may have taken a free port, or one of the addresses of a name.
    let address = match first.listener.local_addr() {
        Some(bound) => bound.to_string(),
        None => address,
    };
    let mut workers = vec![first];
    for index in 1..number {
        workers.push(start_one(index, address.clone(), options.clone(), drain).await?);
    }
    Ok(workers)
}

async fn start_one<R: WorkerRuntime>(
    index: usize,
    address: String,
    options: ListenOptions,
    drain: &DrainHandle,
) -> io::Result<Worker<R, R::Listener>> {
    let (bound, binding) = oneshot::channel();
    let (job, assigned) = oneshot::channel::<Job>();
    let open = drain.enter_worker();
    let thread = thread::Builder::new().name(format!("connect-worker-{index}"));
    let thread = thread.spawn(move || {
        // Dropped after the runtime, and all tasks with it.
        let _open = open;
        R::run_worker(|runtime: R| async move {
            let listening = bind(&runtime, &address, &options).await;
            let listening = listening.map(|listener| (listener, runtime));
            if bound.send(listening).is_err() {
                return;
            }
            if let Ok(job) = assigned.await {
                job.await;
            }
        })
    })?;
    let Ok(listening) = binding.await else {
        // It has ended before it listened.
        let ended = thread.join().unwrap_or(Ok(()));
        let error = ended.err().unwrap_or_else(|| io::ErrorKind::Other.into());
        let text = format!("cannot start worker {index}: {error}");
        return Err(io::Error::new(error.kind(), text));
    };
    let (listener, runtime) = listening?;
    Ok(Worker {
        listener,
        runtime,
        job,
    })
}

/// Lets all workers accept, until this future is dropped: then they close their sockets, and end when their connections have.
pub(super) async fn accept<R, L, S>(
    workers: &mut Vec<Worker<R, L>>,
    tls: Option<&Arc<dyn TlsAcceptor<R, L::Io>>>,
    accepting: &Accepting<R>,
    service: S,
) -> Infallible
where
    R: Runtime,
    L: Listener<R>,
    S: HttpService,
{
    let mut serving = Vec::new();
    for worker in workers.drain(..) {
        let Worker {
            mut listener,
            runtime,
            job,
        } = worker;
        let (stop, stopped) = oneshot::channel::<Infallible>();
        serving.push(stop);
        let (tls, service) = (tls.cloned(), service.clone());
        let accepting = accepting.on_worker(runtime);
        let listens = accepting.drain.worker_listens();
        let work = async move {
            let accept = accept::accept(&mut listener, tls.as_ref(), &accepting, service);
            race(stopped, accept).await;
            drop((listener, listens));
            // Its connections are tasks of this thread.
            accepting.drain.reached(Shutdown::Drained).await;
        };
        // A thread that is gone has closed its socket: clients are dealt out to the others.
        let _ = job.send(Box::pin(work));
    }
    pending().await
}

/// Where all of them listen.
pub(super) fn local_addr<R, L: Listener<R>>(workers: &[Worker<R, L>]) -> Option<ListenAddr> {
    workers.first()?.listener.local_addr()
}

impl<R, L> fmt::Debug for Worker<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}
