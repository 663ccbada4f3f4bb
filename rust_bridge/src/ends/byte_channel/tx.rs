// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sending end of a channel of bytes.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;

use crate::ends::guest::{closed, Guest, Waiting, Waits};
use crate::ends::nanoseconds;
use crate::error::Error;
use crate::host::wake_guests;
use crate::sys::ends::{
    nart__bytes_claim_slow, nart__bytes_commit_call, nart__bytes_try_claim_slow,
    nart_bytes_claim_blocking, nart_bytes_max_len, nart_bytes_tx_clone, nart_bytes_tx_close,
    nart_bytes_tx_is_closed, NartBytesTx, Slice,
};
use crate::sys::{Poll as CPoll, Res, ECLOSED, EFORK};

/// The sending end of a channel of bytes.
///
/// As an [`AsyncWrite`], each write sends one message of at most
/// [`max_len`](BytesSender::max_len) bytes, and waits for room; a flush has nothing to do, and a
/// shutdown closes the end.
///
/// Cancel safe: a future that is dropped has sent its whole message, or nothing.
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
/// use tokio::io::AsyncWrite;
/// # use std::pin::Pin;
///
/// let n = std::future::poll_fn(|cx| Pin::new(&mut tx).poll_write(cx, b"one")).await.unwrap();
/// assert_eq!(n, 3);
/// let message = rx.recv().await?;
/// assert_eq!(message.as_deref(), Some(&b"one"[..]));
/// # drop(message);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct BytesSender {
    end: Guest<NartBytesTx>,
}

