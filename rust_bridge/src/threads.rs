// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attributes that tokio's threads must not inherit from the thread that starts them; forks; the
//! identity and the end of a thread.
//!
//! A thread inherits the CPU mask, the scheduling policy and the signal mask of its creator. Here the
//! creator is the loop's thread, which may be pinned and run under SCHED_FIFO. So a new thread resets
//! its policy and CPUs ([`Hygiene::apply`]). Its CPUs are those of the process except the loop's. Those
//! of the process are read before main(): so `taskset` is obeyed, and a loop that pins itself does not
//! hide the other CPUs. Signals are in signals.rs.

use std::cell::Cell;
use std::mem::{size_of, zeroed};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Once;

use tokio::runtime::Handle as TokioHandle;

use crate::signals::{self, with_signals_blocked, ChildMask};
use crate::sys::{errno, Res};

// ---- fork ----

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed); // the child has one thread
    MUST_NOT_WAIT.set(0);
    signals::in_child();
}

/// Changes in a forked child: a bridge of another epoch belongs to the parent.
pub fn fork_epoch() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Makes fork_epoch() change in forked children, and resets their signal mask.
pub fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function only adds to an atomic. This fails only if there is no memory; forks
        // are then not detected.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

// ---- CPUs ----

type Cpus = libc::cpu_set_t;

fn cpus_here() -> Cpus {
    // SAFETY: an all-zero set is valid; the call fills it or does not change it.
    unsafe {
        let mut set: Cpus = zeroed();
        libc::sched_getaffinity(0, size_of::<Cpus>(), &mut set);
        set
    }
}

fn has(set: &Cpus, cpu: usize) -> bool {
    // SAFETY: the number is in range; this only reads.
    unsafe { libc::CPU_ISSET(cpu, set) }
}

fn filter(set: &Cpus, keep: impl Fn(usize) -> bool) -> Cpus {
    // SAFETY: an all-zero set is valid, and the numbers are in range.
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

/// Runs before main(), or when the library that contains it is loaded.
#[used]
#[cfg_attr(target_os = "linux", link_section = ".init_array")]
static AT_START: extern "C" fn() = record_start;

fn cpus_at_start() -> Cpus {
    // SAFETY: see Sync above.
    unsafe { *START.0.get() }.unwrap_or_else(cpus_here)
}

/// The attributes of the bridge's threads.
#[derive(Clone, Copy)]
pub struct Hygiene {
    cpus: Option<Cpus>,
    /// For children of these threads.
    mask: ChildMask,
}

impl Hygiene {
    /// `wanted`: CPU numbers; empty: all CPUs of the process except the calling thread's.
    /// `-EINVAL` if the process may run on none of them.
    pub fn new(wanted: &[u32]) -> Result<Hygiene, Res> {
        let all = cpus_at_start();
        let mask = ChildMask::here();
        if !wanted.is_empty() {
            let cpus = filter(&all, |cpu| wanted.iter().any(|&w| w as usize == cpu));
            if is_empty(&cpus) {
                return Err(errno(libc::EINVAL));
            }
            return Ok(Hygiene {
                cpus: Some(cpus),
                mask,
            });
        }
        let mine = cpus_here();
        let others = filter(&all, |cpu| !has(&mine, cpu));
        if is_empty(&others) {
            // The loop is not pinned, or there is no other CPU.
            return Ok(Hygiene {
                cpus: (!is_empty(&all)).then_some(all),
                mask,
            });
        }
        Ok(Hygiene {
            cpus: Some(others),
            mask,
        })
    }

    /// For a thread of the program that runs a function for the bridge.
    pub fn mask_children(&self) {
        self.mask.set_for_this_thread();
    }

    /// Called first on each thread of the bridge.
    pub fn apply(&self) {
        MUST_NOT_WAIT.set(MUST_NOT_WAIT.get() + 1);
        signals::block_all();
        self.mask.set_for_this_thread();
        // SAFETY: the calls change the calling thread only; their arguments are on the stack. If
        // they fail, the thread keeps what it inherited, and still works.
        unsafe {
            let normal = libc::sched_param { sched_priority: 0 };
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &normal);
            if let Some(cpus) = &self.cpus {
                libc::sched_setaffinity(0, size_of::<Cpus>(), cpus);
            }
        }
    }
}

/// Pins the calling thread to a CPU. `-EINVAL` if the process may not run on it.
pub fn pin(cpu: u32) -> Result<(), Res> {
    let set = filter(&cpus_at_start(), |n| n == cpu as usize);
    // SAFETY: a set on the stack, for this thread only.
    match unsafe { libc::sched_setaffinity(0, size_of::<Cpus>(), &set) } {
        0 => Ok(()),
        _ => Err(errno(libc::EINVAL)),
    }
}

// ---- waiting ----

thread_local! {
    // Not 0 on the bridge's threads and in a drop_arg: a shutdown would wait for its caller. It has no
    // destructor, so it can be read by a handler of atexit().
    static MUST_NOT_WAIT: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread may not wait for a shutdown.
pub fn must_not_wait() -> bool {
    MUST_NOT_WAIT.get() > 0
}

/// Runs `f`, for whose end a shutdown waits.
pub fn without_waiting<R>(f: impl FnOnce() -> R) -> R {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            MUST_NOT_WAIT.set(MUST_NOT_WAIT.get() - 1);
        }
    }
    MUST_NOT_WAIT.set(MUST_NOT_WAIT.get() + 1);
    let _end = End;
    f()
}

// ---- threads that end ----

/// Whether this thread ends: it runs the handlers of atexit(), or the destructors of thread-local
/// variables. tokio cannot be entered here, and cannot wait.
pub fn is_ending() -> bool {
    TokioHandle::try_current().is_err_and(|e| e.is_thread_local_destroyed())
}

/// Runs `f` where tokio can wait: here, or on a new thread if this one ends.
pub fn where_tokio_waits<R: Send>(f: impl Fn() -> R + Sync) -> R {
    if !is_ending() {
        return f();
    }
    std::thread::scope(|scope| {
        let born = with_signals_blocked(|| std::thread::Builder::new().spawn_scoped(scope, &f));
        let done = born.ok().and_then(|thread| thread.join().ok());
        done.unwrap_or_else(&f)
    })
}

// ---- the identity of a thread ----

/// Identifies a thread. A pthread_t does not: a new thread can have that of one that has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ThreadId(u64);

pub fn this_thread() -> ThreadId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        // Has no destructor, so it can be read at any time. 0: not set yet.
        static ID: Cell<u64> = const { Cell::new(0) };
    }
    if ID.get() == 0 {
        // Relaxed: only uniqueness matters.
        ID.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    }
    ThreadId(ID.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_of_a_pinned_loop_is_not_used() {
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
    fn cpus_that_the_process_may_not_use_are_refused() {
        let none = libc::CPU_SETSIZE as u32 - 1;
        assert!(Hygiene::new(&[none]).is_err() || has(&cpus_at_start(), none as usize));
        assert!(Hygiene::new(&[u32::MAX]).is_err());
    }
}
