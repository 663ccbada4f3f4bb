// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface. include/nart/tokio.h is made from this file by cbindgen (rust_bridge/cbindgen.toml),
//! in this order; so the comments are written for readers of C. Each function checks what it is given
//! and calls one of another module, inside `guard`.

use std::ffi::{c_char, c_void, CStr};
use std::mem::{offset_of, size_of};

use crate::blocking::{BlockingFn, DropFn, Jobs, Name, Stop, Work};
use crate::bridge::{lock, Bridge, Options};
use crate::local::Local;
use crate::op::{Handle, Op, Outcome, Status};
use crate::panic::guard;
use crate::sys::{
    errno, Cx, NartWaker, Poll, Res, Rt, TaskType, EABI, EFORK, ESTALE, EWRONGTHREAD, PENDING,
};
use crate::threads::SigpipeBlock;

// ---- the bridge ----

/// A bridge: a tokio runtime for the tasks of C loops, of as many as there are. Made by
/// nart_tokio_new().
pub struct NartTokio {
    bridge: Bridge,
    sigpipe: Option<SigpipeBlock>,
}

impl NartTokio {
    pub(crate) fn boxed(bridge: Bridge, sigpipe: Option<SigpipeBlock>) -> *mut NartTokio {
        Box::into_raw(Box::new(NartTokio { bridge, sigpipe }))
    }

    pub(crate) fn bridge(&self) -> &Bridge {
        &self.bridge
    }
}

/// Leaves SIGPIPE as it is on the calling thread. Only for programs that
/// ignore or handle it: a write to a connection that was reset raises it.
pub const NART_TOKIO_KEEP_SIGPIPE: u32 = 1;

/// Options of a bridge; begin with NART_TOKIO_OPTS_INIT. Zero means the default everywhere.
#[repr(C)]
pub struct NartTokioOpts {
    /// sizeof(nart_tokio_opts)
    pub size: usize,
    /// of the threads, as ps shows it (15 bytes); copied; "nart-tokio"
    pub name: *const c_char,
    /// threads that run futures and C tasks; 1
    pub workers: u32,
    /// blocking functions that run at once; 8
    pub max_blocking: u32,
    /// blocking functions that wait for their turn, HTTP requests that wait to be sent; 256
    pub queue_cap: u32,
    /// operations for which memory is made in advance; 1,024
    pub keep_ops: u32,
    /// bytes of each thread's stack; 512 KiB
    pub stack: usize,
    /// numbers of the CPUs to run on; NULL: all that the process was started with, without those
    /// that the calling thread is pinned to (if that leaves any)
    pub cpus: *const u32,
    /// how many numbers there are
    pub n_cpus: usize,
    /// NART_TOKIO_*
    pub flags: u32,
    #[doc(hidden)]
    pub reserved0: u32,
    #[doc(hidden)]
    pub reserved: [u64; 4],
}

/// What a bridge has done, and what its shutdown could not end. Every operation ends in one of five
/// ways, so after a clean shutdown `submitted` is their sum. The operation of
/// nart_tokio_shutdown_begin() is not counted.
#[repr(C)]
pub struct NartTokioReport {
    /// sizeof(nart_tokio_report), set by the caller
    pub size: usize,
    /// operations that were accepted
    pub submitted: u64,
    /// ended with a value
    pub ok: u64,
    /// ended with an error
    pub error: u64,
    /// were cancelled
    pub cancelled: u64,
    /// panicked
    pub panicked: u64,
    /// were ended by the shutdown
    pub shutdown: u64,
    /// futures and C tasks that did not end; their operations stay pending
    pub leaked_tasks: u64,
    /// blocking functions that still ran; their operations have answered NART_ESHUTDOWN
    pub leaked_blocking: u32,
    /// threads that did not end: those of the above, of look-ups of names ("look-up example.org"), and
    /// of closures that Rust code gave to tokio's pool; of an adopted runtime not the last, and no workers
    pub leaked_threads: u32,
    /// the names of the first of the blocking functions, and after them of the look-ups
    pub leaked_name: [Name; 8],
}

const _: () = assert!(offset_of!(NartTokioOpts, reserved) == 64);
const _: () = assert!(offset_of!(NartTokioReport, leaked_name) == 72);

