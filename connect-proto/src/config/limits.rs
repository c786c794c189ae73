//! How much a call may hold.

/// How much memory a call may hold, whatever the peer sends. All sizes are in bytes.
///
/// They count encoded bytes: a message as it comes, and as it is after decompression. They do not count what a message
/// becomes in memory when a codec decodes it. Protobuf's encoding is dense: 2 bytes can become an empty submessage of 100
/// bytes, so a message of 4 MiB can take hundreds of MiB. Where peers are not trusted, choose
/// [`with_recv_message_bytes`](Self::with_recv_message_bytes) as small as the service allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    recv_message: usize,
    send_message: usize,
    trailers: usize,
    sent_error: usize,
    sent_headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            recv_message: 4 * 1024 * 1024,
            send_message: u32::MAX as usize,
            trailers: 1024 * 1024,
            sent_error: 6 * 1024,
            sent_headers: 8 * 1024,
        }
    }
}

impl Limits {
    /// The largest message to receive, after decompression: 4 MiB by default.
    ///
    /// A larger one ends the call with `resource_exhausted`. Up to this many bytes are held for a call, twice with
    /// compression: as they came and decompressed.
    #[must_use]
    pub const fn with_recv_message_bytes(mut self, bytes: usize) -> Self {
        self.recv_message = bytes;
        self
    }

    /// The largest message to send, before compression: 4 GiB - 1, the most a length prefix can say, by default.
    ///
    /// Sending a larger one fails with `resource_exhausted`.
    #[must_use]
    pub const fn with_send_message_bytes(mut self, bytes: usize) -> Self {
        // What the wire cannot say is over any limit.
        self.send_message = if bytes > u32::MAX as usize {
            u32::MAX as usize
        } else {
            bytes
        };
        self
    }

    /// The largest end of a stream to receive, after decompression: 1 MiB by default.
    ///
    /// That is Connect's EndStreamResponse and error body, and gRPC-Web's trailer frame. Whatever their size, they hold at
    /// most 8,192 values of metadata.
    #[must_use]
    pub const fn with_trailer_bytes(mut self, bytes: usize) -> Self {
        self.trailers = bytes;
        self
    }

    /// The largest error to send, message and details together, as gRPC's trailers carry them. Default: 6 KiB.
    ///
    /// Peers and proxies take 8 to 16 KiB of header fields for a whole response, and reset the stream beyond that: then
    /// the code is lost too. Of an error that is larger the details are left out first, then the end of the message; the
    /// code always arrives, and the message says what is missing. The limit is the same in all protocols.
    #[must_use]
    pub const fn with_sent_error_bytes(mut self, bytes: usize) -> Self {
        self.sent_error = bytes;
        self
    }

    /// How many bytes of header fields a peer takes in the head of a response or in its trailers, each with 32 bytes for every
    /// field (RFC 9113, section 6.5.2). Default: 8 KiB, as servers and proxies of HTTP/1.1 commonly do. An HTTP/2 client that
    /// has said how much it takes is answered within that instead.
    ///
    /// What does not fit would break the whole answer. So of an error in header fields first the details are left out, then
    /// the end of the message, and last, if it leaves no room for a message, the metadata, all of it. The code always arrives,
    /// and the message says what is missing. A call that did not fail, and whose metadata does not fit, ends with
    /// `resource_exhausted`.
    #[must_use]
    pub const fn with_sent_header_bytes(mut self, bytes: usize) -> Self {
        self.sent_headers = bytes;
        self
    }

    /// See [`with_sent_header_bytes`](Self::with_sent_header_bytes).
    #[must_use]
    pub const fn sent_header_bytes(&self) -> usize {
        self.sent_headers
    }

    /// See [`with_sent_error_bytes`](Self::with_sent_error_bytes).
    #[must_use]
    pub const fn sent_error_bytes(&self) -> usize {
        self.sent_error
    }

    /// See [`with_recv_message_bytes`](Self::with_recv_message_bytes).
    #[must_use]
    pub const fn recv_message_bytes(&self) -> usize {
        self.recv_message
    }

    /// See [`with_send_message_bytes`](Self::with_send_message_bytes).
    #[must_use]
    pub const fn send_message_bytes(&self) -> usize {
        self.send_message
    }

    /// See [`with_trailer_bytes`](Self::with_trailer_bytes).
    #[must_use]
    pub const fn trailer_bytes(&self) -> usize {
        self.trailers
    }
}
