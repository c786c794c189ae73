//! Calls that nobody observes pay nothing for it.

mod common;

use common::{UPPER, block_on, text_router};
use connect_tower::{
    CallEnd, CallObserver, CallStart, Client, InProcess, Observer, Prost, Request, Router,
};

/// Wants to see this call, or not.
struct Wants(bool);

impl Observer for Wants {
    fn begin(&self, _: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        // Without a size it takes no allocation of its own.
        self.0.then(|| Box::new(Nothing) as Box<dyn CallObserver>)
    }
}

struct Nothing;

impl CallObserver for Nothing {
    fn end(&self, _: &CallEnd<'_>) {}
}

/// How many allocations a call makes, on both sides.
fn allocations(client: &Client<InProcess>) -> u64 {
    let call = || {
        let request = Request::new(String::from("a"));
        block_on(client.unary::<Prost, _, String>(&UPPER, request)).unwrap();
    };
    // Lazy work is done once.
    call();
    allocation_counter::measure(call).count_total
}

fn observed(router: Router, wants: bool) -> Client<InProcess> {
    let router = router.add_observer(Wants(wants));
    common::client(router).add_observer(Wants(wants))
}

#[test]
fn a_call_that_is_not_observed_allocates_nothing_for_it() {
    let nobody = allocations(&common::client(text_router()));
    assert_eq!(allocations(&observed(text_router(), false)), nobody);
    // The client's side: a list of observers, and what they share; the server's: a body that tells of its end besides.
    assert_eq!(allocations(&observed(text_router(), true)), nobody + 2 + 3);
}
