//! Graceful shutdown: one server tells its connections to finish, waits for them, and ends the rest.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use connect_tower::ServerStats;

use super::addresses::AddressSlot;

/// What a connection is to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub(super) enum Phase {
    /// Serve.
    Serving = 0,
    /// Finish the calls it has and take no more.
    Draining = 1,
    /// End now.
    Ended = 2,
}

/// The server's side. Dropping it ends all connections.
#[derive(Debug, Default)]
pub(super) struct Drain {
    shared: Arc<Shared>,
}

/// A connection, open until this is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection {
    shared: Arc<Shared>,
    index: usize,
    calls: Arc<AtomicUsize>,
    /// Of its peer's. In a box: most servers do not count by address.
    _address: Option<Box<AddressSlot>>,
}

/// A thread of a server's own, that runs until this is dropped.
#[derive(Debug)]
pub(super) struct OpenWorker(Arc<Shared>);

/// A worker that listens, until this is dropped.
#[derive(Debug)]
pub(super) struct WorkerListens(Arc<Shared>);

/// Whom the drain wakes for a connection.
#[derive(Debug, Default)]
pub(super) struct Watch(Option<Waker>);

#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    watches: Mutex<Watches>,
}

#[derive(Debug, Default)]
struct Watches {
    wakers: Vec<Option<Waker>>,
    /// How many calls each connection has. It has none when its place is free.
    calls: Vec<Arc<AtomicUsize>>,
    free: Vec<usize>,
    /// How many threads the server has of its own.
    workers: usize,
    /// How many of them listen for the server.
    listening: usize,
    /// Who waits for connections or workers to end: the accept loops, and then the drain.
    waiting: Vec<Waker>,
    /// Who waits for the shutdown to be asked for, or to be over, by the number of its ticket.
    watching: BTreeMap<u64, Waker>,
    next_ticket: u64,
    shutdown: Shutdown,
}

/// How far the server is, for those who hold a handle.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Shutdown {
    #[default]
    No,
    /// Somebody asked for it.
    Asked,
    /// Its connections have ended, or had their time to: its own threads end.
    Drained,
    /// The server has ended.
    Over,
}

/// The server's side for those who hold a handle.
#[derive(Clone, Debug)]
pub(super) struct DrainHandle(Arc<Shared>);

impl Drain {
    /// Moves all connections on to this phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.shared.phase.fetch_max(phase as u8, Ordering::SeqCst);
        let wakers: Vec<Waker> = {
            let watches = self.shared.lock();
            watches.wakers.iter().flatten().cloned().collect()
        };
        for waker in wakers {
            waker.wake();
        }
    }

    pub(super) fn handle(&self) -> DrainHandle {
        DrainHandle(Arc::clone(&self.shared))
    }

    /// Waits until no connection is left, and no worker listens that may have one more.
    pub(super) async fn empty(&self) {
        let is_empty = |watches: &Watches| watches.open() == 0 && watches.listening == 0;
        self.shared.wait_until(is_empty).await;
    }

    /// Waits until the server's own threads have ended.
    pub(super) async fn workers_ended(&self) {
        self.shared.wait_until(|watches| watches.workers == 0).await;
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.enter(Phase::Ended);
        self.handle().reach(Shutdown::Over);
    }
}

impl DrainHandle {
    /// A new connection, which holds its address's place; `None` if this many are open.
    pub(super) fn enter_connection(
        &self,
        address: Option<AddressSlot>,
        max: usize,
    ) -> Option<OpenConnection> {
        let mut watches = self.0.lock();
        if watches.open() >= max {
            return None;
        }
        let index = watches.free.pop().unwrap_or_else(|| {
            watches.wakers.push(None);
            watches.calls.push(Arc::default());
            watches.wakers.len() - 1
        });
        let calls = Arc::clone(&watches.calls[index]);
        Some(OpenConnection {
            shared: Arc::clone(&self.0),
            index,
            calls,
            _address: address.map(Box::new),
        })
    }

