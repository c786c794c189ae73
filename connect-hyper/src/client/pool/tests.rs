use super::*;
use crate::test_runtime::NoRuntime;

#[test]
fn calls_that_have_gone_away_do_not_make_the_queue_grow() {
    let pool: Pool<NoRuntime> = Pool::new();
    let mut state = pool.lock();
    let mut add = || {
        let (outcome, receiver) = oneshot::channel();
        let want = Want::Http2;
        state.add_waiter(Waiter { want, outcome });
        receiver
    };
    let _stays = add();
    (0..1000).for_each(|_| drop(add()));
    assert!(state.waiters.len() < 10);
    assert!(!state.waiters[0].outcome.is_canceled());
}
