// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge in a runtime's trace. The C interface of trace.rs.
//!
//! Ownership: the trace of the runtime keeps what was recorded, also after the bridge was freed.

use super::{res, NartTokio};
use crate::bridge::Bridge;
use crate::panic::guard;
use crate::sys::{errno, Res, Rt};
use crate::trace;

/// Adds a bridge to the trace of a runtime (nart/trace.h), until that ends. nart_trace_print() and
/// nart_trace_stop() then write both, on one time axis: behind the runtime, a process `tokio: NAME` with
/// a track per thread, and in it a slice for each poll of a future or of a C task on tokio, each poll of
/// an HTTP request, and each run of a blocking function. A slice has the name of the future's type, of
/// the task type, or of the function. Arrows lead from the poll that submits an operation to its first
/// slice, and from its last slice to the poll that reads the answer.
///
/// A trace may have several bridges. Operations that were submitted before are not shown. The memory for
/// events is fixed: when it is full, each event overwrites the oldest. Names of task types are not copied:
/// keep them alive until the trace ends. What has not ended when the trace is written is not shown, and
/// local futures are part of the poll of their task. The bridge uses CLOCK_MONOTONIC: if the runtime's
/// clock is paused later, its own events are not on the same axis any more.
///
/// @param rt the runtime, which is being traced.
/// @param events the number of events that are kept; an operation is three and one more for each poll
///   after the first, and up to two more if it is not submitted and read on the runtime's thread: there it
///   is two events of the runtime.
/// @return 0; -EPERM the runtime is not traced; -EINVAL no `bridge` or `rt`, `events` is 0, or the
///   runtime's clock is paused or was; -EALREADY the bridge is part of a trace; -ENOMEM;
///   NART_EWRONGTHREAD; NART_EFORK.
/// **Ownership**: the trace keeps the events. The bridge and the runtime may be freed in any order.
/// **Thread**: the runtime's. **Cost**: one allocation of 72 bytes per event. While it is on, two clock
/// reads and a lock for each poll, and a lock for each operation; while a trace is written, threads that
/// record wait until their events are copied. Otherwise one load per operation.
///
/// # Safety
/// `bridge` and `rt` are NULL or live.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_trace_start(
    bridge: *mut NartTokio,
    rt: *mut Rt,
    events: u32,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let Some(bridge) = Bridge::from_c(bridge) else {
                return errno(libc::EINVAL);
            };
            res(trace::start(bridge, rt, events), |()| ())
        }
    })
}
