// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Rust `Waker` for a C task. Its data pointer is the nart waker.
//!
//! A nart waker is a plain value (task.h): clone copies it, drop does nothing. Two wakers wake the
//! same task if they are equal, which is what `Waker::will_wake` compares. So there is no
//! allocation and no reference count, and a future may keep a waker for ever.

use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::sys::NartWaker;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, forget);

fn clone(word: *const ()) -> RawWaker {
    RawWaker::new(word, &VTABLE)
}

fn wake(word: *const ()) {
    NartWaker { w: word.addr() }.wake();
}

fn forget(_: *const ()) {}

/// Converts a nart waker to Rust's.
pub fn rust_waker(waker: NartWaker) -> Waker {
    // SAFETY: the functions above accept any word on any thread, and keep no state.
    unsafe { Waker::from_raw(clone(ptr::without_provenance(waker.w))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_wakers_wake_the_same_task() {
        let a = rust_waker(NartWaker { w: 0 });
        let b = a.clone();
        assert!(a.will_wake(&b));
        assert!(!a.will_wake(&rust_waker(NartWaker { w: 64 })));
        a.wake_by_ref(); // zero has no effect
    }
}
