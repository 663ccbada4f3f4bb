// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge: making, shutting down and freeing one. The C interface of bridge.rs and shutdown.rs.
//!
//! Ownership: `nart_tokio *` is a box, made by [`NartTokio::boxed`] and freed by
//! [`nart_tokio_free`]; or one of [`NartTokio::lent`], which belongs to the bridge. All other functions
//! borrow it for the call. Options are copied; a report is the caller's memory.

use std::ffi::c_char;
use std::mem::{offset_of, size_of, ManuallyDrop};

use super::{bytes, res, sized, slice, submit, NartTokioOp};
use crate::blocking::{Lent, Name};
use crate::bridge::{lock, Bridge};
use crate::options::Options;
use crate::panic::guard;
use crate::signals::SigpipeBlock;
use crate::sys::work::Workers;
use crate::sys::{errno, Res, EABI, EFORK};

/// A bridge: a tokio runtime that the tasks of any number of loops use, and other threads. Made by
/// nart_tokio_new().
// FFI-safe, because Rust programs declare functions of C that have it; not in a plain `repr`, by which cbindgen
// would show what is inside.
#[cfg_attr(all(), repr(C))]
#[derive(Debug)]
pub struct NartTokio {
    opaque: [u8; 0],
}

/// What a `nart_tokio *` points to.
pub(crate) struct Held {
    /// Not counted as a clone if it is lent.
    bridge: ManuallyDrop<Bridge>,
    sigpipe: Option<SigpipeBlock>,
    lent: bool,
}

impl NartTokio {
    pub(crate) fn boxed(bridge: Bridge, sigpipe: Option<SigpipeBlock>) -> *mut NartTokio {
        let held = Held {
            bridge: ManuallyDrop::new(bridge),
            sigpipe,
            lent: false,
        };
        Box::into_raw(Box::new(held)).cast()
    }

    /// One that nart_tokio_free() does not free: unlend() does.
    ///
    /// # Safety
    /// It is not used after the last clone of the bridge.
    pub(crate) unsafe fn lent(bridge: &Bridge) -> *mut NartTokio {
        let held = Held {
            // SAFETY: it is neither dropped nor, as the caller promises, used after those it is a copy of.
            bridge: ManuallyDrop::new(unsafe { std::ptr::read(bridge) }),
            sigpipe: None,
            lent: true,
        };
        Box::into_raw(Box::new(held)).cast()
    }

    /// # Safety
    /// `lent` is NULL, or from lent(), and not used again.
    pub(crate) unsafe fn unlend(lent: *mut NartTokio) {
        if !lent.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(lent.cast::<Held>()) });
        }
    }

    /// # Safety
    /// `rt` is NULL, or live as long as the reference is used.
    pub(crate) unsafe fn bridge<'a>(rt: *const NartTokio) -> Option<&'a Bridge> {
        // SAFETY: the caller's promise.
        unsafe { rt.cast::<Held>().as_ref() }.map(|held| &*held.bridge)
    }
}

/// Leaves SIGPIPE unchanged on the calling thread. Only for programs that ignore or handle it: a
/// write to a connection that was reset raises it.
pub const NART_TOKIO_KEEP_SIGPIPE: u32 = 1;

