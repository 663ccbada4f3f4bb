// SPDX-License-Identifier: MIT OR Apache-2.0
//! The word between the two parties of an operation: the handle, which waits, and the promise, which
//! owes an answer. What it keeps true: the answer is read only after it was written; a waker that was
//! stored before the answer is woken; and exactly one party frees the block.
//!
//! 1. park (handle): RUNNING or an older waker -> the waiter's waker, by compare-and-swap. It can
//!    only fail because the answer has come.
//! 2. publish (promise): anything -> DONE, by swap. Old value a waker: wake it. DETACHED: free.
//! 3. detach (handle): anything -> DETACHED, by swap. Old value DONE: free.
//!
//! Whoever swaps second frees; neither touches the block after a swap that was not the second. A waker
//! is a plain word that needs no release, so a word that was overwritten is just forgotten.
//!
//! The handle is used by one thread at a time, the promise is used once. tests/models/op_word runs
//! this file under loom, and weakens each order in turn: every one of them is needed.

#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// No answer, nobody waits.
pub(crate) const RUNNING: usize = 0;
/// The answer is there. (No waker has this value or the next: they are addresses.)
pub(crate) const DONE: usize = 2;
/// The handle has been given up.
pub(crate) const DETACHED: usize = 4;

pub struct Word(AtomicUsize);

/// What parking has led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Park {
    /// The answer is there.
    Done,
    /// The waker is stored; in its place was this one, or RUNNING.
    Parked(usize),
}

/// Who was met by a publish.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// The handle, which is not waiting.
    Handle,
    /// The handle, waiting with this waker.
    Waiter(usize),
    /// Nobody any more: the block is the promise's to free.
    Nobody,
}

impl Word {
    #[allow(clippy::new_without_default)] // a word of no operation is nothing to have by default
    pub fn new() -> Word {
        Word(AtomicUsize::new(RUNNING))
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
        // stored. Acquire on failure: the answer has come, and is read next.
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

    /// True when the answer had come: the block is the handle's to free.
    pub fn detach(&self) -> bool {
        // Release: the promise frees after what the handle did. Acquire: or the other way round.
        self.0.swap(DETACHED, Ordering::AcqRel) == DONE
    }
}
