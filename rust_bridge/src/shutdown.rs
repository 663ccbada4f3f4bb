// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a bridge, within a deadline.
//!
//! 1. No more admission: from here on the number of submitted operations is final.
//! 2. Everyone is asked: queued blocking jobs and unsent HTTP requests end, running jobs see their
//!    stop flag, C tasks on tokio are cancelled and get half of the time to unwind.
//! 3. The runtime is shut down, which drops every future and waits for jobs until the deadline. An
//!    adopted runtime goes on: its operations are waited for.
//! 4. What still runs is leaked and reported: jobs and look-ups by name, and jobs are answered for;
//!    futures that do not come out of a poll by number; and all threads by number, among them those of
//!    closures that Rust code gave to tokio's pool. A leaked job's end, later, runs its `drop_arg` only.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as TokioHandle;

use crate::blocking::Name;
use crate::bridge::{lock, Bridge, Shared};
use crate::op::{self, Handle, Outcome};
use crate::sys::{errno, Res, EFORK};
use crate::threads::with_signals_blocked;

/// What a shutdown could not end.
#[derive(Default, Clone)]
pub struct Leaked {
    pub jobs: Vec<Name>,
    pub lookups: Vec<Name>,
    pub futures: u64,
    pub threads: u32,
}

/// A time in nanoseconds from C; negative is -EINVAL.
fn duration(ns: i64) -> Result<Duration, Res> {
    u64::try_from(ns)
        .map(Duration::from_nanos)
        .map_err(|_| errno(libc::EINVAL))
}

/// Ends admission and what can end at once. False when that has been done before.
fn close(shared: &Shared) -> bool {
    let first = shared.tracker.close();
    #[cfg(feature = "http")]
    shared.http.close();
    #[cfg(feature = "http")]
    shared.names.close();
    shared.jobs.close();
    shared.tasks.close();
    first
}

/// The rest, after close(). 0, or `-ETIMEDOUT` when something has been leaked.
fn finish(shared: &Shared, timeout: Duration) -> Res {
    let begun = Instant::now();
    shared.tasks.wait(begun + timeout / 2);
    let runtime = lock(&shared.runtime).take();
    let owned = runtime.is_some();
    match runtime {
        Some(runtime) => runtime.shutdown_timeout(timeout.saturating_sub(begun.elapsed())),
        None => drop(shared.tracker.wait(begun + timeout)),
    }
    let lookups = lookups(shared, begun + timeout);
    let jobs = shared.jobs.abandon();
    let futures = shared.tracker.counts().running();
    let threads = match owned {
        true => shared.threads.load(Ordering::Relaxed),
        false => jobs.len() as u32,
    } + lookups.len() as u32;
    let clean = futures == 0 && threads == 0;
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

/// Waits for the look-ups that run; those that still do at the end.
#[cfg(feature = "http")]
fn lookups(shared: &Shared, until: Instant) -> Vec<Name> {
    let names = shared.names.wait(until);
    names
        .iter()
        .map(|name| crate::blocking::short_name(format!("look-up {name}").as_bytes()))
        .collect()
}

#[cfg(not(feature = "http"))]
fn lookups(_: &Shared, _: Instant) -> Vec<Name> {
    Vec::new()
}

impl Bridge {
    /// Shuts down and waits for it, at most `timeout_ns` and the time of one scheduling.
    ///
    /// # Errors
    /// `-ETIMEDOUT`: something has been leaked; `-EALREADY`; `-EDEADLK` on a thread of a tokio
    /// runtime; `-EINVAL` a negative time; `NART_EFORK`.
    pub fn shutdown(&self, timeout_ns: i64) -> Result<(), Res> {
        let timeout = duration(timeout_ns)?;
        if self.0.is_forked() {
            return Err(EFORK);
        }
        if TokioHandle::try_current().is_ok() {
            return Err(errno(libc::EDEADLK));
        }
        if !close(&self.0) {
            return Err(errno(libc::EALREADY));
        }
        match finish(&self.0, timeout) {
            0 => Ok(()),
            answer => Err(answer),
        }
    }

    /// The same on a thread of its own; awaiting the operation answers 0 or `-ETIMEDOUT`.
    pub(crate) fn shutdown_begin(&self, timeout_ns: i64) -> Result<Handle, Res> {
        let timeout = duration(timeout_ns)?;
        if self.0.is_forked() {
            return Err(EFORK);
        }
        let (handle, promise) = op::begin_uncounted(&self.0).ok_or(errno(libc::ENOMEM))?;
        let shared = Arc::clone(&self.0);
        let (send, receive) = std::sync::mpsc::sync_channel::<()>(1);
        let wait = move || {
            shared.hygiene.apply();
            // The thread is made before anything is closed: without it nothing has happened.
            if receive.recv().is_ok() {
                let answer = finish(&shared, timeout);
                drop(shared);
                promise.finish(Outcome::of_res(answer));
            }
        };
        let thread = std::thread::Builder::new()
            .name("nart-tokio-end".into())
            .stack_size(128 << 10);
        let born = with_signals_blocked(|| thread.spawn(wait));
        let refused = match born {
            Err(_) => errno(libc::EAGAIN),
            Ok(_) if !close(&self.0) => errno(libc::EALREADY),
            Ok(_) => {
                let _ = send.send(());
                return Ok(handle);
            }
        };
        handle.detach(); // the promise ends with the closure
        Err(refused)
    }
}

impl Shared {
    /// Ends the bridge without waiting: what runs is told to end and ends by itself.
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
}
