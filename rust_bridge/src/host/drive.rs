// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drives a loop inside a tokio task.
//!
//! One poll of the tokio task is at most one `nart_rt_poll_edge()`, which polls at most 64 tasks of C. It
//! is repeated until nothing is ready; then the tokio task waits for the loop's descriptor, an epoll of
//! its own, and for the loop's next deadline.
//!
//! No wake is lost between the last `nart_rt_poll_edge` and the wait:
//!
//! 1. tokio reports the descriptor by edges, and keeps "readable" until it is cleared here. It is cleared
//!    before a `nart_rt_poll_edge`, never after one: an edge that comes later is seen by the next wait.
//! 2. `nart_rt_poll_edge` reads the epoll only after such a clear (`readable`), which saves a system call in
//!    most turns. The tokio task does not wait before all that is pending has been read.
//! 3. `nart_rt_next_deadline` is asked last. It answers 0 if a task is ready, or if a thread has woken one
//!    without an edge. Later wakes make the descriptor readable.
//!
//! A wake by Rust code on the loop's own thread needs no descriptor: before it, [`wake_guests`] announces
//! the next turn (`nart_rt_poll_soon`) and wakes the tokio task directly. It does so for each loop that is
//! driven on the thread, because a waker does not say whose it is; at worst that is a turn without a poll.

use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::{pin, Pin};
use std::ptr;
use std::task::{ready, Context, Poll, Waker};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::task::coop;
use tokio::time::{Instant, Sleep};

use super::Inner;
use crate::adopt::lacks;
use crate::clock;
use crate::error::Error;
use crate::panic::catch;
use crate::sys::{
    errno, nart_rt_backend_fd, nart_rt_next_deadline, nart_rt_poll_edge, nart_rt_poll_soon,
    nart_rt_task_count, NEVER,
};

/// What a loop has for its driving.
pub struct Driver {
    driven: Cell<bool>,
    /// The tokio task that drives it, while it waits. None: it is in a turn, or will have one.
    waits: Cell<Option<Waker>>,
    /// The next one in GUESTS.
    next: Cell<*const Inner>,
}

impl Default for Driver {
    fn default() -> Driver {
        Driver {
            driven: Cell::new(false),
            waits: Cell::new(None),
            next: Cell::new(ptr::null()),
        }
    }
}

// ---- wakes on the loop's thread ----

thread_local! {
    // The loops that are driven on this thread. A loop leaves it before it is freed, on this thread.
    static GUESTS: Cell<*const Inner> = const { Cell::new(ptr::null()) };
}

/// Called before a task of C is woken, or may be: by a value that is sent to it.
pub fn wake_guests() {
    let mut next = GUESTS.get();
    // SAFETY: what is in the list is live.
    while let Some(guest) = unsafe { next.as_ref() } {
        next = match soon(guest) {
            true => GUESTS.get(), // the list may have changed
            false => guest.driver.next.get(),
        };
    }
}

/// Called before something makes a task of this loop ready. True if its driver was woken.
pub fn soon(inner: &Inner) -> bool {
    let Some(waker) = inner.driver.waits.take() else {
        return false;
    };
    // SAFETY: the runtime is live while the loop is driven.
    if unsafe { nart_rt_poll_soon(inner.rt.get()) } != 0 {
        std::mem::forget(waker); // a forked child: tokio's locks may be held by a thread of the parent
        return false;
    }
    waker.wake();
    true
}

fn enlist(inner: &Inner) {
    inner.driver.next.set(GUESTS.replace(inner));
}

/// Takes the loop out of the list, if it is in it.
pub fn unlist(inner: &Inner) {
    inner.driver.waits.take();
    let next = inner.driver.next.replace(ptr::null());
    if ptr::eq(GUESTS.get(), inner) {
        return GUESTS.set(next);
    }
    let mut at = GUESTS.get();
    // SAFETY: as in wake_guests().
    while let Some(guest) = unsafe { at.as_ref() } {
        at = guest.driver.next.get();
        if ptr::eq(at, inner) {
            return guest.driver.next.set(next);
        }
    }
}

// ---- driving ----

/// The loop's epoll, which the loop owns.
struct Backend(RawFd);

impl AsRawFd for Backend {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// Exists while the loop is driven.
struct Driving<'a> {
    inner: &'a Inner,
    fd: AsyncFd<Backend>,
    sleep: Pin<Box<Sleep>>,
    /// The deadline of `sleep`; NEVER: none.
    armed: i64,
    /// "Readable" was cleared, and the epoll has not been read since.
    readable: bool,
}

