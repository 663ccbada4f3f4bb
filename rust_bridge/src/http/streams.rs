// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a request has beside its operation: bodies that are sent and received in pieces, by channels
//! of C, and the operation of the head.
//!
//! 1. Both ends are taken over by the submission, or returned to C if that fails.
//! 2. A channel without room stops the reading of the response, so the server is slowed down, and
//!    one without messages the sending of the request.
//! 3. The end of a channel says nothing about success: the operation of the request does. The
//!    channel of the response is closed before that ends; that of the request when hyper drops the
//!    body, which is asked for then, and happens a moment later.
//! 4. The operation of the head ends with the head; if none is received, as the request does.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::Response;
use tokio::io::AsyncBufRead;
use tokio::sync::oneshot;

use super::client::Client;
use super::errors::body_failure;
use super::exchange::too_large;
use crate::bridge::lock_mut;
use crate::byte_channel::{BytesReceiver, BytesSender, NartBytesRx, NartBytesTx};
use crate::error::Error;
use crate::op::{Flag, Label, Promise};
use crate::outcome::{Outcome, Status};
use crate::sys::{Res, ECLOSED};

#[derive(Default)]
pub struct Streams {
    pub head: Option<HeadPromise>,
    pub request: Option<RequestBody>,
    pub response: Option<BytesSender>,
    /// The request opens a WebSocket; these are the channels of its messages.
    #[cfg(feature = "ws")]
    pub ws: Option<super::ws::Options>,
}

impl Streams {
    /// Takes over the ends, each of which may be NULL. `len`: that of the body of the request; None:
    /// not known. On an error both remain the caller's, but `*rx` may be bound to no runtime.
    ///
    /// # Safety
    /// As of `BytesReceiver::from_c()` and `BytesSender::from_c()`.
    pub unsafe fn take(
        rx: *mut NartBytesRx,
        len: Option<u64>,
        tx: *mut NartBytesTx,
    ) -> Result<Streams, Error> {
        let mut streams = Streams::default();
        // SAFETY: the caller's promises.
        unsafe {
            if !tx.is_null() {
                streams.response = Some(BytesSender::from_c(tx)?);
            }
            if !rx.is_null() {
                match BytesReceiver::from_c(rx) {
                    Ok(taken) => streams.request = Some(RequestBody::new(taken, len)),
                    Err(error) => {
                        streams.give_back(rx, tx);
                        return Err(error);
                    }
                }
            }
        }
        Ok(streams)
    }

    /// What the request is, for the listing of a bridge.
    pub fn label(&self) -> Label {
        #[cfg(feature = "ws")]
        if self.ws.is_some() {
            return Label::WEBSOCKET;
        }
        Label::REQUEST
    }

    /// Undoes take().
    ///
    /// # Safety
    /// The pointers are those of take().
    pub unsafe fn give_back(self, rx: *mut NartBytesRx, tx: *mut NartBytesTx) {
        // SAFETY: the caller's promises; both are closed handles now.
        unsafe {
            if let Some(taken) = self.request {
                rx.write(taken.into_receiver().into_c());
            }
            if let Some(taken) = self.response {
                tx.write(taken.into_c());
            }
        }
    }
}

/// The promise of the operation of the head.
pub struct HeadPromise {
    promise: Option<Promise>,
    request: Flag,
}

impl HeadPromise {
    /// # Safety
    /// It is dropped before the promise of the request.
    pub unsafe fn new(promise: Promise, request: &Promise) -> HeadPromise {
        HeadPromise {
            promise: Some(promise),
            request: request.flag(),
        }
    }

    pub fn finish(mut self, outcome: Outcome) {
        if let Some(promise) = self.promise.take() {
            promise.finish(outcome);
        }
    }
}

impl Drop for HeadPromise {
    /// The request was dropped: by a cancel, or with its runtime.
    fn drop(&mut self) {
        let Some(promise) = self.promise.take() else {
            return;
        };
        // SAFETY: see new().
        let cancelled = unsafe { self.request.is_set() };
        promise.finish(Outcome {
            status: match cancelled {
                true => Status::Cancelled,
                false => Status::Shutdown,
            },
            ..Outcome::value(0)
        });
    }
}

/// A body that a task of C sends into a channel.
pub struct RequestBody {
    /// A body must be Sync; nobody locks it.
    rx: Mutex<BytesReceiver>,
    /// Its length; None: not known.
    len: Option<u64>,
    /// The bytes that are missing of that.
    left: Option<u64>,
    /// Closed when the exchange ends: hyper would keep the body until the connection is closed.
    ended: Option<oneshot::Receiver<()>>,
}

/// The task of C has sent fewer bytes than it had announced.
#[derive(Debug)]
pub struct TooShort {
    sent: u64,
    len: u64,
}

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the sender of request_body closed after {} of the {} bytes of body_len: send them all, or \
             set body_len to 0 if the length is not known before",
            self.sent, self.len
        )
    }
}

impl std::error::Error for TooShort {}

impl RequestBody {
    fn new(rx: BytesReceiver, len: Option<u64>) -> RequestBody {
        RequestBody {
            rx: Mutex::new(rx),
            len,
            left: len,
            ended: None,
        }
    }

    /// The body ends with an error when the answer is dropped.
    pub fn until_dropped(&mut self) -> oneshot::Sender<()> {
        let (send, receive) = oneshot::channel();
        self.ended = Some(receive);
        send
    }

    pub fn len(&self) -> Option<u64> {
        self.len
    }

    pub fn into_receiver(self) -> BytesReceiver {
        let into = self.rx.into_inner();
        into.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(ended) = &mut this.ended {
            if Pin::new(ended).poll(cx).is_ready() {
                return Poll::Ready(Some(Err("the request has ended".into())));
            }
        }
        let mut rx = Pin::new(lock_mut(&mut this.rx));
        let part = match ready!(rx.as_mut().poll_fill_buf(cx)) {
            Ok(part) => part,
            Err(e) => return Poll::Ready(Some(Err(e.into()))),
        };
        // What is longer than announced is not sent.
        let left = this.left.unwrap_or(u64::MAX);
        let n = part.len().min(left.try_into().unwrap_or(usize::MAX));
        if n == 0 {
            return Poll::Ready(match (this.len, this.left) {
                (Some(len), Some(left)) if left > 0 => {
                    let sent = len - left;
                    Some(Err(TooShort { sent, len }.into()))
                }
                _ => None,
            });
        }
        let sent = Bytes::copy_from_slice(&part[..n]);
        rx.consume(n);
        this.left = this.left.map(|left| left - n as u64);
        Poll::Ready(Some(Ok(Frame::data(sent))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// Passes the body of a response to the channel.
pub async fn send_body(
    client: &Client,
    response: &mut Response,
    tx: &mut BytesSender,
    max_body: usize,
) -> Result<(), Outcome> {
    let refused = |error: Error| match error.code() {
        ECLOSED => Outcome::error(ECLOSED, "the receiver of response_body is closed"),
        code => Outcome::error(code as Res, error.to_string()),
    };
    let mut left = max_body;
    loop {
        let read = client.in_read_time(response.chunk()).await?;
        let Some(piece) = read.map_err(|e| body_failure(&e))? else {
            return Ok(());
        };
        left = left
            .checked_sub(piece.len())
            .ok_or_else(|| too_large(max_body))?;
        for message in piece.chunks(tx.max_len().max(1)) {
            tx.send(message).await.map_err(refused)?;
        }
    }
}
