// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of an operation: one word, on which its two owners decide, the handle, which waits, and
//! the promise, which has to answer; and the shutdown, which answers for a promise that does not. It
//! guarantees: there is one answer; it is read only after it was written; a waker that was stored
//! before the answer is woken; exactly one owner frees the block.
//!
//! 1. begin: IDLE -> RUNNING, by a store: the block has one owner.
//! 2. park (handle): RUNNING or an older waker -> the waiter's waker, by compare-and-swap. It fails
//!    only if the answer was published meanwhile.
//! 3. publish (promise): FORCED -> ENDED, any other value -> DONE, by compare-and-swap. If the old
//!    value is a waker: wake it. DETACHED: free the block.
//! 4. force (shutdown): RUNNING or a waker -> FORCED, by compare-and-swap. FORCED and ENDED are an
//!    answer of their own, "shut down", whatever the promise publishes later.
//! 5. detach (handle): any value -> DETACHED, by swap. If the old value is DONE or ENDED: free the
//!    block.
//!
//! Of publish and detach the second one frees; after the first one, its owner no longer touches the
//! block. The shutdown is no owner: it reaches blocks through the pool, under the pool's lock, without
//! which none is freed. A waker is a plain word that needs no release, so it is simply overwritten.
//!
//! The handle is used by one thread at a time, the promise is used once. tests/models/op_state runs
//! this file under loom, and weakens each order in turn: every one of them is needed.

#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

// No waker has one of these values: wakers are addresses.
/// No answer, and no waker.
pub(crate) const RUNNING: usize = 0;
/// The promise has answered.
pub(crate) const DONE: usize = 1;
/// The handle has been closed or abandoned.
pub(crate) const DETACHED: usize = 2;
/// The shutdown has answered; the promise still refers to the block.
pub(crate) const FORCED: usize = 3;
/// The shutdown has answered, and the promise has ended.
pub(crate) const ENDED: usize = 4;
/// In the pool.
pub(crate) const IDLE: usize = 5;

pub struct State(AtomicUsize);

/// Who has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody yet.
    No,
    /// The promise: its outcome may be read.
    Outcome,
    /// The shutdown.
    Shutdown,
}

fn answer_of(word: usize) -> Answer {
    match word {
        DONE => Answer::Outcome,
        FORCED | ENDED => Answer::Shutdown,
        _ => Answer::No,
    }
}

/// The result of park().
#[derive(Debug, PartialEq, Eq)]
pub enum Park {
    /// The answer has been published.
    Done,
    /// The waker is stored. It replaced this one, or RUNNING.
    Parked(usize),
}

/// What publish() or force() found.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// A handle that is not waiting, or that has an answer.
    Handle,
    /// A handle that waits with this waker.
    Waiter(usize),
    /// No handle: the promise frees the block.
    Nobody,
}

impl State {
    #[allow(clippy::new_without_default)] // a state belongs to an operation
    pub fn new() -> State {
        State(AtomicUsize::new(IDLE))
    }

    /// The block leaves the pool.
    pub fn begin(&self) {
        // Relaxed: the owners get the block by other means, and a shutdown reads only this word.
        self.0.store(RUNNING, Ordering::Relaxed);
    }

    /// The block returns to the pool. It has one owner.
    pub fn end(&self) {
        self.0.store(IDLE, Ordering::Relaxed); // as in begin()
    }

    pub fn answer(&self) -> Answer {
        // Acquire: the outcome, written before publish, is read next.
        answer_of(self.0.load(Ordering::Acquire))
    }

    /// In use, not detached, and without an answer.
    pub fn is_unanswered(&self) -> bool {
        // Relaxed: the handle's owner reads the answer by answer().
        let word = self.0.load(Ordering::Relaxed);
        answer_of(word) == Answer::No && word != DETACHED && word != IDLE
    }

    pub fn park(&self, waker: usize) -> Park {
        // Relaxed: who gets Done calls answer().
        let seen = self.0.load(Ordering::Relaxed);
        if answer_of(seen) != Answer::No {
            return Park::Done;
        }
        if seen == waker {
            return Park::Parked(seen);
        }
        // Release: publish hands the waker to wake(), which reads what was written before it was
        // stored. Relaxed on failure: as above.
        match self
            .0
            .compare_exchange(seen, waker, Ordering::Release, Ordering::Relaxed)
        {
            Ok(old) => Park::Parked(old),
            Err(_) => Park::Done,
        }
    }

    pub fn publish(&self) -> Met {
        let next = |seen| Some(if seen == FORCED { ENDED } else { DONE });
        // Release: the outcome. Acquire: what the waiter wrote before it stored its waker, and what
        // the handle did to the block before it detached.
        let old = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
        match old {
            Ok(RUNNING | FORCED) | Err(_) => Met::Handle,
            Ok(DETACHED) => Met::Nobody,
            Ok(waker) => Met::Waiter(waker),
        }
    }

    /// Answers "shut down", if the operation runs and its handle is there.
    pub fn force(&self) -> Met {
        let next = |seen| match seen {
            DONE | DETACHED | FORCED | ENDED | IDLE => None,
            _ => Some(FORCED),
        };
        // Acquire: what the waiter wrote before it stored its waker.
        let old = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, next);
        match old {
            Ok(RUNNING) | Err(_) => Met::Handle,
            Ok(waker) => Met::Waiter(waker),
        }
    }

    /// True if the promise has published: then the handle frees the block.
    pub fn detach(&self) -> bool {
        // Release: if the promise frees, it does so after the handle's accesses. Acquire: if the
        // handle frees, it does so after the promise's.
        let old = self.0.swap(DETACHED, Ordering::AcqRel);
        matches!(old, DONE | ENDED)
    }
}
