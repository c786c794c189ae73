//! What a hostile HTTP/2 client sends, as raw frames, by name. Nothing but `std` is used here: the program `floods` of
//! `benches/memory` sends the same.

use super::frames::{
    CONTINUATION, DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
};

pub(crate) const PRIORITY: u8 = 2;
pub(crate) const PUSH_PROMISE: u8 = 5;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// Codes of errors (RFC 9113, section 7).
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

const MIB: usize = 1024 * 1024;

/// An integer of HPACK behind the bits of `first` (RFC 7541, section 5.1).
fn integer(first: u8, prefix: u32, value: usize) -> Vec<u8> {
    let max = (1 << prefix) - 1;
    if value < max {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(max).unwrap()];
    let mut rest = value - max;
    while rest >= 128 {
        bytes.push(0x80 | u8::try_from(rest % 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

fn string(text: &[u8]) -> Vec<u8> {
    [&integer(0, 7, text.len())[..], text].concat()
}

/// A field that is spelt out: with `0x40` it becomes the first entry of the dynamic table, with `0` it does not.
pub(crate) fn field(indexing: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[indexing][..], &string(name.as_bytes()), &string(value)].concat()
}

/// The fields of a POST to this path: the static table has the rest (RFC 7541, appendix A).
pub(crate) fn post(path: &str) -> Vec<u8> {
    [&[0x83, 0x86, 0x04][..], &string(path.as_bytes())].concat()
}

/// The first entry of the dynamic table, in one byte.
pub(crate) const FIRST_ENTRY: u8 = 0x80 | 62;

/// HEADERS, and CONTINUATION where one frame has no room.
pub(crate) fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    let mut parts = block.chunks(16_000).peekable();
    let (mut kind, mut flags, mut frames) = (HEADERS, flags, Vec::new());
    while let Some(part) = parts.next() {
        let end = if parts.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        frames.extend(frame(kind, flags | end, stream, part));
        (kind, flags) = (CONTINUATION, 0);
    }
    frames
}

/// A POST with its end.
pub(crate) fn request(stream: u32, path: &str) -> Vec<u8> {
    headers(END_STREAM, stream, &post(path))
}

/// A POST whose body is to come.
pub(crate) fn open(stream: u32, path: &str) -> Vec<u8> {
    headers(0, stream, &post(path))
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

/// DATA with so many bytes of padding.
pub(crate) fn padded(stream: u32, bytes: usize, padding: u8) -> Vec<u8> {
    let mut payload = vec![padding];
    payload.resize(1 + bytes + usize::from(padding), 0);
    frame(DATA, PADDED, stream, &payload)
}

/// The stream of a client's n-th call.
pub(crate) fn stream(n: usize) -> u32 {
    u32::try_from(2 * n + 1).unwrap()
}

/// How a connection goes on after an attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// The client is told by a GOAWAY with this code.
    GoAway(u32),
    /// Nothing is done about it: a PING is answered.
    GoesOn,
}

/// What one connection sends after its preface.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Sent once.
    begin: Vec<u8>,
    /// Sent over and over, with the number of times before.
    piece: Box<dyn Fn(usize) -> Vec<u8> + Send>,
    times: usize,
    pub(crate) ending: Ending,
    /// What server and client may hold at the most.
    pub(crate) memory: usize,
}

impl Attack {
    fn new(
        name: &'static str,
        times: usize,
        piece: impl Fn(usize) -> Vec<u8> + Send + 'static,
    ) -> Self {
        Self {
            name,
            begin: Vec::new(),
            piece: Box::new(piece),
            times,
            ending: Ending::GoAway(ENHANCE_YOUR_CALM),
            memory: 2 * MIB,
        }
    }

    fn begin(self, begin: Vec<u8>) -> Self {
        Self { begin, ..self }
    }

    fn ends(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    fn holds(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// All that is sent, in pieces.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        std::iter::once(self.begin.clone()).chain((0..self.times).map(|n| (self.piece)(n)))
    }
}

// A call to `/hold` is never answered, and its request is kept. All others are answered at once.

pub(crate) fn header_attacks() -> Vec<Attack> {
    let crumb = || field(0x40, "cookie", b"a");
    vec![
        Attack::new("hpack: a large entry, referred to by one byte", 1, |_| {
            let entry = field(0x40, "a", &[b'a'; 3900]);
            headers(
                END_STREAM,
                1,
                &[post("/"), entry, vec![FIRST_ENTRY; 60_000]].concat(),
            )
        }),
        Attack::new("hpack: crumbs of a cookie without end", 1, move |_| {
            headers(
                END_STREAM,
                1,
                &[post("/"), crumb(), vec![FIRST_ENTRY; 60_000]].concat(),
            )
        }),
        Attack::new(
            "hpack: crumbs beyond the limit, 431 for each",
            200,
            move |n| {
                headers(
                    END_STREAM,
                    stream(n),
                    &[post("/"), crumb(), vec![FIRST_ENTRY; 3000]].concat(),
                )
            },
        )
        .ends(Ending::GoesOn),
        Attack::new(
            "hpack: crumbs up to the limit, in 200 calls that wait for a shut window",
            200,
            move |n| {
                headers(
                    END_STREAM,
                    stream(n),
                    &[post("/hold"), crumb(), vec![FIRST_ENTRY; 800]].concat(),
                )
            },
        )
        .begin(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]))
        .ends(Ending::GoesOn)
        .holds(20 * MIB),
        Attack::new("hpack: 25,000 names", 1, |_| {
            let names = (0..25_000).flat_map(|n| field(0, &format!("{n:x}"), b""));
            headers(END_STREAM, 1, &[post("/"), names.collect()].concat())
        }),
        Attack::new(
            "hpack: 800 names in each of 200 calls that wait",
            200,
            |n| {
                let names = (0..800).flat_map(|n| field(0, &format!("{n:x}"), b""));
                headers(
                    END_STREAM,
                    stream(n),
                    &[post("/hold"), names.collect()].concat(),
                )
            },
        )
        .ends(Ending::GoesOn)
        .holds(40 * MIB),
        Attack::new("hpack: 60,000 changes of the table's size", 1, |_| {
            headers(END_STREAM, 1, &[vec![0x20; 60_000], post("/")].concat())
        })
        .ends(Ending::GoesOn),
        Attack::new("a value of 16 MiB over CONTINUATION", 1100, |_| {
            frame(CONTINUATION, 0, 1, &[b'a'; 16_000])
        })
        .begin(frame(
            HEADERS,
            END_STREAM,
            1,
            &[post("/"), vec![0], string(b"a"), integer(0, 7, 16 * MIB)].concat(),
        )),
        Attack::new("CONTINUATION, a byte each", 10_000, |_| {
            frame(CONTINUATION, 0, 1, &[0xa0])
        })
        .begin(frame(HEADERS, END_STREAM, 1, &[0x83])),
        Attack::new("a million query parameters", 1, |_| {
            let path = "/?".to_owned() + &"a&".repeat(1_000_000);
            headers(END_STREAM, 1, &post(&path))
        }),
    ]
}

