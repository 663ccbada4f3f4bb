// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times and numbers of a bridge. The C interface of observe.rs.
//!
//! Ownership: everything is the caller's memory.

use std::ffi::CString;
use std::mem::{offset_of, size_of};
use std::time::Duration;

use super::NartTokio;
use crate::bridge::Bridge;
use crate::observe::Leg;
use crate::panic::guard;
use crate::sys::{errno, Res, EABI, EFORK};

/// The work of a bridge at one moment: operations that have not ended, by kind, and queues.
/// Initialise with NART_TOKIO_STATS_INIT.
#[derive(Debug)]
#[repr(C)]
pub struct NartTokioStats {
    /// sizeof(nart_tokio_stats), set by the caller
    pub size: usize,
    /// futures of Rust, queued or running
    pub futures: u64,
    /// C tasks on tokio
    pub tasks: u64,
    /// blocking functions that run
    pub jobs: u64,
    /// blocking functions that are queued
    pub jobs_queued: u64,
    /// HTTP requests that have not ended; those that are queued included
    pub requests: u64,
    /// HTTP requests that are queued
    pub requests_queued: u64,
    /// tasks of the tokio runtime, also those that are none of the bridge's
    pub tokio_tasks: u64,
    /// of those, the ones in tokio's global queue: spawned or woken by other threads, and not taken by
    /// a worker yet
    pub tokio_queue: u64,
    /// threads of tokio and of blocking functions; of an adopted runtime only the latter
    pub threads: u64,
}

/// # Safety
/// `rt` is NULL or live.
unsafe fn here<'a>(rt: *const NartTokio) -> Result<&'a Bridge, Res> {
    // SAFETY: the caller's promise.
    let bridge = unsafe { Bridge::from_c(rt) }.ok_or(errno(libc::EINVAL))?;
    match bridge.0.is_forked() {
        true => Err(EFORK),
        false => Ok(bridge),
    }
}

/// # Safety
/// `rt` is NULL or live.
unsafe fn with_leg<'a>(rt: *const NartTokio, leg: u32) -> Result<(&'a Bridge, Leg), Res> {
    const LEGS: [Leg; 4] = [Leg::Queued, Leg::Running, Leg::Returning, Leg::Whole];
    // SAFETY: the caller's promise.
    let bridge = unsafe { here(rt) }?;
    let leg = LEGS.get(leg as usize).ok_or(errno(libc::EINVAL))?;
    Ok((bridge, *leg))
}

/// Measures operations that are submitted from now on, or stops doing so; the figures are kept. Each
/// operation then notes when it was submitted, started, ended and read.
///
/// @return 0; -EINVAL no `rt`; NART_EFORK.
/// **Thread**: any. **Cost**: 32 kB, once; then three or four clock reads per operation. While it is
/// off, an operation costs one load.
///
/// # Safety
/// `rt` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_observe(rt: *mut NartTokio, on: bool) -> Res {
    guard(|| {
        // SAFETY: the caller's promise.
        match unsafe { here(rt) } {
            Ok(bridge) => {
                bridge.observe(on);
                0
            }
            Err(refused) => refused,
        }
    })
}

/// A percentile of what operations took for a leg of their way, in nanoseconds: 50 is the median, 100
/// the maximum. It is up to 6.25 % too high, never too low.
///
/// @param leg a nart_tokio_leg.
/// @return the time; 0 if none was measured; -EINVAL no `rt`, no such leg, or not within 0 .. 100;
///   NART_EFORK.
/// **Thread**: any.
///
/// # Safety
/// `rt` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_percentile(
    rt: *const NartTokio,
    leg: u32,
    percent: f64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promise.
        let (bridge, leg) = match unsafe { with_leg(rt, leg) } {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        if !(0.0..=100.0).contains(&percent) {
            return errno(libc::EINVAL);
        }
        let time = bridge.percentile(leg, percent).unwrap_or_default();
        time.as_nanos() as Res
    })
}

/// The number of operations that took at most `ns` nanoseconds for a leg of their way. Calls with
/// ascending bounds make a histogram. Operations that took up to 6.25 % longer may be included;
/// 2^n - 1 is exact.
///
/// @param leg a nart_tokio_leg.
/// @return the number; -EINVAL no `rt`, no such leg, or a negative time; NART_EFORK.
/// **Thread**: any.
///
/// # Safety
/// `rt` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_within(rt: *const NartTokio, leg: u32, ns: i64) -> Res {
    guard(|| {
        // SAFETY: the caller's promise.
        let (bridge, leg) = match unsafe { with_leg(rt, leg) } {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        match u64::try_from(ns) {
            Ok(ns) => bridge.within(leg, Duration::from_nanos(ns)) as Res,
            Err(_) => errno(libc::EINVAL),
        }
    })
}

/// Writes what the bridge does at the moment.
///
/// @return 0; -EINVAL no `rt` or `stats`; NART_EABI the struct is of another version; NART_EFORK.
/// **Thread**: any. **Cost**: it looks at each operation, under a lock that submissions need.
///
/// # Safety
/// `rt` is NULL or live; `stats` is NULL, or writable with its size set.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_stats_get(
    rt: *const NartTokio,
    stats: *mut NartTokioStats,
) -> Res {
    guard(|| {
        if stats.is_null() {
            return errno(libc::EINVAL);
        }
        // SAFETY: the caller's promise.
        let bridge = match unsafe { here(rt) } {
            Ok(bridge) => bridge,
            Err(refused) => return refused,
        };
        // SAFETY: the caller's promise.
        let size = unsafe { (*stats).size };
        if size <= offset_of!(NartTokioStats, threads) {
            return EABI;
        }
        let now = bridge.stats();
        let full = NartTokioStats {
            size,
            futures: now.futures,
            tasks: now.tasks,
            jobs: now.jobs,
            jobs_queued: now.jobs_queued,
            requests: now.requests,
            requests_queued: now.requests_queued,
            tokio_tasks: now.tokio_tasks,
            tokio_queue: now.tokio_queue,
            threads: now.threads,
        };
        let n = size.min(size_of::<NartTokioStats>());
        // SAFETY: the caller's promise; at most the smaller of both sizes.
        unsafe { std::ptr::copy_nonoverlapping((&raw const full).cast::<u8>(), stats.cast(), n) }
        0
    })
}

/// Prints the work that has not ended, to be read by people: the numbers of nart_tokio_stats_get(), and
/// a line for each future, by the name of its type, each HTTP request, each C task and each blocking
/// function. If the bridge is observed, with the time for which it has been queued or running, waits
/// included: `future my_crate::fetch::{{closure}}  running for 0.120 s`. Names of task types are not
/// copied: keep the types alive. Of the tasks that a C task has spawned it prints nothing: that task may
/// call nart_rt_dump(nart_cx_rt(cx), out).
/// **Thread**: any. In a forked child it prints nothing.
///
/// # Safety
/// `rt` is NULL or live; `out` is NULL or open for writing.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_dump(rt: *const NartTokio, out: *mut libc::FILE) {
    guard(|| {
        // SAFETY: the caller's promise.
        if let (Ok(bridge), false) = (unsafe { here(rt) }, out.is_null()) {
            let text = CString::new(bridge.list()).unwrap_or_default();
            // SAFETY: the caller's promise.
            unsafe { libc::fputs(text.as_ptr(), out) };
        }
    });
}