    /// A new thread of the server's own.
    pub(super) fn enter_worker(&self) -> OpenWorker {
        self.0.lock().workers += 1;
        OpenWorker(Arc::clone(&self.0))
    }

    /// A worker begins to listen.
    pub(super) fn worker_listens(&self) -> WorkerListens {
        self.0.lock().listening += 1;
        WorkerListens(Arc::clone(&self.0))
    }

    /// Waits until no more connections than these are left.
    pub(super) async fn at_most(&self, max: usize) {
        self.0.wait_until(|watches| watches.open() <= max).await;
    }

    /// Goes on to this point of the shutdown.
    pub(super) fn reach(&self, shutdown: Shutdown) {
        let watching = {
            let mut watches = self.0.lock();
            watches.shutdown = watches.shutdown.max(shutdown);
            std::mem::take(&mut watches.watching)
        };
        watching.into_values().for_each(Waker::wake);
    }

    /// Waits until the shutdown has reached this point.
    pub(super) fn reached(&self, shutdown: Shutdown) -> Reached<'_> {
        let mut watches = self.0.lock();
        let ticket = watches.next_ticket;
        watches.next_ticket += 1;
        drop(watches);
        Reached {
            shared: &self.0,
            shutdown,
            ticket,
        }
    }

    /// The number of connections.
    pub(super) fn connections(&self) -> usize {
        self.0.lock().open()
    }

    /// The numbers of connections and of their calls.
    pub(super) fn stats(&self) -> ServerStats {
        let watches = self.0.lock();
        let calls = watches.calls.iter();
        ServerStats {
            connections: watches.open(),
            active_calls: calls.map(|calls| calls.load(Ordering::Relaxed)).sum(),
        }
    }
}

/// Waits for a point of the shutdown. Dropped, it leaves nothing behind: a handle may be asked over and over.
#[derive(Debug)]
pub(super) struct Reached<'a> {
    shared: &'a Shared,
    shutdown: Shutdown,
    ticket: u64,
}

impl Future for Reached<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut watches = self.shared.lock();
        if watches.shutdown >= self.shutdown {
            return Poll::Ready(());
        }
        let old = watches.watching.insert(self.ticket, cx.waker().clone());
        drop(watches);
        // With a waker a task can end, and with it others that wait here.
        drop(old);
        Poll::Pending
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        let old = self.shared.lock().watching.remove(&self.ticket);
        drop(old);
    }
}

