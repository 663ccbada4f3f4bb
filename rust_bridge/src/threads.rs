// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tokio's threads must not take over from the thread that makes them, and SIGPIPE.
//!
//! A thread is born with its creator's signal mask, CPU mask and scheduling policy. The creator here
//! is the hot loop, which may be pinned, run under SCHED_FIFO, and read signals by signalfd. So:
//!
//! 1. All signals are blocked while a thread may be born ([`with_signals_blocked`]): a mask that is
//!    set by the new thread itself comes too late for a signal that arrives before.
//! 2. The new thread leaves the loop's policy and CPUs ([`Hygiene::apply`]). Its CPUs are the
//!    process's without the loop's. "The process's" are those that the process started with, read
//!    before main(): `taskset` is obeyed, and a loop that has pinned itself does not hide the rest.
//! 3. A write to a connection that was reset raises SIGPIPE where a Rust program would have it
//!    ignored. Blocked in the threads by 1; on the loop's thread by [`SigpipeBlock`].

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::{size_of, zeroed};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

use crate::sys::{errno, Res};

// ---- fork ----

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed); // the child has one thread
}

/// Changes in a child of fork: a bridge of another epoch is the parent's.
pub fn fork_epoch() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

pub fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function only adds to an atomic. When memory is short, which is the only way
        // to fail, forks go unnoticed.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

// ---- CPUs ----

type Cpus = libc::cpu_set_t;

fn cpus_here() -> Cpus {
    // SAFETY: an all-zero set is a set; the call fills it or leaves it.
    unsafe {
        let mut set: Cpus = zeroed();
        libc::sched_getaffinity(0, size_of::<Cpus>(), &mut set);
        set
    }
}

fn has(set: &Cpus, cpu: usize) -> bool {
    // SAFETY: the number is in range; the function only reads.
    unsafe { libc::CPU_ISSET(cpu, set) }
}

fn filter(set: &Cpus, keep: impl Fn(usize) -> bool) -> Cpus {
    // SAFETY: an all-zero set is a set, and the numbers are in range.
    unsafe {
        let mut out: Cpus = zeroed();
        for cpu in (0..libc::CPU_SETSIZE as usize).filter(|&c| has(set, c) && keep(c)) {
            libc::CPU_SET(cpu, &mut out);
        }
        out
    }
}

fn is_empty(set: &Cpus) -> bool {
    // SAFETY: reads the set.
    unsafe { libc::CPU_COUNT(set) == 0 }
}

struct StartCpus(std::cell::UnsafeCell<Option<Cpus>>);

// SAFETY: written once, before main(), by the only thread; read from then on.
unsafe impl Sync for StartCpus {}

static START: StartCpus = StartCpus(std::cell::UnsafeCell::new(None));

extern "C" fn record_start() {
    // SAFETY: see Sync above.
    unsafe { *START.0.get() = Some(cpus_here()) }
}

/// Runs before main(), or when the library that holds it is loaded.
#[used]
#[cfg_attr(target_os = "linux", link_section = ".init_array")]
static AT_START: extern "C" fn() = record_start;

fn cpus_at_start() -> Cpus {
    // SAFETY: see Sync above.
    unsafe { *START.0.get() }.unwrap_or_else(cpus_here)
}

/// What a thread of the bridge does first.
#[derive(Clone, Copy)]
pub struct Hygiene {
    cpus: Option<Cpus>,
}

impl Hygiene {
    /// `wanted`: CPU numbers, or none for "all but the loop's", the loop being the calling thread.
    /// `-EINVAL` when none of them is the process's.
    pub fn new(wanted: &[u32]) -> Result<Hygiene, Res> {
        let all = cpus_at_start();
        if !wanted.is_empty() {
            let cpus = filter(&all, |cpu| wanted.iter().any(|&w| w as usize == cpu));
            if is_empty(&cpus) {
                return Err(errno(libc::EINVAL));
            }
            return Ok(Hygiene { cpus: Some(cpus) });
        }
        let mine = cpus_here();
        let others = filter(&all, |cpu| !has(&mine, cpu));
        if is_empty(&others) {
            // The loop is not pinned, or there is no other CPU.
            return Ok(Hygiene {
                cpus: (!is_empty(&all)).then_some(all),
            });
        }
        Ok(Hygiene { cpus: Some(others) })
    }

