// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface of op.rs and on_done.rs.

use std::ffi::{c_char, c_void};

use super::{message, res, with_value, NartTokio};
use crate::bridge::Bridge;
use crate::op::{Handle, Op, Status};
use crate::panic::guard;
use crate::sys::{errno, Cx, NartWaker, Poll, Res, Rt, EFORK, ESTALE, PENDING};

/// An operation: work that goes on elsewhere, and its answer. Zeroed = empty. It lives in the frame
/// of the task that awaits it, may be moved by assignment while nobody waits, and must be closed.
/// Everything behind it is the bridge's, so a frame can be dropped at any time.
///
/// **Thread** of all nart_tokio_op functions: any, but one at a time for one operation; as a rule
/// the loop's.
#[repr(C)]
pub struct NartTokioOp {
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
    unsafe fn handle(op: *const NartTokioOp) -> Option<Handle> {
        // SAFETY: what is not NULL comes from of(), and is cleared by close.
        unsafe { Handle::from_raw(op.as_ref()?.op.cast::<Op>()) }
    }
}

/// What all submissions have in common.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or writable.
pub(crate) unsafe fn submit(
    rt: *const NartTokio,
    op: *mut NartTokioOp,
    start: impl FnOnce(&Bridge) -> Result<Handle, Res>,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(bridge), Some(op)) = (unsafe { (Bridge::from_c(rt), op.as_mut()) }) else {
            return errno(libc::EINVAL);
        };
        *op = NartTokioOp::of(None);
        if bridge.0.is_forked() {
            return EFORK;
        }
        res(start(bridge), |handle| *op = NartTokioOp::of(Some(handle)))
    })
}

/// Awaits an operation. `value` may be NULL.
///
/// @return 0 and `*value`; NART_EABORTED it was cancelled; NART_EPANIC its Rust code panicked;
///   NART_ESHUTDOWN the bridge was shut down before it ended; its own error: -errno or NART_EHTTP_*;
///   NART_ESTALE an empty handle; NART_EFORK. -ECANCELED, -ETIMEDOUT: about the calling task; the
///   operation goes on and can be awaited again. Once there, the answer stays until close.
/// **Thread**: the loop's, inside a poll. **Cost**: one load when it is there; one read-modify-write
/// when the task parks.
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

/// The same with a waker of any kind, for authors of other runtimes. An operation keeps one waker,
/// the last that was given; the one before it is woken, so that two that poll in turn both go on.
/// @return as nart_tokio_op_await(), never about a task; NART_PENDING: `waker` will be woken.
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

/// The answer if it is there, without waiting and without a waker. @return as nart_tokio_op_poll().
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

/// Is told of an operation's end; `op` is what nart_tokio_op_on_done() has taken over.
pub type DoneFn = Option<unsafe extern "C-unwind" fn(op: *mut NartTokioOp, arg: *mut c_void)>;

/// Calls `done(op, arg)` on the loop's thread when the operation has ended, for code that is not
/// written as tasks. Called exactly once, by a later turn of the loop and never inside this function.
/// There, nart_tokio_op_try() and nart_tokio_op_message() say what has become of it; after `done` it is
/// closed. When the runtime is freed first, `done` is called by nart_rt_free() with an operation that
/// still runs (NART_PENDING), and which is cancelled then.
///
/// @return 0, and `*op` is empty; -EINVAL no `rt`, `op` or `done`; NART_ESTALE an empty operation;
///   NART_ESLOTS, -ENOMEM no slot for a task; NART_ESHUTDOWN `rt` is being freed; NART_EWRONGTHREAD;
///   NART_EFORK.
/// **Ownership**: on 0 the operation is the loop's, otherwise it stays the caller's. `done` may begin
/// other operations, and free the bridge.
/// **Thread**: the loop's. **Cost**: a task in a slot of 64 bytes, which keeps nart_rt_run() going.
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

/// How an operation stands: running, or the one way in which it has ended. Tells a job's own
/// -ETIMEDOUT, say, from the task's. An empty handle runs.
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

/// The bytes that came with the answer: a body, or the text of an error or a panic. Never NULL, and
/// a NUL stands behind them; before the answer they are empty. `len` may be NULL.
/// **Ownership**: the operation's, until it is closed.
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

/// Asks an operation to end, and returns at once. A future is dropped by its tokio thread, a queued
/// blocking function is taken out here, a running one sees its stop flag, a C task is cancelled. The
/// operation then answers NART_EABORTED, unless it ended by itself first. Again, late, or on an
/// empty handle: nothing.
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

/// Gives an operation up: the work goes on, its answer is not wanted. Empties `*op`.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_detach(op: *mut NartTokioOp) {
    guard(|| {
        // SAFETY: the caller's promises; the handle is cleared before it is used up.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return;
            };
            *op = NartTokioOp::of(None);
            handle.detach();
        }
    });
}

/// Closes an operation: one that is pending is cancelled and detached, one that has ended is freed.
/// Empties `*op`; empty and NULL are fine. Never blocks.
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
