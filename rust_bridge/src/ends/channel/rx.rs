// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiving end of a channel of values.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::Kind;
use crate::ends::guest::{Guest, Waiting, Waits};
use crate::ends::nanoseconds;
use crate::error::Error;
use crate::sys::ends::{
    nart__recv_slow, nart__try_recv_slow, nart_recv_blocking, nart_rx_bind, nart_rx_is_closed,
    nart_rx_len, nart_rx_shut, NartRx,
};
use crate::sys::{Poll as CPoll, Res, ECLOSED};

/// The receiving end of a channel of values, and a [`Stream`] of them.
///
/// Cancel safe: a future that is dropped takes no value.
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
/// use futures_core::Stream;
/// # use std::pin::Pin;
///
/// tx.send(1).await?;
/// let next = std::future::poll_fn(|cx| Pin::new(&mut rx).poll_next(cx)).await;
/// assert_eq!(next, Some(Ok(1)));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Receiver<T> {
    end: Guest<NartRx>,
    values: PhantomData<fn() -> T>,
}

impl<T: Copy + Send> Receiver<T> {
    /// Takes over a receiver of C; `*rx` becomes closed. On an error it is unchanged, or still open
    /// and bound to no runtime.
    ///
    /// The receiver is bound to no runtime from then on, as by `nart_rx_bind(rx, NULL)`. So call
    /// this on the thread of its runtime, or unbind it there before. It may then be used by any one
    /// thread.
    ///
    /// # Errors
    /// `NART_ECLOSED` it is closed; `-EINVAL` NULL, values of another size than `T`, a local
    /// channel, or a `SPINNING` one, whose senders do not wake anybody; `NART_EWRONGTHREAD` it is
    /// bound to the runtime of another thread; `-EBUSY` a task waits in it; `NART_EFORK`;
    /// `-ENOMEM`.
    ///
    /// # Safety
    /// `rx` is NULL, or a receiver that this thread may use. The values are of type `T`.
    ///
    /// # Examples
    ///
    /// See [the module](crate::channel).
    pub unsafe fn from_c(rx: *mut NartRx) -> Result<Receiver<T>, Error> {
        // SAFETY: the caller's promise.
        unsafe {
            const INVALID: Error = Error::errno(libc::EINVAL);
            let kind = Kind(rx.as_ref().ok_or(INVALID)?.kind);
            if !(*rx).ring.is_null() && (kind.is_spinning() || !kind.is_of::<T>()) {
                return Err(INVALID);
            }
            Error::check(nart_rx_bind(rx, ptr::null_mut()))?;
            Ok(Receiver {
                end: Guest::new(rx)?,
                values: PhantomData,
            })
        }
    }

    /// Returns the end to C, which binds it to a runtime with `nart_rx_bind()` and closes it.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// use nart_tokio::channel::{spsc, NartRx, Receiver};
    ///
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { spsc::<u32>(event_loop.rt(), 16) }?;
    /// let mut for_c: NartRx = rx.into_c();
    /// # // SAFETY: made above.
    /// # drop((tx, unsafe { Receiver::<u32>::from_c(&mut for_c) }?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(self) -> NartRx {
        self.end.into_handle()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>, Error>> {
        let mut value = MaybeUninit::<T>::uninit();
        let (to, n) = (value.as_mut_ptr().cast(), size_of::<T>());
        // SAFETY: the end's own handle, inside a poll; the value has n bytes.
        let wait = |poll: CPoll, rx| unsafe { nart__recv_slow(poll.count(), rx, to, n) };
        // SAFETY: as above.
        let now = |rx| unsafe { nart__try_recv_slow(rx, to, n) };
        let res = ready!(self.end.poll(cx, now, wait));
        // SAFETY: C has written the value if it answers 0.
        Poll::Ready(unsafe { received(res, value) })
    }

    /// Waits for the next value. `None`: all senders have closed, or this end has been
    /// [closed](Receiver::close), and every value has been received.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// See [`spsc`](super::spsc).
    pub async fn recv(&mut self) -> Result<Option<T>, Error> {
        let waiting = Waiting(self);
        poll_fn(|cx| waiting.0.poll_recv(cx)).await
    }

    /// Receives without waiting.
    ///
    /// # Errors
    /// `is_would_block()` there is no value; `is_closed()`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, mut rx) = unsafe { nart_tokio::channel::spsc::<u8>(event_loop.rt(), 16) }?;
    /// assert!(rx.try_recv().unwrap_err().is_would_block());
    /// drop(tx);
    /// assert!(rx.try_recv().unwrap_err().is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_recv(&mut self) -> Result<T, Error> {
        let rx = self.end.idle()?;
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the end's own handle; the value has that size, and is written if the answer is 0.
        unsafe {
            Error::check(nart__try_recv_slow(
                rx,
                value.as_mut_ptr().cast(),
                size_of::<T>(),
            ))?;
            Ok(value.assume_init())
        }
    }

    /// Blocks this thread until a value is there, for at most `timeout`. `None`: as
    /// [`recv`](Receiver::recv). Not for use in a future: it blocks its executor.
    ///
    /// # Errors
    /// `is_timeout()`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// See [`mpsc`](super::mpsc).
    pub fn recv_blocking(&mut self, timeout: Option<Duration>) -> Result<Option<T>, Error> {
        let rx = self.end.idle()?;
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: as in try_recv(); from_c() has compared the sizes.
        unsafe {
            let res = nart_recv_blocking(rx, value.as_mut_ptr().cast(), nanoseconds(timeout));
            received(res, value)
        }
    }

    /// Refuses new values. Those that were sent can still be received; then `recv` returns `None`.
    /// No value is lost in this way.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (mut tx, mut rx) = unsafe { nart_tokio::channel::mpsc(event_loop.rt(), 16) }?;
    /// tx.try_send(1)?;
    /// rx.close();
    /// assert!(tx.try_send(2).unwrap_err().is_closed());
    /// assert_eq!(rx.recv_blocking(None)?, Some(1));
    /// assert_eq!(rx.recv_blocking(None)?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&mut self) {
        if let Ok(rx) = self.end.idle() {
            // SAFETY: the end's own handle.
            unsafe { nart_rx_shut(rx) }
        }
    }
}

impl<T> Receiver<T> {
    /// Whether all senders have closed. Values may be left.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::channel::spsc::<u32>(event_loop.rt(), 16) }?;
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SAFETY: the end's own handle.
        unsafe { nart_rx_is_closed(self.end.handle()) }
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
    /// assert_eq!(rx.len(), 1);
    /// # drop(rx);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        // SAFETY: the end's own handle.
        unsafe { nart_rx_len(self.end.handle()) }
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
    /// assert!(rx.is_empty());
    /// # drop((tx, rx));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// # Safety
/// The value was written if `res` is 0.
unsafe fn received<T>(res: Res, value: MaybeUninit<T>) -> Result<Option<T>, Error> {
    match res {
        ECLOSED => Ok(None),
        // SAFETY: the caller's promise.
        res => Error::check(res).map(|()| Some(unsafe { value.assume_init() })),
    }
}

impl<T> Waits for Receiver<T> {
    fn withdraw(&mut self) {
        self.end.withdraw();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T: Copy + Send> Stream for Receiver<T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(cx).map(Result::transpose)
    }
}
