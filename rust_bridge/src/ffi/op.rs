// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations: awaiting, cancelling and closing them. The C interface of op.rs and on_done.rs.
//!
//! Ownership: [`NartTokioOp`] is the caller's memory and holds a [`Handle`], which
//! [`nart_tokio_op_detach`], [`nart_tokio_op_close`] and [`nart_tokio_op_on_done`] take out. A
//! message is borrowed from the operation until then.

use std::ffi::{c_char, c_void};

use super::{message, res, with_value, NartTokio};
use crate::bridge::Bridge;
use crate::op::{Handle, Op};
use crate::outcome::{Outcome, Status};
use crate::panic::guard;
use crate::sys::{errno, Cx, NartWaker, Poll, Res, Rt, EABI, EFORK, ESTALE, PENDING};

/// An operation: work that runs elsewhere, and its result. A zeroed one is empty. It lives in the
/// frame of the task that awaits it. It may be moved by assignment while no task awaits it, and
/// must be closed. It points to memory of the bridge only, so the frame may be dropped at any time.
///
/// **Thread** of all nart_tokio_op functions: any, but one at a time for each operation; usually
/// the loop's.
#[repr(C)]
#[derive(Debug)]
pub struct NartTokioOp {
    /// private
    #[doc(hidden)]
    pub op: *mut c_void,
    #[doc(hidden)]
    pub reserved: u64,
}

impl NartTokioOp {
    pub(crate) fn of(handle: Option<Handle>) -> NartTokioOp {
        let op = handle.map_or(std::ptr::null_mut(), |h| h.into_raw().cast());
        NartTokioOp { op, reserved: 0 }
    }

    /// # Safety
    /// `op` is NULL or live.
    pub(crate) unsafe fn handle(op: *const NartTokioOp) -> Option<Handle> {
        // SAFETY: a pointer that is not NULL is from of(), and close clears it.
        unsafe { Handle::from_raw(op.as_ref()?.op.cast::<Op>()) }
    }
}

/// The body of all functions that submit an operation.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or writable.
pub(crate) unsafe fn submit(
    rt: *const NartTokio,
    op: *mut NartTokioOp,
    start: impl FnOnce(&Bridge) -> Result<Handle, Res>,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promise.
        let Some(op) = (unsafe { op.as_mut() }) else {
            return errno(libc::EINVAL);
        };
        *op = NartTokioOp::of(None);
        // SAFETY: the caller's promise.
        let Some(bridge) = (unsafe { Bridge::from_c(rt) }) else {
            return errno(libc::EINVAL);
        };
        if bridge.0.is_forked() {
            return EFORK;
        }
        res(start(bridge), |handle| *op = NartTokioOp::of(Some(handle)))
    })
}

/// Awaits an operation. `value` may be NULL. The result stays available until close.
///
/// @return 0 and `*value`; NART_EABORTED it was cancelled; NART_EPANIC its Rust code panicked;
///   NART_ESHUTDOWN the bridge was shut down before it ended; its own error: -errno or
///   NART_EHTTP_*; NART_ESTALE the handle is empty; NART_EFORK; -ECANCELED, -ETIMEDOUT the calling
///   task was cancelled or its deadline passed: the operation continues and can be awaited again.
/// **Thread**: the loop's, inside a poll. **Cost**: one load if the operation has ended; one
/// read-modify-write when the task parks.
///
/// # Safety
/// `cx` is the running poll's; `op` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_await(
    cx: *mut Cx,
    op: *mut NartTokioOp,
    value: *mut i64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (poll, handle) = unsafe { (Poll::new(cx), NartTokioOp::handle(op)) };
        if let Err(answer) = poll.enter() {
            return answer;
        }
        let Some(handle) = handle else { return ESTALE };
        let wait = |value: &mut i64| match handle.peek(value) {
            PENDING => handle.poll(poll.waker(), value),
            answer => answer,
        };
        // SAFETY: the caller's promise.
        match unsafe { with_value(value, wait) } {
            PENDING => poll.park(),
            answer => answer,
        }
    })
}

/// The same with any waker, for authors of other runtimes, and for threads without a loop. An
/// operation keeps the last waker only, and wakes the one that it replaces: so two tasks that poll
/// it in turn both make progress. Each waker that it keeps is woken exactly once, unless the
/// operation is closed or detached before it has ended. That may be shortly after the end can be
/// seen, also after the operation was closed then: keep the object of a waker of your own until it
/// was woken.
/// @return as nart_tokio_op_await(), but for -ECANCELED and -ETIMEDOUT of the calling task;
///   NART_PENDING it has not ended: `waker` will be woken.
/// **Cost**: as nart_tokio_op_await().
///
/// # Safety
/// `op` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_poll(
    op: *mut NartTokioOp,
    waker: NartWaker,
    value: *mut i64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return ESTALE;
            };
            with_value(value, |value| handle.poll(waker, value))
        }
    })
}

/// Reads the result if the operation has ended. Never waits, and registers no waker.
/// @return as nart_tokio_op_poll(); NART_PENDING it has not ended.
/// **Cost**: one load.
///
/// # Safety
/// `op` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_try(op: *const NartTokioOp, value: *mut i64) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return ESTALE;
            };
            with_value(value, |value| handle.peek(value))
        }
    })
}

