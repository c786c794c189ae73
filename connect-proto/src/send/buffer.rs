//! Bytes on their way out: messages encoded in place, joined while they wait.

use std::{collections::VecDeque, mem};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Error, MessageSize,
    compression::Named,
    envelope::{FLAG_COMPRESSED, PREFIX_LEN, Prefix},
};

/// A payload of at least this many bytes is not copied behind its prefix.
const COPY_BELOW: usize = 4 * 1024;

/// Stands where the prefix will be while a message is encoded or compressed, so that an encoder or a compression that
/// replaces the buffer is found out.
const PLACE_OF_PREFIX: [u8; PREFIX_LEN] = [0xf5, 0xc0, 0x9e, 0xc1, 0xfe];

/// What a buffer has room for when it starts, in bytes.
const FIRST: usize = 256;

/// What a buffer gets room for when a second message joins the first: then more may come.
const JOINED: usize = 16 * 1024;

/// A buffer that has grown past this is not kept for the next message.
const KEEP_BELOW: usize = 64 * 1024;

/// How outgoing messages are compressed.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// What was agreed with the peer; the head names it.
    pub(crate) compression: Option<Named>,
    /// Whether to use it for the next message.
    pub(crate) enabled: bool,
    /// Smaller messages are not worth it.
    pub(crate) min_bytes: usize,
}

/// The queue of outgoing bytes. Small messages share the last buffer; large ones that come as `Bytes` stay as they are.
#[derive(Debug)]
pub(super) struct SendBuffer {
    queue: VecDeque<Bytes>,
    /// Bytes in the queue.
    queued: usize,
    tail: BytesMut,
    /// Where a message is encoded while others wait in `tail`; kept for the next one.
    scratch: BytesMut,
    /// Where a message is compressed; kept for the next one.
    packed: BytesMut,
    limit: usize,
    /// Of the last message.
    size: MessageSize,
}

