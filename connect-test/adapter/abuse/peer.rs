//! A peer that speaks raw HTTP/2: it writes whatever a test wants, and notes what comes back.

use std::{collections::BTreeMap, io, net::SocketAddr};

use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::watch,
};

use super::{
    attacks::END_STREAM,
    frames::{ACK, DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame},
    support::{HTTP2_PREFACE, Socket, connect, read_frame, spawn},
};

/// What came from the other side so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) heads: usize,
    /// How many streams were reset, by code.
    pub(super) resets: BTreeMap<u32, usize>,
    pub(super) goaway: Option<u32>,
    pub(super) pongs: usize,
    /// The window of a new stream.
    stream_window: usize,
    /// What the windows have grown by, by stream.
    windows: BTreeMap<u32, usize>,
    pub(super) is_over: bool,
}

impl Seen {
    pub(super) fn resets(&self) -> usize {
        self.resets.values().sum()
    }

    /// How much may be sent in all: on the connection (of number 0), or on a stream.
    fn room(&self, stream: u32) -> usize {
        let begins_with = match stream {
            0 => 65_535,
            _ => self.stream_window,
        };
        begins_with + self.windows.get(&stream).copied().unwrap_or(0)
    }
}

/// What is in a PING of ours.
const ALL_READ: &[u8] = b"all read";

pub(super) struct Peer {
    write: WriteHalf<Socket>,
    seen: watch::Receiver<Seen>,
}

impl Peer {
    /// A client that has sent its preface, and takes the server's settings.
    pub(super) async fn client(address: SocketAddr) -> Self {
        let mut peer = Self::new(connect(address).await.unwrap());
        let acknowledged = frame(SETTINGS, ACK, 0, &[]);
        peer.send(&[HTTP2_PREFACE, &acknowledged].concat())
            .await
            .unwrap();
        peer
    }

    /// A server whose client's preface was read. It says its own, in its settings, with the first that it sends.
    pub(super) fn new(socket: Socket) -> Self {
        let (read, write) = split(socket);
        let (note, seen) = watch::channel(Seen::default());
        spawn(follow(read, note));
        Self { write, seen }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await?;
        self.write.flush().await
    }

    /// Waits until what has come is so, or nothing comes any more.
    pub(super) async fn wait(
        &mut self,
        mut is_so: impl FnMut(&Seen) -> bool,
    ) -> watch::Ref<'_, Seen> {
        let seen = self.seen.wait_for(|seen| seen.is_over || is_so(seen));
        seen.await.unwrap()
    }

    /// Waits until the other side has read all that was sent.
    pub(super) async fn ping(&mut self) -> io::Result<()> {
        let pongs = self.seen.borrow().pongs;
        self.send(&frame(PING, 0, 0, ALL_READ)).await?;
        match self.wait(|seen| seen.pongs > pongs).await.pongs > pongs {
            true => Ok(()),
            false => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Sends all of these, with a look at the others now and then.
    pub(super) async fn mount(&mut self, pieces: &[Vec<u8>], mut others: impl AsyncFnMut()) {
        for (n, piece) in pieces.iter().enumerate() {
            if self.send(piece).await.is_err() {
                break;
            }
            if n.is_power_of_two() {
                others().await;
            }
        }
    }

    /// Waits until so much may have been sent on the connection in all.
    pub(super) async fn room(&mut self, bytes: usize) {
        let seen = self.wait(|seen| seen.room(0) >= bytes).await;
        assert!(!seen.is_over, "{seen:?}");
    }

    /// Sends a body as the windows allow it, on a connection that has sent so much before.
    pub(super) async fn upload(&mut self, stream: u32, bytes: usize, before: usize) {
        const CHUNK: usize = 8192;
        for sent in (CHUNK..=bytes).step_by(CHUNK) {
            self.room(before + sent).await;
            let seen = self.wait(|seen| seen.room(stream) >= sent).await;
            assert!(!seen.is_over, "{seen:?}");
            drop(seen);
            let end = if sent == bytes { END_STREAM } else { 0 };
            let data = frame(DATA, end, stream, &[0; CHUNK]);
            self.send(&data).await.unwrap();
        }
    }
}

async fn follow(mut read: ReadHalf<Socket>, note: watch::Sender<Seen>) {
    while let Ok(frame) = read_frame(&mut read).await {
        let stream = u32::from_be_bytes(frame.stream);
        let number = |at: usize| {
            let bytes = frame.payload.get(at..at + 4);
            bytes.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        note.send_modify(|seen| match frame.kind {
            HEADERS => seen.heads += 1,
            RST_STREAM => *seen.resets.entry(number(0)).or_default() += 1,
            GOAWAY => seen.goaway = Some(number(4)),
            PING => seen.pongs += usize::from(frame.payload == ALL_READ),
            WINDOW_UPDATE => *seen.windows.entry(stream).or_default() += number(0) as usize,
            SETTINGS => {
                let settings = frame.payload.chunks(6);
                if let Some(window) = settings.filter_map(|it| it.strip_prefix(&[0, 4])).next() {
                    seen.stream_window = u32::from_be_bytes(window.try_into().unwrap()) as usize;
                }
            }
            _ => {}
        });
    }
    note.send_modify(|seen| seen.is_over = true);
}
