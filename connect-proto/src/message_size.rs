//! How large a message is.

/// The size of one message, without the prefix of its envelope: of the last one that a half has taken or yielded.
///
/// ```
/// use connect_proto::{CallOptions, ClientConfig, Spec, StreamType, Time};
///
/// let spec = Spec::new("/pkg.Service/Method", StreamType::Unary);
/// let (mut send, _) = ClientConfig::new().start(&spec, &CallOptions::new(), Time::ZERO)?;
/// send.send_bytes(bytes::Bytes::from_static(b"hello"))?;
/// assert_eq!(send.message_size().encoded(), 5);
/// assert_eq!(send.message_size().wire(), 5);
/// # Ok::<(), connect_proto::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MessageSize {
    encoded: usize,
    wire: usize,
    is_compressed: bool,
}

impl MessageSize {
    pub(crate) fn new(encoded: usize, wire: usize, is_compressed: bool) -> Self {
        Self {
            encoded,
            wire,
            is_compressed,
        }
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

    /// Whether the message travels compressed, as its prefix says or, in Connect's unary calls, `content-encoding`.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }
}
