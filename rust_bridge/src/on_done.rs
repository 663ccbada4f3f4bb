// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calling a function when an operation ends. It is a task of the loop that awaits the operation;
//! there is no second mechanism. The frame's drop calls the function. So it is called exactly once,
//! on the loop's thread, also when the runtime is freed before the operation ends.

use std::ffi::c_void;

use crate::ffi::{nart_tokio_op_await, nart_tokio_op_close, DoneFn, NartTokioOp};
use crate::panic::catch_of;
use crate::sys::{nart_rt_spawn_begin, nart_rt_spawn_commit, Cx, Res, Rt, TaskType, PENDING};

struct Frame {
    op: NartTokioOp,
    done: DoneFn,
    arg: *mut c_void,
}

unsafe extern "C-unwind" fn poll(cx: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: the frame is a Frame, and this is its poll.
    let answer = unsafe { nart_tokio_op_await(cx, &raw mut (*frame.cast::<Frame>()).op, &mut 0) };
    if answer == PENDING {
        PENDING
    } else {
        0 // the result stays in the operation
    }
}

unsafe extern "C-unwind" fn end(frame: *mut c_void) {
    // SAFETY: the frame is a Frame, and this is its drop.
    unsafe {
        let frame = frame.cast::<Frame>();
        let op = &raw mut (*frame).op;
        if let Some(done) = (*frame).done {
            let name = || "the function of an nart_tokio_op_on_done()".to_owned();
            let _ = catch_of(name, || done(op, (*frame).arg));
        }
        nart_tokio_op_close(op);
    }
}

static TYPE: TaskType = TaskType::of::<Frame>(c"nart_tokio_op_on_done", poll, Some(end));

/// Spawns that task. On an error the operation remains the caller's.
///
/// # Safety
/// `rt` is NULL or live; `done` may be called with `arg` on its thread.
pub unsafe fn on_done(
    rt: *mut Rt,
    op: &mut NartTokioOp,
    done: DoneFn,
    arg: *mut c_void,
) -> Result<(), Res> {
    let mut error = 0;
    // SAFETY: the caller's promises; the frame is filled in before it is committed.
    unsafe {
        let frame = nart_rt_spawn_begin(rt, &TYPE, &mut error).cast::<Frame>();
        if frame.is_null() {
            return Err(error);
        }
        let op = std::mem::replace(op, NartTokioOp::of(None));
        frame.write(Frame { op, done, arg });
        let _ = nart_rt_spawn_commit(rt, frame.cast(), std::ptr::null_mut());
    }
    Ok(())
}
