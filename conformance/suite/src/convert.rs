//! Between the suite's messages and the library's types.

use connect_tower::{Code, Error, ErrorDetail};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost_types::Any;

use crate::proto;

/// A message with its type, as the suite echoes requests.
pub(crate) fn any<M: prost::Message + prost::Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

/// What the suite calls headers, to be sent.
pub(crate) fn header_map(headers: &[proto::Header]) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for header in headers {
        let name = HeaderName::try_from(&header.name);
        let name = name.map_err(|error| Error::internal(format!("{:?}: {error}", header.name)))?;
        for value in &header.value {
            let value = HeaderValue::try_from(value);
            let value = value.map_err(|error| Error::internal(format!("{name}: {error}")))?;
            map.append(&name, value);
        }
    }
    Ok(map)
}

/// What was received, as the suite writes it.
pub(crate) fn headers(map: &HeaderMap) -> Vec<proto::Header> {
    let header = |name: &HeaderName| proto::Header {
        name: name.to_string(),
        value: map
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect(),
    };
    map.keys().map(header).collect()
}

/// The error that a request asks for.
pub(crate) fn error(wanted: proto::Error) -> Error {
    let code = u32::try_from(wanted.code)
        .ok()
        .and_then(Code::from_number)
        .unwrap_or(Code::Unknown);
    let error = Error::new(code, wanted.message.unwrap_or_default());
    wanted.details.into_iter().fold(error, |error, detail| {
        let name = detail
            .type_url
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        error.add_detail(ErrorDetail::new(name, detail.value))
    })
}

/// The error of a call, as the suite writes it.
pub(crate) fn reported_error(error: &Error) -> proto::Error {
    let detail = |detail: &ErrorDetail| Any {
        type_url: format!("type.googleapis.com/{}", detail.type_name()),
        value: detail.value().to_vec(),
    };
    proto::Error {
        code: i32::from(error.code().number()),
        message: Some(error.message().to_owned()),
        details: error.details().iter().map(detail).collect(),
    }
}