pub(crate) fn reset_attacks() -> Vec<Attack> {
    const MANY: usize = 2000;
    let broken = Ending::GoAway(PROTOCOL_ERROR);
    vec![
        Attack::new("reset: after the headers", MANY, |n| {
            [open(stream(n), "/hold"), reset(stream(n))].concat()
        }),
        Attack::new("reset: after half a body", MANY, |n| {
            let half = frame(DATA, 0, stream(n), &[0; 100]);
            [open(stream(n), "/hold"), half, reset(stream(n))].concat()
        }),
        Attack::new("reset: after the end of the request", MANY, |n| {
            [request(stream(n), "/hold"), reset(stream(n))].concat()
        }),
        Attack::new("made to reset: a window of more than 2 GiB", MANY, |n| {
            let update = frame(WINDOW_UPDATE, 0, stream(n), &[0x7f, 0xff, 0xff, 0xff]);
            [open(stream(n), "/hold"), update].concat()
        }),
        Attack::new("made to reset: a window that grows by nothing", MANY, |n| {
            [
                open(stream(n), "/hold"),
                frame(WINDOW_UPDATE, 0, stream(n), &[0; 4]),
            ]
            .concat()
        })
        .ends(broken),
        Attack::new("made to reset: DATA after the end", MANY, |n| {
            [
                request(stream(n), "/hold"),
                frame(DATA, 0, stream(n), &[0; 8]),
            ]
            .concat()
        })
        .ends(broken),
        Attack::new("made to reset: HEADERS after the end", MANY, |n| {
            [request(stream(n), "/hold"), request(stream(n), "/hold")].concat()
        })
        .ends(broken),
        Attack::new(
            "made to reset: a stream that depends on itself",
            MANY,
            |n| {
                let id = stream(n);
                [
                    open(id, "/hold"),
                    frame(PRIORITY, 0, id, &[&id.to_be_bytes()[..], &[0]].concat()),
                ]
                .concat()
            },
        ),
        Attack::new("made to reset: PRIORITY of a wrong length", MANY, |n| {
            [
                open(stream(n), "/hold"),
                frame(PRIORITY, 0, stream(n), &[0; 4]),
            ]
            .concat()
        })
        .ends(broken),
        Attack::new("made to reset: more than was announced", MANY, |n| {
            let id = stream(n);
            let block = [post("/hold"), field(0, "content-length", b"1")].concat();
            [headers(0, id, &block), frame(DATA, 0, id, &[0; 8])].concat()
        }),
        Attack::new("made to reset: names in capitals", MANY, |n| {
            headers(
                END_STREAM,
                stream(n),
                &[post("/hold"), field(0, "A", b"")].concat(),
            )
        })
        .ends(broken),
    ]
}

