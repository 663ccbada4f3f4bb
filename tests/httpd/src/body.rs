// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bodies that need not keep their promises.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Sends `left` bytes, `piece` again and again, where `promised` were promised; None: no number was.
/// When it promised more than it has it stalls for ever.
pub struct Body {
    piece: Bytes,
    left: u64,
    promised: Option<u64>,
}

impl Body {
    pub fn text(text: impl Into<Bytes>) -> Body {
        let piece = text.into();
        let left = piece.len() as u64;
        Body {
            piece,
            left,
            promised: Some(left),
        }
    }

    pub fn filler(left: u64, promised: Option<u64>) -> Body {
        const PIECE: &[u8] = &[b'.'; 16 << 10];
        Body {
            piece: Bytes::from_static(PIECE),
            left,
            promised,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return match self.promised {
                None | Some(0) => Poll::Ready(None),
                Some(_) => Poll::Pending,
            };
        }
        let piece = self.piece.slice(..self.piece.len().min(self.left as usize));
        let n = piece.len() as u64;
        self.left -= n;
        self.promised = self.promised.map(|promised| promised - n);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.promised == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.promised
            .map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
