//! Both headers of timeouts, read and written.

use proptest::prelude::*;

use std::time::Duration;

use super::{connect, grpc};
use crate::Code;
use http::HeaderValue;

const MAX_GRPC: Duration = Duration::from_secs(99_999_999 * 3600);

fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap()
}

/// gRPC, "Requests": Timeout, TimeoutValue, TimeoutUnit.
#[test]
fn grpc_timeouts_are_read() {
    for (text, expected) in [
        ("1H", Duration::from_secs(3600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("4m", Duration::from_millis(4)),
        ("5u", Duration::from_micros(5)),
        ("6n", Duration::from_nanos(6)),
        ("0S", Duration::ZERO),
        ("00000001S", Duration::from_secs(1)),
        ("99999999n", Duration::from_nanos(99_999_999)),
        ("99999999H", MAX_GRPC),
    ] {
        assert_eq!(
            grpc::parse_timeout(&value(text.as_bytes())),
            Ok(expected),
            "{text}"
        );
    }
}

#[test]
fn bad_grpc_timeouts_are_refused() {
    for text in [
        &b""[..],
        b"S",
        b"1",
        b"123456789n",
        b"000000001S",
        b"-1S",
        b"+1S",
        b"1 S",
        b" 1S",
        b"1s",
        b"1h",
        b"1.5S",
        b"1SS",
        b"0x1S",
        b"1\xff",
        b"\xff1S",
    ] {
        let error = grpc::parse_timeout(&value(text)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(
            error
                .message()
                .starts_with("grpc-timeout: expected 1 to 8 digits")
        );
    }
    let error = grpc::parse_timeout(&value(b"soon\xff")).unwrap_err();
    assert!(error.message().ends_with(r#"got "soon\xff""#), "{error}");
    let error = grpc::parse_timeout(&value(&[b'9'; 10_000])).unwrap_err();
    assert!(error.message().len() < 200, "{error}");
}

/// Connect, "Unary-Request": Timeout-Milliseconds.
#[test]
fn connect_timeouts_are_read() {
    for (text, millis) in [
        ("0", 0),
        ("1", 1),
        ("0005000", 5_000),
        ("9999999999", 9_999_999_999),
    ] {
        let expected = Duration::from_millis(millis);
        assert_eq!(
            connect::parse_timeout(&value(text.as_bytes())),
            Ok(expected),
            "{text}"
        );
    }
    for text in [
        &b""[..],
        b"10000000000",
        b"00000000001",
        b"-1",
        b"+1",
        b"1.0",
        b"1e3",
        b"1S",
        b" 1",
        b"1\xff",
    ] {
        let error = connect::parse_timeout(&value(text)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(
            error
                .message()
                .starts_with("connect-timeout-ms: expected 1 to 10 digits")
        );
    }
}

#[test]
fn the_finest_unit_that_fits_is_written() {
    for (timeout, expected) in [
        (Duration::ZERO, "0n"),
        (Duration::from_nanos(1), "1n"),
        (Duration::from_nanos(99_999_999), "99999999n"),
        (Duration::from_nanos(100_000_000), "100000u"),
        (Duration::from_nanos(100_000_001), "100001u"),
        (Duration::from_secs(1), "1000000u"),
        (Duration::from_secs(99), "99000000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(99_999), "99999000m"),
        (Duration::from_secs(100_000), "100000S"),
        (Duration::from_secs(100_000_000), "1666667M"),
        (Duration::from_secs(6_000_000_000), "1666667H"),
        (MAX_GRPC, "99999999H"),
        (Duration::MAX, "99999999H"),
    ] {
        assert_eq!(grpc::format_timeout(timeout), expected, "{timeout:?}");
    }
    for (timeout, expected) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_micros(1_001), "2"),
        (Duration::from_secs(5), "5000"),
        (Duration::from_millis(9_999_999_999), "9999999999"),
        (Duration::MAX, "9999999999"),
    ] {
        assert_eq!(connect::format_timeout(timeout), expected, "{timeout:?}");
    }
}

/// Every magnitude alike.
fn timeouts() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0_u32..64, 0..1_000_000_000_u32)
        .prop_map(|(secs, shift, nanos)| Duration::new(secs >> shift, nanos))
}

proptest! {
    #[test]
    fn written_timeouts_are_read_back_and_never_shorter(timeout in timeouts()) {
        let read = grpc::parse_timeout(&grpc::format_timeout(timeout)).unwrap();
        prop_assert!(read >= timeout.min(MAX_GRPC));
        prop_assert!(read <= timeout.saturating_add(timeout / 100_000 + Duration::from_nanos(1)));

        let read = connect::parse_timeout(&connect::format_timeout(timeout)).unwrap();
        prop_assert!(read >= timeout.min(Duration::from_millis(9_999_999_999)));
        prop_assert!(read < timeout.saturating_add(Duration::from_millis(1)));
    }

    #[test]
    fn any_value_is_read_or_refused(bytes in proptest::collection::vec(b' '..=b'~', 0..20)) {
        let value = value(&bytes);
        for error in [grpc::parse_timeout(&value).err(), connect::parse_timeout(&value).err()].into_iter().flatten() {
            prop_assert_eq!(error.code(), Code::InvalidArgument);
        }
    }
}

/// All of up to four digits, all of up to eight out of three digits, and each unit.
#[test]
#[cfg_attr(miri, ignore = "too many cases for an interpreter")]
fn every_short_timeout_is_read_and_written() {
    const UNITS: [(char, u128); 6] = [
        ('H', 3_600_000_000_000),
        ('M', 60_000_000_000),
        ('S', 1_000_000_000),
        ('m', 1_000_000),
        ('u', 1_000),
        ('n', 1),
    ];
    let short =
        (1..=4).flat_map(|length| (0..10_usize.pow(length)).map(move |n| (length, 10_usize, n)));
    let long = (5..=8).flat_map(|length| (0..3_usize.pow(length)).map(move |n| (length, 3, n)));
    for (length, base, n) in short.chain(long) {
        let digit = |place| n / base.pow(place) % base;
        let digits = (0..length).map(|place| match base {
            10 => digit(place),
            _ => [0, 1, 9][digit(place)],
        });
        let digits: String = digits.map(|digit| digit.to_string()).collect();
        let amount: u128 = digits.parse().unwrap();
        for (unit, nanos) in UNITS {
            let timeout = grpc::parse_timeout(&value(format!("{digits}{unit}").as_bytes()));
            let timeout = timeout.unwrap();
            assert_eq!(timeout.as_nanos(), amount * nanos);
            // Eight digits have room for it in some unit, so nothing is lost.
            assert_eq!(
                grpc::parse_timeout(&grpc::format_timeout(timeout)),
                Ok(timeout)
            );
        }
        let timeout = connect::parse_timeout(&value(digits.as_bytes())).unwrap();
        assert_eq!(timeout.as_millis(), amount);
        assert_eq!(
            connect::parse_timeout(&connect::format_timeout(timeout)),
            Ok(timeout)
        );
    }
}

/// Every value of one or two bytes that HTTP allows.
#[test]
#[cfg_attr(miri, ignore = "too many cases for an interpreter")]
fn every_value_of_two_bytes_is_a_timeout_or_refused() {
    let (mut grpc_read, mut connect_read) = (0, 0);
    for bytes in 0..=u16::MAX {
        let [first, second] = bytes.to_be_bytes();
        let mut read = |bytes: &[u8]| {
            let Ok(value) = HeaderValue::from_bytes(bytes) else {
                return;
            };
            grpc_read += usize::from(grpc::parse_timeout(&value).is_ok());
            connect_read += usize::from(connect::parse_timeout(&value).is_ok());
        };
        read(&[first, second]);
        if second == 0 {
            read(&[first]);
        }
    }
    // A digit and a unit; one or two digits.
    assert_eq!((grpc_read, connect_read), (10 * 6, 10 + 100));
}

/// Where numbers end, nothing overflows, and nothing is written that cannot be read.
#[test]
fn timeouts_at_the_edges_are_written_and_read() {
    let edges = [
        0,
        1,
        99_999_998,
        99_999_999,
        100_000_000,
        u64::from(u32::MAX),
        u64::MAX - 1,
        u64::MAX,
    ];
    for seconds in edges {
        for nanos in [0, 1, 999_999_999] {
            let timeout = Duration::new(seconds, nanos);
            let read = grpc::parse_timeout(&grpc::format_timeout(timeout)).unwrap();
            assert!(read >= timeout.min(MAX_GRPC) && read <= MAX_GRPC);
            let read = connect::parse_timeout(&connect::format_timeout(timeout)).unwrap();
            let max = Duration::from_millis(9_999_999_999);
            assert!(read >= timeout.min(max) && read <= max);
        }
    }
}
