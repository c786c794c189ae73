//! A model of the queue between calls and the task of their connection, in the orders in which its threads can take their steps.
//!
//! The queue is tokio's unbounded channel, inside hyper. A sender takes a slot and then fills it. A receiver that is
//! dropped frees the filled slots before the first that is not, and stops there; what lies behind is freed with the
//! last sender. So the task closes the queue for senders, who hold a lock while they send, before it drops the receiver.

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

const CALLS: usize = 2;

/// Whether a call got its request back.
#[derive(Default)]
struct Reply(AtomicBool);

impl Reply {
    fn give(&self) {
        self.0.store(true, SeqCst);
    }
}

/// Each `Arc` of it keeps what the receiver left.
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

/// Calls that queue a request while the connection ends: whether there is an order in which one of them waits for ever.
fn a_call_can_be_left_waiting(senders_lock: bool) -> bool {
    let left_waiting = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let found = left_waiting.clone();
    let mut model = loom::model::Builder::new();
    // Two unlucky moments are what it takes; all orders of three threads would take minutes.
    model.preemption_bound = Some(2);
    model.check(move || {
        let receiver = Arc::new(Queue::new());
        let sender = Arc::new(Mutex::new(Some(Arc::clone(&receiver))));
        let calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let sender = Arc::clone(&sender);
                thread::spawn(move || {
                    let locked = sender.lock().unwrap();
                    let queue = locked.clone()?;
                    let locked = senders_lock.then_some(locked);
                    let reply = Arc::new(Reply::default());
                    queue.send(&reply);
                    drop(locked);
                    // The call waits now, and holds what it can.
                    Some((reply, queue))
                })
            })
            .collect();
        drop(sender.lock().unwrap().take());
        receiver.drop_receiver();
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
    assert!(!a_call_can_be_left_waiting(true));
}

/// The model finds what goes wrong otherwise.
#[test]
fn senders_without_the_lock_can_leave_calls_waiting() {
    assert!(a_call_can_be_left_waiting(false));
}
