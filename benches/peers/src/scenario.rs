//! The table of what is measured.

/// One row: a kind of call under a kind of load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scenario {
    /// For the table.
    pub name: &'static str,
    /// How the call is spoken.
    pub protocol: Protocol,
    /// What carries it.
    pub http: Http,
    /// What is called, and so what one count is of.
    pub call: Call,
    /// What is sent.
    pub message: Message,
    /// Whether the client compresses, and takes compressed answers.
    pub gzip: bool,
    /// Connections of the client; its calls are spread over them.
    pub connections: usize,
    /// Calls under way at a time, on all connections together.
    pub at_once: usize,
    /// Calls in one measurement.
    pub calls: usize,
}

/// A protocol and the format of its messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// gRPC with Protobuf.
    Grpc,
    /// Connect with Protobuf.
    Connect,
    /// Connect with JSON.
    Json,
}

/// A version of HTTP, without TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Http {
    /// HTTP/1.1: a connection for each call that is under way.
    One,
    /// HTTP/2.
    Two,
}

/// What is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// A message, and it comes back. A batch of logs is answered with a count.
    Unary,
    /// A message, and it comes back [`MESSAGES`] times. Counted are messages.
    ServerStream,
    /// [`MESSAGES`] messages, many in a frame, and their count comes back. Counted are messages.
    ClientStream,
    /// A message, the next when it came back; [`TURNS`] in a call. Counted are messages.
    PingPong,
    /// [`MESSAGES`] messages, many in a frame, and each comes back. Counted are messages.
    Flood,
    /// As many connections as there are calls; each has one call and then stays open. Measured is the memory of one.
    Idle,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// A string of 25 bytes, a number and a flag: 32 bytes.
    Small,
    /// 16 KiB of bytes.
    Kib16,
    /// 1 MiB of bytes.
    Mib1,
    /// 64 KiB of log lines, as one text.
    Text,
    /// 100 log records: strings, maps, numbers, a nested message. 22 KB.
    Logs,
}

/// Messages in a stream that is as fast as it can be.
pub const MESSAGES: usize = 10_000;

/// Messages in a call that waits for each answer.
pub const TURNS: usize = 100;

const UNARY: Scenario = Scenario {
    name: "",
    protocol: Protocol::Grpc,
    http: Http::Two,
    call: Call::Unary,
    message: Message::Small,
    gzip: false,
    connections: 4,
    at_once: 32,
    calls: 20_000,
};

const STREAM: Scenario = Scenario {
    calls: 40,
    at_once: 4,
    ..UNARY
};

/// All rows.
pub const SCENARIOS: [Scenario; 16] = [
    Scenario {
        name: "unary 32 B, gRPC, HTTP/2",
        ..UNARY
    },
    Scenario {
        name: "unary 32 B, Connect, HTTP/2",
        protocol: Protocol::Connect,
        ..UNARY
    },
    Scenario {
        name: "unary 32 B, Connect, HTTP/1.1",
        protocol: Protocol::Connect,
        http: Http::One,
        ..UNARY
    },
    Scenario {
        name: "unary 70 B of JSON, Connect, HTTP/1.1",
        protocol: Protocol::Json,
        http: Http::One,
        ..UNARY
    },
    Scenario {
        name: "unary 16 KiB, gRPC, HTTP/2",
        message: Message::Kib16,
        calls: 5_000,
        ..UNARY
    },
    Scenario {
        name: "unary 1 MiB, gRPC, HTTP/2",
        message: Message::Mib1,
        at_once: 8,
        calls: 200,
        ..UNARY
    },
    Scenario {
        name: "unary 1 MiB, Connect, HTTP/1.1",
        protocol: Protocol::Connect,
        http: Http::One,
        message: Message::Mib1,
        at_once: 8,
        calls: 200,
        ..UNARY
    },
    Scenario {
        name: "gzip, 64 KiB of log lines, gRPC, HTTP/2",
        message: Message::Text,
        gzip: true,
        at_once: 8,
        calls: 400,
        ..UNARY
    },
    Scenario {
        name: "100 log records, gRPC, HTTP/2",
        message: Message::Logs,
        at_once: 8,
        calls: 1_000,
        ..UNARY
    },
    Scenario {
        name: "server stream, a message, gRPC",
        call: Call::ServerStream,
        ..STREAM
    },
    Scenario {
        name: "client stream, a message, gRPC",
        call: Call::ClientStream,
        ..STREAM
    },
    Scenario {
        name: "bidi ping-pong, a message, gRPC",
        call: Call::PingPong,
        at_once: 32,
        calls: 400,
        ..STREAM
    },
    Scenario {
        name: "bidi flood, a message, gRPC",
        call: Call::Flood,
        ..STREAM
    },
    Scenario {
        name: "one call in flight, 32 B, gRPC, HTTP/2",
        connections: 1,
        at_once: 1,
        calls: 4_000,
        ..UNARY
    },
    Scenario {
        name: "one call in flight, 32 B, Connect, HTTP/1.1",
        protocol: Protocol::Connect,
        http: Http::One,
        connections: 1,
        at_once: 1,
        calls: 4_000,
        ..UNARY
    },
    Scenario {
        name: "idle connection, HTTP/2",
        call: Call::Idle,
        at_once: 1,
        calls: 2_000,
        ..UNARY
    },
];

impl Scenario {
    /// As few calls as show that all of it works.
    #[must_use]
    pub fn quick(self) -> Self {
        Self {
            calls: self.at_once.min(2),
            at_once: self.at_once.min(2),
            connections: 1,
            ..self
        }
    }

    /// What one measurement counts.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.call {
            Call::Unary | Call::Idle => self.calls,
            Call::PingPong => self.calls * TURNS,
            Call::ServerStream | Call::ClientStream | Call::Flood => self.calls * MESSAGES,
        }
    }

    /// What its figures are in.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.call {
            Call::Idle => "KiB",
            _ => "µs",
        }
    }

    /// The path of the procedure.
    #[must_use]
    pub fn path(&self) -> &'static str {
        match (self.call, self.message) {
            (Call::Unary, Message::Logs) => paths::SUMMARIZE,
            (Call::Unary | Call::Idle, _) => paths::ECHO,
            (Call::ServerStream, _) => paths::REPEAT,
            (Call::ClientStream, _) => paths::COLLECT,
            (Call::PingPong | Call::Flood, _) => paths::CHAT,
        }
    }
}

/// The procedures of the service.
pub mod paths {
    /// Sends back what it gets.
    pub const ECHO: &str = "/bench.v1.BenchService/Echo";
    /// Answers a batch of logs.
    pub const SUMMARIZE: &str = "/bench.v1.BenchService/Summarize";
    /// A stream of answers.
    pub const REPEAT: &str = "/bench.v1.BenchService/Repeat";
    /// A stream of requests.
    pub const COLLECT: &str = "/bench.v1.BenchService/Collect";
    /// A stream of both.
    pub const CHAT: &str = "/bench.v1.BenchService/Chat";
}
