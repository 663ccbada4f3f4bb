/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! How the Rust peers measure: the clock is read around the work, never in it.

use std::time::Instant;

/// One untimed tenth to warm up, then `work(n)` between two clock reads: nanoseconds for each of n.
pub async fn timed(n: u64, mut work: impl AsyncFnMut(u64)) -> f64 {
    work(n / 10).await;
    let start = Instant::now();
    work(n).await;
    start.elapsed().as_nanos() as f64 / n as f64
}

/// Bytes resident in this process.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = text.split(' ').nth(1).expect("resident");
    pages.parse::<u64>().expect("a number") * 4096
}
