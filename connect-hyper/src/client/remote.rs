//! The server at the other end of a connection, and what its first bytes tell about it.

use std::{fmt, sync::OnceLock};

/// The server that a connection leads to. It is displayed as its address, and the proxy on the way if there is one.
#[derive(Debug)]
pub(super) struct Remote {
    name: String,
    mistaken: OnceLock<Mistaken>,
}

/// What a server speaks that was spoken to in another way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mistaken {
    /// TLS, to a client in cleartext.
    Tls,
    /// HTTP/1, to a client that speaks HTTP/2 with prior knowledge.
    Http1,
}

/// The type and version of a TLS record (RFC 8446, section 5.1) are enough. Shorter than any first read needs to be.
pub(super) const FIRST_BYTES: usize = 2;

impl Remote {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            mistaken: OnceLock::new(),
        }
    }

    /// Notes what the server speaks, by its first [`FIRST_BYTES`] on a connection in cleartext.
    pub(super) fn note_first_bytes(&self, bytes: &[u8], wants_http2: bool) {
        let mistaken = match bytes {
            // An alert or a handshake, of any version since SSL 3.
            [0x15 | 0x16, 0x03] => Mistaken::Tls,
            // A status line. As HTTP/2 it would be a frame of 4 MiB, before any setting that allows one.
            b"HT" if wants_http2 => Mistaken::Http1,
            _ => return,
        };
        let _ = self.mistaken.set(mistaken);
    }

    /// What its first bytes were, if they were not what the client asked for.
    pub(super) fn mistaken(&self) -> Option<Mistaken> {
        self.mistaken.get().copied()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
