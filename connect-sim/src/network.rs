//! Connections: bytes on their way, what is lost of them, and who waits for the next.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use connect_tower::{Time, rt::Timer as _};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::{
    core::{Core, State, lock},
    faults::Faults,
};

/// Who listens, and who is connected. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network {
    core: Core,
    places: Arc<Mutex<Places>>,
}

/// Locked by itself, or before what the hosts share.
struct Places {
    listeners: BTreeMap<SocketAddr, Backlog>,
    links: Vec<Weak<Link>>,
    next_link: u64,
    next_port: u16,
}

/// Ports that the system picks begin here.
const FIRST_PORT: u16 = 40_000;

impl Network {
    pub(crate) fn new(core: Core) -> Self {
        let places = Places {
            listeners: BTreeMap::new(),
            links: Vec::new(),
            next_link: 0,
            next_port: FIRST_PORT,
        };
        Self {
            core,
            places: Arc::new(Mutex::new(places)),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        lock(&self.places)
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.places().links().len()
    }

    /// Lets everybody look again.
    pub(crate) fn wake(&self) {
        for link in self.places().links() {
            link.wake();
        }
    }

    /// Ends the connections of a host, and its listeners.
    pub(crate) fn end(&self, host: usize) {
        let mut places = self.places();
        let links = places.links();
        let mut listeners = Vec::new();
        places.listeners.retain(|_, backlog| {
            let stays = backlog.host != host;
            if !stays {
                listeners.push(std::mem::take(backlog));
            }
            stays
        });
        drop(places);
        for link in links.iter().filter(|link| link.hosts.contains(&host)) {
            link.reset();
        }
    }
}

impl Places {
    /// The connections that are open.
    fn links(&mut self) -> Vec<Arc<Link>> {
        self.links.retain(|link| link.strong_count() > 0);
        self.links.iter().filter_map(Weak::upgrade).collect()
    }

    fn take_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        self.next_port
    }

    /// A connection from one host to another, both ends of it.
    fn connect(&mut self, core: &Core, hosts: [usize; 2]) -> [Connection; 2] {
        let number = self.next_link;
        self.next_link += 1;
        let link = Arc::new(Link {
            number,
            hosts,
            pipes: Default::default(),
        });
        self.links.push(Arc::downgrade(&link));
        [0, 1].map(|out| Connection {
            core: core.clone(),
            link: Arc::clone(&link),
            out,
        })
    }
}

/// The address of a host: 10.0.0.1 is the first's.
pub(crate) fn address(host: usize) -> IpAddr {
    let number = u32::try_from(host + 1).unwrap_or(u32::MAX);
    Ipv4Addr::from_bits((10 << 24) | number).into()
}

/// What may be on its way in one direction: about what a kernel holds of a connection.
const CAPACITY: usize = 64 << 10;

/// A connection between two hosts.
struct Link {
    number: u64,
    hosts: [usize; 2],
    /// From the client to the server, and back.
    pipes: [Mutex<Pipe>; 2],
}

/// One direction.
#[derive(Default)]
struct Pipe {
    chunks: VecDeque<Chunk>,
    held: usize,
    /// When what was sent last arrives.
    last: Time,
    /// When its end arrives, once it was closed.
    end: Option<Time>,
    is_reset: bool,
    /// Nobody will read it.
    is_unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Chunk {
    arrives: Time,
    bytes: Vec<u8>,
    read: usize,
}

impl Pipe {
    /// When what is sent now arrives, behind all that is on its way: its reader is woken then.
    fn send(&mut self, state: &mut State, delay: Duration) -> Time {
        self.last = state.now.saturating_add(delay).max(self.last);
        if let Some(reader) = self.reader.take() {
            state.wake_at(self.last, reader);
        }
        self.last
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}

impl Link {
    /// Lets both ends look again.
    fn wake(&self) {
        for pipe in &self.pipes {
            lock(pipe).wake();
        }
    }

    /// What was on its way is lost, and both ends are told.
    fn reset(&self) {
        for pipe in &self.pipes {
            let mut pipe = lock(pipe);
            pipe.is_reset = true;
            pipe.chunks.clear();
            pipe.held = 0;
            pipe.wake();
        }
    }
}

/// One end of a connection between two hosts.
pub struct Connection {
    core: Core,
    link: Arc<Link>,
    /// Where it writes; it reads from the other.
    out: usize,
}

impl Connection {
    fn incoming(&self) -> &Mutex<Pipe> {
        &self.link.pipes[1 - self.out]
    }

    fn outgoing(&self) -> &Mutex<Pipe> {
        &self.link.pipes[self.out]
    }

    /// Whether nothing gets through.
    fn is_parted(&self, state: &State) -> bool {
        let [from, to] = self.link.hosts;
        state.are_apart(from, to)
    }

