//! The kit itself: time, failures, crashes and parted hosts.

use std::{future::pending, time::Duration};

use connect_sim::{Faults, Reason, Simulation};
use connect_tower::{Client, Code, Prost, Request, Response, Router, Spec, StreamType, rt::Timer};

static UPPER: Spec = Spec::new("/sim.v1.Sim/Upper", StreamType::Unary);

fn router() -> Router {
    Router::new().unary(UPPER.clone(), |request: Request<String>| async move {
        Ok(Response::new(request.message().to_uppercase()))
    })
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn time_is_the_simulations() {
    let ran = Simulation::new(1).run(|world| async move {
        world.sleep(1000 * SECOND).await;
        assert_eq!(world.now(), 1000 * SECOND);
        // A sleep is late when the clock jumps, never early.
        let asleep = Timer::sleep(&world, 10 * SECOND);
        world.jump(30 * SECOND);
        asleep.await;
        world.now()
    });
    assert_eq!(ran.unwrap(), 1030 * SECOND);
}

#[test]
fn what_waits_for_ever_is_found() {
    let stuck = Simulation::new(7).run(|world| async move {
        world.note(format_args!("{} waits", world.host("one")));
        world.sleep(SECOND).await;
        pending::<()>().await;
    });
    let stuck = stuck.unwrap_err();
    assert_eq!(*stuck.reason(), Reason::Stuck);
    assert_eq!((stuck.seed(), stuck.at()), (7, SECOND));
    assert!(stuck.timeline().contains("one waits"), "{stuck}");
    assert!(format!("{stuck:?}").starts_with("seed 7, after 1s: everything waits"));
}

#[test]
fn what_takes_too_long_is_found() {
    let simulation = Simulation::new(1).with_time_limit(60 * SECOND);
    assert_eq!(simulation.time_limit(), 60 * SECOND);
    let over = simulation.run(|world| async move {
        loop {
            world.sleep(SECOND).await;
        }
    });
    let over: Result<(), _> = over;
    let over = over.unwrap_err();
    assert_eq!(
        (over.reason(), over.at()),
        (&Reason::TimeIsOver, 61 * SECOND)
    );
}

#[test]
fn what_goes_round_in_circles_is_found() {
    let simulation = Simulation::new(1).with_max_steps(1000);
    assert_eq!(simulation.max_steps(), 1000);
    let busy = simulation.run(|world| async move {
        world.host("one").spawn(std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }));
        pending::<()>().await;
    });
    assert_eq!(*busy.unwrap_err().reason(), Reason::Busy);
}

#[test]
fn panics_are_failures() {
    let panicked = Simulation::new(1).run(|world| async move {
        world.host("one").spawn(async { panic!("in a task") });
        pending::<()>().await;
    });
    let panicked = panicked.unwrap_err();
    assert_eq!(*panicked.reason(), Reason::Panicked("in a task".to_owned()));
}

#[test]
fn hosts_have_names_and_addresses() {
    let ran = Simulation::new(1).run(|world| async move {
        let (one, two) = (world.host("one"), world.host("two"));
        assert_eq!(world.host("one").name(), one.name());
        let server = two.server(0).unwrap();
        let address = server.local_addr().unwrap();
        assert_eq!(address.ip().to_string(), "10.0.0.2");
        assert!(two.server(address.port()).is_err());
        two.spawn(server.serve(router()));
        for uri in [
            format!("http://{address}"),
            format!("http://two:{}", address.port()),
        ] {
            let client = Client::new(one.channel(uri).unwrap());
            let request = Request::new("a".to_owned());
            let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(*answer.unwrap().message(), "A");
        }
        let client = Client::new(one.channel("http://three:80").unwrap());
        let request = Request::new("a".to_owned());
        let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    });
    ran.unwrap();
}

/// A call waits while its hosts are parted, and goes on when they are not; a deadline passes to the tick.
#[test]
fn parted_hosts_do_not_reach_each_other() {
    let ran = Simulation::new(1).run(|world| async move {
        let (near, far) = (world.host("near"), world.host("far"));
        far.spawn(far.server(80).unwrap().serve(router()));
        let client = Client::new(near.channel("http://far:80").unwrap());
        let call = |timeout| {
            let request = Request::new("a".to_owned()).with_timeout(timeout);
            client.unary::<Prost, _, String>(&UPPER, request)
        };
        call(SECOND).await.unwrap();
        world.part(&near, &far);
        let began = world.now();
        let error = call(SECOND).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(world.now(), began + SECOND);
        let rejoin = async {
            world.sleep(5 * SECOND).await;
            world.rejoin(&near, &far);
        };
        let (answer, ()) = futures_util::future::join(call(10 * SECOND), rejoin).await;
        answer.unwrap();
    });
    ran.unwrap();
}

#[test]
fn a_crash_ends_what_runs_and_what_is_connected() {
    let ran = Simulation::new(1).run(|world| async move {
        let (near, far) = (world.host("near"), world.host("far"));
        let start = || far.spawn(far.server(80).unwrap().serve(router()));
        start();
        let client = Client::new(near.channel("http://far:80").unwrap());
        let call = || {
            let request = Request::new("a".to_owned()).with_timeout(10 * SECOND);
            client.unary::<Prost, _, String>(&UPPER, request)
        };
        call().await.unwrap();
        assert_eq!(world.connections(), 1);
        far.crash();
        world.sleep(SECOND).await;
        assert_eq!(world.connections(), 0);
        assert_eq!(call().await.unwrap_err().code(), Code::Unavailable);
        start();
        // The channel pauses between tries.
        world.sleep(60 * SECOND).await;
        call().await.unwrap();
    });
    ran.unwrap();
}

#[test]
fn faults_have_getters_for_what_is_set() {
    let none = Faults::new();
    assert_eq!(
        (none.refused(), none.resets(), none.stalls()),
        (0.0, 0.0, 0.0)
    );
    assert!(none.pieces());
    let faults = none
        .with_latency(2 * SECOND, SECOND)
        .with_pieces(false)
        .with_refused(0.1)
        .with_resets(0.2)
        .with_stalls(0.3);
    // The least is no more than the most.
    assert_eq!(faults.latency(), (2 * SECOND, 2 * SECOND));
    assert_eq!(
        (faults.refused(), faults.resets(), faults.stalls()),
        (0.1, 0.2, 0.3)
    );
    assert!(!faults.pieces());
    assert_eq!(
        *Simulation::new(1).with_faults(faults.clone()).faults(),
        faults
    );
}

#[test]
fn refused_connections_and_slow_networks() {
    let answer = |faults: Faults| {
        let ran = Simulation::new(1)
            .with_faults(faults)
            .run(|world| async move {
                let (near, far) = (world.host("near"), world.host("far"));
                far.spawn(far.server(80).unwrap().serve(router()));
                let client = Client::new(near.channel("http://far:80").unwrap());
                let request = Request::new("a".to_owned());
                let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
                (
                    answer
                        .map_err(|error| error.code())
                        .map(Response::into_message),
                    world.now(),
                )
            });
        ran.unwrap()
    };
    let (refused, _) = answer(Faults::new().with_refused(1.0));
    assert_eq!(refused, Err(Code::Unavailable));
    // Names, a handshake, the request and its answer: one way each but for the handshake.
    let slow = Faults::new()
        .with_latency(SECOND, SECOND)
        .with_pieces(false);
    assert_eq!(answer(slow), (Ok("A".to_owned()), 5 * SECOND));
}
