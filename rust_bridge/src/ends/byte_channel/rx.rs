// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiving end of a channel of bytes.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::ptr;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use crate::ends::guest::{Guest, Waiting, Waits};
use crate::ends::nanoseconds;
use crate::error::Error;
use crate::sys::ends::{
    nart__bytes_recv_slow, nart__bytes_release_call, nart__bytes_try_recv_slow,
    nart_bytes_recv_blocking, nart_bytes_rx_bind, nart_bytes_rx_is_closed, nart_bytes_rx_shut,
    NartBytesRx, Slice,
};
use crate::sys::{Poll as CPoll, Res, ECLOSED};

/// The receiving end of a channel of bytes.
///
/// It is a [`Stream`] of copied messages; an [`AsyncRead`], in which messages follow each other
/// without boundaries; and an [`AsyncBufRead`] without a copy. All of them, and
/// [`recv`](BytesReceiver::recv), take from the same channel: after a message was read in part,
/// `recv` returns the rest of it.
///
/// Cancel safe: a future that is dropped takes no message.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let (mut tx, mut rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
/// # let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # tokio.block_on(async {
/// use tokio::io::AsyncRead;
/// # use std::pin::Pin;
///
/// tx.send(b"one").await?;
/// let mut buffer = [0; 2];
/// let mut part = tokio::io::ReadBuf::new(&mut buffer);
/// std::future::poll_fn(|cx| Pin::new(&mut rx).poll_read(cx, &mut part)).await.unwrap();
/// assert_eq!(part.filled(), b"on");
/// let rest = rx.recv().await?;
/// assert_eq!(rest.as_deref(), Some(&b"e"[..]));
/// # drop(rest);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct BytesReceiver {
    end: Guest<NartBytesRx>,
    /// The message that has not been released; empty: none.
    held: Slice,
    /// The number of its bytes that were read.
    read: usize,
}

// SAFETY: the message belongs to the end until its release; any one thread may use it.
unsafe impl Send for BytesReceiver {}

impl BytesReceiver {
    /// Takes over a receiver of C; `*rx` becomes closed. On an error it is unchanged, or still open
    /// and bound to no runtime.
    ///
    /// The receiver is bound to no runtime from then on, as by `nart_bytes_rx_bind(rx, NULL)`. So
    /// call this on the thread of its runtime, or unbind it there before. It may then be used by
    /// any one thread.
    ///
    /// # Errors
    /// `NART_ECLOSED` it is closed; `NART_EWRONGTHREAD` it is bound to the runtime of another
    /// thread; `-EBUSY` a task waits in it, or it holds a message; `-EINVAL` NULL, or a `SPINNING`
    /// channel, whose senders do not wake anybody; `NART_EFORK`; `-ENOMEM`.
    ///
    /// # Safety
    /// `rx` is NULL, or a receiver that this thread may use.
    ///
    /// # Examples
    ///
    /// See [the module](crate::byte_channel).
    pub unsafe fn from_c(rx: *mut NartBytesRx) -> Result<BytesReceiver, Error> {
        if rx.is_null() {
            return Err(Error::errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise; an open receiver has a ring.
        unsafe {
            Error::check(nart_bytes_rx_bind(rx, ptr::null_mut()))?;
            if (*(*rx).ring).spinning != 0 {
                return Err(Error::errno(libc::EINVAL));
            }
            if !(*rx).held.is_null() {
                return Err(Error::errno(libc::EBUSY));
            }
            Ok(BytesReceiver {
                end: Guest::new(rx)?,
                held: Slice::EMPTY,
                read: 0,
            })
        }
    }

    /// Returns the end to C, which binds it to a runtime with `nart_bytes_rx_bind()` and closes it.
    /// The rest of a message that was read in part is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// use nart_tokio::byte_channel::{spsc, BytesReceiver, NartBytesRx};
    ///
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { spsc(event_loop.rt(), 4096, 0) }?;
    /// let mut for_c: NartBytesRx = rx.into_c();
    /// # // SAFETY: made above.
    /// # drop((tx, unsafe { BytesReceiver::from_c(&mut for_c) }?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(mut self) -> NartBytesRx {
        self.release();
        let BytesReceiver { end, .. } = self;
        end.into_handle()
    }

    /// The length of the longest message.
    #[cfg(feature = "ws")]
    pub(crate) fn max_len(&self) -> usize {
        // SAFETY: the end is open until it is dropped, and this part of a ring does not change.
        unsafe { (*(*self.end.handle()).ring).max_len as usize }
    }

    fn release(&mut self) {
        if !self.held.ptr.is_null() {
            // SAFETY: the message that this end holds.
            unsafe { nart__bytes_release_call(self.end.handle(), &mut self.held) };
        }
        self.read = 0;
    }

    /// The unread rest of the message, if one is held.
    fn rest(&self) -> &[u8] {
        match self.held.ptr.is_null() {
            true => &[],
            // SAFETY: C promises these bytes until the release, which needs &mut self.
            false => unsafe {
                std::slice::from_raw_parts(self.held.ptr, self.held.len).get_unchecked(self.read..)
            },
        }
    }

    /// Sees to it that a message is held, unless a part of one is left. False: the channel is
    /// closed.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if !self.rest().is_empty() {
            return Poll::Ready(Ok(true));
        }
        self.release();
        let held = &raw mut self.held;
        // SAFETY: the end's own handle, inside a poll.
        let wait = |poll: CPoll, rx| unsafe { nart__bytes_recv_slow(poll.count(), rx, held) };
        // SAFETY: the end's own handle.
        let now = |rx| unsafe { nart__bytes_try_recv_slow(rx, held) };
        Poll::Ready(received(ready!(self.end.poll(cx, now, wait))))
    }

    /// The same, for a part that is not empty.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while ready!(self.poll_message(cx))? {
            if !self.rest().is_empty() {
                return Poll::Ready(Ok(true));
            }
        }
        Poll::Ready(Ok(false))
    }

    /// Waits for the next message. `None`: all senders have closed, or this end has been
    /// [closed](BytesReceiver::close), and every message has been received.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// See [`spsc`](super::spsc).
    pub async fn recv(&mut self) -> Result<Option<Message<'_>>, Error> {
        let waiting = Waiting(&mut *self);
        let found = poll_fn(|cx| waiting.0.poll_message(cx)).await?;
        drop(waiting);
        Ok(found.then(|| Message::of(self)))
    }

    /// Receives without waiting.
    ///
    /// # Errors
    /// `is_would_block()` there is no message; `is_closed()`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, mut rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
    /// assert!(rx.try_recv().unwrap_err().is_would_block());
    /// drop(tx);
    /// assert!(rx.try_recv().unwrap_err().is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_recv(&mut self) -> Result<Message<'_>, Error> {
        let rx = self.end.idle()?;
        if self.rest().is_empty() {
            self.release();
            // SAFETY: the end's own handle.
            Error::check(unsafe { nart__bytes_try_recv_slow(rx, &mut self.held) })?;
        }
        Ok(Message::of(self))
    }

    /// Blocks this thread until a message is there, for at most `timeout`. `None`: as
    /// [`recv`](BytesReceiver::recv). Not for use in a future: it blocks its executor.
    ///
    /// # Errors
    /// `is_timeout()`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, mut rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
    /// let reader = std::thread::spawn(move || {
    ///     let message = rx.recv_blocking(None)?;
    ///     Ok::<usize, nart_tokio::Error>(message.map_or(0, |m| m.len()))
    /// });
    /// tx.send_blocking(b"hello", None)?;
    /// assert_eq!(reader.join().unwrap()?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_blocking(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<Option<Message<'_>>, Error> {
        let rx = self.end.idle()?;
        let mut found = true;
        if self.rest().is_empty() {
            self.release();
            let ns = nanoseconds(timeout);
            // SAFETY: the end's own handle.
            found = received(unsafe { nart_bytes_recv_blocking(rx, &mut self.held, ns) })?;
        }
        Ok(found.then(|| Message::of(self)))
    }

    /// Refuses new messages. Those that were sent can still be received; then `recv` returns
    /// `None`. No message is lost in this way.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, mut rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
    /// tx.try_send(b"one")?;
    /// rx.close();
    /// assert!(tx.try_send(b"two").unwrap_err().is_closed());
    /// assert_eq!(rx.recv_blocking(None)?.as_deref(), Some(&b"one"[..]));
    /// assert!(rx.recv_blocking(None)?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&mut self) {
        if let Ok(rx) = self.end.idle() {
            // SAFETY: the end's own handle.
            unsafe { nart_bytes_rx_shut(rx) }
        }
    }

    /// Whether all senders have closed. Messages may be left.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
    /// assert!(!rx.is_closed());
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SAFETY: the end's own handle.
        unsafe { nart_bytes_rx_is_closed(self.end.handle()) }
    }
}

