// SPDX-License-Identifier: MIT OR Apache-2.0
//! C tasks on tokio. The C interface of ctask.rs.
//!
//! Ownership: a task takes over what its initial frame refers to; the frame itself is copied.

use std::ffi::c_void;

use super::{submit, NartTokio, NartTokioOp};
use crate::sys::{Res, TaskType};

/// Runs a task of this type on tokio's threads. At most one thread polls it at a time, but
/// successive polls may run on different threads, so its type must have NART_TASK_SEND. The task's
/// result is the operation's; its frame is dropped before the operation ends. The same task runs
/// under both drivers:
///
/// - Sleeps, deadlines, tokio operations, cross-thread channels and oneshots work as on a loop (a
///   tokio timer has a resolution of one millisecond; unbind a receiver that was bound to a loop
///   first, by nart_rx_bind(rx, NULL)).
/// - So do sockets and other descriptors: open them by the functions that end in `_here`, such as
///   nart_tcp_adopt_here() (rule 7 of nart/io.h). Until a descriptor is adopted, it is the frame's,
///   whose drop closes it.
/// - It may spawn: by nart_spawn(), in nurseries and in task sets. The tasks that it and its
///   children spawn run with it, one after another, never two at the same time: so they may share
///   plain memory, and need no NART_TASK_SEND. Joins, local channels, linked oneshots, tokens and
///   all of nart/sync.h work among them. For work in parallel call nart_tokio_spawn_task() for
///   each. nart_cx_rt() is the runtime of these tasks. It exists from the first call that needs it,
///   and has an eventfd and about 40 KiB.
/// - The operation ends with the first task; detached children continue. nart_tokio_op_cancel()
///   cancels the first task only. A shutdown cancels all of them: they learn of it by -ECANCELED, and
///   NART_SHIELD gives them time to unwind, under both drivers.
///
/// What belongs to another loop (a local channel, an object of nart/sync.h) must not be used: it
/// belongs to that loop's thread, as a world (nart/world.h) belongs to the thread that made it. A task that has spawned none is answered NART_EDRIVER where it
/// would wait for such an object. A C++ exception that leaves the poll function or the drop ends the
/// process, after a line that names the task.
///
/// @param init copied into the frame; NULL: zeros.
/// @return 0 and `*op`; -EINVAL no `rt` or `op`, or not a task type; NART_EABI the type is of
///   another version; NART_EDRIVER the type lacks NART_TASK_SEND; -ENOMEM; -E2BIG the frame is too
///   large; NART_ESHUTDOWN; NART_EFORK.
/// **Ownership**: the task takes over what `*init` refers to if this returns 0.
/// **Thread**: any. **Cost**: one allocation, or none while tokio has not begun with the work submitted
/// before; one more for a frame of more than 192 bytes; a system call when tokio's threads sleep.
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
