//! Where the calls of an HTTP/2 connection run: on its task, or each in one of its own.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use connect_hyper::{
    CallTasks,
    runtime::{Accepted, ListenAddr, ListenOptions, Listener, Runtime},
};
use connect_proto::{Spec, StreamType, Time};
use connect_tower::{
    Client, Request, Response, Router,
    rt::{Sleep, Timer},
};
use macro_rules_attribute::apply;
use tokio::sync::Notify;

use super::support::{async_test, http2_client, listen, runtime, spawn, unary};
use crate::rt::{Channel, Rt};

/// The runtime under test with a clock that handlers move and that else stands still, and a count of its tasks.
#[derive(Clone, Debug, Default)]
struct Clocked(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    micros: AtomicU64,
    tasks: AtomicUsize,
}

impl Clocked {
    /// As a handler does that computes for so long.
    fn pass(&self, micros: u64) {
        self.0.micros.fetch_add(micros, Ordering::SeqCst);
    }

    fn tasks(&self) -> usize {
        self.0.tasks.load(Ordering::SeqCst)
    }
}

impl Timer for Clocked {
    fn now(&self) -> Time {
        Time::from_epoch(Duration::from_micros(self.0.micros.load(Ordering::SeqCst)))
    }

    fn sleep_until(&self, _: Time) -> Sleep {
        Box::pin(std::future::pending())
    }
}

impl Runtime for Clocked {
    type Io = <Rt as Runtime>::Io;
    type Listener = ClockedListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.0.tasks.fetch_add(1, Ordering::SeqCst);
        runtime().spawn(future);
    }

    async fn listen(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<ClockedListener> {
        runtime()
            .listen(address, options)
            .await
            .map(ClockedListener)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Io> {
        runtime().connect(address).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        runtime().resolve(host, port).await
    }
}

struct ClockedListener(<Rt as Runtime>::Listener);

impl Listener<Clocked> for ClockedListener {
    type Io = <Rt as Runtime>::Io;

    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Io>>> + Send {
        Listener::<Rt>::accept(&mut self.0)
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        Listener::<Rt>::local_addr(&self.0)
    }
}

/// Computes for as many microseconds as it is asked to.
const COMPUTE: Spec = Spec::new("/test.v1.Test/Compute", StreamType::Unary);
/// The same, elsewhere.
const OTHER: Spec = Spec::new("/test.v1.Test/Other", StreamType::Unary);

/// A server, with a client of one connection that has had a call.
struct Serving {
    clock: Clocked,
    address: SocketAddr,
    client: Client<Channel>,
    /// A call that asks for `wait` has begun.
    waits: Arc<Notify>,
    /// It is to end.
    go_on: Arc<Notify>,
}

impl Serving {
    async fn start(tasks: Option<CallTasks>) -> Self {
        let clock = Clocked::default();
        let (waits, go_on) = <(Arc<Notify>, Arc<Notify>)>::default();
        let compute = {
            let (clock, waits, go_on) = (clock.clone(), waits.clone(), go_on.clone());
            move |request: Request<String>| {
                let (clock, waits, go_on) = (clock.clone(), waits.clone(), go_on.clone());
                async move {
                    match request.message().parse() {
                        Ok(micros) => clock.pass(micros),
                        Err(_) => {
                            waits.notify_one();
                            go_on.notified().await;
                        }
                    }
                    Ok(Response::new(request.into_message()))
                }
            }
        };
        let router = Router::new()
            .unary(COMPUTE, compute.clone())
            .unary(OTHER, compute);
        let listener = ClockedListener(listen().await);
        let address = listener.local_addr().and_then(|a| a.tcp()).unwrap();
        let mut server = connect_hyper::Server::<Clocked, _>::from_listener(listener)
            .with_runtime(clock.clone());
        if let Some(tasks) = tasks {
            server = server.with_call_tasks(tasks);
        }
        spawn(server.serve(router));
        let mut serving = Self {
            clock,
            address,
            client: http2_client(address),
            waits,
            go_on,
        };
        serving.connect().await;
        serving
    }

    /// Calls on another connection from now on.
    async fn connect(&mut self) {
        self.client = http2_client(self.address);
        self.call(&OTHER, "0").await;
    }

    async fn call(&self, spec: &Spec, message: &str) {
        let answer = unary(&self.client, spec, message).await;
        assert_eq!(answer.unwrap(), message);
    }

    /// The number of tasks that a call becomes.
    async fn tasks(&self, spec: &Spec, micros: u64) -> usize {
        let before = self.clock.tasks();
        self.call(spec, &micros.to_string()).await;
        self.clock.tasks() - before
    }
}

#[apply(async_test)]
async fn short_calls_run_on_the_task_of_their_connection() {
    let serving = Serving::start(None).await;
    for _ in 0..10 {
        assert_eq!(serving.tasks(&COMPUTE, 99).await, 0);
    }
}

#[apply(async_test)]
async fn calls_of_a_path_that_computed_are_tasks_until_a_hundred_polls_were_short() {
    let serving = Serving::start(None).await;
    assert_eq!(serving.tasks(&COMPUTE, 100).await, 0);
    assert_eq!(serving.tasks(&COMPUTE, 100).await, 1);
    assert_eq!(serving.tasks(&OTHER, 10).await, 0);
    let mut spawned = 0;
    while serving.tasks(&COMPUTE, 10).await == 1 {
        spawned += 1;
        // A call is polled once at least.
        assert!(spawned <= 100);
    }
    assert!(spawned > 10, "{spawned}");
    assert_eq!(serving.tasks(&COMPUTE, 10).await, 0);
}

#[apply(async_test)]
async fn a_path_that_computed_is_known_to_other_connections() {
    let mut serving = Serving::start(None).await;
    assert_eq!(serving.tasks(&COMPUTE, 100).await, 0);
    serving.connect().await;
    assert_eq!(serving.tasks(&COMPUTE, 10).await, 1);
}

#[apply(async_test)]
async fn calls_that_have_begun_become_tasks_too() {
    let serving = Serving::start(None).await;
    let begun = serving.clock.tasks();
    let waiting = async {
        serving.call(&COMPUTE, "wait").await;
        serving.clock.tasks()
    };
    let beside = async {
        serving.waits.notified().await;
        assert_eq!(serving.tasks(&COMPUTE, 1000).await, 0);
        serving.go_on.notify_one();
    };
    let (ended, ()) = tokio::join!(waiting, beside);
    assert_eq!(ended - begun, 1);
}

#[apply(async_test)]
async fn a_server_can_have_all_calls_on_connections_or_all_in_tasks() {
    for (tasks, each) in [(CallTasks::OnConnection, 0), (CallTasks::Spawned, 1)] {
        let serving = Serving::start(Some(tasks)).await;
        for micros in [1000, 1000, 10] {
            assert_eq!(serving.tasks(&COMPUTE, micros).await, each);
        }
    }
}