pub(crate) fn frame_attacks() -> Vec<Attack> {
    const FEW: usize = 2000;
    const MANY: usize = 20_000;
    vec![
        Attack::new("PING", FEW, |_| frame(PING, 0, 0, &[0; 8])),
        Attack::new("SETTINGS", FEW, |_| frame(SETTINGS, 0, 0, &[])),
        Attack::new("SETTINGS of 10,000 values", 100, |_| {
            frame(
                SETTINGS,
                0,
                0,
                &[0, 4, 0, 0, 0xff, 0xff, 0, 4, 0, 0, 0, 1].repeat(5000),
            )
        })
        .begin(request(1, "/hold"))
        .ends(Ending::GoesOn),
        Attack::new("PRIORITY", MANY, |n| frame(PRIORITY, 0, stream(n), &[0; 5]))
            .ends(Ending::GoesOn),
        Attack::new("WINDOW_UPDATE of the connection", MANY, |_| {
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
        })
        .ends(Ending::GoesOn),
        Attack::new("WINDOW_UPDATE of a call", MANY, |_| {
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])
        })
        .begin(request(1, "/hold"))
        .ends(Ending::GoesOn),
        Attack::new("frames of no known kind", MANY, |_| {
            frame(0xbe, 0, 0, &[0; 8])
        })
        .ends(Ending::GoesOn),
        Attack::new("resets of a call that has ended", MANY, |_| reset(1))
            .begin([open(1, "/hold"), reset(1)].concat())
            .ends(Ending::GoesOn),
        Attack::new("GOAWAY", MANY, |_| frame(GOAWAY, 0, 0, &[0; 8]))
            .ends(Ending::GoAway(NO_ERROR)),
        Attack::new("PUSH_PROMISE", FEW, |_| {
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2][..], &post("/")].concat(),
            )
        })
        .begin(request(1, "/hold"))
        .ends(Ending::GoAway(PROTOCOL_ERROR)),
        Attack::new("calls beyond the limit", FEW, |n| {
            request(stream(n), "/hold")
        }),
    ]
}

pub(crate) fn data_attacks() -> Vec<Attack> {
    const MANY: usize = 20_000;
    let broken = Ending::GoAway(PROTOCOL_ERROR);
    vec![
        Attack::new("DATA: empty", 200, |_| frame(DATA, 0, 1, &[])).begin(open(1, "/hold")),
        Attack::new("DATA: padding only", 200, |_| padded(1, 0, 255)).begin(open(1, "/hold")),
        Attack::new("DATA: a byte each", MANY, |_| frame(DATA, 0, 1, &[0]))
            .begin(open(1, "/hold"))
            .holds(8 * MIB),
        Attack::new("DATA: a byte each, in 100 calls", MANY, |n| {
            frame(DATA, 0, stream(n % 100), &[0])
        })
        .begin((0..100).flat_map(|n| open(stream(n), "/hold")).collect())
        .holds(8 * MIB),
        Attack::new("DATA: a byte and padding", MANY, |_| padded(1, 1, 255))
            .begin(open(1, "/hold"))
            .holds(8 * MIB),
        Attack::new("DATA: to a call that has ended", 10, |_| {
            frame(DATA, 0, 1, &[0; 16_000])
        })
        .begin(request(1, "/hold"))
        .ends(broken),
    ]
}
