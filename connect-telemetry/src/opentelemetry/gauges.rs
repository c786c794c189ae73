//! What is open and what waits, measured when somebody asks.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use connect_tower::{ChannelStats, ServerStats};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};

use super::server;

/// The channels and servers that are measured. Of many with the same attributes the sum counts.
#[derive(Clone)]
pub(super) struct Gauges {
    meter: Meter,
    watched: Arc<Watched>,
}

#[derive(Default)]
struct Watched {
    channels: Sources<ChannelStats>,
    servers: Sources<ServerStats>,
    are_registered: OnceLock<()>,
}

/// Functions that tell how something is; `None` once it has gone.
struct Sources<T>(Mutex<Vec<Source<T>>>);

type Source<T> = Arc<dyn Fn() -> Option<T> + Send + Sync>;

/// One number of a gauge, and what it is of.
type Point = (usize, Vec<KeyValue>);

impl Gauges {
    pub(super) fn new(meter: Meter) -> Self {
        Self {
            meter,
            watched: Arc::default(),
        }
    }

    pub(super) fn watch_channel(
        &self,
        stats: impl Fn() -> Option<ChannelStats> + Send + Sync + 'static,
    ) {
        self.watched.channels.add(stats);
        self.register();
    }

    pub(super) fn watch_server(
        &self,
        stats: impl Fn() -> Option<ServerStats> + Send + Sync + 'static,
    ) {
        self.watched.servers.add(stats);
        self.register();
    }

    /// Once there is something to measure.
    fn register(&self) {
        self.watched.are_registered.get_or_init(|| {
            // Semantic conventions, "HTTP client": the names that they have.
            self.of_channels(
                ("http.client.open_connections", "{connection}"),
                "Number of outbound HTTP connections that are currently active or idle on the client.",
                open_connections,
            );
            self.of_channels(
                ("http.client.active_requests", "{request}"),
                "Number of active HTTP requests.",
                active_requests,
            );
            self.of_channels(
                ("connectrpc.client.waiting_calls", "{call}"),
                "Number of calls that wait for a connection, or for room on one.",
                waiting_calls,
            );
            self.of_channels(
                ("connectrpc.client.endpoints", "{endpoint}"),
                "Number of servers that a channel calls, by whether it has a connection to them, or leaves them alone.",
                endpoints,
            );
            self.of_servers(
                ("connectrpc.server.open_connections", "{connection}"),
                "Number of connections that are open.",
                |stats| stats.connections,
            );
            self.of_servers(
                ("connectrpc.server.active_calls", "{call}"),
                "Number of calls that are being served.",
                |stats| stats.active_calls,
            );
        });
    }

    fn of_channels(
        &self,
        name: (&'static str, &'static str),
        about: &'static str,
        points: fn(&ChannelStats) -> Vec<Point>,
    ) {
        let watched = Arc::clone(&self.watched);
        self.gauge(name, about, move || {
            watched.channels.all().iter().flat_map(points).collect()
        });
    }

    fn of_servers(
        &self,
        name: (&'static str, &'static str),
        about: &'static str,
        number: fn(&ServerStats) -> usize,
    ) {
        let watched = Arc::clone(&self.watched);
        self.gauge(name, about, move || {
            let numbers = watched.servers.all();
            let numbers = numbers.iter().map(|stats| (number(stats), Vec::new()));
            numbers.collect()
        });
    }

    fn gauge(
        &self,
        (name, unit): (&'static str, &'static str),
        about: &'static str,
        points: impl Fn() -> Vec<Point> + Send + Sync + 'static,
    ) {
        let instrument = self.meter.i64_observable_up_down_counter(name);
        let instrument = instrument.with_unit(unit).with_description(about);
        instrument
            .with_callback(move |to| observe(points(), to))
            .build();
    }
}

/// Tells the sum of the points that have the same attributes.
fn observe(points: Vec<Point>, to: &dyn AsyncInstrument<i64>) {
    let mut sums: Vec<Point> = Vec::new();
    for (number, attributes) in points {
        match sums.iter_mut().find(|(_, known)| *known == attributes) {
            Some((sum, _)) => *sum += number,
            None => sums.push((number, attributes)),
        }
    }
    for (sum, attributes) in sums {
        to.observe(i64::try_from(sum).unwrap_or(i64::MAX), &attributes);
    }
}

/// The server's address; all of it, if it is several.
fn attributes(address: &str) -> Vec<KeyValue> {
    match server(address) {
        attributes if attributes.is_empty() => {
            vec![KeyValue::new("server.address", address.to_owned())]
        }
        attributes => attributes,
    }
}

fn open_connections(channel: &ChannelStats) -> Vec<Point> {
    let mut points = Vec::new();
    for endpoint in &channel.endpoints {
        let active = endpoint
            .connections
            .saturating_sub(endpoint.idle_connections);
        for (state, number) in [("active", active), ("idle", endpoint.idle_connections)] {
            let mut attributes = attributes(&endpoint.address);
            attributes.push(KeyValue::new("http.connection.state", state));
            points.push((number, attributes));
        }
    }
    points
}

fn active_requests(channel: &ChannelStats) -> Vec<Point> {
    let endpoints = channel.endpoints.iter();
    let points = endpoints.map(|it| (it.active_calls, attributes(&it.address)));
    points.collect()
}

fn waiting_calls(channel: &ChannelStats) -> Vec<Point> {
    let endpoints = channel.endpoints.iter();
    let points = endpoints.map(|it| (it.waiting_calls, attributes(&it.address)));
    // Those that wait for whichever endpoint comes first are the channel's.
    let any = (channel.waiting_calls, attributes(&channel.authority));
    points.chain([any]).collect()
}

fn endpoints(channel: &ChannelStats) -> Vec<Point> {
    let endpoints = channel.endpoints.iter();
    let points = endpoints.map(|endpoint| {
        let mut attributes = attributes(&endpoint.address);
        let state = match endpoint.is_ejected {
            true => "ejected",
            false => endpoint.state.as_str(),
        };
        attributes.push(KeyValue::new("connectrpc.endpoint.state", state));
        (1, attributes)
    });
    points.collect()
}

impl<T> Sources<T> {
    fn lock(&self) -> MutexGuard<'_, Vec<Source<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, source: impl Fn() -> Option<T> + Send + Sync + 'static) {
        let has_grown = {
            let mut sources = self.lock();
            let has_grown = sources.len() == sources.capacity();
            sources.push(Arc::new(source));
            has_grown
        };
        if has_grown {
            // Perhaps nobody ever collects.
            self.all();
        }
    }

    /// How all are that are still there; the others are forgotten.
    fn all(&self) -> Vec<T> {
        // Without the lock: they are a user's.
        let sources = self.lock().clone();
        let (mut all, mut gone) = (Vec::new(), Vec::new());
        for source in sources {
            match source() {
                Some(stats) => all.push(stats),
                None => gone.push(source),
            }
        }
        if !gone.is_empty() {
            let is_gone = |it: &Source<T>| gone.iter().any(|gone| Arc::ptr_eq(gone, it));
            self.lock().retain(|source| !is_gone(source));
        }
        all
    }
}

impl<T> Default for Sources<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
