// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sending end of a channel of values.

use std::ffi::c_void;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::ptr;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use futures_sink::Sink;

use super::Kind;
use crate::ends::guest::{closed, Guest, Waiting, Waits};
use crate::ends::nanoseconds;
use crate::error::Error;
use crate::host::wake_guests;
use crate::sys::ends::{
    nart__send_slow, nart__try_send_slow, nart_send_blocking, nart_tx_capacity, nart_tx_clone,
    nart_tx_close, nart_tx_is_closed, nart_tx_len, NartTx,
};
use crate::sys::{Poll as CPoll, ECLOSED, EFORK};

/// The sending end of a channel of values, and a [`Sink`] for them.
///
/// As a sink it keeps one value for which there was no room; a flush, and every other way to send,
/// sends that one first.
///
/// Cancel safe: a future that is dropped has sent its value, or nothing.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let (mut tx, mut rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
/// # let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # tokio.block_on(async {
/// use futures_sink::Sink;
/// # use std::{future::poll_fn, pin::Pin};
///
/// poll_fn(|cx| Pin::new(&mut tx).poll_ready(cx)).await?;
/// Pin::new(&mut tx).start_send(1)?;
/// poll_fn(|cx| Pin::new(&mut tx).poll_close(cx)).await?;
/// assert_eq!((rx.recv().await?, rx.recv().await?), (Some(1), None));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Sender<T> {
    end: Guest<NartTx>,
    /// Accepted by the sink, and not sent yet.
    kept: Option<T>,
}

impl<T: Copy + Send> Sender<T> {
    /// Takes over a sender of C, which may be used by any one thread; `*tx` becomes closed. On an
    /// error it is unchanged.
    ///
    /// # Errors
    /// `-EINVAL` NULL, values of another size than `T`, or a local channel; `NART_ECLOSED` it is
    /// closed; `-EBUSY` a task waits in it; `-ENOMEM`.
    ///
    /// # Safety
    /// `tx` is NULL, or a sender that this thread may use. Its receiver takes the values for a type as
    /// which a `T` is valid.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::channel::{NartTx, Sender};
    ///
    /// /// Sends the squares of 0 to n - 1 from a thread of its own.
    /// #[no_mangle]
    /// pub unsafe extern "C" fn my_squares(tx: *mut NartTx, n: u64) -> i64 {
    ///     // SAFETY: C passes an open sender of uint64_t.
    ///     let mut tx = match unsafe { Sender::<u64>::from_c(tx) } {
    ///         Ok(tx) => tx,
    ///         Err(error) => return error.code(),
    ///     };
    ///     std::thread::spawn(move || (0..n).try_for_each(|i| tx.send_blocking(i * i, None)));
    ///     0
    /// }
    /// ```
    pub unsafe fn from_c(tx: *mut NartTx) -> Result<Sender<T>, Error> {
        // SAFETY: the caller's promise.
        unsafe {
            const INVALID: Error = Error::errno(libc::EINVAL);
            let kind = Kind(tx.as_ref().ok_or(INVALID)?.kind);
            if (*tx).ring.is_null() {
                return Err(Error::of(ECLOSED));
            }
            if !kind.may_cross() || !kind.is_of::<T>() {
                return Err(INVALID);
            }
            if (*tx).is_awaited() {
                return Err(Error::errno(libc::EBUSY));
            }
            Ok(Sender {
                end: Guest::new(tx)?,
                kept: None,
            })
        }
    }

    /// Returns the end to C, which closes it. A value that the sink has kept is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
    /// let mut for_c = tx.into_c();
    /// # // SAFETY: made above.
    /// # drop((rx, unsafe { nart_tokio::channel::Sender::<u32>::from_c(&mut for_c) }?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_c(self) -> NartTx {
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
    pub fn try_clone(&self) -> Result<Sender<T>, Error> {
        if self.end.is_forked() {
            return Err(Error::of(EFORK));
        }
        let mut tx = closed();
        // SAFETY: the end's own handle; a sender that could not be taken over is closed.
        unsafe {
            Error::check(nart_tx_clone(self.end.handle(), &mut tx))?;
            let sender = Sender::from_c(&mut tx);
            nart_tx_close(&mut tx);
            sender
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, value: &T) -> Poll<Result<(), Error>> {
        let (from, n) = (ptr::from_ref(value).cast::<c_void>(), size_of::<T>());
        wake_guests();
        // SAFETY: the end's own handle, inside a poll; the value has n bytes.
        let wait = |poll: CPoll, tx| unsafe { nart__send_slow(poll.count(), tx, from, n) };
        // SAFETY: as above.
        let now = |tx| unsafe { nart__try_send_slow(tx, from, n) };
        Poll::Ready(Error::check(ready!(self.end.poll(cx, now, wait))))
    }

    /// Sends the value that the sink has kept.
    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(value) = self.kept {
            let sent = ready!(self.poll_send(cx, &value));
            self.kept = None;
            sent?;
        }
        Poll::Ready(Ok(()))
    }

