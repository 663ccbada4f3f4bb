// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends of C's channels, for Rust code. C does not call any of this.
//!
//! `guest` waits in a handle of C.

pub mod byte_channel;
pub mod guest;
