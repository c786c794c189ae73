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

/// The queue of outgoing bytes. Small messages share the last buffer; large ones that come as `Bytes` stay as they are.
#[derive(Debug)]
pub(super) struct Out {
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    /// Where a message is encoded that will be compressed; kept for the next one.
    scratch: BytesMut,
    len: usize,
    limit: usize,
}

impl Out {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            tail: BytesMut::new(),
            scratch: BytesMut::new(),
            len: 0,
            limit,
        }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.tail.clear();
        self.len = 0;
    }

    /// The next piece: all that has been joined so far.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let data = match self.queue.pop_front() {
            Some(data) => data,
            None if self.tail.is_empty() => return None,
            None => self.tail.split().freeze(),
        };
        self.len -= data.len();
        Some(data)
    }

    /// The one message of a unary request.
    pub(super) fn peek(&self) -> &[u8] {
        self.queue.front().map_or(&self.tail[..], |data| &data[..])
    }

    /// Encodes a message behind a prefix; tells whether it was compressed.
    pub(super) fn push_envelope(
        &mut self,
        encoder: &Encoder,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let start = self.tail.len();
        self.tail.put_slice(&[0; PREFIX_LEN]);
        let compressed = self.encode_at(start + PREFIX_LEN, encoder, encode);
        let prefix = compressed.and_then(|compressed| {
            let flags = if compressed { FLAG_COMPRESSED } else { 0 };
            let len = self.tail.len() - start - PREFIX_LEN;
            self.prefix(flags, len).map(|prefix| (prefix, compressed))
        });
        match prefix {
            Ok((prefix, compressed)) => {
                self.tail[start..start + PREFIX_LEN].copy_from_slice(&prefix);
                self.len += self.tail.len() - start;
                Ok(compressed)
            }
            Err(error) => {
                self.tail.truncate(start);
                Err(error)
            }
        }
    }

    /// Encodes a message that is the whole body; tells whether it was compressed.
    pub(super) fn push_bare(
        &mut self,
        encoder: &Encoder,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let start = self.tail.len();
        let compressed = self.encode_at(start, encoder, encode);
        if compressed.is_err() {
            self.tail.truncate(start);
        }
        self.len += self.tail.len() - start;
        compressed
    }

    /// Takes an encoded message behind a prefix; never compressed.
    pub(super) fn push_envelope_bytes(&mut self, payload: Bytes) -> Result<bool, Error> {
        self.check_limit(payload.len())?;
        let prefix = self.prefix(0, payload.len())?;
        self.put(&prefix, payload);
        Ok(false)
    }

    /// Takes an encoded message that is the whole body; never compressed.
    pub(super) fn push_bare_bytes(&mut self, payload: Bytes) -> Result<bool, Error> {
        self.check_limit(payload.len())?;
        self.put(&[], payload);
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
        self.len += prefix.len() + payload.len();
        self.tail.put_slice(prefix);
        if payload.len() < COPY_BELOW {
            self.tail.put_slice(&payload);
        } else {
            if !self.tail.is_empty() {
                self.queue.push_back(self.tail.split().freeze());
            }
            self.queue.push_back(payload);
        }
    }

    /// Appends the message, compressed if that is asked for and makes it smaller.
    fn encode_at(
        &mut self,
        start: usize,
        encoder: &Encoder,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let compression = encoder.compression.as_ref().filter(|_| encoder.enabled);
        let Some(compression) = compression else {
            encode(&mut self.tail)?;
            self.check_limit(self.tail.len() - start)?;
            return Ok(false);
        };
        let mut plain = mem::take(&mut self.scratch);
        plain.clear();
        encode(&mut plain)?;
        self.check_limit(plain.len())?;
        let mut compressed = false;
        if encoder.applies_to(plain.len()) {
            compression
                .compress(&plain, &mut self.tail)
                .map_err(|error| {
                    Error::internal(format!("cannot compress a message: {error}"))
                        .with_source(error)
                })?;
            compressed = self.tail.len() - start < plain.len();
        }
        if !compressed {
            self.tail.truncate(start);
            self.tail.put_slice(&plain);
        }
        self.scratch = plain;
        Ok(compressed)
    }

    fn check_limit(&self, len: usize) -> Result<(), Error> {
        if len > self.limit {
            return Err(Error::resource_exhausted(format!(
                "the message to send has {len} bytes, the limit is {} bytes",
                self.limit
            )));
        }
        Ok(())
    }

    #[allow(
        clippy::unused_self,
        reason = "reads as the queue's own, beside check_limit"
    )]
    fn prefix(&self, flags: u8, len: usize) -> Result<[u8; PREFIX_LEN], Error> {
        let len = u32::try_from(len).map_err(|_| {
            Error::resource_exhausted(format!(
                "the message to send has {len} bytes, more than a length prefix can say"
            ))
        })?;
        Ok(Prefix { flags, len }.to_bytes())
    }
}