/// The whole of `*given` that this version knows, the rest zero.
///
/// # Safety
/// `given` is NULL or points at `*given` bytes, its first field being that size; all-zero is a `T`.
pub(crate) unsafe fn sized<T>(given: *const T, least: usize) -> Result<T, Res> {
    // SAFETY: the caller's promises; at most size_of::<T>() bytes are copied.
    unsafe {
        let mut copy = std::mem::zeroed::<T>();
        if given.is_null() {
            return Ok(copy);
        }
        let size = *given.cast::<usize>();
        if size < least || size > size_of::<T>() {
            return Err(EABI);
        }
        std::ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut copy).cast::<u8>(), size);
        Ok(copy)
    }
}

/// # Safety
/// `s` is NULL or a C string that lives as long as the answer is used.
pub(crate) unsafe fn bytes(s: *const c_char, default: &[u8]) -> &[u8] {
    if s.is_null() {
        default
    } else {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(s) }.to_bytes()
    }
}

/// # Safety
/// `p` is NULL or points at `n` values that live as long as the answer is used.
pub(crate) unsafe fn slice<'a, T>(p: *const T, n: usize) -> Result<&'a [T], Res> {
    match (p.is_null(), n) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(errno(libc::EINVAL)),
        (false, n) if n > isize::MAX as usize / size_of::<T>() => Err(errno(libc::EINVAL)),
        // SAFETY: the caller's promise.
        (false, n) => Ok(unsafe { std::slice::from_raw_parts(p, n) }),
    }
}

/// # Safety
/// `opts` is NULL or live, and its pointers are as documented.
unsafe fn options(opts: *const NartTokioOpts) -> Result<(Options, u32), Res> {
    // SAFETY: the caller's promises.
    let (given, name, cpus) = unsafe {
        let given = sized(opts, offset_of!(NartTokioOpts, reserved))?;
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
        ..Options::default()
    };
    let fill = |to: &mut u32, from: u32| *to = if from == 0 { *to } else { from };
    fill(&mut options.workers, given.workers);
    fill(&mut options.max_blocking, given.max_blocking);
    fill(&mut options.queue_cap, given.queue_cap);
    fill(&mut options.keep_ops, given.keep_ops);
    if given.stack != 0 {
        options.stack = given.stack;
    }
    Ok((options, given.flags))
}

/// What a function that answers Res needs of a Result.
fn res<T>(result: Result<T, Res>, then: impl FnOnce(T)) -> Res {
    match result {
        Ok(value) => {
            then(value);
            0
        }
        Err(answer) => answer,
    }
}

/// Makes a bridge: a tokio runtime with threads of its own, which block the signals that are sent,
/// run under the normal scheduling policy, and keep off the CPUs that the calling thread is pinned to.
/// Unless NART_TOKIO_KEEP_SIGPIPE is given, SIGPIPE is blocked on the calling thread until
/// nart_tokio_free(). `opts` may be NULL.
///
/// @return 0 and `*rt`; -EINVAL options out of range, or no CPU of `cpus` is the process's; -ENOMEM;
///   -EAGAIN, -EMFILE and other errnos of what tokio needs; NART_EABI options of another version.
/// **Ownership**: the caller's, until nart_tokio_free(). The options are copied.
/// **Thread**: the one whose loop will use it, after it has been pinned.
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
        let made = options.and_then(|(o, flags)| Ok((Bridge::new(&o)?, flags)));
        res(made, |(bridge, flags)| {
            let keep = flags & NART_TOKIO_KEEP_SIGPIPE != 0;
            *out = NartTokio::boxed(bridge, (!keep).then(SigpipeBlock::new));
        })
    })
}

