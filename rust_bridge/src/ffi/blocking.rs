// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface of blocking.rs.

use std::ffi::{c_char, c_void};

use super::{submit, NartTokio, NartTokioOp};
use crate::blocking::{BlockingFn, DropFn, Jobs, Stop, Work};
use crate::sys::{errno, Res};

/// Hands a function to the blocking pool. Its answer is the operation's: `>= 0` a value, `< 0` an
/// error (-ECANCELED becomes NART_EABORTED; numbers that are no nart_res become -EINVAL).
///
/// @param name for reports; copied; NULL is "".
/// @param run called once on a thread of the pool, unless the job is cancelled before it starts.
/// @param drop_arg called exactly once for an accepted job, before it is answered: on the pool's
///   thread, or on the one that cancels or shuts down. May be NULL.
/// @return 0 and `*op`; -EAGAIN the queue is full, or no thread is to be had; NART_ESHUTDOWN; -EINVAL;
///   -ENOMEM; NART_EFORK.
/// **Ownership**: `arg` is the pool's when this answers 0, and stays the caller's otherwise.
/// **Thread**: any. **Cost**: no allocation but when a thread is started; a system call when an idle
/// one has to be woken. Threads are started when there is work for them, and an idle one ends after two
/// seconds at most: jobs that come more often do not start a thread each.
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

/// Has a blocking function been asked to stop? It then ends soon, with -ECANCELED.
/// **Thread**: any, while the function runs. **Cost**: a load.
///
/// # Safety
/// `stop` is what the function was given.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_stopped(stop: *const Stop) -> bool {
    // SAFETY: the caller's promise.
    unsafe { stop.as_ref() }.is_some_and(Stop::is_set)
}
