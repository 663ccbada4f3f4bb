// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shutting down a bridge within a deadline.
//!
//! 1. Admission ends: from then on the number of submitted operations is final.
//! 2. Work is cancelled: each future is woken, and dropped instead of polled; queued blocking jobs and
//!    unsent HTTP requests end, running jobs see their stop flag, C tasks on tokio are cancelled and get
//!    half of the time to unwind.
//! 3. The runtime is shut down, which drops every future and waits for tokio's threads until the
//!    deadline; the threads of jobs and look-ups are waited for until then, too. An
//!    adopted runtime continues, and the bridge waits for its operations.
//! 4. Work that is still running is leaked and reported: jobs and look-ups by name, futures that do
//!    not return from a poll by number, and all threads by number, including those of closures that
//!    Rust code gave to tokio's pool. All operations end here, also those of futures that never get
//!    a thread, because another one does not return. The bridge's values (values.rs) are dropped. When
//!    a leaked job returns later, only its `drop_arg` runs.

use std::ffi::CStr;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as TokioHandle;
use tokio::sync::oneshot;

use crate::blocking::Name;
use crate::bridge::{lock, Bridge, Shared};
use crate::error::Error;
use crate::op::{self, Handle, Promise};
use crate::outcome::Outcome;
use crate::signals::with_signals_blocked;
use crate::sys::{errno, Res, EFORK, EPANIC};
use crate::threads::{must_not_wait, where_tokio_waits};

/// What a shutdown could not end.
#[derive(Default, Clone)]
pub struct Leaked {
    pub jobs: Vec<Name>,
    pub lookups: Vec<Name>,
    pub futures: u64,
    pub threads: u32,
}

