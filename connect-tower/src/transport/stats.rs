//! How a transport is at one moment, in numbers.

/// Whether a channel, or one of its endpoints, has a connection, for balancers, health pages and gauges.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ChannelState {
    /// No connection: none was needed yet, or the last was closed.
    #[default]
    Idle,
    /// A connection is being opened.
    Connecting,
    /// A connection is open.
    Ready,
    /// The latest attempt to connect failed. The next call tries again.
    Failed,
}

impl ChannelState {
    /// The name, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A channel at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelStats {
    /// What the channel's calls name as their server: a host, with a port if the URI has one.
    pub authority: String,
    /// That of the best endpoint.
    pub state: ChannelState,
    /// How many calls wait for an endpoint: its list is being made, or none of many has a connection.
    pub waiting_calls: usize,
    /// The servers that it calls. Those that a resolver no longer finds are among them until their last call has ended.
    pub endpoints: Vec<EndpointStats>,
}

/// The connections of a channel to one server, at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndpointStats {
    /// Where it is reached: `host:port`, or `unix:/path`.
    pub address: String,
    /// Whether it has a connection.
    pub state: ChannelState,
    /// Whether it is left alone for a while because it failed calls.
    pub is_ejected: bool,
    /// How many connections take calls, or have one. An HTTP/2 connection that takes no more, because of its age or because the
    /// server ends it, is not counted, although it has calls.
    pub connections: usize,
    /// How many of these have no call.
    pub idle_connections: usize,
    /// How many calls have a connection.
    pub active_calls: usize,
    /// How many calls wait for a connection, or for room on one.
    pub waiting_calls: usize,
}