    pub fn apply(&self) {
        // SAFETY: calls about the calling thread, with sets and parameters that live on the stack.
        // Their failure leaves the thread as it was born, which is no reason not to start it.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &blocked(), ptr::null_mut());
            let normal = libc::sched_param { sched_priority: 0 };
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &normal);
            if let Some(cpus) = &self.cpus {
                libc::sched_setaffinity(0, size_of::<Cpus>(), cpus);
            }
        }
    }
}

// ---- signals ----

/// Every signal that somebody sends. Not the faults of a thread itself: they can't wait, and a
/// handler that reports them (of an overflown stack, of a crash) would not be called.
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
    // SAFETY: both sets live on the stack; the call cannot fail for a valid `how`.
    unsafe {
        let mut old: libc::sigset_t = zeroed();
        libc::pthread_sigmask(how, signals, &mut old);
        old
    }
}

/// Runs `f`, in which a thread may be born.
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

thread_local! {
    // Bridges on this thread that want SIGPIPE blocked, and whether it was not when the first came.
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

pub fn this_thread() -> libc::pthread_t {
    // SAFETY: always succeeds.
    unsafe { libc::pthread_self() }
}

/// SIGPIPE is blocked on the thread that makes this, until the last one made there has ended there.
pub struct SigpipeBlock {
    thread: libc::pthread_t,
}

impl SigpipeBlock {
    pub fn new() -> SigpipeBlock {
        let (n, was_open) = BLOCKS.get();
        let was_open = if n == 0 {
            let old = change_mask(libc::SIG_BLOCK, &sigpipe());
            // SAFETY: reads a set on the stack.
            unsafe { libc::sigismember(&old, libc::SIGPIPE) == 0 }
        } else {
            was_open
        };
        BLOCKS.set((n + 1, was_open));
        SigpipeBlock {
            thread: this_thread(),
        }
    }

    /// Ends it. On another thread nothing can be restored: the mask stays as it is.
    pub fn end(self) {
        if self.thread != this_thread() {
            return;
        }
        let (n, was_open) = BLOCKS.get();
        BLOCKS.set((n - 1, was_open));
        if n == 1 && was_open {
            eat_pending_sigpipe();
            change_mask(libc::SIG_UNBLOCK, &sigpipe());
        }
    }
}

/// One that came while it was blocked would end the process at the moment of unblocking.
fn eat_pending_sigpipe() {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the set and the time live on the stack; nobody asks for the siginfo.
    unsafe { while libc::sigtimedwait(&sigpipe(), ptr::null_mut(), &now) == libc::SIGPIPE {} }
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
    fn sigpipe_is_blocked_until_the_last_ends() {
        std::thread::spawn(|| {
            assert!(!sigpipe_blocked());
            let (a, b) = (SigpipeBlock::new(), SigpipeBlock::new());
            assert!(sigpipe_blocked());
            a.end();
            assert!(sigpipe_blocked());
            // SAFETY: raises a signal that is blocked on this thread.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGPIPE) };
            b.end(); // eats it, or this process ends here
            assert!(!sigpipe_blocked());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_pinned_loop_keeps_its_cpu_to_itself() {
        let all = cpus_at_start();
        let first = (0..libc::CPU_SETSIZE as usize)
            .find(|&c| has(&all, c))
            .unwrap();
        std::thread::spawn(move || {
            let pin = filter(&all, |cpu| cpu == first);
            // SAFETY: a set on the stack, for this thread only.
            unsafe { libc::sched_setaffinity(0, size_of::<Cpus>(), &pin) };
            let cpus = Hygiene::new(&[]).unwrap().cpus.unwrap();
            // SAFETY: reads the set.
            let alone = unsafe { libc::CPU_COUNT(&all) } == 1;
            assert_eq!(has(&cpus, first), alone);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn cpus_that_are_not_ours_are_refused() {
        let none = libc::CPU_SETSIZE as u32 - 1;
        assert!(Hygiene::new(&[none]).is_err() || has(&cpus_at_start(), none as usize));
        assert!(Hygiene::new(&[u32::MAX]).is_err());
    }
}
