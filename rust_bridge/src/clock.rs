// SPDX-License-Identifier: MIT OR Apache-2.0
//! C's clock: CLOCK_MONOTONIC in nanoseconds. Deadlines cross the boundary as times of this clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::sys::NEVER;

/// The current time in nanoseconds.
pub fn now() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to the stack; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// A duration for C. One that is too long means: for ever.
pub fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(NEVER)
}

/// The same time for tokio. C's clock is read first, so a timer for it is never early.
pub fn instant(at: i64) -> Instant {
    let left = at.saturating_sub(now()).max(0);
    Instant::now() + Duration::from_nanos(left as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_time_convert() {
        let before = Instant::now();
        assert!(instant(i64::MIN) >= before);
        assert!(instant(i64::MIN) <= Instant::now());
        assert!(instant(i64::MAX) > before + Duration::from_secs(1 << 32));
    }
}