    /// Who sends where, for the timeline.
    fn way(&self, state: &State) -> String {
        let name = |index: usize| state.hosts[index].clone();
        let from = name(self.link.hosts[self.out]);
        let to = name(self.link.hosts[1 - self.out]);
        format!("connection {}: {from} to {to}", self.link.number)
    }
}

impl Read for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.core.state();
        let mut pipe = lock(self.incoming());
        if pipe.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let next = pipe.chunks.front().map(|chunk| chunk.arrives).or(pipe.end);
        let parted = self.is_parted(&state);
        if parted || next.is_none_or(|at| at > state.now) {
            if let (Some(at), false) = (next, parted) {
                state.wake_at(at, cx.waker().clone());
            }
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Some(chunk) = pipe.chunks.front_mut() else {
            // The end.
            return Poll::Ready(Ok(()));
        };
        let bytes = &chunk.bytes[chunk.read..];
        let count = state.piece(bytes.len().min(buf.remaining()));
        buf.put_slice(&bytes[..count]);
        chunk.read += count;
        if chunk.read == chunk.bytes.len() {
            pipe.chunks.pop_front();
        }
        pipe.held -= count;
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.core.state();
        let mut pipe = lock(self.outgoing());
        if pipe.is_reset || pipe.is_unread {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if pipe.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = bytes.len().min(CAPACITY - pipe.held);
        if room == 0 && !bytes.is_empty() {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.piece(room);
        if state.fails(Faults::resets) {
            let way = self.way(&state);
            state.note(format_args!("{way}: reset"));
            drop(pipe);
            self.link.reset();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut delay = state.latency();
        if state.fails(Faults::stalls) {
            let stall = LONGEST_STALL.mul_f64(state.random.f64());
            let way = self.way(&state);
            state.note(format_args!("{way}: stalled for {stall:?}"));
            delay += stall;
        }
        let arrives = pipe.send(&mut state, delay);
        pipe.held += count;
        pipe.chunks.push_back(Chunk {
            arrives,
            bytes: bytes[..count].to_vec(),
            read: 0,
        });
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.core.state();
        let mut pipe = lock(self.outgoing());
        if pipe.end.is_none() && !pipe.is_reset {
            let delay = state.latency();
            pipe.end = Some(pipe.send(&mut state, delay));
        }
        Poll::Ready(Ok(()))
    }
}

const LONGEST_STALL: Duration = Duration::from_secs(10);

/// As a kernel closes a socket: the end is sent behind what is on its way, and with bytes that nobody has read, a reset.
impl Drop for Connection {
    fn drop(&mut self) {
        let has_unread = {
            let mut pipe = lock(self.incoming());
            pipe.is_unread = true;
            !pipe.chunks.is_empty()
        };
        if has_unread {
            self.link.reset();
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut *self).poll_shutdown(&mut cx);
        if let Some(writer) = lock(self.incoming()).writer.take() {
            writer.wake();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("number", &self.link.number)
            .finish_non_exhaustive()
    }
}

/// The connections that wait to be accepted at an address.
#[derive(Default)]
struct Backlog {
    host: usize,
    waiting: VecDeque<(Connection, SocketAddr)>,
    acceptor: Option<Waker>,
}

/// A socket that listens.
pub struct Listener {
    network: Network,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(network: &Network, host: usize, port: u16) -> io::Result<Self> {
        let mut places = network.places();
        let port = match port {
            0 => places.take_port(),
            port => port,
        };
        let address = SocketAddr::new(address(host), port);
        if places.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let backlog = Backlog {
            host,
            ..Backlog::default()
        };
        places.listeners.insert(address, backlog);
        drop(places);
        Ok(Self {
            network: network.clone(),
            address,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, and who has made it.
    pub(crate) async fn next(&self) -> (Connection, SocketAddr) {
        poll_fn(|cx| {
            let mut places = self.network.places();
            // A host that has crashed has no listeners; what is left of this one waits.
            let Some(backlog) = places.listeners.get_mut(&self.address) else {
                return Poll::Pending;
            };
            match backlog.waiting.pop_front() {
                Some(next) => Poll::Ready(next),
                None => {
                    backlog.acceptor = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let backlog = self.network.places().listeners.remove(&self.address);
        // Outside of the lock: it has connections, which end.
        drop(backlog);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.address).finish()
    }
}

impl Network {
    /// Connects, after a round trip. Waits while the hosts are parted.
    pub(crate) async fn connect(&self, from: usize, address: SocketAddr) -> io::Result<Connection> {
        let round_trip = {
            let mut state = self.core.state();
            state.latency() + state.latency()
        };
        self.core.sleep(round_trip).await;
        loop {
            if let Some(connection) = self.try_connect(from, address)? {
                return Ok(connection);
            }
            // As TCP sends its SYN again.
            self.core.sleep(Duration::from_secs(1)).await;
        }
    }

    /// Connects, unless the hosts are parted.
    fn try_connect(&self, from: usize, to: SocketAddr) -> io::Result<Option<Connection>> {
        let mut places = self.places();
        let mut state = self.core.state();
        let mut hosts = 0..state.hosts.len();
        let Some(host) = hosts.find(|host| address(*host) == to.ip()) else {
            return Err(io::ErrorKind::HostUnreachable.into());
        };
        if state.are_apart(from, host) {
            return Ok(None);
        }
        let is_refused = state.fails(Faults::refused) || !places.listeners.contains_key(&to);
        let names = [from, host].map(|index| state.hosts[index].clone());
        let [client, server] = &names;
        if is_refused {
            state.note(format_args!("{client} to {server}: connection refused"));
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let [near, far] = places.connect(&self.core, [from, host]);
        let number = near.link.number;
        state.note(format_args!(
            "connection {number}: {client} connects to {server}"
        ));
        let peer = SocketAddr::new(address(from), places.take_port());
        if let Some(backlog) = places.listeners.get_mut(&to) {
            backlog.waiting.push_back((far, peer));
            if let Some(acceptor) = backlog.acceptor.take() {
                acceptor.wake();
            }
        }
        Ok(Some(near))
    }
}
