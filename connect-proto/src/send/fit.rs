//! What of an outcome fits into the header fields that the peer takes. Beyond that a peer gives up the whole response, and the
//! code with it.

use http::HeaderMap;

use crate::{Error, Limits, metadata::list_size, protocol::Wire};

/// What HTTP adds to a response's head: `:status`, `date` and `content-length`, as [`list_size`] counts.
const OF_HTTP: usize = 42 + 65 + 66;

/// `grpc-status` with two digits.
const STATUS: usize = 11 + 2 + 32;

/// `grpc-message` and `grpc-status-details-bin`, without their values.
const ERROR_FIELDS: usize = 12 + 32 + 23 + 32;

/// The least of a message that is worth its field. For less, metadata is left out instead.
const LEAST_MESSAGE: usize = 128;

/// The most that is sent of an error, and of header fields in one head or in trailers; `u32::MAX` is no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Max {
    error: u32,
    headers: u32,
}

impl Max {
    pub(super) fn new(limits: &Limits) -> Self {
        let small = |limit| u32::try_from(limit).unwrap_or(u32::MAX);
        Self {
            error: small(limits.sent_error_bytes()),
            headers: small(limits.sent_header_bytes()),
        }
    }

    /// The error, of the size that any is sent in.
    pub(super) fn cut(self, mut error: Error) -> Error {
        error.cut_to(self.error as usize);
        error
    }

    /// Whether leading metadata fits into a head that has these fields, and may get one more of this size.
    pub(super) fn check_leading(
        self,
        leading: &HeaderMap,
        head: &HeaderMap,
        encoding: usize,
    ) -> Result<(), Error> {
        let room = self.room_in_head(head).saturating_sub(encoding);
        check("leading", list_size(leading), room)
    }

    /// The outcome of a Connect unary call, whose metadata is sent in a head that has these fields, and all else elsewhere.
    pub(super) fn fit_unary(
        self,
        outcome: Result<HeaderMap, Error>,
        head: &HeaderMap,
    ) -> Result<HeaderMap, Error> {
        let room = self.room_in_head(head);
        match outcome {
            Ok(trailing) => {
                let prefixes = trailing.len() * "trailer-".len();
                check("trailing", list_size(&trailing) + prefixes, room)?;
                Ok(trailing)
            }
            Err(mut error) => {
                if !error.metadata().is_empty() && list_size(error.metadata()) >= room {
                    error.cut_metadata();
                }
                Err(error)
            }
        }
    }

    /// The outcome of a gRPC or gRPC-Web call: for trailers, or for this head where an error has nothing else.
    pub(super) fn fit_status(
        self,
        outcome: Result<HeaderMap, Error>,
        wire: Wire,
        head: Option<&HeaderMap>,
    ) -> Result<HeaderMap, Error> {
        let room = match (&outcome, head) {
            (Err(_), Some(head)) => self.room_in_head(head),
            _ if wire == Wire::Grpc => self.headers as usize,
            // The end of a body has no such limit.
            _ => return outcome,
        };
        let room = room.saturating_sub(STATUS);
        outcome
            .and_then(|trailing| {
                check("trailing", list_size(&trailing), room)?;
                Ok(trailing)
            })
            .map_err(|error| fit_error(error, room))
    }

    fn room_in_head(self, head: &HeaderMap) -> usize {
        (self.headers as usize).saturating_sub(OF_HTTP + list_size(head))
    }
}

/// Details go first, then the end of the message, then all metadata.
fn fit_error(mut error: Error, room: usize) -> Error {
    let room = room.saturating_sub(ERROR_FIELDS);
    let mut left = room.saturating_sub(list_size(error.metadata()));
    if left < LEAST_MESSAGE && left < error.fields_len() {
        error.cut_metadata();
        left = room;
    }
    error.cut_to(left);
    error
}

fn check(which: &str, size: usize, room: usize) -> Result<(), Error> {
    if size < room || size == 0 {
        return Ok(());
    }
    Err(Error::resource_exhausted(format!(
        "the {which} metadata of the response has {size} bytes, and the client takes less than {room} bytes of it"
    )))
}
