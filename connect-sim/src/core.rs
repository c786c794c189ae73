//! What all of a simulation shares: tasks, the clock, chance, and the names of its hosts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use connect_tower::{
    Time,
    rt::{Sleep, Timer},
};

use crate::{faults::Faults, timeline::Timeline};

/// What is shared. Clones are the same.
#[derive(Clone)]
pub(crate) struct Core(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    ready: Arc<Ready>,
}

/// What happens is decided in one thread; the lock is there because tasks may be sent, and is never waited for.
pub(crate) struct State {
    pub(crate) now: Time,
    pub(crate) random: fastrand::Rng,
    pub(crate) faults: Faults,
    pub(crate) timeline: Timeline,
    /// The names of hosts.
    pub(crate) hosts: Vec<String>,
    /// The pairs of hosts that do not reach each other.
    apart: BTreeSet<[usize; 2]>,
    timers: BTreeMap<(Time, u64), Waker>,
    next_timer: u64,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
}

struct Task {
    host: usize,
    waker: Arc<TaskWaker>,
    /// Not here while it is polled.
    future: Option<TaskFuture>,
}

pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks that want to be polled. Behind a lock of its own: wakers are called wherever.
#[derive(Default)]
struct Ready(Mutex<VecDeque<u64>>);

pub(crate) struct TaskWaker {
    task: u64,
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl TaskWaker {
    /// The task is about to be polled: from now on it may want it again.
    pub(crate) fn begin(&self) {
        self.is_queued.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready.0).push_back(self.task);
        }
    }
}

/// A panic elsewhere is that one's to report.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a simulation did in one step.
pub(crate) enum Step {
    /// It polled a task.
    Polled,
    /// It is the turn of the simulation's own task.
    Main,
    /// Nobody wanted to be polled, and the clock went on to the next timer.
    Slept,
    /// Nobody wants to be polled, and no timer runs.
    Stuck,
}

/// How many reads and writes are cut, if they may be.
const PIECES: f64 = 0.2;

/// The number of the first task, which is not kept here.
const MAIN: u64 = 0;

impl Core {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                now: Time::ZERO,
                random: fastrand::Rng::with_seed(seed),
                faults,
                timeline: Timeline::default(),
                hosts: Vec::new(),
                apart: BTreeSet::new(),
                timers: BTreeMap::new(),
                next_timer: 0,
                tasks: BTreeMap::new(),
                next_task: MAIN + 1,
            }),
            ready: Arc::default(),
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// How many tasks there are.
    pub(crate) fn tasks(&self) -> usize {
        self.state().tasks.len()
    }

    /// Runs a future on a host.
    pub(crate) fn spawn(&self, host: usize, future: TaskFuture) {
        let mut state = self.state();
        let id = state.next_task;
        state.next_task += 1;
        let waker = self.waker(id);
        let task = Task {
            host,
            waker: Arc::clone(&waker),
            future: Some(future),
        };
        state.tasks.insert(id, task);
        drop(state);
        waker.wake();
    }

    /// Ends the tasks of a host, as they are.
    pub(crate) fn end_tasks(&self, host: usize) {
        let mut state = self.state();
        let mut ended = Vec::new();
        state.tasks.retain(|_, task| {
            let stays = task.host != host;
            if !stays {
                ended.push(task.future.take());
            }
            stays
        });
        drop(state);
        // Outside of the lock: they may look at what it guards.
        drop(ended);
    }

    /// Ends all tasks: they hold what is shared, which holds them.
    pub(crate) fn end(&self) {
        loop {
            let tasks = std::mem::take(&mut self.state().tasks);
            if tasks.is_empty() {
                return;
            }
            // What they do at their end may begin others.
            drop(tasks);
        }
    }

    /// The waker of the simulation's own task, which wants to be polled at once.
    pub(crate) fn main_waker(&self) -> Arc<TaskWaker> {
        let waker = self.waker(MAIN);
        Arc::clone(&waker).wake();
        waker
    }

    fn waker(&self, task: u64) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            task,
            is_queued: AtomicBool::new(false),
            ready: Arc::clone(&self.0.ready),
        })
    }

    /// Polls one of the tasks that want it, whichever the seed says, unless it is the simulation's own; or lets the clock go
    /// on.
    pub(crate) fn step(&self) -> Step {
        let due = self.state().take_due();
        for waker in due {
            waker.wake();
        }
        let id = {
            let mut state = self.state();
            let mut ready = lock(&self.0.ready.0);
            if ready.is_empty() {
                drop(ready);
                return state.sleep();
            }
            let index = state.random.usize(..ready.len());
            ready.swap_remove_back(index)
        };
        match id {
            Some(MAIN) | None => Step::Main,
            Some(id) => {
                self.poll(id);
                Step::Polled
            }
        }
    }

    fn poll(&self, id: u64) {
        let taken = self.state().tasks.get_mut(&id).and_then(|task| {
            let future = task.future.take()?;
            Some((future, Arc::clone(&task.waker)))
        });
        // It may have ended since it was woken.
        let Some((mut future, waker)) = taken else {
            return;
        };
        waker.begin();
        let waker = Waker::from(waker);
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = self.state();
        let left = match (poll, state.tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => {
                task.future = Some(future);
                return;
            }
            // Its host may have crashed while it was polled.
            (Poll::Ready(()) | Poll::Pending, task) => {
                if task.is_some() {
                    state.tasks.remove(&id);
                }
                future
            }
        };
        drop(state);
        drop(left);
    }
}

