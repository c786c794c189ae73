//! Whole systems in one thread: servers, clients and the network between them, on a virtual clock, with faults by seed.
//!
//! A test of a service over sockets sees the few ways in which its machine happens to run it. Here the order of tasks, the time
//! that bytes take, where they are cut and what is lost are drawn by a number, and the same number draws them again: a run
//! that fails is one that can be looked at. Hours pass in milliseconds, for nobody waits.
//!
//! The servers and channels are those of production, [`connect_hyper`]'s, with HTTP/2 and all; [`Host`] is their runtime.
//!
//! ```
//! use std::time::Duration;
//! use connect_sim::{Faults, Simulation};
//! use connect_tower::{Client, Prost, Request, Response, Router, Spec, StreamType};
//!
//! static SHOUT: Spec = Spec::new("/demo.v1.Demo/Shout", StreamType::Unary);
//!
//! let faults = Faults::new().with_resets(0.01).with_stalls(0.01);
//! for seed in 0..10 {
//!     let simulation = Simulation::new(seed).with_faults(faults.clone());
//!     let answered = simulation.run(|world| async move {
//!         let server = world.host("server");
//!         let router = Router::new().unary(SHOUT.clone(), |request: Request<String>| async move {
//!             Ok(Response::new(request.message().to_uppercase()))
//!         });
//!         server.spawn(server.server(80).unwrap().serve(router));
//!
//!         let client = Client::new(world.host("client").channel("http://server:80").unwrap());
//!         let mut answered = 0;
//!         for _ in 0..20 {
//!             let request = Request::new("a".to_owned()).with_timeout(Duration::from_secs(5));
//!             // With such a network some calls fail. None may be answered wrongly, and none may hang.
//!             if let Ok(answer) = client.unary::<Prost, _, String>(&SHOUT, request).await {
//!                 assert_eq!(answer.message(), "A");
//!                 answered += 1;
//!             }
//!         }
//!         answered
//!     });
//!     assert!(answered.unwrap() > 10);
//! }
//! ```
//!
//! # What is drawn by the seed, and what is not
//!
//! Tasks, timers, the network, and the jitter of balancing and retries (which is [`fastrand`]'s, of the thread) are. What a
//! service asks of the operating system, its clock or its randomness is not: give such a service the [`World`]'s.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod core;
mod faults;
mod host;
mod network;
mod simulation;
mod timeline;
mod world;

pub use self::{
    faults::Faults,
    host::{Channel, ChannelBuilder, Host, Server},
    network::{Connection, Listener},
    simulation::{Failure, Reason, Simulation},
    world::World,
};
