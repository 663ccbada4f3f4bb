// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge as an archive for C programs. It contains exactly what `nart-tokio` exports.

pub use nart_tokio::*;
