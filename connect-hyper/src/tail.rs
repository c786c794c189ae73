//! Large pieces of an HTTP/2 body, held back by a byte until the peer's window has room for them.
//!
//! hyper hands a piece to h2 as soon as the window has room for one byte of it, and h2 keeps the rest. With its last
//! piece a body would be over for us, while h2 holds megabytes for a peer that does not read: no deadline and no
//! cancellation could free them. The last byte of a large piece is a piece of its own, which hyper asks for at once,
//! but hands over only when h2 could send all that came before.

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// From here on a piece is large: HTTP/2's first window, which small pieces of other calls of the connection share.
const LARGE: usize = 64 * 1024;

/// The last byte of a large piece.
#[derive(Debug, Default)]
pub(crate) struct HeldTail(Option<Bytes>);

impl HeldTail {
    /// The frame, less its last byte if it is large.
    pub(crate) fn hold(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        frame.map_data(|mut data| {
            if data.len() > LARGE {
                self.0 = Some(data.split_off(data.len() - 1));
            }
            data
        })
    }

    /// What was held back: the next frame.
    pub(crate) fn take(&mut self) -> Option<Frame<Bytes>> {
        self.0.take().map(Frame::data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The size of a body with what is held back of it.
    pub(crate) fn add_to(&self, mut size: SizeHint) -> SizeHint {
        if let Some(tail) = &self.0 {
            let held = tail.len() as u64;
            let upper = size.upper().map(|upper| upper.saturating_add(held));
            // The upper bound first: it must not be below the lower one.
            if let Some(upper) = upper {
                size.set_upper(upper);
            }
            size.set_lower(size.lower().saturating_add(held));
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_end_with_a_piece_of_one_byte() {
        let mut tail = HeldTail::default();
        let data: Bytes = (0..=u8::MAX).cycle().take(LARGE + 2).collect();
        let first = tail.hold(Frame::data(data.clone())).into_data().unwrap();
        assert_eq!(first, data[..LARGE + 1]);
        assert_eq!(tail.add_to(SizeHint::with_exact(4)).exact(), Some(5));
        let last = tail.take().unwrap().into_data().unwrap();
        assert_eq!(last, data[LARGE + 1..]);
        assert!(tail.is_empty());
    }

    #[test]
    fn small_pieces_and_trailers_pass_as_they_are() {
        let mut tail = HeldTail::default();
        let data = Bytes::from(vec![1; LARGE]);
        assert_eq!(
            tail.hold(Frame::data(data.clone())).into_data().unwrap(),
            data
        );
        assert!(
            tail.hold(Frame::trailers(http::HeaderMap::new()))
                .is_trailers()
        );
        assert!(tail.is_empty());
        assert_eq!(tail.add_to(SizeHint::new()).upper(), None);
    }
}