impl fmt::Display for Leaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the deadline of the shutdown passed before {} operations and {} threads ended",
            self.futures, self.threads
        )?;
        for (i, name) in self.jobs.iter().chain(&self.lookups).enumerate() {
            // SAFETY: short_name() has written a NUL.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy();
            write!(f, "{}{name}", if i == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

/// An Instant can be that late.
const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

/// A duration in nanoseconds from C. Negative: -EINVAL.
fn duration(ns: i64) -> Result<Duration, Res> {
    u64::try_from(ns)
        .map(Duration::from_nanos)
        .map_err(|_| errno(libc::EINVAL))
}

/// Ends admission and cancels all work. False if that was done before.
fn close(shared: &Shared) -> bool {
    let first = shared.tracker.close();
    shared.end_futures(); // before what they use
    #[cfg(feature = "http")]
    shared.http.close();
    shared.names.close();
    shared.jobs.close(shared);
    shared.locals.close();
    first
}

/// Waits for the end, after close(). 0, or `-ETIMEDOUT` if something was leaked. `own` is the
/// operation that waits for this, if any.
fn finish(shared: &Shared, timeout: Duration, own: Option<&Promise>) -> Res {
    let begun = Instant::now();
    shared.tasks.wait(begun + timeout / 2);
    let runtime = lock(&shared.runtime).take();
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(timeout.saturating_sub(begun.elapsed()));
    }
    // Also when all threads have ended: another thread may have been admitted and not submitted yet. It
    // finds the bridge closed and ends its operation.
    let _ = shared.tracker.wait(begun + timeout);
    let mut threads = shared.jobs.wait(begun + timeout);
    let lookups = lookups(shared, begun + timeout);
    let jobs = shared.jobs.running(shared);
    let running = shared.tracker.counts().running;
    match running {
        0 => shared.ops.settle(own),
        _ => shared.ops.end_all(&shared.tracker, own),
    }
    let futures = running.saturating_sub(jobs.len() as u64);
    shared.values.end(&shared.handle); // after the futures that use them
                                       // Those of the runtime; none if it was adopted.
    threads += shared.threads.load(Ordering::Relaxed) + lookups.len() as u32;
    let clean = running == 0 && threads == 0;
    *lock(&shared.leaked) = Leaked {
        jobs,
        lookups,
        futures,
        threads,
    };
    if clean {
        0
    } else {
        errno(libc::ETIMEDOUT)
    }
}

/// Waits until `until` for running look-ups. Returns those that are still running.
fn lookups(shared: &Shared, until: Instant) -> Vec<Name> {
    let names = shared.names.wait(until);
    names
        .iter()
        .map(|name| crate::blocking::short_name(format!("look-up {name}").as_bytes()))
        .collect()
}

impl Bridge {
    /// Shuts down the bridge and waits until it has ended, but no longer than `timeout`.
    ///
    /// New work is refused, C tasks and futures are cancelled, running blocking functions see their
    /// stop flag. Do not call it on a loop's thread whose tasks must continue: it blocks.
    ///
    /// # Errors
    /// `-ETIMEDOUT` something was leaked; `-EALREADY` shutdown has begun before; `-EDEADLK` called
    /// on a thread of a tokio runtime, where [`Bridge::shutdown_async`] can be awaited; `NART_EFORK`
    /// in a forked child.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        self.shutdown_within(timeout.min(LONGEST)).map_err(|code| {
            match code == errno(libc::ETIMEDOUT) {
                true => Error::with(code, lock(&self.0.leaked).to_string()),
                false => Error::of(code),
            }
        })
    }

    /// The same for C.
    pub(crate) fn shutdown_ns(&self, timeout_ns: i64) -> Result<(), Res> {
        self.shutdown_within(duration(timeout_ns)?)
    }

    fn shutdown_within(&self, timeout: Duration) -> Result<(), Res> {
        if self.0.is_forked() {
            return Err(EFORK);
        }
        if TokioHandle::try_current().is_ok() || must_not_wait() {
            return Err(errno(libc::EDEADLK));
        }
        if !close(&self.0) {
            return Err(errno(libc::EALREADY));
        }
        match where_tokio_waits(|| finish(&self.0, timeout, None)) {
            0 => Ok(()),
            answer => Err(answer),
        }
    }

    /// Shuts down the bridge from async code, without blocking the thread that polls this.
    ///
    /// It does what [`Bridge::shutdown`] does, on a thread of its own. So the runtime that awaits it
    /// may be the one that the bridge has adopted: that continues to run, and the bridge's futures end
    /// on it. The shutdown begins with the first poll. If this future is dropped after that, the
    /// shutdown continues in the background until its deadline.
    ///
    /// # Errors
    /// `-ETIMEDOUT` something was leaked, which the text names; `-EALREADY` shutdown has begun before;
    /// `-EAGAIN` no thread could be started (the bridge is unchanged); `NART_EFORK` in a forked child.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use nart_tokio::{Bridge, Options};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// let never = bridge.spawn(std::future::pending::<i64>()).unwrap();
    /// bridge.shutdown_async(Duration::from_secs(10)).await.unwrap();
    /// assert!(bridge.is_closed());
    /// # });
    /// ```
    pub async fn shutdown_async(&self, timeout: Duration) -> Result<(), Error> {
        let timeout = timeout.min(LONGEST);
        let (send, ended) = oneshot::channel();
        let end = move |shared: Arc<Shared>| {
            let answer = finish(&shared, timeout, None);
            let error = || Error::with(answer, lock(&shared.leaked).to_string());
            let answer = if answer == 0 { Ok(()) } else { Err(error()) };
            drop(shared); // its memory is freed before the caller continues
            let _ = send.send(answer);
        };
        self.shutdown_on_thread(end).map_err(Error::of)?;
        ended.await.unwrap_or(Err(Error::of(EPANIC)))
    }

    /// Shuts down on a thread of its own. The operation ends with 0 or `-ETIMEDOUT`.
    pub(crate) fn shutdown_begin(&self, timeout_ns: i64) -> Result<Handle, Res> {
        let timeout = duration(timeout_ns)?;
        if self.0.is_forked() {
            return Err(EFORK);
        }
        let (handle, promise) = op::begin_uncounted(&self.0).ok_or(errno(libc::ENOMEM))?;
        let end = move |shared: Arc<Shared>| {
            let answer = finish(&shared, timeout, Some(&promise));
            drop(shared);
            promise.finish(Outcome::of_res(answer));
        };
        match self.shutdown_on_thread(end) {
            Ok(()) => Ok(handle),
            Err(refused) => {
                handle.detach(); // the promise was dropped with `end`
                Err(refused)
            }
        }
    }

    /// Begins the shutdown, and calls `end` on a thread of its own. Errors: `-EALREADY`; `-EAGAIN`
    /// no thread could be started; `NART_EFORK`.
    fn shutdown_on_thread(
        &self,
        end: impl FnOnce(Arc<Shared>) + Send + 'static,
    ) -> Result<(), Res> {
        if self.0.is_forked() {
            return Err(EFORK);
        }
        let shared = Arc::clone(&self.0);
        let (send, receive) = std::sync::mpsc::sync_channel::<()>(1);
        let wait = move || {
            shared.hygiene.apply();
            // The thread is started before anything is closed: if that fails, nothing has changed.
            if receive.recv().is_ok() {
                end(shared);
            }
        };
        let thread = std::thread::Builder::new()
            .name("nart-tokio-end".into())
            .stack_size(128 << 10);
        let born = with_signals_blocked(|| thread.spawn(wait));
        born.map_err(|_| errno(libc::EAGAIN))?;
        if !close(&self.0) {
            return Err(errno(libc::EALREADY));
        }
        let _ = send.send(()); // it waits for that
        Ok(())
    }
}

impl Shared {
    /// Ends the bridge without waiting: its work is cancelled and ends in the background.
    pub fn abandon(&self) {
        if self.is_forked() {
            return;
        }
        close(self);
        let runtime = lock(&self.runtime).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }

    /// Ends the futures: each is woken, and dropped instead of polled. C tasks are cancelled.
    fn end_futures(&self) {
        self.futures_end.store(true, Ordering::Relaxed); // see Promise::register()
        self.ops.wake_tasks();
    }
}
