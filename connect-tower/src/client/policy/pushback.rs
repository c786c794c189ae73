//! What a server says about another attempt.

use std::time::Duration;

use connect_proto::Error;
use http::{HeaderMap, header::RETRY_AFTER};

/// The server's wish. gRFC A6, "Pushback"; RFC 9110, section 10.2.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushback {
    /// It says nothing.
    None,
    /// There shall be no other attempt.
    Never,
    /// Another attempt shall wait so long.
    After(Duration),
}

impl Pushback {
    /// What came with an error, before it and after it.
    pub(crate) fn of(error: &Error) -> Self {
        error.received().map_or(Self::None, Self::of_metadata)
    }

    fn of_metadata(metadata: &HeaderMap) -> Self {
        // What is there, and the number that it is.
        let find = |name: &str| {
            let mut values = metadata.get_all(name).into_iter();
            let text = values.next()?.to_str().ok();
            Some(text.filter(|_| values.next().is_none()).and_then(number))
        };
        if let Some(millis) = find(PUSHBACK) {
            return millis.map_or(Self::Never, |millis| {
                Self::After(Duration::from_millis(millis))
            });
        }
        // A date needs the time of day, which nobody here knows.
        let seconds = find(RETRY_AFTER.as_str()).flatten();
        seconds.map_or(Self::None, |seconds| {
            Self::After(Duration::from_secs(seconds))
        })
    }

    /// The same, where nobody waits longer than this.
    pub(crate) fn up_to(self, max: Duration) -> Self {
        match self {
            Self::After(pause) if pause > max => Self::Never,
            _ => self,
        }
    }
}

const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A number without sign and unnecessary zeros, of 31 bits.
fn number(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number: i32 = text.parse().ok().filter(|_| is_plain)?;
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushback_is_a_number_or_never() {
        let ms = |millis| Pushback::After(Duration::from_millis(millis));
        for (name, value, pushback) in [
            (PUSHBACK, "0", ms(0)),
            (PUSHBACK, "1500", ms(1500)),
            (PUSHBACK, "2147483647", ms(2_147_483_647)),
            (PUSHBACK, "2147483648", Pushback::Never),
            (PUSHBACK, "-1", Pushback::Never),
            (PUSHBACK, "+1", Pushback::Never),
            (PUSHBACK, "01", Pushback::Never),
            (PUSHBACK, "", Pushback::Never),
            (PUSHBACK, "1.5", Pushback::Never),
            (PUSHBACK, "soon", Pushback::Never),
            ("retry-after", "2", ms(2000)),
            ("retry-after", "-2", Pushback::None),
            (
                "retry-after",
                "Fri, 31 Dec 1999 23:59:59 GMT",
                Pushback::None,
            ),
            ("x-other", "1", Pushback::None),
        ] {
            let mut map = HeaderMap::new();
            map.insert(name, value.parse().unwrap());
            assert_eq!(Pushback::of_metadata(&map), pushback, "{name}: {value}");
        }
    }

    /// RFC 9110, section 5.3: several are no number.
    #[test]
    fn several_pushbacks_are_none_that_can_be_read() {
        for (name, pushback) in [(PUSHBACK, Pushback::Never), ("retry-after", Pushback::None)] {
            let mut map = HeaderMap::new();
            map.append(name, "1".parse().unwrap());
            map.append(name, "2".parse().unwrap());
            assert_eq!(Pushback::of_metadata(&map), pushback, "{name}");
        }
    }
}