/// Options of a bridge. Initialise with NART_TOKIO_OPTS_INIT. Zero means the default in each field.
#[repr(C)]
#[derive(Debug)]
pub struct NartTokioOpts {
    /// sizeof(nart_tokio_opts)
    pub size: usize,
    /// name of the threads, as ps shows it (15 bytes); copied; NULL: "nart-tokio"
    pub name: *const c_char,
    /// threads that run futures and C tasks, 1 to 1,024; default 1
    pub workers: u32,
    /// blocking functions that run at the same time, 1 to 4,096; default 8
    pub max_blocking: u32,
    /// blocking functions, and HTTP requests, that may be queued, and look-ups of nart_tokio_resolve()
    /// that have not ended, 1 to 2^20; default 256 of each
    pub queue_cap: u32,
    /// operations whose memory is allocated in advance, at most 2^20; default 1,024
    pub keep_ops: u32,
    /// stack size of each thread in bytes, 256 KiB to 1 GiB; default 2 MiB, of which only what is
    /// used takes memory
    pub stack: usize,
    /// numbers of the CPUs to run on. NULL: all CPUs that the process started with, except those
    /// that the calling thread is pinned to (if any remain)
    pub cpus: *const u32,
    /// number of entries in `cpus`
    pub n_cpus: usize,
    /// 0 or NART_TOKIO_KEEP_SIGPIPE
    pub flags: u32,
    /// HTTP requests that run at the same time, 1 to 65,536, others are queued; default 128
    pub max_http: u32,
    /// closures that Rust code gives to tokio's own blocking pool (`tokio::task::spawn_blocking`) and
    /// that run at the same time, 1 to 4,096; default 512
    pub max_spawn_blocking: u32,
    #[doc(hidden)]
    pub reserved0: u32,
    /// the pool of nart/work.h that runs blocking functions, whose limits apply then in place of `max_blocking`
    /// and `queue_cap`. It must live until the bridge was freed and its operations have ended. NULL: a pool of the
    /// bridge's own
    pub pool: *mut Workers,
    #[doc(hidden)]
    pub reserved: [u64; 2],
}

/// Counts of a bridge's operations, and what its shutdown could not end. An operation ends in one
/// of five ways, so after a clean shutdown `submitted` is the sum of those five. The operation of
/// nart_tokio_shutdown_begin() is not counted.
#[repr(C)]
#[derive(Debug)]
pub struct NartTokioReport {
    /// sizeof(nart_tokio_report), set by the caller
    pub size: usize,
    /// operations that were accepted; an HTTP request with a `head` counts as two
    pub submitted: u64,
    /// operations that ended with a value
    pub ok: u64,
    /// operations that ended with an error
    pub error: u64,
    /// operations that were cancelled
    pub cancelled: u64,
    /// operations that panicked
    pub panicked: u64,
    /// operations that the shutdown ended
    pub shutdown: u64,
    /// futures, HTTP requests and C tasks that did not end; their operations ended with NART_ESHUTDOWN
    pub leaked_tasks: u64,
    /// blocking functions that did not end; their operations ended with NART_ESHUTDOWN
    pub leaked_blocking: u32,
    /// threads that did not end: those of the two above, those that look up names ("look-up
    /// example.org"), and those that run closures which Rust code gave to tokio's pool. Of an
    /// adopted runtime only the threads of blocking functions and look-ups are counted
    pub leaked_threads: u32,
    /// names of the leaked blocking functions, then of the look-ups; as many as fit
    pub leaked_name: [Name; 8],
}

const _: () = assert!(offset_of!(NartTokioOpts, reserved) == 80);
const _: () = assert!(offset_of!(NartTokioReport, leaked_name) == 72);

/// # Safety
/// `opts` is NULL or live, and its pointers are as documented.
unsafe fn options(opts: *const NartTokioOpts) -> Result<(Options, u32), Res> {
    // SAFETY: the caller's promises.
    let (given, name, cpus) = unsafe {
        let given = sized(opts, offset_of!(NartTokioOpts, pool))?;
        let name = bytes(given.name, b"nart-tokio");
        let cpus = slice(given.cpus, given.n_cpus)?;
        (given, String::from_utf8_lossy(name).into_owned(), cpus)
    };
    if given.flags & !NART_TOKIO_KEEP_SIGPIPE != 0 {
        return Err(errno(libc::EINVAL));
    }
    let mut options = Options {
        name,
        cpus: cpus.to_vec(),
        pool: (!given.pool.is_null()).then_some(Lent(given.pool)),
        ..Options::default()
    };
    let fill = |to: &mut u32, from: u32| *to = if from == 0 { *to } else { from };
    fill(&mut options.workers, given.workers);
    fill(&mut options.max_blocking, given.max_blocking);
    fill(&mut options.max_http, given.max_http);
    fill(&mut options.max_spawn_blocking, given.max_spawn_blocking);
    fill(&mut options.queue_cap, given.queue_cap);
    fill(&mut options.keep_ops, given.keep_ops);
    if given.stack != 0 {
        options.stack = given.stack;
    }
    Ok((options, given.flags))
}

