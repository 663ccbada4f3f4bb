// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge as an archive for C programs: everything that `nart-tokio` exports, nothing else.

pub use nart_tokio::*;
