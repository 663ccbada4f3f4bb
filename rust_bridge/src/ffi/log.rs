// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Rust libraries log. The C interface of logs.rs.
//!
//! Ownership: [`NartTokioLog`] is the caller's memory and points to the open log, which
//! [`nart_tokio_log_close`] ends. An event is borrowed from it until the next call.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::ptr::NonNull;

use super::{bytes, res};
use crate::logs::Log;
use crate::panic::guard;
use crate::sys::{errno, Cx, Poll, Res, ESTALE};

/// Level of an event: something failed.
pub const NART_TOKIO_LOG_ERROR: u32 = 1;
/// Level of an event: something may be wrong.
pub const NART_TOKIO_LOG_WARN: u32 = 2;
/// Level of an event: worth knowing.
pub const NART_TOKIO_LOG_INFO: u32 = 3;
/// Level of an event: for those who look for a mistake.
pub const NART_TOKIO_LOG_DEBUG: u32 = 4;
/// Level of an event: every step.
pub const NART_TOKIO_LOG_TRACE: u32 = 5;

/// The log of the process's Rust code: events of the crates `log` and `tracing`, which hyper, reqwest,
/// rustls, h2 and others use. A zeroed one is empty. May be moved by assignment while no task awaits it.
///
/// ```c
/// struct logger { nart_co co; nart_tokio_log log; };
///
/// static nart_res logger_run(nart_cx *cx, void *frame)
/// {
///     struct logger *f = frame;
///     const nart_tokio_log_event *event = NULL;
///     nart_res r = 0;
///
///     NART_BEGIN(cx, &f->co);
///     r = nart_tokio_log_open("info,rustls=debug", 0, &f->log);
///     while (r == 0) {
///         NART_AWAIT(r, nart_tokio_log_next(cx, &f->log, &event));
///         if (r == 0)
///             fprintf(stderr, "%s %s\n", event->target, event->text);
///     }
///     nart_tokio_log_close(&f->log);
///     NART_END(r);
/// }
/// ```
///
/// Threads that log never wait. They write into a queue of a fixed size; an event that does not fit is
/// lost, and the next one that fits counts it. The events of one thread are in order. In a forked child
/// nothing is logged to the parent's log.
///
/// Events of `tracing` arrive as long as no Rust code has set a subscriber of its own. They have their
/// fields in the text.
///
/// **Thread** of all nart_tokio_log functions: any, but one at a time.
#[derive(Debug)]
#[repr(C)]
pub struct NartTokioLog {
    /// private
    #[doc(hidden)]
    pub log: *mut c_void,
    #[doc(hidden)]
    pub reserved: u64,
}

impl NartTokioLog {
    /// # Safety
    /// `log` is NULL or live.
    unsafe fn get(log: *const NartTokioLog) -> Option<NonNull<Log>> {
        // SAFETY: a pointer that is not NULL is from nart_tokio_log_open(), and close clears it.
        unsafe { NonNull::new(log.as_ref()?.log.cast()) }
    }
}

/// An event. It is the log's, until the next call for it.
#[derive(Debug)]
#[repr(C)]
pub struct NartTokioLogEvent {
    /// when it was logged: CLOCK_MONOTONIC in nanoseconds, as nart_now()
    pub time: i64,
    /// events that were lost since the one before
    pub lost: u64,
    /// what logged it, usually a module such as "hyper::proto"; at most 127 bytes
    pub target: *const c_char,
    /// the text, which may contain any character; at most 958 bytes together with the target
    pub text: *const c_char,
    /// length of the text in bytes
    pub text_len: usize,
    /// bytes of the text that were cut off, because it is too long
    pub cut: u32,
    /// NART_TOKIO_LOG_ERROR ... NART_TOKIO_LOG_TRACE
    pub level: u32,
    /// the thread that logged it, as the kernel numbers and names threads
    pub thread_id: i32,
    #[doc(hidden)]
    pub reserved0: u32,
    /// its name
    pub thread: [c_char; 16],
}

const _: () = assert!(offset_of!(NartTokioLogEvent, thread_id) == size_of::<usize>() * 3 + 24);

impl NartTokioLogEvent {
    #[cfg(feature = "log")]
    pub(crate) const EMPTY: NartTokioLogEvent = NartTokioLogEvent {
        time: 0,
        lost: 0,
        target: std::ptr::null(),
        text: std::ptr::null(),
        text_len: 0,
        cut: 0,
        level: 0,
        thread_id: 0,
        reserved0: 0,
        thread: [0; 16],
    };
}

