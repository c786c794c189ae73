//! The sixteen error codes, their names and numbers, and their maps to and from HTTP status.
//!
//! There is no `Ok` here: success is not an error code. Tables follow
//! [Connect, "Error Codes"](https://connectrpc.com/docs/protocol#error-codes),
//! [gRPC, "Status codes"](https://github.com/grpc/grpc/blob/master/doc/statuscodes.md) and
//! [gRPC, "HTTP to gRPC status code mapping"](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).

use std::{fmt, str::FromStr};

use http::StatusCode;

/// The category of an RPC error, the same in all three protocols.
///
/// The discriminants are gRPC's numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Code {
    /// The call was cancelled, usually by the caller.
    Canceled = 1,
    /// An error of unclear origin, or one without a better code.
    Unknown = 2,
    /// The request is wrong, whatever the state of the system.
    InvalidArgument = 3,
    /// The deadline passed before the call could complete.
    DeadlineExceeded = 4,
    /// The requested resource does not exist.
    NotFound = 5,
    /// The resource to be created exists already.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A quota, or space for the message, has run out.
    ResourceExhausted = 8,
    /// The system is not in the state that the operation needs.
    FailedPrecondition = 9,
    /// The operation was aborted, often by a conflict between transactions.
    Aborted = 10,
    /// The operation went past the valid range.
    OutOfRange = 11,
    /// The operation is not implemented, supported or enabled.
    Unimplemented = 12,
    /// An invariant that the system relies on was broken.
    Internal = 13,
    /// The service cannot be reached for now; the caller may back off and retry.
    Unavailable = 14,
    /// Data was lost or corrupted for good.
    DataLoss = 15,
    /// The caller's credentials are missing or not valid.
    Unauthenticated = 16,
}

/// One row a code: its name in Connect's JSON and its HTTP status in Connect's unary responses.
const TABLE: [(Code, &str, u16); 16] = [
    (Code::Canceled, "canceled", 499),
    (Code::Unknown, "unknown", 500),
    (Code::InvalidArgument, "invalid_argument", 400),
    (Code::DeadlineExceeded, "deadline_exceeded", 504),
    (Code::NotFound, "not_found", 404),
    (Code::AlreadyExists, "already_exists", 409),
    (Code::PermissionDenied, "permission_denied", 403),
    (Code::ResourceExhausted, "resource_exhausted", 429),
    (Code::FailedPrecondition, "failed_precondition", 400),
    (Code::Aborted, "aborted", 409),
    (Code::OutOfRange, "out_of_range", 400),
    (Code::Unimplemented, "unimplemented", 501),
    (Code::Internal, "internal", 500),
    (Code::Unavailable, "unavailable", 503),
    (Code::DataLoss, "data_loss", 500),
    (Code::Unauthenticated, "unauthenticated", 401),
];

impl Code {
    /// Every code, in the order of the numbers.
    pub const ALL: [Self; 16] = {
        let mut all = [Self::Canceled; 16];
        let mut i = 0;
        while i < 16 {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    /// The name that Connect puts on the wire, such as `invalid_argument`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        TABLE[self as usize - 1].1
    }

    /// The number that gRPC puts on the wire, 1 to 16.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code of a number; `None` for 0 (success) and for numbers that no specification names.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        if number >= 1 && number <= 16 {
            Some(TABLE[number as usize - 1].0)
        } else {
            None
        }
    }

    /// The HTTP status of a Connect unary response that ends with this code.
    ///
    /// Connect, "Error Codes".
    #[must_use]
    pub fn http_status(self) -> StatusCode {
        StatusCode::from_u16(TABLE[self as usize - 1].2)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code that a client infers from an HTTP status when the response carries no code of its own.
    ///
    /// Connect, "HTTP to Error Code"; gRPC, "HTTP to gRPC Status Code Mapping". The tables differ in 431 only, which
    /// gRPC takes for `internal`; like Connect's table, and the conformance suite in all protocols, this says `unknown`.
    #[must_use]
    pub const fn from_http_status(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the name of an error code")]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    /// Parses Connect's name of a code; case matters, as on the wire.
    fn from_str(name: &str) -> Result<Self, UnknownCode> {
        TABLE
            .iter()
            .find(|row| row.1 == name)
            .map(|row| row.0)
            .ok_or(UnknownCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_round_trip() {
        for (i, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), i + 1);
            assert_eq!(Code::from_number(u32::from(code.number())), Some(code));
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        assert_eq!(Code::from_number(0), None);
        assert_eq!(Code::from_number(17), None);
        assert_eq!("OK".parse::<Code>(), Err(UnknownCode));
    }

    /// Connect, "Error Codes": the HTTP status of each code.
    #[test]
    fn http_status_of_each_code() {
        let statuses: Vec<u16> = Code::ALL.iter().map(|c| c.http_status().as_u16()).collect();
        assert_eq!(
            statuses,
            [
                499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401
            ]
        );
    }

    /// Connect, "HTTP to Error Code".
    #[test]
    fn code_inferred_from_http_status() {
        for (status, code) in [
            (200, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (409, Code::Unknown),
            (429, Code::Unavailable),
            (431, Code::Unknown),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Code::from_http_status(status), code, "{status}");
        }
    }
}
