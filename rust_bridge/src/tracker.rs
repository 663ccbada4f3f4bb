// SPDX-License-Identifier: MIT OR Apache-2.0
//! The count of operations, and the end of admission.
//!
//! 1. admit: one compare-and-swap on `submitted`, which carries CLOSED. So every operation is
//!    either counted before admission ends, or refused.
//! 2. close: sets CLOSED. `submitted` is final from then on.
//! 3. leave: each operation adds one to `ended`, before it publishes its answer. One that a shutdown
//!    has answered was counted by that (leave_running), and adds to `ended` when its work ends
//!    (leave_late).
//! 4. wait: sets WAITED on `ended` and sleeps until `ended` equals `submitted`. A leave after
//!    WAITED was set notifies the waiter; the waiter sees an earlier one in the count.
//!
//! Submitters and workers write different cache lines: on one shared line each operation costs some
//! 250 ns more.
//!
//! The C tasks on tokio are counted in the same way ([`Tasks`]), because a shutdown waits for them first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::bridge::{lock, wait_while};
use crate::outcome::Status;
use crate::sys::{Res, ESHUTDOWN};

const FLAG: u64 = 1 << 63;

/// A value on cache lines of its own. Two lines, because processors fetch them in pairs.
#[repr(align(128))]
#[derive(Default)]
pub struct Apart<T>(pub T);

/// A number that grows, and that one thread at a time can wait for.
#[derive(Default)]
struct Awaited {
    n: AtomicU64, // | FLAG: a thread waits
    mutex: Mutex<()>,
    moved: Condvar,
}

impl Awaited {
    fn add_one(&self) {
        // Release: a thread that reads this count also reads what was counted before.
        if self.n.fetch_add(1, Ordering::Release) & FLAG != 0 {
            drop(lock(&self.mutex)); // wait() holds it from its check to its sleep
            self.moved.notify_all();
        }
    }

    fn get(&self) -> u64 {
        self.n.load(Ordering::Acquire) & !FLAG // see add_one()
    }

    /// Waits until it is `least()`. False if `until` passed first.
    fn wait(&self, until: Instant, least: impl Fn() -> u64) -> bool {
        self.n.fetch_or(FLAG, Ordering::Relaxed); // an add_one() after it sees the flag
        let less = || self.get() < least();
        drop(wait_while(&self.moved, lock(&self.mutex), until, |()| {
            less()
        }));
        !less()
    }
}

/// Written when the work of an operation ends. `all` minus the other five ended with a value.
#[derive(Default)]
struct Ended {
    all: Awaited,
    error: AtomicU64,
    cancelled: AtomicU64,
    panicked: AtomicU64,
    shutdown: AtomicU64,
    /// Those that a shutdown had answered before.
    late: AtomicU64,
    /// Those that were refused after they had been admitted: no count shows them.
    withdrawn: AtomicU64,
}

#[derive(Default)]
pub struct Tracker {
    submitted: Apart<AtomicU64>, // | CLOSED
    ended: Apart<Ended>,
    /// Operations that a shutdown has answered, because their work had not ended.
    answered: AtomicU64,
}

/// A snapshot of the counters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub submitted: u64,
    pub ok: u64,
    pub error: u64,
    pub cancelled: u64,
    pub panicked: u64,
    pub shutdown: u64,
    /// Operations whose work has not ended, also of those that a shutdown has answered.
    pub running: u64,
}

