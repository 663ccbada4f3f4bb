// SPDX-License-Identifier: MIT OR Apache-2.0
//! One value from C to Rust or back (`nart/oneshot.h`), usually the answer to a request.
//!
//! A value is copied: `T` is a plain type, with the layout that C gives it. Dropping an end closes
//! it. An end works without a runtime of tokio, on any executor. In a child of `fork` the operations
//! of an end of the parent return an error of code `NART_EFORK`.
//!
//! # Examples
//!
//! A function of a program by which a C task asks; it awaits the answer with `nart_oneshot_recv()`:
//!
//! ```
//! use nart_tokio::oneshot::{NartOneshotTx, OneshotSender};
//! use nart_tokio::{export, NartTokio, NartTokioOp};
//!
//! /// Answers a uint64_t. On an error `*tx` remains the caller's.
//! #[no_mangle]
//! pub unsafe extern "C" fn my_ask(
//!     rt: *mut NartTokio,
//!     tx: *mut NartOneshotTx,
//!     op: *mut NartTokioOp,
//! ) -> i64 {
//!     // SAFETY: C passes an open sender of uint64_t.
//!     let tx = match unsafe { OneshotSender::<u64>::from_c(tx) } {
//!         Ok(tx) => tx,
//!         Err(error) => return error.code(),
//!     };
//!     let answer = async move {
//!         let _ = tx.send(42); // if the task has gone, nobody wants to know
//!     };
//!     // SAFETY: C passes a live bridge, and an operation that is not open.
//!     unsafe { export(rt, op, || answer) }
//! }
//! ```

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{size_of, MaybeUninit};
use std::pin::Pin;
use std::ptr;
use std::task::{ready, Context, Poll};

use super::guest::{closed, Guest};
use crate::error::Error;
use crate::host::wake_guests;
use crate::sys::ends::{
    nart_oneshot_open, nart_oneshot_recv, nart_oneshot_rx_close, nart_oneshot_send,
    nart_oneshot_try_recv, nart_oneshot_tx_close, nart_oneshot_tx_is_closed,
};
use crate::sys::{Poll as CPoll, Res, Rt, ECLOSED, EDRIVER, EFORK};
use crate::threads::{fork_epoch, watch_forks};

pub use crate::sys::ends::{NartOneshotRx, NartOneshotTx};

/// Opens both ends, for the runtime `rt`, from whose allocator their memory is. Pass one to C with
/// `into_c`.
///
/// # Errors
/// `-EINVAL` no `rt`; `-EOVERFLOW` a `T` above 64 KiB; `-ENOMEM`; `NART_EWRONGTHREAD`, `NART_EFORK`.
///
/// # Safety
/// `rt` is NULL, or a live runtime.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let (tx, rx) = unsafe { nart_tokio::oneshot::open(event_loop.rt()) }?;
/// tx.send(7_u64)?;
/// # let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # tokio.block_on(async {
/// assert_eq!(rx.await, Ok(7));
/// # Ok(())
/// # })
/// # }
/// ```
pub unsafe fn open<T: Copy + Send>(
    rt: *mut Rt,
) -> Result<(OneshotSender<T>, OneshotReceiver<T>), Error> {
    let (mut tx, mut rx) = (OneshotSender::<T>::closed(), closed());
    // SAFETY: the caller's promise. A receiver that could not be taken over is closed here.
    unsafe {
        Error::check(nart_oneshot_open(
            rt,
            size_of::<T>(),
            None,
            &mut tx.end,
            &mut rx,
        ))?;
        let receiver = OneshotReceiver::from_c(&mut rx);
        nart_oneshot_rx_close(&mut rx);
        Ok((tx, receiver?))
    }
}

// ---- sending ----

/// The sender. Dropping it without sending closes it: the receiver is answered `NART_ECLOSED`.
///
/// # Examples
///
/// See [`open`].
pub struct OneshotSender<T> {
    end: NartOneshotTx,
    epoch: u32,
    value: PhantomData<fn(T)>,
}

// SAFETY: it shares a block with the receiver, by atomics; any one thread may use it.
unsafe impl<T: Send> Send for OneshotSender<T> {}

impl<T> OneshotSender<T> {
    fn closed() -> OneshotSender<T> {
        watch_forks();
        OneshotSender {
            end: NartOneshotTx::CLOSED,
            epoch: fork_epoch(),
            value: PhantomData,
        }
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
    /// let (tx, rx) = unsafe { nart_tokio::oneshot::open::<u32>(event_loop.rt()) }?;
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SAFETY: the end's own handle.
        unsafe { nart_oneshot_tx_is_closed(&self.end) }
    }
}

