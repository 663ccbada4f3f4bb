// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge, and what the benchmark needs of Rust beside it. Each file belongs to the C file with its rows.

pub use nart_tokio::*;

mod guest;
mod hop;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
#[path = "../../peers/http_server.rs"]
mod http_server;
#[path = "../../peers/measure.rs"]
#[allow(dead_code)] // a row may need a part
mod measure;

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
