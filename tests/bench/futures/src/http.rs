// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server of the rows of HTTP.

use super::http_server;

/// Starts it. Returns its port.
#[no_mangle]
pub extern "C" fn bench_http_server() -> u16 {
    http_server::start().port()
}