/// Runs `read`; if it returns 0, `*event` is the event.
///
/// # Safety
/// `log` and `event` are NULL or live, and used by one thread at a time.
unsafe fn read(
    log: *const NartTokioLog,
    event: *mut *const NartTokioLogEvent,
    read: impl FnOnce(&Log) -> Res,
) -> Res {
    // SAFETY: the caller's promises. The log is open as long as the handle.
    unsafe {
        let Some(log) = NartTokioLog::get(log) else {
            return ESTALE;
        };
        let answer = read(log.as_ref());
        if let (0, Some(event)) = (answer, event.as_mut()) {
            *event = log.as_ref().last();
        }
        answer
    }
}

/// Opens the log of the process. Closed by nart_tokio_log_close().
///
/// @param filter which events: a list of `level` and `target=level`, with commas between them, as in
///   RUST_LOG: "warn,hyper=debug". Levels are off, error, warn, info, debug and trace. A level of its own
///   is that of all other targets; without one, they are off. The longest target that an event's begins
///   with decides. NULL or "": "info". Copied. Release builds of the archive for C have no events of level
///   trace.
/// @param queue events that may be queued, 1 KiB each, rounded up to a power of two, at most 2^20; 0:
///   1,024.
/// @return 0 and `*log`; -EBUSY another log is open, or a thread is just writing to the one that was
///   closed; -EEXIST Rust code of the program has installed a logger or a subscriber that does not pass
///   events on (`nart_tokio::Logs::attach()`); -EINVAL `log` is NULL, or `filter` or `queue` is wrong;
///   -ENOMEM; NART_EFORK a log of the parent process; -EOPNOTSUPP the bridge was built without its
///   feature `log`.
/// **Ownership**: close the log. `*log` must be empty; if this fails, it is.
/// **Cost**: one allocation. As long as a log is open, an event that the filter accepts costs its
///   formatting, some 300 ns, and if a task waits, its wake; other events a comparison of levels.
///
/// # Safety
/// `filter` is NULL or a C string; `log` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_log_open(
    filter: *const c_char,
    queue: u32,
    log: *mut NartTokioLog,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (Some(log), filter) = (unsafe { (log.as_mut(), bytes(filter, b"")) }) else {
            return errno(libc::EINVAL);
        };
        log.log = std::ptr::null_mut();
        let Ok(filter) = std::str::from_utf8(filter) else {
            return errno(libc::EINVAL);
        };
        res(Log::open(filter, queue), |open| {
            log.log = open.as_ptr().cast();
        })
    })
}

/// Awaits the next event. `event` may be NULL.
/// @return 0 and `*event`; NART_ESTALE the log is empty; NART_EFORK; -ECANCELED, -ETIMEDOUT the calling
///   task was cancelled or its deadline passed.
/// **Cost**: the event is copied.
///
/// # Safety
/// `cx` is the running poll's; `log` is NULL or live; `event` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_log_next(
    cx: *mut Cx,
    log: *mut NartTokioLog,
    event: *mut *const NartTokioLogEvent,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe { read(log, event, |log| log.read_or_wait(Poll::new(cx))) }
    })
}

/// Reads the next event. Never waits, and registers no waker: to drain the log after its task has ended.
/// @return as nart_tokio_log_next(), but for -ECANCELED and -ETIMEDOUT; NART_PENDING there is none.
/// **Cost**: as nart_tokio_log_next().
///
/// # Safety
/// `log` is NULL or live; `event` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_log_try(
    log: *mut NartTokioLog,
    event: *mut *const NartTokioLogEvent,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe { read(log, event, |log| log.read()) }
    })
}

/// Closes a log, and empties `*log`. NULL and an empty one are allowed. Never blocks: threads that are
/// writing an event at this time finish it, and it is dropped. In a forked child the parent's log is
/// leaked on purpose.
/// @return the number of events that were neither read nor counted in one that was: without those that
///   threads write at this time.
///
/// # Safety
/// `log` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_log_close(log: *mut NartTokioLog) -> Res {
    guard(|| {
        // SAFETY: the caller's promises; the handle is cleared before the log is closed.
        unsafe {
            let Some(open) = NartTokioLog::get(log) else {
                return 0;
            };
            (*log).log = std::ptr::null_mut();
            Log::close(open) as Res
        }
    })
}