    /// The same, without waiting.
    fn try_kept(&mut self) -> Result<(), Error> {
        if let Some(value) = self.kept {
            self.try_one(&value)?;
            self.kept = None;
        }
        Ok(())
    }

    fn try_one(&mut self, value: &T) -> Result<(), Error> {
        let tx = self.end.idle()?;
        let value = ptr::from_ref(value).cast();
        wake_guests();
        // SAFETY: the end's own handle; the value has that size.
        Error::check(unsafe { nart__try_send_slow(tx, value, size_of::<T>()) })
    }

    /// Sends a value; waits for a free slot.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `is_closed()` the receiver has closed; `NART_EFORK`. The value was not sent.
    ///
    /// # Examples
    ///
    /// See [`spsc`](super::spsc).
    pub async fn send(&mut self, value: T) -> Result<(), Error> {
        let waiting = Waiting(self);
        poll_fn(|cx| {
            ready!(waiting.0.poll_kept(cx))?;
            waiting.0.poll_send(cx, &value)
        })
        .await
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// `is_would_block()` the channel is full, or other senders wait; otherwise as
    /// [`send`](Sender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, _rx) = unsafe { nart_tokio::channel::spsc(event_loop.rt(), 1) }?;
    /// tx.try_send('a')?;
    /// assert!(tx.try_send('b').unwrap_err().is_would_block());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_send(&mut self, value: T) -> Result<(), Error> {
        self.try_kept()?;
        self.try_one(&value)
    }

    /// Blocks this thread until a slot is free, for at most `timeout`, and sends. Not for use in a
    /// future: it blocks its executor.
    ///
    /// # Errors
    /// `is_timeout()`; otherwise as [`send`](Sender::send).
    ///
    /// # Examples
    ///
    /// See [`mpsc`](super::mpsc).
    pub fn send_blocking(&mut self, value: T, timeout: Option<Duration>) -> Result<(), Error> {
        let tx = self.end.idle()?;
        // SAFETY: the end's own handle; from_c() has compared the sizes.
        let send = |value: &T| unsafe {
            let value = ptr::from_ref(value).cast();
            Error::check(nart_send_blocking(tx, value, nanoseconds(timeout)))
        };
        if let Some(kept) = self.kept {
            send(&kept)?;
            self.kept = None;
        }
        send(&value)
    }

    /// Leaves the queue of waiting senders, if a poll of the sink is not repeated: until then the
    /// other senders of the channel may wait behind it. A dropped [`send`](Sender::send) does this
    /// by itself. A value that the sink has kept stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// # use std::pin::Pin;
    /// # use std::task::{Context, Waker};
    /// use futures_sink::Sink;
    ///
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, mut rx) = unsafe { nart_tokio::channel::mpsc(event_loop.rt(), 1) }?;
    /// let mut other = tx.try_clone()?;
    /// other.try_send(1)?;
    /// Pin::new(&mut tx).start_send(2)?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(Pin::new(&mut tx).poll_flush(&mut cx).is_pending());
    /// tx.abort_send();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// other.try_send(3)?; // not behind it
    /// tx.try_send(4).unwrap_err(); // 2 is still the first that it sends
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort_send(&mut self) {
        self.end.withdraw();
    }
}

impl<T> Sender<T> {
    /// Whether the receiver has closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_closed(&self) -> bool {
        // SAFETY: the end's own handle.
        unsafe { nart_tx_is_closed(self.end.handle()) }
    }

    /// The number of values that fit. 0 after the sink was closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
    /// assert_eq!(tx.capacity(), 16);
    /// # drop(rx);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity(&self) -> usize {
        // SAFETY: the end's own handle.
        unsafe { nart_tx_capacity(self.end.handle()) }
    }

    /// The number of values in the channel; it may change at any time.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
    /// tx.try_send(1)?;
    /// assert_eq!(tx.len(), 1);
    /// # drop(rx);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        // SAFETY: the end's own handle.
        unsafe { nart_tx_len(self.end.handle()) }
    }

    /// Whether the channel is empty; it may change at any time.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
    /// assert!(tx.is_empty());
    /// # drop((tx, rx));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Waits for Sender<T> {
    fn withdraw(&mut self) {
        self.end.withdraw();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T: Copy + Send + Unpin> Sink<T> for Sender<T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_kept(cx)
    }

    fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), Error> {
        let this = self.get_mut();
        assert!(
            this.kept.is_none(),
            "start_send() before poll_ready() was ready"
        );
        match this.try_one(&value) {
            Err(error) if error.is_would_block() => {
                this.kept = Some(value);
                Ok(())
            }
            sent => sent,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_kept(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        ready!(this.poll_kept(cx))?;
        let tx = this.end.idle()?;
        // SAFETY: the end's own handle.
        unsafe { nart_tx_close(tx) };
        Poll::Ready(Ok(()))
    }
}