/// Frees a bridge and never blocks: what was not shut down is told to end and ends in the
/// background. Operations may outlive it: each still gets its answer. On the thread that made the
/// bridge, SIGPIPE becomes what it was, and one that came meanwhile is discarded. NULL is fine. In a
/// forked child its memory is leaked on purpose.
/// **Thread**: the one that made it, which is a loop's and none of tokio's.
///
/// # Safety
/// `rt` is NULL or live, and not used again.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_free(rt: *mut NartTokio) {
    guard(|| {
        if rt.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        let owned = unsafe { Box::from_raw(rt) };
        let NartTokio { bridge, sigpipe } = *owned;
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

/// Shuts down and waits for it: no more work is taken, C tasks on tokio are cancelled and get half
/// of the time to unwind, futures are dropped, queued blocking functions end at once, running ones
/// are asked to stop. What has not ended after `timeout_ns` is leaked: operations, and threads (look-ups
/// of names cannot be stopped). `report` may be NULL.
///
/// @return 0 all has ended, the threads as well; -ETIMEDOUT something was leaked, see the report; -EALREADY; -EDEADLK on a thread of
///   tokio; -EINVAL a negative time; NART_EFORK; NART_EABI a report of another version.
/// **Thread**: any but tokio's. It blocks: a task of a loop uses nart_tokio_shutdown_begin().
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
        let answer = res(bridge.shutdown(timeout_ns), |()| ());
        if !report.is_null() && (answer == 0 || answer == errno(libc::ETIMEDOUT)) {
            // SAFETY: the caller's promise.
            unsafe { write_report(bridge, report) };
        }
        answer
    })
}

/// Begins the same on a thread of its own; the operation answers 0 or -ETIMEDOUT.
///
/// @return 0 and `*op`; -EALREADY; -EAGAIN no thread to be had (nothing has happened); -ENOMEM;
///   -EINVAL; NART_EFORK.
/// **Ownership**: close the operation.
/// **Thread**: any. **Cost**: a thread is made.
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
/// @return 0; -EINVAL; NART_EABI a report of another version; NART_EFORK.
/// **Thread**: any.
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
/// `report` is writable, for as many bytes as its size says.
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
    // SAFETY: the caller's promise; no more than the smaller of both.
    unsafe { std::ptr::copy_nonoverlapping((&raw const full).cast::<u8>(), report.cast(), n) }
}

// ---- operations ----

/// An operation: work that goes on elsewhere, and its answer. Zeroed = empty. It lives in the frame
/// of the task that awaits it, may be moved by assignment while nobody waits, and must be closed.
/// Everything behind it is the bridge's, so a frame can be dropped at any time.
///
/// **Thread** of all nart_tokio_op functions: any, but one at a time for one operation; as a rule
/// the loop's.
#[repr(C)]
pub struct NartTokioOp {
    #[doc(hidden)]
    pub op: *mut c_void,
    #[doc(hidden)]
    pub reserved: u64,
}

impl NartTokioOp {
    pub(crate) fn of(handle: Option<Handle>) -> NartTokioOp {
        let op = handle.map_or(std::ptr::null_mut(), |h| h.into_raw().cast());
        NartTokioOp { op, reserved: 0 }
    }

    /// # Safety
    /// `op` is NULL or live.
    unsafe fn handle(op: *const NartTokioOp) -> Option<Handle> {
        // SAFETY: what is not NULL comes from of(), and is cleared by close.
        unsafe { Handle::from_raw(op.as_ref()?.op.cast::<Op>()) }
    }
}

/// What all submissions have in common.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or writable.
pub(crate) unsafe fn submit(
    rt: *const NartTokio,
    op: *mut NartTokioOp,
    start: impl FnOnce(&Bridge) -> Result<Handle, Res>,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(bridge), Some(op)) = (unsafe { (Bridge::from_c(rt), op.as_mut()) }) else {
            return errno(libc::EINVAL);
        };
        *op = NartTokioOp::of(None);
        if bridge.0.is_forked() {
            return EFORK;
        }
        res(start(bridge), |handle| *op = NartTokioOp::of(Some(handle)))
    })
}

/// Runs `f`, and gives C the value when it answers 0.
///
/// # Safety
/// `value` is NULL or writable.
unsafe fn with_value(value: *mut i64, f: impl FnOnce(&mut i64) -> Res) -> Res {
    let mut got = 0;
    let answer = f(&mut got);
    if answer == 0 && !value.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *value = got }
    }
    answer
}