fn received(res: Res) -> Result<bool, Error> {
    match res {
        ECLOSED => Ok(false),
        res => Error::check(res).map(|()| true),
    }
}

impl Waits for BytesReceiver {
    fn withdraw(&mut self) {
        self.end.withdraw();
    }
}

impl fmt::Debug for BytesReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesReceiver")
            .field("rest", &self.rest().len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Stream for BytesReceiver {
    type Item = Result<Vec<u8>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let found = ready!(this.poll_message(cx));
        Poll::Ready(match found {
            Ok(true) => Some(Ok(Message::of(this).to_vec())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl AsyncRead for BytesReceiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 || !ready!(this.poll_part(cx))? {
            return Poll::Ready(Ok(()));
        }
        let n = buf.remaining().min(this.rest().len());
        buf.put_slice(&this.rest()[..n]);
        this.skip(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for BytesReceiver {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_part(cx))?;
        Poll::Ready(Ok(this.rest()))
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        self.get_mut().skip(n);
    }
}

impl BytesReceiver {
    /// `n` bytes of the rest were read. A message is released with its last byte.
    fn skip(&mut self, n: usize) {
        assert!(n <= self.rest().len(), "more was consumed than was there");
        self.read += n;
        if self.rest().is_empty() {
            self.release();
        }
    }
}

/// A received message, read in place. Dropping it frees its room in the channel.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let (mut tx, mut rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
/// tx.try_send(b"one")?;
/// let message = rx.try_recv()?;
/// assert!(message.starts_with(b"o"));
/// let copy: Vec<u8> = message.to_vec();
/// # assert_eq!(copy, b"one");
/// # drop(message);
/// # Ok(())
/// # }
/// ```
pub struct Message<'a> {
    rx: &'a mut BytesReceiver,
    /// Where it begins: it counts as read, also if the guard is leaked.
    from: usize,
}

impl<'a> Message<'a> {
    fn of(rx: &'a mut BytesReceiver) -> Message<'a> {
        let from = std::mem::replace(&mut rx.read, rx.held.len);
        Message { rx, from }
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let held = &self.rx.held;
        // SAFETY: C promises these bytes until the release, in drop().
        unsafe { &std::slice::from_raw_parts(held.ptr, held.len)[self.from..] }
    }
}

impl AsRef<[u8]> for Message<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&&**self).finish()
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        self.rx.release();
    }
}
