//! Bodies of requests: whole, or as they come.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// A body of known length that is sent as it comes.
#[derive(Debug)]
pub struct Feed {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
}

/// Where the pieces of a [`Feed`] are put in.
#[derive(Debug)]
pub struct Pieces(mpsc::Sender<Bytes>);

impl Feed {
    /// A body of `len` octets. A request whose pieces end before fails.
    pub fn new(len: u64) -> (Pieces, Self) {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        (Pieces(sender), Self { pieces, left: len })
    }
}

impl Pieces {
    /// Gives the next piece, once there is room for it; whether anybody is there who takes it.
    pub async fn push(&mut self, piece: Bytes) -> bool {
        self.0.send(piece).await.is_ok()
    }
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum Payload {
    Whole(Bytes),
    Fed(Feed),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(whole) => Some(std::mem::take(whole)).filter(|whole| !whole.is_empty()),
            Self::Fed(feed) => ready!(feed.pieces.poll_recv(cx)).map(|mut piece| {
                piece.truncate(usize::try_from(feed.left).unwrap_or(usize::MAX));
                feed.left -= piece.len() as u64;
                piece
            }),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_empty(),
            Self::Fed(feed) => feed.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(whole) => whole.len() as u64,
            Self::Fed(feed) => feed.left,
        })
    }
}

/// Pieces that wait for the connection before who gives them waits for it.
const PIECES_AHEAD: usize = 2;