/// Awaits an operation. `value` may be NULL.
///
/// @return 0 and `*value`; NART_EABORTED it was cancelled; NART_EPANIC its Rust code panicked;
///   NART_ESHUTDOWN the bridge was shut down before it ended; its own error: -errno or NART_EHTTP_*;
///   NART_ESTALE an empty handle; NART_EFORK. -ECANCELED, -ETIMEDOUT: about the calling task; the
///   operation goes on and can be awaited again. Once there, the answer stays until close.
/// **Thread**: the loop's, inside a poll. **Cost**: one load when it is there; one read-modify-write
/// when the task parks.
///
/// # Safety
/// `cx` is the running poll's; `op` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_await(
    cx: *mut Cx,
    op: *mut NartTokioOp,
    value: *mut i64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (poll, handle) = unsafe { (Poll::new(cx), NartTokioOp::handle(op)) };
        if let Err(answer) = poll.enter() {
            return answer;
        }
        let Some(handle) = handle else { return ESTALE };
        let wait = |value: &mut i64| match handle.peek(value) {
            PENDING => handle.poll(poll.waker(), value),
            answer => answer,
        };
        // SAFETY: the caller's promise.
        match unsafe { with_value(value, wait) } {
            PENDING => poll.park(),
            answer => answer,
        }
    })
}

/// The same with a waker of any kind, for authors of other runtimes. An operation keeps one waker,
/// the last that was given; the one before it is woken, so that two that poll in turn both go on.
/// @return as nart_tokio_op_await(), never about a task; NART_PENDING: `waker` will be woken.
///
/// # Safety
/// `op` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_poll(
    op: *mut NartTokioOp,
    waker: NartWaker,
    value: *mut i64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return ESTALE;
            };
            with_value(value, |value| handle.poll(waker, value))
        }
    })
}

/// The answer if it is there, without waiting and without a waker. @return as nart_tokio_op_poll().
///
/// # Safety
/// `op` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_try(op: *const NartTokioOp, value: *mut i64) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return ESTALE;
            };
            with_value(value, |value| handle.peek(value))
        }
    })
}

/// Is told of an operation's end; `op` is what nart_tokio_op_on_done() has taken over.
pub type DoneFn = Option<unsafe extern "C-unwind" fn(op: *mut NartTokioOp, arg: *mut c_void)>;

/// Calls `done(op, arg)` on the loop's thread when the operation has ended, for code that is not
/// written as tasks. Called exactly once, by a later turn of the loop and never inside this function.
/// There, nart_tokio_op_try() and nart_tokio_op_message() say what has become of it; after `done` it is
/// closed. When the runtime is freed first, `done` is called by nart_rt_free() with an operation that
/// still runs (NART_PENDING), and which is cancelled then.
///
/// @return 0, and `*op` is empty; -EINVAL no `rt`, `op` or `done`; NART_ESTALE an empty operation;
///   NART_ESLOTS, -ENOMEM no slot for a task; NART_ESHUTDOWN `rt` is being freed; NART_EWRONGTHREAD;
///   NART_EFORK.
/// **Ownership**: on 0 the operation is the loop's, otherwise it stays the caller's. `done` may begin
/// other operations, and free the bridge.
/// **Thread**: the loop's. **Cost**: a task in a slot of 64 bytes, which keeps nart_rt_run() going.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or live; `done` may be called with `arg`.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_on_done(
    rt: *mut Rt,
    op: *mut NartTokioOp,
    done: DoneFn,
    arg: *mut c_void,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(op), true) = (unsafe { op.as_mut() }, done.is_some()) else {
            return errno(libc::EINVAL);
        };
        if op.op.is_null() {
            return ESTALE;
        }
        // SAFETY: the caller's promises.
        res(
            unsafe { crate::on_done::on_done(rt, op, done, arg) },
            |()| (),
        )
    })
}

/// How an operation stands: running, or the one way in which it has ended. Tells a job's own
/// -ETIMEDOUT, say, from the task's. An empty handle runs.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_status(op: *const NartTokioOp) -> Status {
    let mut status = Status::Running;
    guard(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { NartTokioOp::handle(op) };
        if let Some(outcome) = handle.as_ref().and_then(Handle::outcome) {
            status = outcome.status;
        }
    });
    status
}

