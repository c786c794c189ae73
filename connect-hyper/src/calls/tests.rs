use std::sync::atomic::AtomicUsize;

use hyper::rt::Executor;

use super::*;

/// Counts its wake-ups.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn execute(calls: &Calls, call: impl Future<Output = ()> + Send + 'static) {
    calls.executor().execute(call);
}

fn idle(calls: &mut Calls, task: &Arc<Task>) -> usize {
    let mut polls = 0;
    let waker = Waker::from(Arc::clone(task));
    let polled = calls.poll_with(&Context::from_waker(&waker), |_| {
        polls += 1;
        Poll::<()>::Pending
    });
    assert!(polled.is_pending());
    polls
}

#[test]
fn a_call_that_waits_for_nothing_runs_in_the_first_turn() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    execute(&calls, async move { flag.store(true, Ordering::SeqCst) });
    assert_eq!(idle(&mut calls, &task), 1);
    assert!(ran.load(Ordering::SeqCst));
    assert!(
        calls
            .poll_rest(&Context::from_waker(Waker::noop()))
            .is_ready()
    );
    assert_eq!(task.0.load(Ordering::SeqCst), 0, "nobody had to be woken");
}

#[test]
fn a_call_woken_from_outside_wakes_the_task_once() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    let (sender, receiver) = futures_channel::oneshot::channel::<()>();
    execute(&calls, async move {
        let _ = receiver.await;
    });
    idle(&mut calls, &task);
    assert!(
        calls
            .poll_rest(&Context::from_waker(&Waker::from(Arc::clone(&task))))
            .is_pending()
    );

    drop(sender);
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    assert_eq!(idle(&mut calls, &task), 1);
    assert!(
        calls
            .poll_rest(&Context::from_waker(Waker::noop()))
            .is_ready()
    );
}

#[test]
fn a_call_that_wakes_the_connection_gets_it_polled_in_the_same_poll() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    let connection = Arc::new(AtomicWaker::new());
    let wakes = Arc::clone(&connection);
    execute(&calls, async move { wakes.wake() });
    let mut polls = 0;
    let waker = Waker::from(Arc::clone(&task));
    let _ = calls.poll_with(&Context::from_waker(&waker), |cx| {
        polls += 1;
        connection.register(cx.waker());
        Poll::<()>::Pending
    });
    assert_eq!(polls, 2);
    assert_eq!(task.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_call_that_always_wakes_itself_lets_others_run() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    execute(
        &calls,
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }),
    );
    assert_eq!(idle(&mut calls, &task), MAX_TURNS);
    assert_eq!(
        task.0.load(Ordering::SeqCst),
        1,
        "the task asked for another poll"
    );
}

#[test]
fn a_late_wake_up_of_an_ended_call_is_harmless() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    execute(
        &calls,
        std::future::poll_fn(move |cx| {
            *keep.lock().unwrap() = Some(cx.waker().clone());
            Poll::Ready(())
        }),
    );
    idle(&mut calls, &task);
    kept.lock().unwrap().take().unwrap().wake();
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    idle(&mut calls, &task);

    // The slot is used again, not a new one.
    execute(&calls, std::future::pending());
    idle(&mut calls, &task);
    assert_eq!(calls.slots.len(), 1);
}

#[test]
fn dropping_drops_running_and_queued_calls() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    let alive = Arc::new(());
    let waiting = || {
        let alive = Arc::clone(&alive);
        async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        }
    };
    execute(&calls, waiting());
    idle(&mut calls, &task);
    execute(&calls, waiting());
    assert_eq!(Arc::strong_count(&alive), 3);
    drop(calls);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_call_without_a_connection_is_dropped() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let executor = Calls::new().executor();
    executor.execute(async move {
        let _held = held;
    });
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// A call that is better off elsewhere.
struct Leaving;

impl Future for Leaving {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        panic!("it has left")
    }
}

impl Call for Leaving {
    fn stay(self: Pin<Box<Self>>) -> Option<BoxCall> {
        None
    }
}

#[test]
fn a_call_that_leaves_is_not_polled_and_the_thread_goes_to_another_task() {
    let (mut calls, task) = (Calls::new(), Arc::new(Task::default()));
    calls.executor().join(Leaving);
    assert_eq!(idle(&mut calls, &task), 1);
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    assert_eq!(idle(&mut calls, &task), 1);
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    assert!(
        calls
            .poll_rest(&Context::from_waker(Waker::noop()))
            .is_ready()
    );
}