/// Called when an operation ends. `op` is the one that nart_tokio_op_on_done() took over.
pub type DoneFn = Option<unsafe extern "C-unwind" fn(op: *mut NartTokioOp, arg: *mut c_void)>;

/// Calls `done(op, arg)` on the loop's thread when the operation has ended, for code that is not
/// written as tasks. `done` is called exactly once, in a later tick of the loop, never inside this
/// function. It reads the result with nart_tokio_op_try() and nart_tokio_op_message(); the
/// operation is closed after it returns. If the runtime is freed first, nart_rt_free() calls `done`
/// with an operation that is still running (NART_PENDING), and cancels it afterwards.
///
/// @return 0, and `*op` is empty; -EINVAL no `rt`, `op` or `done`; NART_ESTALE the operation is
///   empty; NART_ESLOTS, -ENOMEM no slot for a task; NART_ESHUTDOWN `rt` is being freed;
///   NART_EWRONGTHREAD; NART_EFORK.
/// **Ownership**: the loop takes over the operation if this returns 0, otherwise it remains the
/// caller's. `done` may start other operations, and may free the bridge.
/// **Thread**: the loop's. **Cost**: a task in a slot of 64 bytes, which keeps nart_rt_run()
/// running.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or live; `done` may be called with `arg`.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_on_done(
    rt: *mut Rt,
    op: *mut NartTokioOp,
    done: DoneFn,
    arg: *mut c_void,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(op), true) = (unsafe { op.as_mut() }, done.is_some()) else {
            return errno(libc::EINVAL);
        };
        if op.op.is_null() {
            return ESTALE;
        }
        // SAFETY: the caller's promises.
        res(
            unsafe { crate::on_done::on_done(rt, op, done, arg) },
            |()| (),
        )
    })
}

/// The status of an operation: running, or the way in which it ended. It may have ended since an
/// await answered -ECANCELED or -ETIMEDOUT: then read its result with nart_tokio_op_try(). The
/// status of an empty handle, also of one whose submission failed, is "running".
/// **Cost**: one load.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_status(op: *const NartTokioOp) -> Status {
    let mut status = Status::Running;
    guard(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { NartTokioOp::handle(op) };
        if let Some(outcome) = handle.as_ref().and_then(Handle::outcome) {
            status = outcome.status;
        }
    });
    status
}

/// The bytes of the result: a response body, or the text of an error or a panic. Never NULL, and
/// terminated by a NUL that `*len` does not count. Empty while the operation runs, if there is
/// nothing to say (cancelled, shut down), and for an empty handle. `len` may be NULL.
/// **Ownership**: the operation's, until it is closed.
/// **Cost**: one load.
///
/// # Safety
/// `op` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_message(
    op: *const NartTokioOp,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller's promises.
    unsafe {
        let handle = NartTokioOp::handle(op);
        message(handle.as_ref().and_then(Handle::outcome), len)
    }
}

/// Copies the struct that an operation of Rust code answers (nart_tokio::export!) to `*to`, which has
/// `size` bytes.
/// @return as nart_tokio_op_try(); NART_EABI the answer is no struct of that size; -EINVAL `to` is NULL.
/// **Cost**: one load, and the copy.
///
/// # Safety
/// `op` is NULL or live; `to` is NULL or `size` bytes are writable there.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_read(
    op: *const NartTokioOp,
    to: *mut c_void,
    size: usize,
) -> Res {
    guard(|| {
        if to.is_null() {
            return errno(libc::EINVAL);
        }
        // SAFETY: the caller's promise.
        let Some(handle) = (unsafe { NartTokioOp::handle(op) }) else {
            return ESTALE;
        };
        let answer = handle.peek(&mut 0);
        if answer != 0 {
            return answer;
        }
        let (bytes, len) = handle.outcome().map_or((&b""[..], 0), Outcome::message);
        if len != size {
            return EABI;
        }
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast::<u8>(), size) };
        0
    })
}

/// Cancels an operation, and returns at once. A tokio thread drops a future and cancels a C task; a
/// queued blocking function is removed here, a running one sees its stop flag. The operation ends
/// with NART_EABORTED if it was dropped or removed. A running function and a C task end it when they
/// return, with what they return (-ECANCELED becomes NART_EABORTED). Does nothing if the operation
/// was cancelled before, has ended, or is empty.
/// **Cost**: may lock a mutex; a system call to wake a tokio thread.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_cancel(op: *mut NartTokioOp) {
    guard(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { NartTokioOp::handle(op) };
        handle.into_iter().for_each(Handle::cancel);
    });
}

/// Detaches an operation: its work continues, its result is discarded. Empties `*op`.
/// **Cost**: one read-modify-write.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_detach(op: *mut NartTokioOp) {
    guard(|| {
        // SAFETY: the caller's promises; the handle is cleared before detach() consumes it.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return;
            };
            *op = NartTokioOp::of(None);
            handle.detach();
        }
    });
}

/// Closes an operation: cancels and detaches it if it is still running, frees it if it has ended.
/// Empties `*op`. Empty and NULL are allowed. Never blocks.
/// **Cost**: as nart_tokio_op_cancel().
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_close(op: *mut NartTokioOp) {
    // SAFETY: the caller's promise.
    unsafe {
        nart_tokio_op_cancel(op);
        nart_tokio_op_detach(op);
    }
}