/// Makes a bridge: a tokio runtime with threads of its own. Its threads block all signals except
/// faults, run under the normal scheduling policy, and avoid the CPUs that the calling thread is
/// pinned to. Unless NART_TOKIO_KEEP_SIGPIPE is set, SIGPIPE is blocked on the calling thread until
/// nart_tokio_free(). Before any of these threads starts a program: nart_tokio_child_signals(). `opts`
/// may be NULL.
///
/// @return 0 and `*rt`; -EINVAL an option is out of range, or the process may run on no CPU of
///   `cpus`; -ENOMEM; -EAGAIN, -EMFILE and other errnos of the system calls that tokio makes;
///   NART_EABI the options are of another version.
/// **Ownership**: the caller's, until nart_tokio_free(). The options are copied.
/// **Thread**: any; best that of a loop that will use it, after it was pinned. The same thread has to
/// call nart_tokio_free(). **Cost**: threads are started.
///
/// # Safety
/// `opts` is NULL or valid, `rt` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_new(
    opts: *const NartTokioOpts,
    rt: *mut *mut NartTokio,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(out), options) = (unsafe { (rt.as_mut(), options(opts)) }) else {
            return errno(libc::EINVAL);
        };
        *out = std::ptr::null_mut();
        let made =
            options.and_then(|(o, flags)| Ok((Bridge::new(&o).map_err(|e| e.code())?, flags)));
        res(made, |(bridge, flags)| {
            let keep = flags & NART_TOKIO_KEEP_SIGPIPE != 0;
            *out = NartTokio::boxed(bridge, (!keep).then(SigpipeBlock::new));
        })
    })
}

/// Frees a bridge, without blocking. If it was not shut down, its work ends in the background as at the
/// deadline of a shutdown: C tasks are cancelled, polled at most once more, and dropped. Operations may
/// outlive it: each still ends, those of work that does not return when it returns. Restores the signal
/// mask for SIGPIPE, and discards a pending SIGPIPE. NULL is allowed. In a forked child the bridge is
/// leaked on purpose. A bridge that Rust code lends (`Bridge::as_c`) is not freed: that has no effect.
/// **Thread**: the one that made it, never one of tokio's. On another one, as in a handler of
/// atexit() may be, the mask stays as it is.
///
/// # Safety
/// `rt` is NULL or live, and not used again.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_free(rt: *mut NartTokio) {
    guard(|| {
        let held = rt.cast::<Held>();
        // SAFETY: the caller's promise.
        if unsafe { held.as_ref() }.is_none_or(|held| held.lent) {
            return;
        }
        // SAFETY: the caller's promise.
        let held = *unsafe { Box::from_raw(held) };
        let Held {
            bridge, sigpipe, ..
        } = held;
        let bridge = ManuallyDrop::into_inner(bridge);
        if let Some(sigpipe) = sigpipe {
            sigpipe.end();
        }
        if bridge.0.is_forked() {
            std::mem::forget(bridge);
            return;
        }
        bridge.0.abandon();
    });
}

