//! Whether the answers are what they are to be.

use std::{cell::RefCell, io::Read};

use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use prost::Message as _;

use crate::{
    Failure,
    messages::{self, PIECE, PREFIX, SMALL},
    scenario::{Call, MESSAGES, Protocol, Scenario},
};

/// The answers to calls that have one.
///
/// The first is looked at closely; it may be JSON with other spaces, or compressed in another way than the next server's.
/// Those after it are to be the same, byte for byte.
#[derive(Debug)]
pub(super) struct Answers {
    protocol: Protocol,
    message: Bytes,
    known: RefCell<Option<Bytes>>,
}

impl Answers {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let message = match scenario.call {
            Call::ClientStream => messages::count(MESSAGES).encode_to_vec().into(),
            _ => messages::answer(scenario),
        };
        Self {
            protocol: scenario.protocol,
            message,
            known: RefCell::default(),
        }
    }

    pub(super) fn check(&self, body: &Bytes) -> Result<(), Failure> {
        let mut known = self.known.borrow_mut();
        match &*known {
            Some(known) if known == body => Ok(()),
            _ => {
                self.look_at(body.clone())?;
                *known = Some(body.clone());
                Ok(())
            }
        }
    }

    fn look_at(&self, body: Bytes) -> Result<(), Failure> {
        let is_right = match self.protocol {
            Protocol::Grpc => opened(body)? == self.message,
            Protocol::Connect => body == self.message,
            Protocol::Json => {
                let value = serde_json::from_slice::<serde_json::Value>;
                value(&body)? == value(&self.message)?
            }
        };
        is_right.then_some(()).ok_or_else(wrong)
    }
}

/// The message in an envelope.
fn opened(mut body: Bytes) -> Result<Bytes, Failure> {
    if body.len() < PREFIX {
        return Err("an answer without an envelope".into());
    }
    let is_compressed = body.get_u8() == 1;
    if body.get_u32() as usize != body.len() {
        return Err("not one message".into());
    }
    if !is_compressed {
        return Ok(body);
    }
    let mut message = Vec::new();
    GzDecoder::new(&body[..]).read_to_end(&mut message)?;
    Ok(message.into())
}

/// Small messages, one after the other, cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    bytes: usize,
}

impl Repeats {
    pub(super) fn take(&mut self, mut data: &[u8]) -> Result<(), Failure> {
        while !data.is_empty() {
            let expected = &PIECE[self.bytes % PIECE.len()..];
            let common = expected.len().min(data.len());
            if data[..common] != expected[..common] {
                return Err(wrong());
            }
            self.bytes += common;
            data = &data[common..];
        }
        Ok(())
    }

    /// How many came whole.
    pub(super) fn messages(&self) -> usize {
        self.bytes / SMALL.len()
    }

    pub(super) fn end(&self, expected: usize) -> Result<(), Failure> {
        if self.bytes == expected * SMALL.len() {
            return Ok(());
        }
        Err(format!("{} bytes for {expected} messages", self.bytes).into())
    }
}

fn wrong() -> Failure {
    "an answer with another message".into()
}
