//! A machine of the simulation, which is the runtime of the servers and channels on it.

use std::{fmt, future::Future, io, net::SocketAddr};

use connect_hyper::runtime::{Accepted, ListenAddr, ListenOptions, Listener as Listens, Runtime};
use connect_tower::{
    Error, Peer, Time,
    rt::{Sleep, Timer},
};

use crate::{
    core::Core,
    faults::Faults,
    network::{self, Connection, Listener, Network},
};

/// A server on a [`Host`]; see [`connect_hyper::Server`] for what it can do.
pub type Server<L = Listener, M = ()> = connect_hyper::Server<Host, L, M>;

/// A client's way to one server, from a [`Host`]; see [`connect_hyper::Channel`] for what it can do.
pub type Channel = connect_hyper::Channel<Host>;

/// Makes a [`Channel`]; see [`connect_hyper::ChannelBuilder`] for what can be chosen.
pub type ChannelBuilder = connect_hyper::ChannelBuilder<Host>;

/// A machine of a [`World`](crate::World): a name, an address, and the tasks, listeners and connections that a crash ends. Clones are the
/// same machine.
///
/// It is the runtime of the servers and channels that run on it.
#[derive(Clone)]
pub struct Host {
    core: Core,
    network: Network,
    index: usize,
}

impl Host {
    pub(crate) fn new(core: Core, network: Network, index: usize) -> Self {
        Self {
            core,
            network,
            index,
        }
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Its name, by which others reach it.
    #[must_use]
    pub fn name(&self) -> String {
        self.core.state().hosts[self.index].clone()
    }

    /// A server that listens on a port of this host; 0 takes a free one.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if there is one already.
    pub fn server(&self, port: u16) -> io::Result<Server> {
        let listener = Listener::bind(&self.network, self.index, port)?;
        Ok(Server::from_listener(listener).with_runtime(self.clone()))
    }

    /// A channel from this host to another: `http://server:80`, for example.
    ///
    /// # Errors
    ///
    /// As those of [`Channel::new`](connect_hyper::Channel::new): the URI is no place of a server.
    pub fn channel(&self, uri: impl Into<String>) -> Result<Channel, Error> {
        self.channel_builder(uri).build()
    }

    /// A channel from this host to another, with settings.
    pub fn channel_builder(&self, uri: impl Into<String>) -> ChannelBuilder {
        Channel::builder(uri).with_runtime(self.clone())
    }

    /// Runs a future on this host, to its end or the host's.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.core.spawn(self.index, Box::pin(future));
    }

    /// Ends all that runs here, as `kill -9` does: no task is polled again, what was on its way is lost, and the peers of its
    /// connections see a reset. Start new servers to have it back.
    pub fn crash(&self) {
        let name = self.name();
        self.core.state().note(format_args!("{name} crashes"));
        self.network.end(self.index);
        self.core.end_tasks(self.index);
    }
}

/// A host of a world of its own, in which nothing runs: [`Server::bind`] and [`Channel::new`] ask for it. Use
/// [`Host::server`] and [`Host::channel`].
impl Default for Host {
    fn default() -> Self {
        let core = Core::new(0, Faults::default());
        let index = core.state().host("nowhere");
        Self::new(core.clone(), Network::new(core), index)
    }
}

impl Runtime for Host {
    type Io = Connection;
    type Listener = Listener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        Self::spawn(self, future);
    }

    async fn listen(&self, address: SocketAddr, _: &ListenOptions) -> io::Result<Listener> {
        Listener::bind(&self.network, self.index, address.port())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Connection> {
        self.network.connect(self.index, address).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let delay = self.core.state().latency();
        self.core.sleep(delay).await;
        let state = self.core.state();
        let mut hosts = state.hosts.iter();
        match (host.parse(), hosts.position(|known| known == host)) {
            (Ok(address), _) => Ok(vec![SocketAddr::new(address, port)]),
            (Err(_), Some(index)) => Ok(vec![SocketAddr::new(network::address(index), port)]),
            (Err(_), None) => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("the simulation has no host {host}"),
            )),
        }
    }
}

impl Timer for Host {
    fn now(&self) -> Time {
        self.core.now()
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        self.core.sleep_until(at)
    }
}

impl Listens<Host> for Listener {
    type Io = Connection;

    async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        let (io, peer) = self.next().await;
        Ok(Accepted::new(io)
            .with_peer(Peer::new(peer))
            .with_local_addr(Some(self.address())))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        Some(ListenAddr::Tcp(self.address()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.name()).finish()
    }
}
