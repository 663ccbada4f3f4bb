// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking functions of C. The C interface of blocking.rs.
//!
//! Ownership: the pool takes over `arg` when a job was accepted, and calls `drop_arg` exactly once.

use std::ffi::{c_char, c_void};

use super::{submit, NartTokio, NartTokioOp};
use crate::blocking::{BlockingFn, DropFn, Jobs, Stop, Work};
use crate::panic::guard;
use crate::signals;
use crate::sys::{errno, Res};

/// Runs a function on the blocking pool. Its return value is the operation's result: `>= 0` a
/// value, `< 0` an error (-ECANCELED becomes NART_EABORTED; a number that is not a nart_res becomes
/// -EINVAL).
///
/// @param name for reports; copied; NULL is "".
/// @param run called once on a thread of the pool, unless the job is cancelled before it starts.
/// @param drop_arg called exactly once for an accepted job, before the operation ends: on the
///   pool's thread, or on the thread that cancels it, or shuts down or frees the bridge. For a function
///   that a shutdown has leaked it is called after the function returns, if it does. May be NULL.
/// @return 0 and `*op`; -EAGAIN the queue is full, or no thread could be started; NART_ESHUTDOWN;
///   -EINVAL no `rt`, `op` or `run`; -ENOMEM; NART_EFORK.
/// **Ownership**: the pool takes over `arg` if this returns 0, otherwise it remains the caller's.
/// **Thread**: any. **Cost**: no allocation unless a thread is started; a system call to wake an
/// idle thread. Threads are started on demand, and end after an idle second: jobs at shorter
/// intervals reuse them. The pool is one of nart/work.h: the bridge's own, or `pool` of its options.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL, or writable and without an open operation; `name` is NULL or a
/// C string; the functions may be called with `arg` on other threads.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_blocking(
    rt: *mut NartTokio,
    name: *const c_char,
    run: BlockingFn,
    arg: *mut c_void,
    drop_arg: DropFn,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        submit(rt, op, |bridge| {
            let work = Work::new(name, run, arg, drop_arg).ok_or(errno(libc::EINVAL))?;
            Jobs::submit(&bridge.0, work)
        })
    }
}

/// Whether a blocking function's operation was cancelled, or its bridge is being shut down. The
/// function should then return -ECANCELED soon.
/// **Thread**: any, while the function runs. **Cost**: a load.
///
/// # Safety
/// `stop` is the pointer that was passed to the function.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_stopped(stop: *const Stop) -> bool {
    // SAFETY: the caller's promise.
    unsafe { stop.as_ref() }.is_some_and(Stop::is_set)
}

/// Gives the calling thread the signal mask for starting a child process (`true`), or its own mask
/// again (`false`). A child inherits the mask of its thread, and a child with all signals blocked can
/// only be killed.
///
/// On a thread of the bridge, the mask for children is the one that the thread had which made the
/// bridge; on that thread, it is the mask without the bridge's block of SIGPIPE. A child of fork() has
/// that mask already. posix_spawn(), system() and popen() need this call:
///
/// ```c
/// nart_tokio_child_signals(true);
/// FILE *pipe = popen("sort prices.txt", "r");
/// nart_tokio_child_signals(false);
/// ```
///
/// In between, signals that the program has not blocked can be delivered to this thread, as to any
/// other. Calls do not nest. When a blocking function returns, its thread has its own mask again.
/// **Thread**: any; no effect on a thread that is not concerned. **Cost**: a system call.
#[no_mangle]
pub extern "C" fn nart_tokio_child_signals(on: bool) {
    guard(|| match on {
        true => signals::open(),
        false => signals::close(),
    })
}
