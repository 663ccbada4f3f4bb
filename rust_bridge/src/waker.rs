// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Rust `Waker` for a C task: the waker's word is the data pointer.
//!
//! A nart waker is a plain value (task.h): clone copies, drop does nothing, and two wakers wake the
//! same task when their words are equal, which is what `Waker::will_wake` compares. So there is no
//! allocation and no reference count, and a waker may be kept for ever by whoever polls.

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

/// The same waker for Rust.
pub fn rust_waker(waker: NartWaker) -> Waker {
    // SAFETY: the functions above are sound for any word on any thread, and keep nothing.
    unsafe { Waker::from_raw(clone(ptr::without_provenance(waker.w))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_wake_the_same() {
        let a = rust_waker(NartWaker { w: 0 });
        let b = a.clone();
        assert!(a.will_wake(&b));
        assert!(!a.will_wake(&rust_waker(NartWaker { w: 64 })));
        a.wake_by_ref(); // zero wakes nobody
    }
}
