//! Calls over a network that fails: what each may and may not become, whatever the seed.
//!
//! `CONNECT_SIM_SEEDS=1000..2000` runs these seeds instead of the first twenty.

mod service;

use std::time::Duration;

use connect_sim::{Faults, Simulation};
use futures_util::future::{join, join_all};
use service::{CALLS, CLIENTS, Caller, Runs, router};

/// What happens to the system while it is called.
#[derive(Clone, Default)]
struct Scenario {
    faults: Faults,
    /// The server crashes once, and comes back.
    crashes: bool,
    /// Connections get old after a second or two.
    ages: bool,
    /// One of the clients cannot reach the server for a while.
    parts: bool,
}

/// Returns how many calls were answered, and what had happened by the end.
fn run(seed: u64, scenario: &Scenario) -> (usize, String) {
    let simulation = Simulation::new(seed).with_faults(scenario.faults.clone());
    let ran = simulation.run(|world| async move {
        let runs = Runs::default();
        let server = world.host("server");
        let start = || {
            let age = scenario.ages.then_some(Duration::from_secs(1));
            let serving = server.server(80).unwrap().with_max_connection_age(age);
            let handle = serving.handle();
            server.spawn(serving.serve(router(&world, &runs)));
            handle
        };
        let mut handle = start();
        let callers = CLIENTS.map(|name| Caller::new(&world, world.host(name), &runs));
        let callers = join_all(callers.into_iter().map(Caller::call));
        let pause = |millis| world.sleep(Duration::from_millis(world.random(millis)));
        let events = async {
            if scenario.crashes {
                pause(20_000).await;
                server.crash();
                pause(2000).await;
                handle = start();
            }
            if scenario.parts {
                let client = world.host(CLIENTS[0]);
                pause(10_000).await;
                world.part(&client, &server);
                pause(10_000).await;
                world.rejoin(&client, &server);
            }
            handle
        };
        let (answered, handle) = join(callers, events).await;
        handle.shutdown();
        handle.ended().await;
        // The ends of connections are on their way.
        world.sleep(Duration::from_secs(60)).await;
        assert_eq!(world.tasks(), 0, "tasks are left");
        assert_eq!(world.connections(), 0, "connections are left");
        (answered.into_iter().sum(), world.timeline())
    });
    ran.unwrap()
}

/// Runs all seeds; returns how many of a thousand calls were answered.
fn answered(scenario: &Scenario) -> usize {
    let seeds = seeds();
    let calls = seeds.clone().count() * CLIENTS.len() * CALLS;
    let answered: usize = seeds.map(|seed| run(seed, scenario).0).sum();
    answered * 1000 / calls
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("CONNECT_SIM_SEEDS") else {
        return 0..20;
    };
    let seeds = text
        .split_once("..")
        .map(|(from, to)| (from.parse(), to.parse()));
    match seeds {
        Some((Ok(from), Ok(to))) => from..to,
        _ => panic!("CONNECT_SIM_SEEDS is {text}, no range as 0..20"),
    }
}

#[test]
fn a_seed_is_a_run() {
    let scenario = Scenario {
        faults: Faults::new().with_resets(0.05).with_stalls(0.05),
        crashes: true,
        ages: true,
        parts: true,
    };
    for seed in 0..5 {
        assert_eq!(run(seed, &scenario), run(seed, &scenario));
    }
}

#[test]
fn without_faults_every_call_is_answered() {
    assert_eq!(answered(&Scenario::default()), 1000);
}

#[test]
fn connections_that_get_old_fail_no_call() {
    let scenario = Scenario {
        ages: true,
        ..Scenario::default()
    };
    assert_eq!(answered(&scenario), 1000);
}

#[test]
fn calls_survive_a_network_that_fails() {
    let faults = Faults::new();
    let answered = answered(&Scenario {
        faults: faults.with_refused(0.1).with_resets(0.01).with_stalls(0.01),
        ..Scenario::default()
    });
    assert!((500..1000).contains(&answered), "{answered} of a thousand");
}

#[test]
fn calls_survive_a_server_that_crashes() {
    let answered = answered(&Scenario {
        crashes: true,
        ..Scenario::default()
    });
    assert!((500..1000).contains(&answered), "{answered} of a thousand");
}

#[test]
fn calls_survive_all_of_it() {
    let answered = answered(&Scenario {
        faults: Faults::new().with_resets(0.01).with_stalls(0.01),
        crashes: true,
        ages: true,
        parts: true,
    });
    assert!((300..1000).contains(&answered), "{answered} of a thousand");
}
