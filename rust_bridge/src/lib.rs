// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge between nart's C runtime and tokio.
