//! A socket to one of a host's addresses.

use std::{collections::VecDeque, fmt::Write, io, net::SocketAddr, time::Duration};

use super::staggered::Staggered;
use crate::runtime::Runtime;

type Dialled<R> = Result<(<R as Runtime>::Io, SocketAddr), (String, Option<io::Error>)>;

/// Connects to the first of these addresses that answers; they are tried one after the other, as RFC 8305 says, the next when
/// one has failed or after the delay.
///
/// # Errors
///
/// When none did: what each of them said, in one text, and the last cause. No cause if there is no address.
pub(super) async fn dial<R: Runtime>(
    runtime: &R,
    delay: Duration,
    addresses: Vec<SocketAddr>,
) -> Dialled<R> {
    let mut waiting = interleaved(addresses);
    let mut attempts = Staggered::new(delay);
    let mut begin = || {
        let address = waiting.pop_front()?;
        Some((address, runtime.connect(address)))
    };
    let (mut failures, mut cause) = (String::new(), None);
    while let Some((address, outcome)) = attempts.next(runtime, &mut begin).await {
        match outcome {
            Ok(io) => return Ok((io, address)),
            Err(error) => {
                let comma = if failures.is_empty() { "" } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(failures, "{comma}{address}: {error}");
                cause = Some(error);
            }
        }
    }
    Err((failures, cause))
}

/// The addresses of both families in turn, beginning with that of the first (RFC 8305, section 4): when one family is broken,
/// the other is tried second.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let starts_with_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == starts_with_ipv6);
    let mut order = VecDeque::with_capacity(these.len() + others.len());
    while let Some(next) = these.pop_front() {
        order.push_back(next);
        if !others.is_empty() {
            std::mem::swap(&mut these, &mut others);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::test_runtime::NoRuntime;

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    /// What `NoRuntime` does with a port.
    const REFUSES: u16 = NoRuntime::REFUSES;
    const SILENT: u16 = NoRuntime::SILENT;
    const TAKES: u16 = NoRuntime::TAKES;

    const DELAY: Duration = Duration::from_millis(100);

    fn dial_ports(
        runtime: &NoRuntime,
        ports: &[u16],
    ) -> Poll<Result<SocketAddr, (String, Option<io::ErrorKind>)>> {
        let addresses = ports.iter().copied().map(address).collect();
        let mut dialling = pin!(dial(runtime, DELAY, addresses));
        let polled = dialling
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        polled.map(|dialled| match dialled {
            Ok((_, address)) => Ok(address),
            Err((text, cause)) => Err((text, cause.map(|cause| cause.kind()))),
        })
    }

    #[test]
    fn both_families_are_tried_in_turn() {
        for (given, order) in [
            ("", ""),
            ("a", "a"),
            ("abcA", "aAbc"),
            ("ABCab", "AaBbC"),
            ("aAbB", "aAbB"),
            ("AabcdB", "AaBbcd"),
        ] {
            // Small letters for IPv4, capitals for IPv6.
            let addresses = given.bytes().map(|letter| {
                let port = letter.into();
                match letter.is_ascii_lowercase() {
                    true => SocketAddr::from(([192, 0, 2, 1], port)),
                    false => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port)),
                }
            });
            let tried = interleaved(addresses.collect());
            let tried: String = tried.iter().map(|a| a.port() as u8 as char).collect();
            assert_eq!(tried, order, "{given}");
        }
    }

    #[test]
    fn a_refusal_moves_on_at_once() {
        let clock_stands = NoRuntime::default();
        let dialled = dial_ports(&clock_stands, &[REFUSES, TAKES]);
        assert_eq!(dialled, Poll::Ready(Ok(address(TAKES))));
    }

    #[test]
    fn a_silent_address_is_overtaken_after_the_delay() {
        let ports = [SILENT, TAKES];
        let before = NoRuntime::with_sleeps_of(DELAY - Duration::from_nanos(1));
        assert!(dial_ports(&before, &ports).is_pending());
        let dialled = dial_ports(&NoRuntime::with_sleeps_of(DELAY), &ports);
        assert_eq!(dialled, Poll::Ready(Ok(address(TAKES))));
    }

    #[test]
    fn when_all_fail_each_is_named() {
        let dialled = dial_ports(&NoRuntime::default(), &[REFUSES, REFUSES]);
        let Poll::Ready(Err((text, cause))) = dialled else {
            panic!("{dialled:?}");
        };
        assert_eq!(text.matches("192.0.2.1:1: connection refused").count(), 2);
        assert_eq!(cause, Some(io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn silence_everywhere_is_left_to_the_timeout() {
        assert!(dial_ports(&NoRuntime::with_time_over(), &[SILENT, SILENT]).is_pending());
    }

    #[test]
    fn no_address_is_an_error_without_a_cause() {
        let dialled = dial_ports(&NoRuntime::default(), &[]);
        assert_eq!(dialled, Poll::Ready(Err((String::new(), None))));
    }
}