impl SendBuffer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: 0,
            tail: BytesMut::new(),
            scratch: BytesMut::new(),
            packed: BytesMut::new(),
            limit,
            size: MessageSize::default(),
        }
    }

    /// The size of the last message that was pushed.
    pub(super) fn message_size(&self) -> MessageSize {
        self.size
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

    /// Encodes a message, behind a prefix or as the whole body; returns whether it was compressed.
    ///
    /// `encode` sees a buffer that holds nothing of earlier messages. The first message is encoded where it leaves
    /// from; small ones that come while it waits are copied behind it, which costs less than a piece of their own.
    pub(super) fn push(
        &mut self,
        encoder: &Encoder,
        enveloped: bool,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let prefix_len = if enveloped { PREFIX_LEN } else { 0 };
        let joins = !self.tail.is_empty();
        // Taken out while `encode` runs: if that panics, what is half-written is dropped and not sent.
        let mut own = mem::take(if joins {
            &mut self.scratch
        } else {
            &mut self.tail
        });
        if own.capacity() < PREFIX_LEN {
            own.reserve(FIRST);
        }
        own.put_slice(&PLACE_OF_PREFIX[..prefix_len]);
        let outcome = self.encode(&mut own, prefix_len, encoder, encode);
        match &outcome {
            Ok((prefix, _)) => own[..prefix_len].copy_from_slice(&prefix[..prefix_len]),
            Err(_) => own = reuse(own),
        }
        if joins {
            self.join(own);
        } else {
            self.tail = own;
        }
        outcome.map(|(_, compressed)| compressed)
    }

    /// Takes an encoded message, behind a prefix or as the whole body; returns whether it was compressed.
    pub(super) fn push_bytes(
        &mut self,
        encoder: &Encoder,
        enveloped: bool,
        payload: Bytes,
    ) -> Result<bool, Error> {
        let prefix_len = if enveloped { PREFIX_LEN } else { 0 };
        let encoded = payload.len();
        check_limit(encoded, self.limit)?;
        if let Some(mut packed) = self.compress(encoder, prefix_len, &payload)? {
            let wire = packed.len() - prefix_len;
            let prefix = prefix(FLAG_COMPRESSED, wire)?;
            packed[..prefix_len].copy_from_slice(&prefix[..prefix_len]);
            if self.tail.is_empty() {
                self.tail = packed;
            } else {
                self.join(packed);
            }
            self.size = MessageSize::new(encoded, wire, true);
            return Ok(true);
        }
        let prefix = prefix(0, encoded)?;
        self.put(&prefix[..prefix_len], payload);
        self.size = MessageSize::new(encoded, encoded, false);
        Ok(false)
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
        let copied = if payload.len() < COPY_BELOW {
            payload.len()
        } else {
            0
        };
        self.make_room(prefix.len() + copied, FIRST);
        self.tail.put_slice(prefix);
        if copied == payload.len() {
            self.tail.put_slice(&payload);
            return;
        }
        if !self.tail.is_empty() {
            let tail = self.take_tail();
            self.enqueue(tail);
        }
        self.enqueue(payload);
    }

    /// Puts a message behind those before it: a small one in their buffer, else as a piece of its own.
    fn join(&mut self, own: BytesMut) {
        if own.len() >= COPY_BELOW {
            let tail = self.take_tail();
            self.enqueue(tail);
            self.tail = own;
            return;
        }
        self.make_room(own.len(), JOINED);
        self.tail.put_slice(&own);
        self.scratch = reuse(own);
    }

    /// Room for `len` bytes in the last buffer, and for `more` if it must grow. What fills a large one leaves as a
    /// piece of its own: it is not copied.
    #[inline]
    fn make_room(&mut self, len: usize, more: usize) {
        if self.tail.capacity() - self.tail.len() < len {
            self.grow(len, more);
        }
    }

    fn grow(&mut self, len: usize, more: usize) {
        if self.tail.len() >= COPY_BELOW {
            let tail = self.take_tail();
            self.enqueue(tail);
        }
        self.tail.reserve(len.max(more));
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
        encode(own)?;
        if !own.starts_with(&PLACE_OF_PREFIX[..start]) {
            return Err(Error::internal(
                "the encoder of a message changed bytes that it did not write: it may only append to its buffer",
            ));
        }
        let plain = &own[start..];
        let encoded = plain.len();
        check_limit(encoded, self.limit)?;
        let packed = self.compress(encoder, start, plain)?;
        let compressed = packed.is_some();
        if let Some(packed) = packed {
            self.packed = reuse(mem::replace(own, packed));
        }
        let flags = if compressed { FLAG_COMPRESSED } else { 0 };
        let wire = own.len() - start;
        self.size = MessageSize::new(encoded, wire, compressed);
        Ok((prefix(flags, wire)?, compressed))
    }

    /// The message compressed, behind the place of its prefix, if that is asked for and makes it smaller.
    fn compress(
        &mut self,
        encoder: &Encoder,
        start: usize,
        plain: &[u8],
    ) -> Result<Option<BytesMut>, Error> {
        let Some(Named { compression, .. }) = encoder.compression_for(plain.len()) else {
            return Ok(None);
        };
        let mut packed = mem::take(&mut self.packed);
        packed.put_slice(&PLACE_OF_PREFIX[..start]);
        compression.compress(plain, &mut packed).map_err(|error| {
            Error::internal(format!("cannot compress a message: {error}")).with_source(error)
        })?;
        check_compressed(&packed, start, plain)?;
        // With a threshold of 0 every message is compressed, even if that makes it longer.
        if encoder.min_bytes == 0 || packed.len() - start < plain.len() {
            return Ok(Some(packed));
        }
        self.packed = reuse(packed);
        Ok(None)
    }
}

impl Encoder {
    /// What a message of this size is compressed with.
    fn compression_for(&self, len: usize) -> Option<&Named> {
        let compression = self.compression.as_ref();
        compression.filter(|_| self.enabled && len >= self.min_bytes)
    }
}

/// A compression that does not append would lose the message, or break the stream.
fn check_compressed(packed: &[u8], start: usize, plain: &[u8]) -> Result<(), Error> {
    if !packed.starts_with(&PLACE_OF_PREFIX[..start]) {
        return Err(Error::internal(
            "the compression changed bytes that it did not write: it may only append to its buffer",
        ));
    }
    // Receivers take no bytes for the empty message, whatever the compression.
    if packed.len() == start && !plain.is_empty() {
        return Err(Error::internal(
            "the compression made nothing of a message that is not empty",
        ));
    }
    Ok(())
}

/// The buffer, empty, for the next message; a new one in place of one that has grown large.
fn reuse(mut buffer: BytesMut) -> BytesMut {
    if buffer.capacity() > KEEP_BELOW {
        return BytesMut::new();
    }
    buffer.clear();
    buffer
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