impl State {
    /// The number of the host of this name, which is new if there is none.
    pub(crate) fn host(&mut self, name: &str) -> usize {
        let known = self.hosts.iter().position(|host| host == name);
        known.unwrap_or_else(|| {
            self.hosts.push(name.to_owned());
            self.hosts.len() - 1
        })
    }

    /// Adds an event to the timeline.
    pub(crate) fn note(&mut self, text: fmt::Arguments<'_>) {
        self.timeline.push(self.now, text);
    }

    /// Whether what the faults have a rate for happens.
    pub(crate) fn fails(&mut self, rate: impl FnOnce(&Faults) -> f64) -> bool {
        let rate = rate(&self.faults);
        self.chance(rate)
    }

    fn chance(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.random.f64() < rate
    }

    /// How many of so many bytes are read or written at once: all, unless they may come in pieces.
    pub(crate) fn piece(&mut self, count: usize) -> usize {
        match self.faults.pieces() && count > 1 && self.chance(PIECES) {
            true => self.random.usize(1..count),
            false => count,
        }
    }

    /// How long something takes.
    pub(crate) fn latency(&mut self) -> Duration {
        let (least, most) = self.faults.latency();
        let spread = most.saturating_sub(least);
        least + spread.mul_f64(self.random.f64())
    }

    pub(crate) fn part(&mut self, one: usize, other: usize) {
        self.apart.insert([one.min(other), one.max(other)]);
    }

    pub(crate) fn rejoin(&mut self, one: usize, other: usize) {
        self.apart.remove(&[one.min(other), one.max(other)]);
    }

    pub(crate) fn are_apart(&self, one: usize, other: usize) -> bool {
        self.apart.contains(&[one.min(other), one.max(other)])
    }

    /// The wakers of the timers that are due.
    fn take_due(&mut self) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(timer) = self.timers.first_entry() {
            if timer.key().0 > self.now {
                break;
            }
            due.push(timer.remove());
        }
        due
    }

    /// Goes on to the next timer.
    fn sleep(&mut self) -> Step {
        match self.timers.first_key_value() {
            Some((&(at, _), _)) => {
                self.now = at.max(self.now);
                Step::Slept
            }
            None => Step::Stuck,
        }
    }

    /// Wakes a task then, or when something else wakes it.
    pub(crate) fn wake_at(&mut self, at: Time, waker: Waker) -> (Time, u64) {
        self.next_timer += 1;
        let key = (at, self.next_timer);
        self.timers.insert(key, waker);
        key
    }
}

impl Timer for Core {
    fn now(&self) -> Time {
        self.state().now
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        Box::pin(SleepUntil {
            core: self.clone(),
            at,
            key: None,
        })
    }
}

struct SleepUntil {
    core: Core,
    at: Time,
    key: Option<(Time, u64)>,
}

impl Future for SleepUntil {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.core.state();
        if let Some(key) = this.key.take() {
            state.timers.remove(&key);
        }
        if state.now >= this.at {
            return Poll::Ready(());
        }
        // A timer at the end of time never ends: were it here, nothing would ever be stuck.
        if this.at < Time::MAX {
            this.key = Some(state.wake_at(this.at, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for SleepUntil {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.core.state().timers.remove(&key);
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Core")
            .field("now", &state.now)
            .field("hosts", &state.hosts.len())
            .field("tasks", &state.tasks.len())
            .finish_non_exhaustive()
    }
}
