// SPDX-License-Identifier: MIT OR Apache-2.0
//! Functions of C for tests under Miri, which interprets Rust only: those of nart that operations call, and
//! those of the system that Miri lacks. Signal masks are not kept. The stage miri of .ci/run names the tests.

use std::ffi::{c_char, c_int, c_void};

use crate::sys::work::{JobBlock, WorkType, Workers, WorkersOpts, WorkersStats};
use crate::sys::{NartWaker, Res, Wakeable, ESHUTDOWN};

#[no_mangle]
unsafe extern "C" fn nart_waker_wake(waker: NartWaker) {
    if waker.w & 1 != 0 {
        let cell = std::ptr::with_exposed_provenance_mut::<Wakeable>(waker.w & !1);
        // SAFETY: a waker with this bit is the address of a Wakeable, which is never freed.
        unsafe { ((*cell).wake)(cell) }
    }
}

#[no_mangle]
extern "C" fn nart_strerror(_: Res) -> *const c_char {
    c"No such file or directory".as_ptr()
}

#[no_mangle]
extern "C" fn nart_err_name(code: Res) -> *const c_char {
    match code {
        ESHUTDOWN => c"NART_ESHUTDOWN".as_ptr(),
        _ => c"ENOENT".as_ptr(),
    }
}

#[no_mangle]
unsafe extern "C" fn sigemptyset(set: *mut libc::sigset_t) -> c_int {
    // SAFETY: the caller's set.
    unsafe { set.write_bytes(0, 1) };
    0
}

#[no_mangle]
unsafe extern "C" fn sigfillset(set: *mut libc::sigset_t) -> c_int {
    // SAFETY: the caller's set.
    unsafe { set.write_bytes(0xff, 1) };
    0
}

#[no_mangle]
extern "C" fn sigaddset(_: *mut libc::sigset_t, _: c_int) -> c_int {
    0
}

#[no_mangle]
extern "C" fn sigdelset(_: *mut libc::sigset_t, _: c_int) -> c_int {
    0
}

#[no_mangle]
extern "C" fn sigismember(_: *const libc::sigset_t, _: c_int) -> c_int {
    0
}

#[no_mangle]
unsafe extern "C" fn pthread_sigmask(
    _: c_int,
    _: *const libc::sigset_t,
    old: *mut libc::sigset_t,
) -> c_int {
    if !old.is_null() {
        // SAFETY: the caller's set.
        unsafe { old.write_bytes(0, 1) };
    }
    0
}

#[no_mangle]
extern "C" fn sched_setscheduler(_: libc::pid_t, _: c_int, _: *const libc::sched_param) -> c_int {
    0
}

// A pool that starts no thread and accepts no job.

#[no_mangle]
unsafe extern "C" fn nart_workers_new(opts: *const WorkersOpts, out: *mut *mut Workers) -> Res {
    // SAFETY: the caller's options, and its word.
    unsafe { *out = Box::into_raw(Box::new(((*opts).arg, (*opts).on_end))).cast() };
    0
}

#[no_mangle]
unsafe extern "C" fn nart_workers_free(pool: *mut Workers) {
    type Ends = (*mut c_void, Option<unsafe extern "C" fn(*mut c_void)>);
    // SAFETY: from nart_workers_new(), and not used again.
    unsafe {
        let (arg, on_end) = *Box::from_raw(pool.cast::<Ends>());
        on_end.map_or((), |on_end| on_end(arg));
    }
}

#[no_mangle]
extern "C" fn nart_workers_shutdown(_: *mut Workers, _: i64) -> Res {
    0
}

#[no_mangle]
extern "C" fn nart_workers_stats_get(_: *mut Workers, _: *mut WorkersStats) -> Res {
    0
}

#[no_mangle]
extern "C" fn nart_job_start(
    _: *mut JobBlock,
    _: *mut Workers,
    _: *const WorkType,
    _: *const c_char,
    _: *mut c_void,
    _: unsafe extern "C" fn(*mut c_void, Res),
    _: *const c_void,
) -> Res {
    ESHUTDOWN
}

#[no_mangle]
extern "C" fn nart_job_cancel(_: *mut JobBlock) {}

#[no_mangle]
extern "C" fn nart_jobs_end(_: *mut Workers, _: *const c_void) {}

#[no_mangle]
extern "C" fn nart_jobs_each(
    _: *mut Workers,
    _: *const c_void,
    _: unsafe extern "C" fn(*mut c_void, *const c_char, bool),
    _: *mut c_void,
) {
}
