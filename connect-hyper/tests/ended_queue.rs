//! A model of the queue between calls and the task of their HTTP/2 connection, in the orders in which its threads can take their steps.
//!
//! The queue is tokio's unbounded channel, inside hyper. A sender takes a slot and then fills it. A receiver that is
//! dropped frees the filled slots before the first that is not, and stops there; what lies behind is freed with the
//! last sender. So a call must not hold a sender while it waits, and the pool must let its own go when the connection
//! ends.

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

const CALLS: usize = 2;

/// Whether a call was told that its request was not taken.
#[derive(Default)]
struct Reply(AtomicBool);

impl Reply {
    fn give(&self) {
        self.0.store(true, SeqCst);
    }
}

/// Each `Arc` of it is a sender.
struct Queue {
    closed: AtomicBool,
    taken: AtomicUsize,
    slots: [Mutex<Option<Arc<Reply>>>; CALLS],
}

impl Queue {
    fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            slots: Default::default(),
        }
    }

    fn send(&self, reply: &Arc<Reply>) {
        if self.closed.load(SeqCst) {
            return reply.give();
        }
        let slot = self.taken.fetch_add(1, SeqCst);
        // Here the thread may be held up while the receiver is dropped.
        *self.slots[slot].lock().unwrap() = Some(Arc::clone(reply));
    }

    fn drop_receiver(&self) {
        self.closed.store(true, SeqCst);
        for slot in &self.slots {
            match slot.lock().unwrap().take() {
                Some(reply) => reply.give(),
                None => return,
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for slot in &self.slots {
            if let Some(reply) = slot.lock().unwrap().take() {
                reply.give();
            }
        }
    }
}

/// Calls that find a connection in the pool and queue a request, while the connection ends: whether there is an order in
/// which one of them is told nothing.
fn a_call_can_be_left_waiting(hold_sender: bool, leave_in_pool: bool) -> bool {
    let left_waiting = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let found = left_waiting.clone();
    let mut model = loom::model::Builder::new();
    // Two unlucky moments are what it takes; all orders of three threads would take minutes.
    model.preemption_bound = Some(2);
    model.check(move || {
        let queue = Arc::new(Queue::new());
        let pool = Arc::new(Mutex::new(Some(Arc::clone(&queue))));
        let calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let sender = pool.lock().unwrap().clone()?;
                    let reply = Arc::new(Reply::default());
                    sender.send(&reply);
                    Some((reply, hold_sender.then_some(sender)))
                })
            })
            .collect();
        queue.drop_receiver();
        drop(queue);
        if !leave_in_pool {
            let discarded = pool.lock().unwrap().take();
            drop(discarded);
        }
        // All of them wait now, with what they hold.
        let waiting: Vec<_> = calls
            .into_iter()
            .filter_map(|call| call.join().unwrap())
            .collect();
        if waiting.iter().any(|(reply, _)| !reply.0.load(SeqCst)) {
            found.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    left_waiting.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn every_call_is_told_that_its_connection_has_ended() {
    assert!(!a_call_can_be_left_waiting(false, false));
}

/// The model finds what went wrong before.
#[test]
fn senders_that_are_held_leave_calls_waiting() {
    assert!(a_call_can_be_left_waiting(true, false));
    assert!(a_call_can_be_left_waiting(false, true));
}