/// The bytes that came with the answer: a body, or the text of an error or a panic. Never NULL, and
/// a NUL stands behind them; before the answer they are empty. `len` may be NULL.
/// **Ownership**: the operation's, until it is closed.
///
/// # Safety
/// `op` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_message(
    op: *const NartTokioOp,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller's promises.
    unsafe {
        let handle = NartTokioOp::handle(op);
        message(handle.as_ref().and_then(Handle::outcome), len)
    }
}

/// # Safety
/// `len` is NULL or writable.
unsafe fn message(outcome: Option<&Outcome>, len: *mut usize) -> *const c_char {
    let (bytes, n) = outcome.map_or((&b"\0"[..], 0), Outcome::message);
    // SAFETY: the caller's promise.
    if let Some(len) = unsafe { len.as_mut() } {
        *len = n;
    }
    bytes.as_ptr().cast()
}

/// Asks an operation to end, and returns at once. A future is dropped by its tokio thread, a queued
/// blocking function is taken out here, a running one sees its stop flag, a C task is cancelled. The
/// operation then answers NART_EABORTED, unless it ended by itself first. Again, late, or on an
/// empty handle: nothing.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_cancel(op: *mut NartTokioOp) {
    guard(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { NartTokioOp::handle(op) };
        handle.into_iter().for_each(Handle::cancel);
    });
}

/// Gives an operation up: the work goes on, its answer is not wanted. Empties `*op`.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_detach(op: *mut NartTokioOp) {
    guard(|| {
        // SAFETY: the caller's promises; the handle is cleared before it is used up.
        unsafe {
            let Some(handle) = NartTokioOp::handle(op) else {
                return;
            };
            *op = NartTokioOp::of(None);
            handle.detach();
        }
    });
}

/// Closes an operation: one that is pending is cancelled and detached, one that has ended is freed.
/// Empties `*op`; empty and NULL are fine. Never blocks.
///
/// # Safety
/// `op` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_op_close(op: *mut NartTokioOp) {
    // SAFETY: the caller's promise.
    unsafe {
        nart_tokio_op_cancel(op);
        nart_tokio_op_detach(op);
    }
}

// ---- blocking functions ----

/// Hands a function to the blocking pool. Its answer is the operation's: `>= 0` a value, `< 0` an
/// error (-ECANCELED becomes NART_EABORTED; numbers that are no nart_res become -EINVAL).
///
/// @param name for reports; copied; NULL is "".
/// @param run called once on a thread of the pool, unless the job is cancelled before it starts.
/// @param drop_arg called exactly once for an accepted job, before it is answered: on the pool's
///   thread, or on the one that cancels or shuts down. May be NULL.
/// @return 0 and `*op`; -EAGAIN the queue is full, or no thread is to be had; NART_ESHUTDOWN; -EINVAL;
///   -ENOMEM; NART_EFORK.
/// **Ownership**: `arg` is the pool's when this answers 0, and stays the caller's otherwise.
/// **Thread**: any. **Cost**: no allocation but when a thread is started; a system call when an idle
/// one has to be woken. Threads are started when there is work for them, and an idle one ends after two
/// seconds at most: jobs that come more often do not start a thread each.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL, or writable and without an open operation; `name` is NULL or a
/// C string; the functions may be called with `arg` on other threads.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_blocking(
    rt: *mut NartTokio,
    name: *const c_char,
    run: BlockingFn,
    arg: *mut c_void,
    drop_arg: DropFn,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        submit(rt, op, |bridge| {
            let work = Work::new(name, run, arg, drop_arg).ok_or(errno(libc::EINVAL))?;
            Jobs::submit(&bridge.0, work)
        })
    }
}

/// Has a blocking function been asked to stop? It then ends soon, with -ECANCELED.
/// **Thread**: any, while the function runs. **Cost**: a load.
///
/// # Safety
/// `stop` is what the function was given.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_stopped(stop: *const Stop) -> bool {
    // SAFETY: the caller's promise.
    unsafe { stop.as_ref() }.is_some_and(Stop::is_set)
}

// ---- C tasks on tokio ----

