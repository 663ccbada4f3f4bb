// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local futures of a bridge, so that a shutdown ends them.
//!
//! Each has a word: the waker of the task that awaits it, or CLOSED. The task's poll and the shutdown
//! both swap it. So either the shutdown finds the waker and wakes the task, which polls again; or the
//! poll finds CLOSED.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::bridge::lock;
use crate::sys::NartWaker;

/// No waker: an address with bit 0 set belongs to an object, and there is none at 0.
const CLOSED: usize = 1;

/// The task that awaits a local future.
pub struct Waiter(AtomicUsize);

impl Waiter {
    /// Records the task. Wakes the one that was recorded before, if it is another one, because a
    /// future keeps one waker only. False: the bridge has been shut down.
    ///
    /// AcqRel: a poll that finds CLOSED sees what happened before the shutdown, and the shutdown
    /// sees what the poll did before it.
    pub fn record(&self, waker: NartWaker) -> bool {
        let before = self.0.swap(waker.w, Ordering::AcqRel);
        if before == CLOSED {
            self.0.store(CLOSED, Ordering::Relaxed); // only this thread writes after close()
            return false;
        }
        if before != waker.w {
            NartWaker { w: before }.wake();
        }
        true
    }

    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire) == CLOSED // as in record()
    }

    fn close(&self) {
        let waker = self.0.swap(CLOSED, Ordering::AcqRel); // as in record()
        if waker != CLOSED {
            NartWaker { w: waker }.wake();
        }
    }
}

#[derive(Default)]
struct Inner {
    live: Vec<Option<Arc<Waiter>>>,
    free: Vec<usize>,
    closed: bool,
}

/// The local futures of a bridge.
#[derive(Default)]
pub struct Locals(Mutex<Inner>);

/// A local future in the list.
pub struct Entry {
    pub waiter: Arc<Waiter>,
    i: usize,
}

impl Locals {
    pub fn add(&self) -> Entry {
        let mut inner = lock(&self.0);
        let word = if inner.closed { CLOSED } else { 0 };
        let waiter = Arc::new(Waiter(AtomicUsize::new(word)));
        let i = inner.free.pop().unwrap_or_else(|| {
            inner.live.push(None);
            inner.live.len() - 1
        });
        inner.live[i] = Some(waiter.clone());
        Entry { waiter, i }
    }

    pub fn remove(&self, entry: &Entry) {
        let mut inner = lock(&self.0);
        inner.live[entry.i] = None;
        inner.free.push(entry.i);
    }

    /// Ends all of them, and those that will be added.
    pub fn close(&self) {
        let mut inner = lock(&self.0);
        inner.closed = true;
        let live: Vec<_> = inner.live.iter().flatten().cloned().collect();
        drop(inner);
        live.iter().for_each(|waiter| waiter.close());
    }
}
