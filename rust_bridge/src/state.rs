// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of an operation: one word between its two owners, the handle, which waits, and the
//! promise, which has to answer. It guarantees: the answer is read only after it was written; a
//! waker that was stored before the answer is woken; exactly one owner frees the block.
//!
//! 1. park (handle): RUNNING or an older waker -> the waiter's waker, by compare-and-swap. It fails
//!    only if the answer was published meanwhile.
//! 2. publish (promise): any value -> DONE, by swap. If the old value is a waker: wake it.
//!    DETACHED: free the block.
//! 3. detach (handle): any value -> DETACHED, by swap. If the old value is DONE: free the block.
//!
//! The second of the two swaps frees; after the first one, its owner no longer touches the block. A
//! waker is a plain word that needs no release, so it is simply overwritten.
//!
//! The handle is used by one thread at a time, the promise is used once. tests/models/op_state runs
//! this file under loom, and weakens each order in turn: every one of them is needed.

#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// No answer, and no waker.
pub(crate) const RUNNING: usize = 0;
/// The answer has been published. (No waker has this value or the next: wakers are addresses.)
pub(crate) const DONE: usize = 2;
/// The handle has been closed or abandoned.
pub(crate) const DETACHED: usize = 4;

pub struct State(AtomicUsize);

/// The result of park().
#[derive(Debug, PartialEq, Eq)]
pub enum Park {
    /// The answer has been published.
    Done,
    /// The waker is stored. It replaced this one, or RUNNING.
    Parked(usize),
}

/// What publish() found.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// A handle that is not waiting.
    Handle,
    /// A handle that waits with this waker.
    Waiter(usize),
    /// No handle: the promise frees the block.
    Nobody,
}

impl State {
    #[allow(clippy::new_without_default)] // a state belongs to an operation
    pub fn new() -> State {
        State(AtomicUsize::new(RUNNING))
    }

    pub fn is_done(&self) -> bool {
        // Acquire: the answer, written before publish, is read next.
        self.0.load(Ordering::Acquire) == DONE
    }

    pub fn park(&self, waker: usize) -> Park {
        // Acquire: as in is_done().
        let seen = self.0.load(Ordering::Acquire);
        if seen == DONE {
            return Park::Done;
        }
        if seen == waker {
            return Park::Parked(seen);
        }
        // Release: publish hands the waker to wake(), which reads what was written before it was
        // stored. Acquire on failure: the answer was published, and is read next.
        match self
            .0
            .compare_exchange(seen, waker, Ordering::Release, Ordering::Acquire)
        {
            Ok(old) => Park::Parked(old),
            Err(_) => Park::Done,
        }
    }

    pub fn publish(&self) -> Met {
        // Release: the answer. Acquire: what the waiter wrote before it stored its waker, and what
        // the handle did to the block before it detached.
        match self.0.swap(DONE, Ordering::AcqRel) {
            RUNNING => Met::Handle,
            DETACHED => Met::Nobody,
            waker => Met::Waiter(waker),
        }
    }

    /// True if the answer has been published: then the handle frees the block.
    pub fn detach(&self) -> bool {
        // Release: if the promise frees, it does so after the handle's accesses. Acquire: if the
        // handle frees, it does so after the promise's.
        self.0.swap(DETACHED, Ordering::AcqRel) == DONE
    }
}
