// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signal masks of the bridge's threads, of the loop's thread, and of their children.
//!
//! 1. The bridge's threads block all signals but faults, because the program's handlers, or its
//!    signalfd, belong to threads of the program. A thread inherits the mask of its creator, so all are
//!    blocked while one may be started ([`with_signals_blocked`]): if the new thread blocked them
//!    itself, a signal could arrive before that.
//! 2. A write to a connection that was reset raises SIGPIPE, which a Rust program would ignore. It is
//!    blocked in the bridge's threads by 1, and on the loop's thread by [`SigpipeBlock`].
//! 3. Processes inherit the mask, too, but a child with all signals blocked can only be killed. Its mask
//!    should be the one that the thread had which made the bridge ([`ChildMask`]). fork() calls
//!    [`in_child`]. posix_spawn(), system() and popen() call nothing in the child: for these the thread
//!    itself takes that mask for the time of the call ([`open`]).

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr;

use crate::threads::{fork_epoch, this_thread, ThreadId};

/// All signals except faults. A blocked fault ends the process without calling its handler, which
/// reports a stack overflow or a crash.
fn blocked() -> libc::sigset_t {
    use libc::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    // SAFETY: fills a set on the stack.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigfillset(&mut set);
        for fault in [SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP] {
            libc::sigdelset(&mut set, fault);
        }
        set
    }
}

fn change_mask(how: c_int, signals: &libc::sigset_t) -> libc::sigset_t {
    // SAFETY: both sets are on the stack; the call cannot fail for a valid `how`.
    unsafe {
        let mut old: libc::sigset_t = zeroed();
        libc::pthread_sigmask(how, signals, &mut old);
        old
    }
}

/// Runs `f`, which may start a thread, with all signals blocked.
pub fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            change_mask(libc::SIG_SETMASK, &self.0);
        }
    }
    let _restore = Restore(change_mask(libc::SIG_SETMASK, &blocked()));
    f()
}

/// Blocks all signals except faults on the calling thread.
pub fn block_all() {
    change_mask(libc::SIG_SETMASK, &blocked());
}

// ---- SIGPIPE ----

thread_local! {
    // The number of SigpipeBlocks on this thread, and whether the first of them blocked SIGPIPE.
    static BLOCKS: Cell<(u32, bool)> = const { Cell::new((0, false)) };
}

fn sigpipe() -> libc::sigset_t {
    // SAFETY: fills a set on the stack.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGPIPE);
        set
    }
}

/// Blocks SIGPIPE on the thread that makes it, until the last one of that thread ends there.
pub struct SigpipeBlock {
    thread: ThreadId,
    /// The fork_epoch() in which it was made.
    epoch: u32,
}

impl SigpipeBlock {
    pub fn new() -> SigpipeBlock {
        let (n, was_unblocked) = BLOCKS.get();
        let was_unblocked = if n == 0 {
            let old = change_mask(libc::SIG_BLOCK, &sigpipe());
            // SAFETY: reads a set on the stack.
            unsafe { libc::sigismember(&old, libc::SIGPIPE) == 0 }
        } else {
            was_unblocked
        };
        BLOCKS.set((n + 1, was_unblocked));
        SigpipeBlock {
            thread: this_thread(),
            epoch: fork_epoch(),
        }
    }

    /// Ends it. On another thread the mask cannot be restored, and stays as it is. A forked child has
    /// restored it already.
    pub fn end(self) {
        if self.thread != this_thread() || self.epoch != fork_epoch() {
            return;
        }
        let (n, was_unblocked) = BLOCKS.get();
        BLOCKS.set((n - 1, was_unblocked && n > 1));
        if n == 1 && was_unblocked {
            discard_pending_sigpipe();
            change_mask(libc::SIG_UNBLOCK, &sigpipe());
        }
    }
}

/// A pending SIGPIPE would end the process when it is unblocked.
fn discard_pending_sigpipe() {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the set and the time are on the stack; the siginfo may be NULL.
    unsafe { while libc::sigtimedwait(&sigpipe(), ptr::null_mut(), &now) == libc::SIGPIPE {} }
}

// ---- children ----

/// The mask that child processes should start with.
#[derive(Clone, Copy)]
pub struct ChildMask(libc::sigset_t);

thread_local! {
    // Of a thread of a bridge, or one that runs functions for it. Neither has a destructor.
    static FOR_CHILDREN: Cell<Option<ChildMask>> = const { Cell::new(None) };
    // While the thread has the mask of children: its own one.
    static OWN: Cell<Option<libc::sigset_t>> = const { Cell::new(None) };
}

impl ChildMask {
    /// The mask of the calling thread as it would be without bridges.
    pub fn here() -> ChildMask {
        if let Some(mask) = FOR_CHILDREN.get() {
            return mask;
        }
        // SAFETY: an empty set changes nothing; both sets are on the stack.
        unsafe {
            let mut none: libc::sigset_t = zeroed();
            libc::sigemptyset(&mut none);
            let mut mask = change_mask(libc::SIG_BLOCK, &none);
            if BLOCKS.get().1 {
                libc::sigdelset(&mut mask, libc::SIGPIPE);
            }
            ChildMask(mask)
        }
    }

    pub fn set_for_this_thread(self) {
        FOR_CHILDREN.set(Some(self));
    }
}

/// Gives the calling thread the mask of its children, until close().
pub fn open() {
    if OWN.get().is_none() {
        discard_if_blocked();
        OWN.set(Some(change_mask(libc::SIG_SETMASK, &ChildMask::here().0)));
    }
}

/// Gives the thread its own mask again. Without an open() it does nothing.
pub fn close() {
    if let Some(own) = OWN.take() {
        change_mask(libc::SIG_SETMASK, &own);
    }
}

/// A SIGPIPE that the bridge has kept pending would end the process.
fn discard_if_blocked() {
    if BLOCKS.get().1 || FOR_CHILDREN.get().is_some() {
        discard_pending_sigpipe();
    }
}

/// In a forked child: its only thread gets the mask that it would have without bridges. Nothing is
/// pending in a new process.
pub fn in_child() {
    if FOR_CHILDREN.get().is_some() || BLOCKS.get().1 {
        change_mask(libc::SIG_SETMASK, &ChildMask::here().0);
    }
    FOR_CHILDREN.set(None);
    BLOCKS.set((0, false));
    OWN.set(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sigpipe_blocked() -> bool {
        // SAFETY: an empty set changes nothing; reads the mask.
        unsafe {
            let mut none: libc::sigset_t = zeroed();
            libc::sigemptyset(&mut none);
            libc::sigismember(&change_mask(libc::SIG_BLOCK, &none), libc::SIGPIPE) == 1
        }
    }

    #[test]
    fn sigpipe_is_blocked_until_the_last_block_ends() {
        std::thread::spawn(|| {
            assert!(!sigpipe_blocked());
            let (a, b) = (SigpipeBlock::new(), SigpipeBlock::new());
            assert!(sigpipe_blocked());
            a.end();
            assert!(sigpipe_blocked());
            // SAFETY: raises a signal that is blocked on this thread.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGPIPE) };
            b.end(); // discards it; otherwise this process would end here
            assert!(!sigpipe_blocked());
        })
        .join()
        .unwrap();
    }
}