impl BytesSender {
    /// Takes over a sender of C, which may be used by any one thread; `*tx` becomes closed. On an
    /// error it is unchanged.
    ///
    /// # Errors
    /// `-EINVAL` NULL; `NART_ECLOSED` it is closed, or the receiver is; `-EBUSY` a task waits in it, or it
    /// has an open claim; `-ENOMEM`.
    ///
    /// # Safety
    /// `tx` is NULL, or a sender that this thread may use.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::byte_channel::{BytesSender, NartBytesTx};
    ///
    /// /// Sends the lines of a file, from a thread of its own.
    /// #[no_mangle]
    /// pub unsafe extern "C" fn my_lines(tx: *mut NartBytesTx) -> i64 {
    ///     // SAFETY: C passes an open sender.
    ///     let mut tx = match unsafe { BytesSender::from_c(tx) } {
    ///         Ok(tx) => tx,
    ///         Err(error) => return error.code(),
    ///     };
    ///     std::thread::spawn(move || {
    ///         for line in std::fs::read_to_string("lines").unwrap_or_default().lines() {
    ///             if tx.send_blocking(line.as_bytes(), None).is_err() {
    ///                 break;
    ///             }
    ///         }
    ///     });
    ///     0
    /// }
    /// ```
    pub unsafe fn from_c(tx: *mut NartBytesTx) -> Result<BytesSender, Error> {
        if tx.is_null() {
            return Err(Error::errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise. An open channel has room for messages of some length.
        unsafe {
            if nart_bytes_max_len(tx) == 0 || nart_bytes_tx_is_closed(tx) {
                return Err(Error::of(ECLOSED));
            }
            if (*tx).is_awaited() || (*tx).size != 0 {
                return Err(Error::errno(libc::EBUSY));
            }
            Ok(BytesSender {
                end: Guest::new(tx)?,
            })
        }
    }

    /// Returns the end to C, which closes it.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
    /// let mut for_c = tx.into_c();
    /// # // SAFETY: made above.
    /// # drop((rx, unsafe { nart_tokio::byte_channel::BytesSender::from_c(&mut for_c) }?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(self) -> NartBytesTx {
        self.end.into_handle()
    }

    /// Another sender of the same channel.
    ///
    /// # Errors
    /// `-EINVAL` the channel has one sender only; `is_closed()`; `-ENOMEM`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// See [`mpsc`](super::mpsc).
    pub fn try_clone(&self) -> Result<BytesSender, Error> {
        if self.end.is_forked() {
            return Err(Error::of(EFORK));
        }
        let mut tx = closed();
        // SAFETY: the end's own handle; a sender that could not be taken over is closed.
        unsafe {
            Error::check(nart_bytes_tx_clone(self.end.handle(), &mut tx))?;
            let sender = BytesSender::from_c(&mut tx);
            nart_bytes_tx_close(&mut tx);
            sender
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, parts: [&[u8]; 2]) -> Poll<Result<(), Error>> {
        let mut room = Slice::EMPTY;
        let (buf, n) = (&raw mut room, parts[0].len() + parts[1].len());
        // SAFETY: the end's own handle, inside a poll.
        let wait = |poll: CPoll, tx| unsafe { nart__bytes_claim_slow(poll.count(), tx, n, buf) };
        // SAFETY: the end's own handle.
        let now = |tx| unsafe { nart__bytes_try_claim_slow(tx, n, buf) };
        let res = ready!(self.end.poll(cx, now, wait));
        Poll::Ready(self.fill(res, room, parts))
    }

    /// After a claim: sends the message.
    fn fill(&mut self, claimed: Res, mut room: Slice, parts: [&[u8]; 2]) -> Result<(), Error> {
        Error::check(claimed)?;
        let [one, two] = parts;
        wake_guests();
        // SAFETY: C has reserved as many bytes there.
        unsafe {
            ptr::copy_nonoverlapping(one.as_ptr(), room.ptr, one.len());
            ptr::copy_nonoverlapping(two.as_ptr(), room.ptr.add(one.len()), two.len());
            Error::check(nart__bytes_commit_call(self.end.handle(), &mut room))
        }
    }

    /// Sends a message; waits for room.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `-EMSGSIZE` longer than [`max_len`](BytesSender::max_len); `is_closed()` the receiver has
    /// closed; `NART_EFORK`. Nothing was sent.
    ///
    /// # Examples
    ///
    /// See [`spsc`](super::spsc).
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let waiting = Waiting(self);
        poll_fn(|cx| waiting.0.poll_send(cx, [message, &[]])).await
    }

    /// The same for a message that consists of two parts.
    #[cfg(feature = "ws")]
    pub(crate) async fn send_parts(&mut self, parts: [&[u8]; 2]) -> Result<(), Error> {
        let waiting = Waiting(self);
        poll_fn(|cx| waiting.0.poll_send(cx, parts)).await
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// `is_would_block()` no room, or other senders wait; otherwise as [`send`](BytesSender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, _rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 64, 64) }?;
    /// tx.try_send(&[0; 64])?;
    /// assert!(tx.try_send(b"no room").unwrap_err().is_would_block());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_send(&mut self, message: &[u8]) -> Result<(), Error> {
        let tx = self.end.idle()?;
        let mut room = Slice::EMPTY;
        // SAFETY: the end's own handle.
        let res = unsafe { nart__bytes_try_claim_slow(tx, message.len(), &mut room) };
        self.fill(res, room, [message, &[]])
    }

    /// Blocks this thread until there is room, for at most `timeout`, and sends. Not for use in a
    /// future: it blocks its executor.
    ///
    /// # Errors
    /// `is_timeout()`; otherwise as [`send`](BytesSender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// # use std::time::Duration;
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, _rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 64, 64) }?;
    /// tx.send_blocking(&[0; 64], None)?;
    /// let soon = Some(Duration::from_millis(1));
    /// assert!(tx.send_blocking(b"no room", soon).unwrap_err().is_timeout());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_blocking(
        &mut self,
        message: &[u8],
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let tx = self.end.idle()?;
        let mut room = Slice::EMPTY;
        let ns = nanoseconds(timeout);
        // SAFETY: the end's own handle.
        let res = unsafe { nart_bytes_claim_blocking(tx, message.len(), &mut room, ns) };
        self.fill(res, room, [message, &[]])
    }

    /// Leaves the queue of waiting senders, if a write that waited for room is not repeated: until
    /// then the other senders of the channel wait behind it. A dropped [`send`](BytesSender::send)
    /// does this by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// # use std::pin::Pin;
    /// # use std::task::{Context, Waker};
    /// use tokio::io::AsyncWrite;
    ///
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, mut rx) = unsafe { nart_tokio::byte_channel::mpsc(event_loop.rt(), 64, 64) }?;
    /// let mut other = tx.try_clone()?;
    /// other.try_send(&[0; 64])?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(Pin::new(&mut tx).poll_write(&mut cx, b"waits").is_pending());
    /// tx.abort_write();
    /// drop(rx.try_recv()?);
    /// other.try_send(b"not behind it")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort_write(&mut self) {
        self.end.withdraw();
    }

    /// The length of the longest message. 0 after a shutdown.
    ///
    /// # Examples
    ///
    /// See [`mpsc`](super::mpsc).
    #[must_use]
    pub fn max_len(&self) -> usize {
        // SAFETY: the end's own handle.
        unsafe { nart_bytes_max_len(self.end.handle()) }
    }

    /// Whether the receiver has closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SAFETY: the end's own handle.
        unsafe { nart_bytes_tx_is_closed(self.end.handle()) }
    }
}

impl Waits for BytesSender {
    fn withdraw(&mut self) {
        self.end.withdraw();
    }
}

impl fmt::Debug for BytesSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesSender")
            .field("max_len", &self.max_len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl AsyncWrite for BytesSender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // After a shutdown the maximum is 0, and sending says that it is closed.
        let n = buf.len().min(this.max_len());
        ready!(this.poll_send(cx, [&buf[..n], &[]]))?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tx = self.get_mut().end.idle()?;
        // SAFETY: the end's own handle.
        unsafe { nart_bytes_tx_close(tx) };
        Poll::Ready(Ok(()))
    }
}
