//! What the clients are measured by.

use bytes::Bytes;

use super::Library;

/// How a call is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// gRPC, which is always HTTP/2.
    Grpc,
    /// Connect over HTTP/2, in cleartext.
    ConnectHttp2,
    /// Connect over HTTP/1.1.
    ConnectHttp1,
}

/// One kind of call: an echo.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// For the table, and to choose it by.
    pub name: &'static str,
    /// How it is made.
    pub way: Way,
    /// How many bytes of data the message has beside its small fields.
    pub data: usize,
    /// How many calls are made at a time.
    pub in_flight: usize,
    /// How many calls one measurement has.
    pub calls: usize,
}

impl Scenario {
    /// All kinds, in the order of the table.
    pub const ALL: [Self; 16] = [
        Self::new("gRPC, 32 B, 1 call", Way::Grpc, 0, 1, 3_000),
        Self::new("gRPC, 32 B, 8 calls", Way::Grpc, 0, 8, 8_000),
        Self::new("gRPC, 32 B, 64 calls", Way::Grpc, 0, 64, 12_000),
        Self::new("gRPC, 16 KiB, 1 call", Way::Grpc, KIB_16, 1, 2_000),
        Self::new("gRPC, 16 KiB, 64 calls", Way::Grpc, KIB_16, 64, 3_000),
        Self::new("Connect h2, 32 B, 1 call", Way::ConnectHttp2, 0, 1, 3_000),
        Self::new("Connect h2, 32 B, 8 calls", Way::ConnectHttp2, 0, 8, 8_000),
        Self::new(
            "Connect h2, 32 B, 64 calls",
            Way::ConnectHttp2,
            0,
            64,
            12_000,
        ),
        Self::new(
            "Connect h2, 16 KiB, 1 call",
            Way::ConnectHttp2,
            KIB_16,
            1,
            2_000,
        ),
        Self::new(
            "Connect h2, 16 KiB, 64 calls",
            Way::ConnectHttp2,
            KIB_16,
            64,
            3_000,
        ),
        Self::new("Connect h1, 32 B, 1 call", Way::ConnectHttp1, 0, 1, 3_000),
        Self::new(
            "Connect h1, 32 B, 64 calls",
            Way::ConnectHttp1,
            0,
            64,
            6_000,
        ),
        Self::new(
            "Connect h1, 16 KiB, 1 call",
            Way::ConnectHttp1,
            KIB_16,
            1,
            2_000,
        ),
        Self::new("gRPC, 1 MiB, 4 calls", Way::Grpc, MIB, 4, 200),
        Self::new("Connect h1, 1 MiB, 4 calls", Way::ConnectHttp1, MIB, 4, 200),
        Self::new(
            "Connect h1, 16 KiB, 64 calls",
            Way::ConnectHttp1,
            KIB_16,
            64,
            3_000,
        ),
    ];

    const fn new(
        name: &'static str,
        way: Way,
        data: usize,
        in_flight: usize,
        calls: usize,
    ) -> Self {
        Self {
            name,
            way,
            data,
            in_flight,
            calls,
        }
    }

    /// The scenario of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name == name)
    }

    /// Whether a library can do it.
    #[must_use]
    pub fn suits(&self, library: Library) -> bool {
        self.way == Way::Grpc || library != Library::Tonic
    }

    /// The field `data` of the message.
    #[must_use]
    pub fn data(&self) -> Bytes {
        vec![b'm'; self.data].into()
    }
}

const KIB_16: usize = 16 * 1024;
const MIB: usize = 1024 * 1024;

/// The small fields of a message, which with its data has 32 bytes and a few more.
pub const TEXT: &str = "twenty-five bytes of text";
/// Another one.
pub const NUMBER: i64 = 300;
