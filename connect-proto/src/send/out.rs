//! Bytes on their way out: messages encoded in place, joined while they wait.

use std::{collections::VecDeque, mem};

use bytes::{BufMut, Bytes, BytesMut};

use super::Encoder;
use crate::{
    Error,
    envelope::{FLAG_COMPRESSED, PREFIX_LEN, Prefix},
};

/// A payload of at least this many bytes is not copied behind its prefix.
const COPY_BELOW: usize = 4 * 1024;

/// What a buffer has room for when it starts, in bytes.
const FIRST: usize = 256;

/// What a buffer has room for when messages already wait: then more may come, and small ones leave together.
const JOINED: usize = 16 * 1024;

/// A buffer that has grown past this is not kept for the next message.
const KEEP_BELOW: usize = 64 * 1024;

/// The queue of outgoing bytes. Small messages share the last buffer; large ones that come as `Bytes` stay as they are.
#[derive(Debug)]
pub(super) struct Out {
    queue: VecDeque<Bytes>,
    /// Bytes in the queue.
    queued: usize,
    tail: BytesMut,
    /// Where a message is encoded that will be compressed; kept for the next one.
    scratch: BytesMut,
    limit: usize,
}

impl Out {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: 0,
            tail: BytesMut::new(),
            scratch: BytesMut::new(),
            limit,
        }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// Drops all bytes and the memory that they had.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// The next piece: all that has been joined so far.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if let Some(data) = self.queue.pop_front() {
            self.queued -= data.len();
            return Some(data);
        }
        if self.tail.is_empty() {
            return None;
        }
        Some(self.take_tail())
    }

    /// All that waits, as one piece.
    pub(super) fn pop_all(&mut self) -> Option<Bytes> {
        let first = self.pop()?;
        if self.len() == 0 {
            return Some(first);
        }
        let mut all = BytesMut::with_capacity(first.len() + self.len());
        all.put_slice(&first);
        while let Some(data) = self.pop() {
            all.put_slice(&data);
        }
        Some(all.freeze())
    }

    /// The one message of a unary request.
    pub(super) fn peek(&self) -> &[u8] {
        self.queue.front().map_or(&self.tail[..], |data| &data[..])
    }

    /// Encodes a message, behind a prefix or as the whole body; tells whether it was compressed.
    ///
    /// `encode` sees a buffer that holds nothing of earlier messages. Where the buffer in use has no room for the
    /// message, the earlier ones are queued as they are: they are never copied.
    pub(super) fn push(
        &mut self,
        encoder: &Encoder,
        enveloped: bool,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let prefix_len = if enveloped { PREFIX_LEN } else { 0 };
        // Out of reach also when `encode` panics: then all of it is dropped, and nothing half-written can leave.
        let mut own = mem::take(&mut self.tail);
        let earlier = own.split();
        if own.capacity() < PREFIX_LEN {
            own.reserve(if earlier.is_empty() { FIRST } else { JOINED });
        }
        own.put_bytes(0, prefix_len);
        let outcome = self.encode(&mut own, prefix_len, encoder, encode);
        match outcome {
            Ok((prefix, compressed)) => {
                own[..prefix_len].copy_from_slice(&prefix[..prefix_len]);
                self.join(earlier, own);
                Ok(compressed)
            }
            Err(error) => {
                self.tail = earlier;
                Err(error)
            }
        }
    }

    /// Takes an encoded message, behind a prefix or as the whole body; never compressed.
    pub(super) fn push_bytes(&mut self, payload: Bytes, enveloped: bool) -> Result<(), Error> {
        check_limit(payload.len(), self.limit)?;
        if enveloped {
            self.put(&prefix(0, payload.len())?, payload);
        } else {
            self.put(&[], payload);
        }
        Ok(())
    }

    /// The last envelope of a stream. It is the protocol's own, so no limit applies but the prefix's.
    pub(super) fn push_terminal(&mut self, flags: u8, payload: Bytes) {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.put(&Prefix { flags, len }.to_bytes(), payload);
    }

    pub(super) fn push_error_body(&mut self, body: Bytes) {
        self.put(&[], body);
    }

    fn put(&mut self, prefix: &[u8], payload: Bytes) {
        self.tail.put_slice(prefix);
        if payload.len() < COPY_BELOW {
            self.tail.put_slice(&payload);
            return;
        }
        if !self.tail.is_empty() {
            let tail = self.take_tail();
            self.enqueue(tail);
        }
        self.enqueue(payload);
    }

    /// Puts a message behind those before it: in one buffer if it was written there, else as a piece of its own.
    fn join(&mut self, mut earlier: BytesMut, own: BytesMut) {
        let contiguous = earlier.is_empty() || earlier.as_ptr_range().end == own.as_ptr();
        if contiguous {
            // One buffer that was split: this only moves its end.
            earlier.unsplit(own);
            self.tail = earlier;
        } else {
            self.enqueue(earlier.freeze());
            self.tail = own;
        }
    }

    fn enqueue(&mut self, data: Bytes) {
        self.queued += data.len();
        self.queue.push_back(data);
    }

    /// The bytes of the last buffer. A large one goes with them, so that one large message does not hold its memory for
    /// the rest of the stream.
    fn take_tail(&mut self) -> Bytes {
        if self.tail.capacity() > KEEP_BELOW {
            mem::take(&mut self.tail).freeze()
        } else {
            self.tail.split().freeze()
        }
    }

    /// Appends the message to `own`, compressed if that is asked for and makes it smaller.
    fn encode(
        &mut self,
        own: &mut BytesMut,
        start: usize,
        encoder: &Encoder,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<([u8; PREFIX_LEN], bool), Error> {
        let mut compressed = false;
        if encoder.enabled && encoder.compression.is_some() {
            let mut plain = mem::take(&mut self.scratch);
            plain.clear();
            encode(&mut plain)?;
            check_limit(plain.len(), self.limit)?;
            compressed = encoder.compress(&plain, own)?;
            if !compressed {
                own.truncate(start);
                own.put_slice(&plain);
            }
            if plain.capacity() <= KEEP_BELOW {
                self.scratch = plain;
            }
        } else {
            encode(own)?;
            let written = own.len().checked_sub(start).ok_or_else(|| {
                Error::internal("the encoder of a message removed bytes that it did not write")
            })?;
            check_limit(written, self.limit)?;
        }
        let flags = if compressed { FLAG_COMPRESSED } else { 0 };
        Ok((prefix(flags, own.len() - start)?, compressed))
    }
}

impl Encoder {
    /// Appends the compressed message, if it is worth it; tells whether it was.
    fn compress(&self, plain: &[u8], out: &mut BytesMut) -> Result<bool, Error> {
        let Some(compression) = self
            .compression
            .as_ref()
            .filter(|_| self.applies_to(plain.len()))
        else {
            return Ok(false);
        };
        let start = out.len();
        compression.compress(plain, out).map_err(|error| {
            Error::internal(format!("cannot compress a message: {error}")).with_source(error)
        })?;
        // Who asks for everything to be compressed gets that, also where it makes a message longer.
        Ok(self.min_bytes == 0 || out.len() - start < plain.len())
    }
}

fn check_limit(len: usize, limit: usize) -> Result<(), Error> {
    if len > limit {
        return Err(Error::resource_exhausted(format!(
            "the message to send has {len} bytes, the limit is {limit} bytes"
        )));
    }
    Ok(())
}

fn prefix(flags: u8, len: usize) -> Result<[u8; PREFIX_LEN], Error> {
    let len = u32::try_from(len).map_err(|_| {
        Error::resource_exhausted(format!(
            "the message to send has {len} bytes, more than a length prefix can say"
        ))
    })?;
    Ok(Prefix { flags, len }.to_bytes())
}