impl<'a> Driving<'a> {
    fn new(inner: &'a Inner) -> Result<Driving<'a>, Error> {
        if inner.driver.driven.get() {
            return Err(Error::of(errno(libc::EDEADLK)));
        }
        let sleep = || Box::pin(tokio::time::sleep(Duration::ZERO));
        let sleep = catch(sleep).map_err(|_| lacks("timers", "enable_time"))?;
        // SAFETY: the runtime is live.
        let fd = Backend(unsafe { nart_rt_backend_fd(inner.rt.get()) });
        // The loop owns the descriptor, and cannot be freed as long as it is borrowed here.
        #[allow(deprecated)]
        // register_with_interest() is in tokio 1.51.6 and 1.53.3, not in all between
        let fd = catch(|| AsyncFd::with_interest(fd, Interest::READABLE))
            .map_err(|_| lacks("I/O", "enable_io"))?
            .map_err(failed)?;
        inner.driver.driven.set(true);
        enlist(inner);
        Ok(Driving {
            inner,
            fd,
            sleep,
            armed: NEVER,
            readable: true,
        })
    }

    /// One turn of the loop. Ready: an error, or, if `ends`, no task is left.
    fn poll(&mut self, cx: &mut Context<'_>, ends: bool) -> Poll<Result<(), Error>> {
        let budget = ready!(coop::poll_proceed(cx));
        self.inner.driver.waits.take();
        let rt = self.inner.rt.get();
        let mut registered = true;
        if let Poll::Ready(guard) = self.fd.poll_read_ready(cx) {
            guard.map_err(failed)?.clear_ready();
            (self.readable, registered) = (true, false);
        }
        // SAFETY: the runtime is live.
        let polls = unsafe { nart_rt_poll_edge(rt, &mut self.readable) };
        if polls < 0 {
            return Poll::Ready(Err(Error::of(polls)));
        }
        budget.made_progress();
        // SAFETY: as above.
        let (at, tasks) = unsafe { (nart_rt_next_deadline(rt), nart_rt_task_count(rt)) };
        if ends && tasks == 0 && at != 0 {
            return Poll::Ready(Ok(()));
        }
        let wait = at != 0
            && !self.readable
            && (registered || self.fd.poll_read_ready(cx).is_pending())
            && self.poll_deadline(at, cx).is_pending();
        if wait {
            self.inner.driver.waits.set(Some(cx.waker().clone()));
        } else {
            // SAFETY: as above.
            unsafe { nart_rt_poll_soon(rt) };
            cx.waker().wake_by_ref(); // after the tasks that are ready in tokio now
        }
        Poll::Pending
    }

    fn poll_deadline(&mut self, at: i64, cx: &mut Context<'_>) -> Poll<()> {
        if at == NEVER {
            return Poll::Pending;
        }
        if at != self.armed {
            self.sleep.as_mut().reset(clock::instant(at));
            self.armed = at;
        }
        ready!(self.sleep.as_mut().poll(cx));
        self.armed = NEVER;
        Poll::Ready(())
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        unlist(self.inner);
        self.inner.driver.driven.set(false);
    }
}

fn failed(e: io::Error) -> Error {
    match e.raw_os_error() {
        Some(code) => Error::of(errno(code)),
        None => Error::with(crate::sys::ESHUTDOWN, e.to_string()),
    }
}

/// Drives the loop until no task is left.
pub async fn until_empty(inner: &Inner) -> Result<(), Error> {
    let mut driving = Driving::new(inner)?;
    poll_fn(|cx| driving.poll(cx, true)).await
}

/// The same, for at most so long.
pub async fn until_empty_or(inner: &Inner, timeout: Duration) -> Result<(), Error> {
    let far = Duration::from_secs(1 << 32);
    let mut driving = Driving::new(inner)?;
    let mut deadline = pin!(tokio::time::sleep_until(Instant::now() + timeout.min(far)));
    poll_fn(|cx| {
        if let Poll::Ready(ended) = driving.poll(cx, true) {
            return Poll::Ready(ended);
        }
        deadline.as_mut().poll(cx).map(Ok)
    })
    .await
}

/// Drives the loop until the future completes.
pub async fn until<F: Future>(inner: &Inner, future: F) -> Result<F::Output, Error> {
    let mut driving = Driving::new(inner)?;
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match ready!(driving.poll(cx, false)) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => Poll::Pending, // only if it ends
        }
    })
    .await
}
