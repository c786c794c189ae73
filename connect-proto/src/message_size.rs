//! How large a message is.

/// The size of one message, without the prefix of its envelope: of the last one that a half has taken or yielded.
///
/// ```
/// use connect_proto::{CallOptions, ClientConfig, Spec, StreamType, Time};
///
/// let spec = Spec::new("/pkg.Service/Method", StreamType::Unary);
/// let (mut send, _) = ClientConfig::new().start(&spec, CallOptions::new(), Time::ZERO)?;
/// send.send_bytes(bytes::Bytes::from_static(b"hello"))?;
/// assert_eq!(send.message_size().encoded(), 5);
/// assert_eq!(send.message_size().wire(), 5);
/// # Ok::<(), connect_proto::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MessageSize {
    encoded: usize,
    wire: usize,
}

impl MessageSize {
    pub(crate) fn new(encoded: usize, wire: usize) -> Self {
        Self { encoded, wire }
    }

    /// What the codec makes of the message, in bytes.
    #[must_use]
    pub fn encoded(&self) -> usize {
        self.encoded
    }

    /// What travels, in bytes: less than is encoded if the message is compressed.
    #[must_use]
    pub fn wire(&self) -> usize {
        self.wire
    }
}