impl<T: Copy + Send> OneshotSender<T> {
    /// Takes over a sender of C; `*tx` becomes closed. On an error it is unchanged.
    ///
    /// # Errors
    /// `-EINVAL` NULL; `NART_ECLOSED` it is closed; `NART_EDRIVER` it is one of linked ends, which
    /// belong to one thread.
    ///
    /// # Safety
    /// `tx` is NULL, or a sender that this thread may use, opened for values of the size of `T`,
    /// which the receiver takes for a type as which a `T` is valid.
    ///
    /// # Examples
    ///
    /// See [the module](crate::oneshot).
    pub unsafe fn from_c(tx: *mut NartOneshotTx) -> Result<OneshotSender<T>, Error> {
        // SAFETY: the caller's promise.
        let tx = unsafe { tx.as_mut() }.ok_or(Error::errno(libc::EINVAL))?;
        if !tx.linked.is_null() {
            return Err(Error::of(EDRIVER));
        }
        if tx.shared.is_null() {
            return Err(Error::of(ECLOSED));
        }
        let mut sender = OneshotSender::closed();
        std::mem::swap(&mut sender.end, tx); // only linked ends are known by their address
        Ok(sender)
    }

    /// Returns the sender to C, which sends or closes it.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::oneshot::open::<u32>(event_loop.rt()) }?;
    /// let mut for_c = tx.into_c();
    /// # // SAFETY: made above.
    /// # drop((rx, unsafe { nart_tokio::oneshot::OneshotSender::<u32>::from_c(&mut for_c) }?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(mut self) -> NartOneshotTx {
        std::mem::replace(&mut self.end, NartOneshotTx::CLOSED)
    }

    /// Sends the value. Never waits.
    ///
    /// # Errors
    /// `is_closed()` the receiver has closed; `NART_EFORK`. The value was not sent.
    ///
    /// # Examples
    ///
    /// See [`open`].
    pub fn send(mut self, value: T) -> Result<(), Error> {
        if self.epoch != fork_epoch() {
            return Err(Error::of(EFORK));
        }
        wake_guests();
        // SAFETY: the end's own handle; the value has the size that it was opened for.
        Error::check(unsafe { nart_oneshot_send(&mut self.end, ptr::from_ref(&value).cast()) })
    }
}

impl<T> Drop for OneshotSender<T> {
    fn drop(&mut self) {
        // SAFETY: the end's own handle, which may be closed already.
        unsafe { nart_oneshot_tx_close(&mut self.end) }
    }
}

impl<T> fmt::Debug for OneshotSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneshotSender")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

// ---- receiving ----

/// The receiver: a future of the value. Its error `is_closed()` if the sender has closed without a
/// value, or the value was received before.
///
/// # Examples
///
/// See [`open`].
pub struct OneshotReceiver<T> {
    end: Guest<NartOneshotRx>,
    value: PhantomData<fn() -> T>,
}

impl<T: Copy + Send> OneshotReceiver<T> {
    /// Takes over a receiver of C; `*rx` becomes closed. On an error it is unchanged.
    ///
    /// # Errors
    /// `-EINVAL` NULL; `NART_ECLOSED` it is closed; `NART_EDRIVER` it is one of linked ends, which
    /// belong to one thread; `-ENOMEM`.
    ///
    /// # Safety
    /// `rx` is NULL, or a receiver that this thread may use, in which no task waits, opened for
    /// values of the size of `T`, which are of type `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::oneshot::{NartOneshotRx, OneshotReceiver};
    /// use nart_tokio::{export, NartTokio, NartTokioOp};
    ///
    /// /// The answer of a C task, plus 1.
    /// #[no_mangle]
    /// pub unsafe extern "C" fn my_next(
    ///     rt: *mut NartTokio,
    ///     rx: *mut NartOneshotRx,
    ///     op: *mut NartTokioOp,
    /// ) -> i64 {
    ///     // SAFETY: C passes an open receiver of int64_t.
    ///     match unsafe { OneshotReceiver::<i64>::from_c(rx) } {
    ///         // SAFETY: C passes a live bridge, and an operation that is not open.
    ///         Ok(rx) => unsafe { export(rt, op, || async { rx.await.map(|n| n + 1) }) },
    ///         Err(error) => error.code(),
    ///     }
    /// }
    /// ```
    pub unsafe fn from_c(rx: *mut NartOneshotRx) -> Result<OneshotReceiver<T>, Error> {
        // SAFETY: the caller's promise.
        unsafe {
            let end = rx.as_ref().ok_or(Error::errno(libc::EINVAL))?;
            if !end.linked.is_null() || end.sent != 0 {
                return Err(Error::of(EDRIVER));
            }
            if end.shared.is_null() {
                return Err(Error::of(ECLOSED));
            }
            Ok(OneshotReceiver {
                end: Guest::new(rx)?,
                value: PhantomData,
            })
        }
    }