impl Tracker {
    /// Counts a new operation. NART_ESHUTDOWN after close().
    pub fn admit(&self) -> Result<(), Res> {
        // Release: close() has the count of tasks (Tasks) as it was before. Else Relaxed: the count guards
        // no data; queues have locks and `closed` flags of their own.
        let more = |n: u64| (n & FLAG == 0).then_some(n + 1);
        match self
            .submitted
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, more)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(ESHUTDOWN),
        }
    }

    /// Ends admission. False if it had ended before.
    pub fn close(&self) -> bool {
        self.submitted.0.fetch_or(FLAG, Ordering::Acquire) & FLAG == 0 // see admit()
    }

    pub fn is_closed(&self) -> bool {
        self.submitted.0.load(Ordering::Relaxed) & FLAG != 0
    }

    #[cfg(test)]
    pub fn is_awaited(&self) -> bool {
        self.ended.0.all.n.load(Ordering::Relaxed) & FLAG != 0
    }

    /// Counts the end of an operation.
    pub fn leave(&self, status: Status) {
        let ended = &self.ended.0;
        match status {
            Status::Running | Status::Ok => {}
            Status::Error => bump(&ended.error),
            Status::Cancelled => bump(&ended.cancelled),
            Status::Panicked => bump(&ended.panicked),
            Status::Shutdown => bump(&ended.shutdown),
        }
        ended.all.add_one();
    }

    /// A shutdown answers for an operation whose work has not ended.
    pub fn leave_running(&self) {
        bump(&self.answered);
    }

    /// The work of such an operation has ended.
    pub fn leave_late(&self) {
        bump(&self.ended.0.late);
        self.leave(Status::Ok); // counts as none of the others
    }

    /// An operation was refused after it had been admitted.
    pub fn withdraw(&self) {
        bump(&self.ended.0.withdrawn);
        self.ended.0.all.add_one();
    }

    /// After close(): waits until every operation has ended. False if `until` passed first.
    pub fn wait(&self, until: Instant) -> bool {
        let submitted = self.submitted.0.load(Ordering::Relaxed) & !FLAG;
        self.ended.0.all.wait(until, || submitted)
    }

    pub fn counts(&self) -> Counts {
        let ended = &self.ended.0;
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let all = ended.all.get();
        let withdrawn = read(&ended.withdrawn);
        let all = all.saturating_sub(withdrawn);
        let submitted = self.submitted.0.load(Ordering::Relaxed) & !FLAG;
        let mut counts = Counts {
            submitted: submitted.saturating_sub(withdrawn),
            ok: 0,
            error: read(&ended.error),
            cancelled: read(&ended.cancelled),
            panicked: read(&ended.panicked),
            shutdown: read(&ended.shutdown),
            running: 0,
        };
        // Read while operations end: the parts may exceed the sum, and both may exceed `submitted`.
        let others = counts.error + counts.cancelled + counts.panicked + counts.shutdown;
        counts.ok = all.saturating_sub(others + read(&ended.late));
        counts.shutdown += read(&self.answered);
        let sum = counts.ok + others - read(&ended.shutdown) + counts.shutdown;
        counts.submitted = counts.submitted.max(sum).max(all);
        counts.running = counts.submitted - all;
        counts
    }
}

fn bump(n: &AtomicU64) {
    n.fetch_add(1, Ordering::Relaxed);
}

/// The number of C tasks of a bridge. A shutdown cancels them as it ends futures
/// (Shared::end_futures()), and waits for them here: they need time to unwind. A task is added before it
/// is admitted, so close() finds all that were.
#[derive(Default)]
pub struct Tasks {
    begun: Apart<AtomicU64>,
    ended: Apart<Awaited>,
}

impl Tasks {
    pub fn add(&self) {
        bump(&self.begun.0);
    }

    pub fn remove(&self) {
        self.ended.0.add_one();
    }

    /// Waits until all tasks have ended, or until `until`.
    pub fn wait(&self, until: Instant) {
        let begun = || self.begun.0.load(Ordering::Relaxed);
        self.ended.0.wait(until, begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn the_counts_add_up_to_what_was_submitted() {
        let tracker = Tracker::default();
        for status in [
            Status::Ok,
            Status::Error,
            Status::Cancelled,
            Status::Panicked,
            Status::Ok,
        ] {
            tracker.admit().unwrap();
            tracker.leave(status);
        }
        tracker.admit().unwrap();
        let counts = tracker.counts();
        assert_eq!((counts.submitted, counts.ok, counts.error), (6, 2, 1));
        assert_eq!(
            (counts.cancelled, counts.panicked, counts.running),
            (1, 1, 1)
        );
    }

    #[test]
    fn closing_happens_once_and_is_final() {
        let tracker = Tracker::default();
        tracker.admit().unwrap();
        assert!(tracker.close());
        assert!(!tracker.close());
        assert_eq!(tracker.admit(), Err(ESHUTDOWN));
        assert_eq!(tracker.counts().submitted, 1);
    }

    #[test]
    fn waiting_ends_with_the_last_operation_or_the_deadline() {
        let tracker = Arc::new(Tracker::default());
        for _ in 0..100 {
            tracker.admit().unwrap();
        }
        tracker.close();
        assert!(!tracker.wait(Instant::now()));
        let leaver = tracker.clone();
        let thread = std::thread::spawn(move || (0..100).for_each(|_| leaver.leave(Status::Ok)));
        assert!(tracker.wait(Instant::now() + Duration::from_secs(60)));
        thread.join().unwrap();
    }
}