fn add_waker(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

impl Watch {
    /// The phase now; the task is woken when it changes.
    pub(super) fn poll_phase(&mut self, connection: &OpenConnection, cx: &Context<'_>) -> Phase {
        // A connection asks in each of its polls: the lock is taken only when its waker is new.
        let known = self
            .0
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if !known {
            let waker = cx.waker().clone();
            connection.shared.lock().wakers[connection.index] = Some(waker.clone());
            self.0 = Some(waker);
        }
        connection.phase()
    }
}

impl OpenConnection {
    /// The phase now.
    pub(super) fn phase(&self) -> Phase {
        self.shared.phase()
    }

    /// How many calls it has, for who counts them.
    pub(super) fn calls(&self) -> &AtomicUsize {
        &self.calls
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.shared.leave(|watches| {
            watches.wakers[self.index] = None;
            watches.free.push(self.index);
        });
    }
}

impl Drop for OpenWorker {
    fn drop(&mut self) {
        self.0.leave(|watches| watches.workers -= 1);
    }
}

impl Drop for WorkerListens {
    fn drop(&mut self) {
        self.0.leave(|watches| watches.listening -= 1);
    }
}

impl Shared {
    /// Waits for something that ends of connections or workers bring about.
    async fn wait_until(&self, is_so: impl Fn(&Watches) -> bool) {
        poll_fn(|cx| {
            let mut watches = self.lock();
            if is_so(&watches) {
                return Poll::Ready(());
            }
            add_waker(&mut watches.waiting, cx);
            Poll::Pending
        })
        .await;
    }

    /// Takes something out, and has those look again who wait for that.
    fn leave(&self, take_out: impl FnOnce(&mut Watches)) {
        let waiting = {
            let mut watches = self.lock();
            take_out(&mut watches);
            std::mem::take(&mut watches.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Ended,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watches> {
        // Nothing that can panic runs under the lock.
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watches {
    fn open(&self) -> usize {
        self.wakers.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn enter(drain: &Drain) -> OpenConnection {
        drain.handle().enter_connection(None, usize::MAX).unwrap()
    }

    #[test]
    fn phases_only_go_forward() {
        let drain = Drain::default();
        let connection = enter(&drain);
        assert_eq!(connection.phase(), Phase::Serving);
        drain.enter(Phase::Ended);
        drain.enter(Phase::Draining);
        assert_eq!(connection.phase(), Phase::Ended);
    }

    #[test]
    fn the_drain_is_empty_when_the_last_connection_has_gone() {
        let drain = Drain::default();
        let (one, two) = (enter(&drain), enter(&drain));
        let mut empty = pin!(drain.empty());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(empty.as_mut().poll(&mut cx).is_pending());
        drop(one);
        assert!(empty.as_mut().poll(&mut cx).is_pending());
        drop(two);
        assert!(empty.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn the_drain_is_not_empty_while_a_worker_listens() {
        let drain = Drain::default();
        let listens = drain.handle().worker_listens();
        let mut empty = pin!(drain.empty());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(empty.as_mut().poll(&mut cx).is_pending());
        // It may have accepted this one before it was told to stop.
        let late = enter(&drain);
        drop(listens);
        assert!(empty.as_mut().poll(&mut cx).is_pending());
        drop(late);
        assert!(empty.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn a_connection_that_ends_makes_room() {
        let drain = Drain::default();
        let (one, _two) = (enter(&drain), enter(&drain));
        let handle = drain.handle();
        let mut room = pin!(handle.at_most(1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(room.as_mut().poll(&mut cx).is_pending());
        drop(one);
        assert!(room.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn no_more_connections_are_entered_than_may_be_open() {
        let drain = Drain::default();
        let _one = enter(&drain);
        assert!(drain.handle().enter_connection(None, 1).is_none());
        assert!(drain.handle().enter_connection(None, 2).is_some());
    }

    #[test]
    fn workers_are_waited_for() {
        let drain = Drain::default();
        let worker = drain.handle().enter_worker();
        let mut ended = pin!(drain.workers_ended());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(ended.as_mut().poll(&mut cx).is_pending());
        drop(worker);
        assert!(ended.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn many_wait_for_the_end_of_the_server() {
        let drain = Drain::default();
        let handle = drain.handle();
        let mut asked = pin!(handle.reached(Shutdown::Asked));
        let mut first = pin!(handle.reached(Shutdown::Over));
        let mut second = pin!(handle.reached(Shutdown::Over));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut cx).is_pending());
        handle.reach(Shutdown::Asked);
        assert!(asked.as_mut().poll(&mut cx).is_ready());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(drain);
        assert!(first.as_mut().poll(&mut cx).is_ready());
        assert!(second.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn who_waits_no_more_leaves_nothing_behind() {
        let drain = Drain::default();
        let handle = drain.handle();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut ended = pin!(handle.reached(Shutdown::Over));
            assert!(ended.as_mut().poll(&mut cx).is_pending());
            assert!(ended.as_mut().poll(&mut cx).is_pending());
            assert_eq!(drain.shared.lock().watching.len(), 1);
        }
        assert!(drain.shared.lock().watching.is_empty());
    }

    #[test]
    fn slots_are_used_again() {
        let drain = Drain::default();
        for _ in 0..3 {
            drop(enter(&drain));
        }
        assert_eq!(drain.shared.lock().wakers.len(), 1);
        assert_eq!(drain.handle().connections(), 0);
    }

    #[test]
    fn dropping_the_server_ends_its_connections() {
        let drain = Drain::default();
        let (connection, mut watch) = (enter(&drain), Watch::default());
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(watch.poll_phase(&connection, &cx), Phase::Serving);
        drop(drain);
        assert_eq!(watch.poll_phase(&connection, &cx), Phase::Ended);
    }
}