    /// Returns the receiver to C, which awaits or closes it.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, rx) = unsafe { nart_tokio::oneshot::open::<u32>(event_loop.rt()) }?;
    /// let mut for_c = rx.into_c();
    /// # // SAFETY: made above.
    /// # drop((tx, unsafe { nart_tokio::oneshot::OneshotReceiver::<u32>::from_c(&mut for_c) }?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(self) -> NartOneshotRx {
        self.end.into_handle()
    }

    /// Receives without waiting.
    ///
    /// # Errors
    /// `is_would_block()` nothing was sent yet; `is_closed()`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// // SAFETY: the runtime of this thread.
    /// let (tx, mut rx) = unsafe { nart_tokio::oneshot::open(event_loop.rt()) }?;
    /// assert!(rx.try_recv().unwrap_err().is_would_block());
    /// tx.send('x')?;
    /// assert_eq!(rx.try_recv(), Ok('x'));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_recv(&mut self) -> Result<T, Error> {
        let rx = self.end.idle()?;
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the end's own handle; C has written the value if it answers 0.
        unsafe { received(nart_oneshot_try_recv(rx, value.as_mut_ptr().cast()), value) }
    }
}

/// # Safety
/// The value was written if `res` is 0.
unsafe fn received<T>(res: Res, value: MaybeUninit<T>) -> Result<T, Error> {
    // SAFETY: the caller's promise.
    Error::check(res).map(|()| unsafe { value.assume_init() })
}

impl<T: Copy + Send> Future for OneshotReceiver<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let this = self.get_mut();
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast();
        // SAFETY: the end's own handle, inside a poll.
        let wait = |poll: CPoll, rx| unsafe { nart_oneshot_recv(poll.cx(), rx, to) };
        // SAFETY: the end's own handle.
        let now = |rx| unsafe { nart_oneshot_try_recv(rx, to) };
        let res = ready!(this.end.poll(cx, now, wait));
        // SAFETY: C has written the value if it answers 0.
        Poll::Ready(unsafe { received(res, value) })
    }
}

impl<T> fmt::Debug for OneshotReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneshotReceiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::ends::guest::tests::{poll, task, wakes, EventLoop};

    fn pair(event_loop: &EventLoop) -> (OneshotSender<u64>, OneshotReceiver<u64>) {
        // SAFETY: the runtime of this thread.
        unsafe { open(event_loop.rt()) }.unwrap()
    }

    #[test]
    fn the_value_wakes_the_task_that_polled_last() {
        let event_loop = EventLoop::new();
        let (tx, rx) = pair(&event_loop);
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut rx = pin!(rx);
        assert!(poll(&first_waker, rx.as_mut()).is_pending());
        assert!(poll(&second_waker, rx.as_mut()).is_pending());
        tx.send(7).unwrap();
        assert_eq!((wakes(&first), wakes(&second)), (0, 1));
        assert_eq!(poll(&second_waker, rx.as_mut()), Poll::Ready(Ok(7)));
        assert_eq!(
            poll(&second_waker, rx).map(|r| r.unwrap_err().is_closed()),
            Poll::Ready(true)
        );
    }

    #[test]
    fn the_end_of_a_side() {
        let event_loop = EventLoop::new();
        let (counts, waker) = task();
        let (tx, rx) = pair(&event_loop);
        let mut rx = pin!(rx);
        assert!(poll(&waker, rx.as_mut()).is_pending());
        drop(tx);
        assert_eq!(wakes(&counts), 1);
        assert_eq!(
            poll(&waker, rx).map(|r| r.unwrap_err().is_closed()),
            Poll::Ready(true)
        );
        let (tx, rx) = pair(&event_loop);
        assert!(!tx.is_closed());
        drop(rx);
        assert!(tx.is_closed());
        assert!(tx.send(1).unwrap_err().is_closed());
    }

    #[test]
    fn ends_go_to_c_and_back() {
        let event_loop = EventLoop::new();
        let (tx, rx) = pair(&event_loop);
        let (mut tx, mut rx) = (tx.into_c(), rx.into_c());
        // SAFETY: the ends are this thread's.
        unsafe {
            let sender = OneshotSender::<u64>::from_c(&mut tx).unwrap();
            let closed = OneshotSender::<u64>::from_c(&mut tx).unwrap_err();
            let mut receiver = OneshotReceiver::<u64>::from_c(&mut rx).unwrap();
            assert!(closed.is_closed());
            assert!(OneshotReceiver::<u64>::from_c(&mut rx)
                .unwrap_err()
                .is_closed());
            sender.send(1).unwrap();
            assert_eq!(receiver.try_recv(), Ok(1));
        }
    }

    #[test]
    fn a_child_of_fork_is_refused() {
        let event_loop = EventLoop::new();
        let (tx, mut rx) = pair(&event_loop);
        // SAFETY: the child uses its copy of the ends, and exits.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let sent = tx.send(1).map_err(|e| e.code());
                let received = rx.try_recv().map_err(|e| e.code());
                libc::_exit((sent != Err(EFORK) || received != Err(EFORK)) as i32);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        }
        tx.send(2).unwrap();
        assert_eq!(rx.try_recv(), Ok(2));
    }
}
