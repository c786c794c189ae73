//! Large frames of an HTTP/2 body, handed over in pieces as the peer's window has room for them.
//!
//! hyper hands a frame to h2 as soon as the window has room for one byte of it, and h2 keeps the rest. With its last
//! frame a body would be over for us, while h2 holds megabytes for a peer that does not read: no deadline and no
//! cancellation could free them. And a peer that reads them slowly would look like one that does not read. hyper asks for
//! the next piece at once, but hands it over only when h2 could send all that came before. The last piece is one byte, so
//! that this holds for all the others.

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// The size of a piece: HTTP/2's first window, which frames up to this size of other calls of the connection share.
const PIECE: usize = 64 * 1024;

/// What is left of a large frame.
#[derive(Debug, Default)]
pub(crate) struct Pieces(Option<Bytes>);

impl Pieces {
    /// The frame, or its first piece if it is large.
    pub(crate) fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        frame.map_data(|data| match data.len() > PIECE {
            true => self.first_of(data),
            false => data,
        })
    }

    /// The next piece of the frame that was cut last: the next frame.
    pub(crate) fn take(&mut self) -> Option<Frame<Bytes>> {
        let rest = self.0.take()?;
        Some(Frame::data(self.first_of(rest)))
    }

    fn first_of(&mut self, mut data: Bytes) -> Bytes {
        if data.len() > 1 {
            let piece = PIECE.min(data.len() - 1);
            self.0 = Some(data.split_off(piece));
        }
        data
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The size of a body with what is left of the frame.
    pub(crate) fn add_to(&self, mut size: SizeHint) -> SizeHint {
        if let Some(rest) = &self.0 {
            let held = rest.len() as u64;
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
    fn large_frames_come_in_pieces_of_which_the_last_is_one_byte() {
        for (len, lengths) in [
            (PIECE + 1, vec![PIECE, 1]),
            (PIECE + 2, vec![PIECE, 1, 1]),
            (2 * PIECE, vec![PIECE, PIECE - 1, 1]),
            (2 * PIECE + 1, vec![PIECE, PIECE, 1]),
        ] {
            let mut pieces = Pieces::default();
            let data: Bytes = (0..=u8::MAX).cycle().take(len).collect();
            let mut frame = Some(pieces.cut(Frame::data(data.clone())));
            let (mut joined, mut cut) = (Vec::new(), Vec::new());
            while let Some(piece) = frame {
                let piece = piece.into_data().unwrap();
                joined.extend_from_slice(&piece);
                cut.push(piece.len());
                let left = (len - joined.len()) as u64;
                let size = pieces.add_to(SizeHint::with_exact(10));
                assert_eq!(size.exact(), Some(10 + left));
                assert_eq!(pieces.is_empty(), left == 0);
                frame = pieces.take();
            }
            assert_eq!((joined, cut), (data.to_vec(), lengths));
        }
    }

    #[test]
    fn small_frames_and_trailers_pass_as_they_are() {
        let mut pieces = Pieces::default();
        let data = Bytes::from(vec![1; PIECE]);
        let frame = pieces.cut(Frame::data(data.clone()));
        assert_eq!(frame.into_data().unwrap(), data);
        let trailers = Frame::trailers(http::HeaderMap::new());
        assert!(pieces.cut(trailers).is_trailers());
        assert!(pieces.is_empty());
        assert_eq!(pieces.add_to(SizeHint::new()).upper(), None);
    }
}