/// Shuts down a bridge and waits until it has ended. New work is refused. Futures and HTTP requests
/// are dropped, and blocking functions that are queued do not run: their operations end at once with
/// NART_ESHUTDOWN. Blocking functions that run see their stop flag; C tasks on tokio are cancelled,
/// and get half of the time to unwind: their operations end with what they return (-ECANCELED
/// becomes NART_EABORTED). Local futures end when they are awaited next, with NART_ESHUTDOWN: tasks
/// that await one are woken. What has not ended after `timeout_ns` is leaked: futures that do not
/// return from a poll, functions, threads, and name look-ups, which cannot be stopped. When this
/// returns, every operation has ended: those of leaked work with NART_ESHUTDOWN. `report` may be
/// NULL; nart_tokio_report_get() reads it later.
///
/// @param timeout_ns 0: waits for nothing; NART_NEVER: until all has ended.
/// @return 0 all work and all threads have ended; -ETIMEDOUT some were leaked, see the report;
///   -EALREADY shutdown has begun before: nothing is done, and this does not wait for it;
///   -EDEADLK on a thread of the bridge or of tokio, or in a `drop_arg`; -EINVAL no `rt`, or a
///   negative time; NART_EFORK; NART_EABI the report is of another version.
/// **Thread**: any except tokio's. Blocks up to `timeout_ns`: tasks call
/// nart_tokio_shutdown_begin().
///
/// # Safety
/// `rt` is NULL or live; `report` is NULL, or writable with its size set.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_shutdown(
    rt: *mut NartTokio,
    timeout_ns: i64,
    report: *mut NartTokioReport,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promise.
        let Some(bridge) = (unsafe { Bridge::from_c(rt) }) else {
            return errno(libc::EINVAL);
        };
        // SAFETY: the caller's promise.
        if !report.is_null() && unsafe { (*report).size } < offset_of!(NartTokioReport, leaked_name)
        {
            return EABI;
        }
        let answer = res(bridge.shutdown_ns(timeout_ns), |()| ());
        if !report.is_null() && (answer == 0 || answer == errno(libc::ETIMEDOUT)) {
            // SAFETY: the caller's promise.
            unsafe { write_report(bridge, report) };
        }
        answer
    })
}

/// Starts a shutdown, as nart_tokio_shutdown(), on a thread of its own. The operation ends with 0
/// or -ETIMEDOUT.
///
/// @return 0 and `*op`; -EALREADY shutdown has begun before; -EAGAIN no thread could be started
///   (the bridge is unchanged); -ENOMEM; -EINVAL no `rt` or `op`, or a negative time; NART_EFORK.
/// **Ownership**: close the operation.
/// **Thread**: any. **Cost**: a thread is started.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL, or writable and without an open operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_shutdown_begin(
    rt: *mut NartTokio,
    timeout_ns: i64,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe { submit(rt, op, |bridge| bridge.shutdown_begin(timeout_ns)) }
}

/// Copies the counters, and after a shutdown what it could not end.
/// @return 0; -EINVAL no `rt` or `report`; NART_EABI the report is of another version; NART_EFORK.
/// **Thread**: any. **Cost**: no system call.
///
/// # Safety
/// `rt` is NULL or live; `report` is NULL, or writable with its size set.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_report_get(
    rt: *const NartTokio,
    report: *mut NartTokioReport,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(bridge), false) = (unsafe { Bridge::from_c(rt) }, report.is_null()) else {
            return errno(libc::EINVAL);
        };
        if bridge.0.is_forked() {
            return EFORK;
        }
        // SAFETY: the caller's promises.
        unsafe {
            if (*report).size < offset_of!(NartTokioReport, leaked_name) {
                return EABI;
            }
            write_report(bridge, report);
        }
        0
    })
}

/// # Safety
/// `report` is writable, for as many bytes as its `size`.
unsafe fn write_report(bridge: &Bridge, report: *mut NartTokioReport) {
    let counts = bridge.0.tracker.counts();
    let leaked = lock(&bridge.0.leaked).clone();
    let mut full = NartTokioReport {
        // SAFETY: the caller's promise.
        size: unsafe { (*report).size },
        submitted: counts.submitted,
        ok: counts.ok,
        error: counts.error,
        cancelled: counts.cancelled,
        panicked: counts.panicked,
        shutdown: counts.shutdown,
        leaked_tasks: leaked.futures,
        leaked_blocking: leaked.jobs.len() as u32,
        leaked_threads: leaked.threads,
        leaked_name: [[0; 32]; 8],
    };
    for (to, from) in full
        .leaked_name
        .iter_mut()
        .zip(leaked.jobs.iter().chain(&leaked.lookups))
    {
        *to = *from;
    }
    let n = full.size.min(size_of::<NartTokioReport>());
    // SAFETY: the caller's promise; at most the smaller of both sizes.
    unsafe { std::ptr::copy_nonoverlapping((&raw const full).cast::<u8>(), report.cast(), n) }
}
