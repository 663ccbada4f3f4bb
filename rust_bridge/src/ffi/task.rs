// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface of ctask.rs.

use std::ffi::c_void;

use super::{submit, NartTokio, NartTokioOp};
use crate::sys::{Res, TaskType};

/// Runs a task of this type on tokio's threads: one poll at a time, by one thread after another. The
/// type must carry NART_TASK_SEND. Its result is the operation's answer, its frame is dropped before
/// that. Sleeps, deadlines, tokio operations, ends of channels between threads and of oneshots work there
/// as on a loop (a tokio timer is exact to a millisecond; a receiver is bound to no runtime before). What
/// needs a loop (sockets, local channels, joins, spawning, all of nart/sync.h and the like) answers
/// NART_EDRIVER.
///
/// @param init copied into the frame; NULL: zeros.
/// @return 0 and `*op`; -EINVAL a type that is none; NART_EABI; NART_EDRIVER without NART_TASK_SEND;
///   -ENOMEM, -E2BIG the frame; NART_ESHUTDOWN; NART_EFORK.
/// **Ownership**: what `*init` refers to passes to the task when this answers 0.
/// **Thread**: any. **Cost**: two allocations, and a system call when tokio's threads sleep.
///
/// # Safety
/// `rt` is NULL or live; `type` is NULL or a valid type; `init` is NULL or a frame of it; `op` is
/// NULL, or writable and without an open operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_spawn_task(
    rt: *mut NartTokio,
    r#type: *const TaskType,
    init: *const c_void,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        submit(rt, op, |bridge| {
            crate::ctask::spawn(&bridge.0, r#type, init)
        })
    }
}