/// Runs a task of this type on tokio's threads: one poll at a time, by one thread after another. The
/// type must carry NART_TASK_SEND. Its result is the operation's answer, its frame is dropped before
/// that. Sleeps, deadlines, tokio operations, ends of channels between threads and of oneshots work there
/// as on a loop (a tokio timer is exact to a millisecond; a receiver is bound to no runtime before). What
/// needs a loop (sockets, local channels, joins, spawning, all of nart/sync.h and the like) answers
/// NART_EDRIVER.
///
/// @param init copied into the frame; NULL: zeros.
/// @return 0 and `*op`; -EINVAL a type that is none; NART_EABI; NART_EDRIVER without NART_TASK_SEND;
///   -ENOMEM, -E2BIG the frame; NART_ESHUTDOWN; NART_EFORK.
/// **Ownership**: what `*init` refers to passes to the task when this answers 0.
/// **Thread**: any. **Cost**: two allocations, and a system call when tokio's threads sleep.
///
/// # Safety
/// `rt` is NULL or live; `type` is NULL or a valid type; `init` is NULL or a frame of it; `op` is
/// NULL, or writable and without an open operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_spawn_task(
    rt: *mut NartTokio,
    r#type: *const TaskType,
    init: *const c_void,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        submit(rt, op, |bridge| {
            crate::ctask::spawn(&bridge.0, r#type, init)
        })
    }
}

// ---- Rust futures on the loop ----

/// A Rust future that the awaiting C task polls itself, with tokio's context around each poll. Made
/// by Rust code (`Bridge::local`). Zeroed = empty; must be closed on the thread that made it.
#[repr(C)]
pub struct NartTokioLocal {
    #[doc(hidden)]
    pub local: *mut c_void,
    #[doc(hidden)]
    pub reserved: u64,
}

impl NartTokioLocal {
    pub(crate) fn of(local: Option<Box<Local>>) -> NartTokioLocal {
        let local = local.map_or(std::ptr::null_mut(), |l| Box::into_raw(l).cast());
        NartTokioLocal { local, reserved: 0 }
    }

    /// # Safety
    /// `local` is NULL or live, and not used otherwise meanwhile.
    unsafe fn get<'a>(local: *const NartTokioLocal) -> Option<&'a mut Local> {
        // SAFETY: what is not NULL comes from of(), and is cleared by close.
        unsafe { local.as_ref()?.local.cast::<Local>().as_mut() }
    }
}

/// Awaits a local future by polling it here. `value` may be NULL.
/// @return as nart_tokio_op_await(); NART_EWRONGTHREAD.
/// **Thread**: the one that made it, inside a poll. **Cost**: entering tokio's context, about 100 ns,
/// and the future's poll.
///
/// # Safety
/// `cx` is the running poll's; `local` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_local_await(
    cx: *mut Cx,
    local: *mut NartTokioLocal,
    value: *mut i64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let poll = Poll::new(cx);
            if let Err(answer) = poll.enter() {
                return answer;
            }
            let Some(local) = NartTokioLocal::get(local) else {
                return ESTALE;
            };
            if let Err(answer) = local.check() {
                return answer;
            }
            with_value(value, |value| local.poll(poll, value))
        }
    })
}

/// The bytes that came with its answer; as nart_tokio_op_message().
///
/// # Safety
/// `local` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_local_message(
    local: *const NartTokioLocal,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller's promises.
    unsafe { message(NartTokioLocal::get(local).and_then(|l| l.outcome()), len) }
}

/// Drops a local future, inside tokio's context, and empties `*local`. Empty and NULL are fine. A
/// panic of its drop is swallowed.
/// @return 0; NART_EWRONGTHREAD nothing was done. In a forked child it is leaked.
/// **Thread**: the one that made it.
///
/// # Safety
/// `local` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_local_close(local: *mut NartTokioLocal) -> Res {
    guard(|| {
        // SAFETY: the caller's promises; the handle is cleared before the future is dropped.
        unsafe {
            let Some(inner) = NartTokioLocal::get(local) else {
                return 0;
            };
            if inner.check() == Err(EWRONGTHREAD) {
                return EWRONGTHREAD;
            }
            let inner = Box::from_raw(inner);
            *local = NartTokioLocal::of(None);
            drop(inner);
        }
        0
    })
}
