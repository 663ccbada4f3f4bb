// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work on its way to tokio: one word that decides who brings it there.
//!
//! A spawn from a foreign thread takes a lock of tokio's and wakes a worker. So only the first of a
//! batch does that: it becomes the carrier. Until the carrier has been polled, further work is
//! queued, and the carrier spawns it on the worker, where a spawn needs no lock.
//!
//! 1. push (any thread): NONE -> CARRIED, or CARRIED or an item -> this item, by compare-and-swap.
//!    Whoever replaces NONE is the carrier, and is spawned instead of queued.
//! 2. take (the carrier): any value -> NONE, by swap. The next push makes a new carrier.
//!
//! A carrier takes exactly once: at its first poll, or when it is dropped without one. So there is
//! always somebody who takes what was queued. If the carrier's thread is interrupted between push and
//! spawn, the others' work waits for it.

use std::ptr;

#[cfg(loom)]
use loom::sync::atomic::{AtomicPtr, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicPtr, Ordering};

pub struct SpawnQueue<T>(AtomicPtr<T>);

/// The end of the list: a carrier is underway. No item has this address.
fn carried<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

impl<T> SpawnQueue<T> {
    #[allow(clippy::new_without_default)]
    pub fn new() -> SpawnQueue<T> {
        SpawnQueue(AtomicPtr::new(ptr::null_mut()))
    }

    /// Queues an item, after `link` has stored the pointer to the next one in it. False: it was not
    /// queued, and must be spawned as the carrier.
    pub fn push(&self, item: *mut T, mut link: impl FnMut(*mut T)) -> bool {
        // Relaxed, also on failure: the swap reads the links, this does not.
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = if seen.is_null() {
                carried()
            } else {
                link(seen);
                item
            };
            // Release: the item and its link.
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return !seen.is_null(),
                Err(now) => seen = now,
            }
        }
    }

    /// The last item that was queued, or NULL.
    pub fn take(&self) -> *mut T {
        // Acquire: all items and their links; each push continues the release sequence of those before.
        Self::item(self.0.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// The item that a link points to; NULL at the end.
    pub fn item(link: *mut T) -> *mut T {
        if link == carried() {
            ptr::null_mut()
        } else {
            link
        }
    }
}
