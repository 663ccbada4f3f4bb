// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge, and what the benchmark spawns through it.

pub use nart_tokio::*;

/// A future that is ready at once, as its peers spawn it.
///
/// # Safety
/// Those of [`export`].
#[no_mangle]
pub unsafe extern "C" fn bench_future(
    rt: *const NartTokio,
    value: i64,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe { nart_tokio::export(rt, op, || async move { value }) }
}
