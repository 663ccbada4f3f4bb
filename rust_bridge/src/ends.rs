// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends of C's channels, and its cancellation tokens, for Rust code. C does not call any of this.
//!
//! `guest` waits in a handle of C.

pub mod byte_channel;
pub mod cancel;
pub mod channel;
pub mod guest;
pub mod oneshot;

use std::time::Duration;

use crate::clock;
use crate::sys::NEVER;

/// The time of a blocking call, as C has it.
fn nanoseconds(timeout: Option<Duration>) -> i64 {
    timeout.map_or(NEVER, clock::nanoseconds)
}
