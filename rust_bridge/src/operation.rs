// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handle of an operation for Rust code: a future.
//!
//! An operation stores the waker of who awaits it as a nart waker. So a Rust task awaits it by a waker cell,
//! whose address is a nart waker. The cell is given back with the handle: a late wake of it is spurious.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::Error;
use crate::ffi::NartTokioOp;
use crate::op::Handle;
use crate::outcome::{Outcome, Status};
use crate::sys::{errno, NartWaker, PENDING};
use crate::waker_cell::OwnCell;

/// An operation of Rust code, made by [`Bridge::spawn`](crate::Bridge::spawn): a future of its result.
///
/// Its work runs whether this is polled or not. Dropping it cancels the work;
/// [`detach`](Operation::detach) lets it continue, and [`into_c`](Operation::into_c) passes it to a task
/// of C.
///
/// # Errors
/// As a future: the error of the work, with its text; `NART_EABORTED` it was cancelled; `NART_EPANIC` it
/// panicked, with the text of the panic; `NART_ESHUTDOWN` the bridge was shut down before it ended;
/// `NART_EFORK` in a forked child; `-ENOMEM`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use nart_tokio::{Bridge, Options, Outcome};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let bridge = Bridge::new(&Options::default()).unwrap();
/// let mut greeting = bridge.spawn(async { Outcome::value_with(7, b"hello".to_vec()) }).unwrap();
/// assert_eq!((&mut greeting).await, Ok(7));
/// assert_eq!(greeting.message(), b"hello");
/// let failed = bridge.spawn(async { Outcome::error(-2, "no such greeting") }).unwrap();
/// assert_eq!(failed.await.unwrap_err().to_string(), "no such greeting");
/// bridge.shutdown_async(Duration::from_secs(10)).await.unwrap();
/// # });
/// ```
#[must_use = "dropping it cancels its work: await it, or detach() it"]
pub struct Operation {
    /// None: passed on.
    handle: Option<Handle>,
    /// Of the task that awaits it.
    waker: Option<OwnCell>,
}

// SAFETY: one thread at a time may use a handle, and this is its only owner; a waker cell is for any thread.
unsafe impl Send for Operation {}

impl Operation {
    pub(crate) fn new(handle: Handle) -> Operation {
        Operation {
            handle: Some(handle),
            waker: None,
        }
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.handle.as_ref().and_then(Handle::outcome)
    }

    /// Passes the operation to C, which awaits it and closes it with `nart_tokio_op_close()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, NartTokioOp, Options};
    ///
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// let mut op: NartTokioOp = bridge.spawn(async { 7 }).unwrap().into_c();
    /// # // SAFETY: it is open, and not used again.
    /// # unsafe { nart_tokio::nart_tokio_op_close(&mut op) };
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(mut self) -> NartTokioOp {
        NartTokioOp::of(self.handle.take())
    }

    /// The bytes of its result, once it has ended: those of an [`Outcome`], or the text of an error.
    ///
    /// # Examples
    ///
    /// See [`Operation`].
    pub fn message(&self) -> &[u8] {
        let (bytes, len) = self.outcome().map_or((&b""[..], 0), Outcome::message);
        &bytes[..len]
    }

    /// Cancels the work: its future is dropped. No effect if it has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// let never = bridge.spawn(std::future::pending::<i64>()).unwrap();
    /// never.cancel();
    /// assert!(never.await.is_err());
    /// # });
    /// ```
    pub fn cancel(&self) {
        if let Some(handle) = self.handle {
            handle.cancel();
        }
    }

    /// Lets the work continue on its own. Nobody gets its result.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// bridge.spawn(async { println!("later") }).unwrap().detach();
    /// ```
    pub fn detach(mut self) {
        if let Some(handle) = self.handle.take() {
            handle.detach();
        }
    }
}

impl Future for Operation {
    type Output = Result<i64, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<i64, Error>> {
        let Some(handle) = self.handle else {
            return Poll::Pending; // into_c() and detach() consume it
        };
        let mut value = 0;
        let mut answer = handle.peek(&mut value);
        if answer == PENDING {
            if self.waker.is_none() {
                self.waker = OwnCell::take();
            }
            let Some(cell) = self.waker.as_ref().map(OwnCell::cell) else {
                return Poll::Ready(Err(Error::of(errno(libc::ENOMEM))));
            };
            cell.register(cx.waker()); // before the handle stores the cell
            let waker = NartWaker {
                w: cell.nart_waker(),
            };
            answer = handle.poll(waker, &mut value);
        }
        match answer {
            PENDING => Poll::Pending,
            0 => Poll::Ready(Ok(value)),
            code => {
                let text = String::from_utf8_lossy(self.message()).into_owned();
                Poll::Ready(Err(Error::with(code, text)))
            }
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self
            .outcome()
            .map_or(Status::Running, |outcome| outcome.status);
        f.debug_tuple("Operation").field(&status).finish()
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.cancel();
            handle.detach();
        }
    }
}
