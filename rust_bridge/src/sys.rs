// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hand-written declarations of what the bridge uses of `base.h`, `task.h` and `driver.h`.
//!
//! The layouts are asserted here by number, and tests/bridge/test_layout.c asserts the same numbers
//! for the C structs. If either side changes, one of the two does not compile.

use std::borrow::Cow;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::fmt;
use std::mem::{align_of, offset_of, size_of};

use crate::host::wake_guests;

pub mod ends;
pub mod io;
#[cfg(feature = "tls")]
pub mod net;
pub mod trace;
pub mod work;

/// `nart_res`: `>= 0` a value, `-1 ..= -4095` a negated errno, `-4096 ..= -8191` nart's own errors,
/// or `NART_PENDING` (`i32::MIN`).
pub type Res = i64;

/// Not answered yet: the task is registered and will be polled again.
pub const PENDING: Res = i32::MIN as Res;
/// The awaited operation was cancelled.
pub const EABORTED: Res = -4096;
/// The Rust code panicked; the message is the text of the panic.
pub const EPANIC: Res = -4098;
/// The bridge is shutting down and accepts no new work.
pub const ESHUTDOWN: Res = -4099;
/// The bridge belongs to the parent process.
pub const EFORK: Res = -4100;
/// Called on the wrong thread.
pub const EWRONGTHREAD: Res = -4101;
/// Operation not supported by the driver that polls the task.
pub const EDRIVER: Res = -4102;
/// The handle is empty, or refers to something that has ended.
pub const ESTALE: Res = -4103;
/// The other side of the channel is closed, or this one.
pub const ECLOSED: Res = -4104;
/// The caller was compiled against another version of nart.
pub const EABI: Res = -4105;
/// The name cannot be looked up.
pub const EDNS: Res = -4140;
/// The TLS connection failed.
#[cfg(feature = "tls")]
pub const ETLS: Res = -4141;
/// The peer closed the connection without the end of the TLS stream.
#[cfg(feature = "tls")]
pub const ETLS_TRUNCATED: Res = -4142;
/// The frame is larger than the largest slot.
pub const EFRAME: Res = -4122;

/// The limit of descriptors was reached.
pub const EFDS: Res = -4121;

/// The smallest error code; of the numbers below it only [`PENDING`] is valid.
pub const ERROR_MIN: Res = -8191;

/// An errno as a [`Res`]: negated.
pub const fn errno(e: c_int) -> Res {
    -(e as Res)
}

/// `nart_waker`: a word, copied freely. Zero has no effect.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NartWaker {
    /// The word.
    pub w: usize,
}

/// `nart_wakeable`: what a waker may point to instead of a task of a loop.
#[repr(C)]
pub struct Wakeable {
    pub wake: unsafe extern "C" fn(this: *mut Wakeable),
}

/// `nart_cx`: the context of a poll.
#[repr(C)]
pub struct Cx {
    drv: *const Driver,
    host: *mut c_void,
    task: *mut Task,
    co: *mut c_void,
    scope: *mut c_void,
    park: i64,
    go: i32,
    stop: u32,
    flags: u32,
    reserved0: u32,
    now: i64,
    reserved: [u64; 5],
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").finish_non_exhaustive()
    }
}

const _: () = assert!(offset_of!(Cx, task) == 16 && offset_of!(Cx, go) == 48);
const _: () = assert!(size_of::<Cx>() == 112);

/// `struct nart__task`; the bridge only provides its memory.
#[repr(C, align(64))]
pub struct Task {
    opaque: [u8; 128],
}

const _: () = assert!(align_of::<Task>() == 64 && size_of::<Task>() == 128);

/// `nart_rt`, a loop.
#[repr(C)]
#[derive(Debug)]
pub struct Rt {
    opaque: [u8; 0],
}

/// `nart_rt_opts`.
#[repr(C)]
pub(crate) struct RtOpts {
    pub size: usize,
    pub name: *const c_char,
    pub slots: [u32; 7],
    pub max_io: u32,
    pub flags: u32,
    pub per_tick: [u32; 4],
    pub spin_ns: i64,
    pub alloc: *const c_void,
    pub report: Option<unsafe extern "C-unwind" fn(arg: *mut c_void, line: *const c_char)>,
    pub report_arg: *mut c_void,
    pub reserved: [u64; 8],
}

const _: () = assert!(offset_of!(RtOpts, report) == 88 && size_of::<RtOpts>() == 168);

/// `nart_rt_left`.
#[repr(C)]
pub(crate) struct RtLeft {
    pub size: usize,
    pub tasks: u32,
    pub held: u32,
    pub cancelled: u32,
}

const _: () = assert!(size_of::<RtLeft>() == 24);

/// `nart_rt_end`.
#[repr(C)]
pub(crate) struct RtEnd {
    pub size: usize,
    pub cancelled: u64,
    pub dropped: u64,
    pub held: u64,
    pub undelivered: u64,
}

const _: () = assert!(size_of::<RtEnd>() == 40);

/// `nart_task`: the id of a task of a loop.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskId {
    pub slot: u32,
    pub gen: u32,
}

/// `nart_remote`: a handle of a loop, for any thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Remote {
    pub hub: *mut c_void,
    pub incarnation: u64,
    pub waker: NartWaker,
}

// SAFETY: it may be used on any thread.
unsafe impl Send for Remote {}
// SAFETY: as above.
unsafe impl Sync for Remote {}

const _: () = assert!(size_of::<Remote>() == 24);

/// `nart_join`; only its memory is provided. Zeroed = empty.
#[repr(C)]
pub(crate) struct Join {
    pub opaque: [u64; 11],
}

const _: () = assert!(size_of::<Join>() == 88);

/// `nart_task_type`.
#[repr(C)]
pub struct TaskType {
    pub(crate) abi: u32,
    pub(crate) flags: u32,
    pub(crate) name: *const c_char,
    pub(crate) size: u32,
    pub(crate) align: u32,
    pub(crate) poll: Option<unsafe extern "C-unwind" fn(cx: *mut Cx, frame: *mut c_void) -> Res>,
    pub(crate) drop: Option<unsafe extern "C-unwind" fn(frame: *mut c_void)>,
    reserved: [*const c_void; 2],
}

const _: () = assert!(offset_of!(TaskType, poll) == 24 && size_of::<TaskType>() == 56);

// SAFETY: a type is constant, and so is everything that it points to.
unsafe impl Sync for TaskType {}

impl fmt::Debug for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskType")
            .field("name", &self.shown_name())
            .field("size", &self.size)
            .field("align", &self.align)
            .finish_non_exhaustive()
    }
}

impl TaskType {
    /// Its name, for messages.
    pub(crate) fn shown_name(&self) -> Cow<'_, str> {
        // SAFETY: a type's name is NULL or a C string.
        match unsafe { self.name.as_ref().map(|name| CStr::from_ptr(name)) } {
            Some(name) => name.to_string_lossy(),
            None => Cow::Borrowed("without a name"),
        }
    }

    /// A task type with frames of type T, for loops only, as `NART_TASK_TYPE` makes one in C. For
    /// tasks whose poll function is written in Rust.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ffi::c_void;
    /// use nart_tokio::{Cx, Res, TaskType};
    ///
    /// unsafe extern "C-unwind" fn poll(_cx: *mut Cx, frame: *mut c_void) -> Res {
    ///     // SAFETY: nart polls a task with its frame, which is a u64.
    ///     unsafe { *frame.cast::<u64>() as Res }
    /// }
    ///
    /// static ANSWER: TaskType = TaskType::of::<u64>(c"answer", poll, None);
    /// # let _ = &ANSWER;
    /// ```
    pub const fn of<T>(
        name: &'static CStr,
        poll: unsafe extern "C-unwind" fn(cx: *mut Cx, frame: *mut c_void) -> Res,
        drop: Option<unsafe extern "C-unwind" fn(frame: *mut c_void)>,
    ) -> TaskType {
        TaskType {
            abi: TASK_ABI,
            flags: 0,
            name: name.as_ptr(),
            size: size_of::<T>() as u32,
            align: align_of::<T>() as u32,
            poll: Some(poll),
            drop,
            reserved: [std::ptr::null(); 2],
        }
    }
}

/// `NART_TASK_ABI`.
pub(crate) const TASK_ABI: u32 = 1;
/// `NART_TASK_SEND`.
pub(crate) const TASK_SEND: u32 = 1;
/// `NART_DRIVER_ABI`.
pub(crate) const DRIVER_ABI: u32 = 3;
/// `NART_DRIVER_MOVES`.
pub(crate) const DRIVER_MOVES: u32 = 1;
/// `NART_DRIVER_SPAWNS`.
pub(crate) const DRIVER_SPAWNS: u32 = 2;
/// `NART_NEVER`.
pub(crate) const NEVER: i64 = i64::MAX;

/// `nart_driver`: the functions by which operations reach whatever polls their task.
#[repr(C)]
pub struct Driver {
    pub abi: u32,
    pub kind: u32,
    pub name: *const c_char,
    pub now: unsafe extern "C" fn(host: *mut c_void) -> i64,
    pub park: unsafe extern "C" fn(host: *mut c_void, task: *mut Task, deadline: i64),
    pub ready: unsafe extern "C" fn(host: *mut c_void, task: *mut Task),
    pub waker: unsafe extern "C" fn(host: *mut c_void, task: *mut Task) -> usize,
    pub io_add: unsafe extern "C" fn(host: *mut c_void, fd: c_int, id: *mut u64) -> Res,
    pub io_want: unsafe extern "C" fn(host: *mut c_void, id: u64, dirs: u32, cx: *mut Cx) -> Res,
    pub io_clear: unsafe extern "C" fn(host: *mut c_void, id: u64, dirs: u32),
    pub io_del: unsafe extern "C" fn(host: *mut c_void, id: u64, fd: *mut c_int) -> Res,
    pub sys: *const c_void,
    pub io_fd: unsafe extern "C" fn(host: *mut c_void, id: u64) -> Res,
    pub io_wake: unsafe extern "C" fn(host: *mut c_void, id: u64) -> Res,
    pub io_unwait: unsafe extern "C" fn(host: *mut c_void, id: u64, dirs: u32, cx: *mut Cx),
    pub io_stay: unsafe extern "C" fn(host: *mut c_void, id: u64, dirs: u32, cx: *mut Cx),
}

const _: () = assert!(offset_of!(Driver, sys) == 80 && size_of::<Driver>() == 120);

// SAFETY: a driver is constant, and so is everything that it points to.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

extern "C" {
    fn nart__halt(cx: *mut Cx, wait: *mut c_void) -> Res;
    fn nart_op_park(cx: *mut Cx) -> Res;
    pub(crate) fn nart_cx_waker(cx: *mut Cx) -> NartWaker;
    fn nart_waker_wake(waker: NartWaker);

    pub fn nart_strerror(code: Res) -> *const c_char;
    pub fn nart_err_name(code: Res) -> *const c_char;

    pub fn nart_driver_cx_init(cx: *mut Cx, drv: *const Driver, host: *mut c_void);
    pub fn nart_driver_task_init(
        task: *mut Task,
        ty: *const TaskType,
        frame: *mut c_void,
        home: *mut Cx,
    );
    pub fn nart_driver_task_cancel(task: *mut Task);
    pub fn nart_driver_task_end(task: *mut Task);
    pub fn nart_driver_group_tasks(cx: *const Cx) -> u32;
    pub fn nart_driver_group_fd(cx: *const Cx) -> c_int;
    pub fn nart_driver_group_park(cx: *mut Cx) -> bool;
    pub fn nart_driver_group_cancel(cx: *mut Cx);
    pub fn nart_driver_group_first(cx: *const Cx) -> *mut Task;
    pub fn nart_driver_group_polls(cx: *const Cx) -> bool;
    pub fn nart_driver_group_waker(task: *mut Task) -> usize;

    pub fn nart_rt_spawn_begin(rt: *mut Rt, ty: *const TaskType, err: *mut Res) -> *mut c_void;
    pub fn nart_rt_spawn_boxed_begin(
        rt: *mut Rt,
        ty: *const TaskType,
        err: *mut Res,
    ) -> *mut c_void;
    pub fn nart_rt_spawn_commit(rt: *mut Rt, frame: *mut c_void, out: *mut Join) -> Res;
    pub fn nart_join_task(join: *const Join) -> TaskId;
    pub fn nart_join_release(join: *mut Join);
    pub fn nart_task_cancel(rt: *mut Rt, task: TaskId) -> Res;
    pub fn nart_task_abort(rt: *mut Rt, task: TaskId) -> Res;

    pub fn nart_rt_new(opts: *const c_void, out: *mut *mut Rt) -> Res;
    pub fn nart_rt_backend_fd(rt: *mut Rt) -> c_int;
    pub fn nart_rt_next_deadline(rt: *mut Rt) -> i64;
    pub fn nart_rt_poll_soon(rt: *mut Rt) -> Res;
    pub fn nart_rt_task_count(rt: *const Rt) -> u32;
    pub fn nart_rt_stop(rt: *mut Rt);
    pub fn nart_rt_remote(rt: *mut Rt) -> Remote;
    pub fn nart_remote_spawn(remote: Remote, ty: *const TaskType, init: *const c_void) -> Res;
}

// These run tasks and drops, which may be Rust code.
extern "C-unwind" {
    pub fn nart_rt_poll_edge(rt: *mut Rt, readable: *mut bool) -> Res;
    pub fn nart_rt_run(rt: *mut Rt) -> Res;
    pub fn nart_rt_shutdown_within(
        rt: *mut Rt,
        grace_ns: i64,
        unwind_ns: i64,
        left: *mut RtLeft,
    ) -> Res;
    pub fn nart_rt_free_counted(rt: *mut Rt, out: *mut RtEnd) -> Res;
    pub fn nart_driver_poll(cx: *mut Cx, task: *mut Task) -> Res;
    pub fn nart_driver_group_end(cx: *mut Cx);
    pub fn nart_driver_task_drop(task: *mut Task);
}

impl NartWaker {
    /// Wakes the task, from any thread, also after the task or its runtime has ended.
    pub fn wake(self) {
        if self.w & 1 == 0 {
            wake_guests(); // it may be a task of a loop, not of tokio
        }
        // SAFETY: a waker is valid as long as the process, and zero is allowed.
        unsafe { nart_waker_wake(self) }
    }
}

/// The running poll, as operations see it: a `nart_cx`.
#[derive(Clone, Copy)]
pub struct Poll(*mut Cx);

impl Poll {
    /// # Safety
    /// `cx` is the context of a poll that runs on this thread as long as the value is used.
    pub unsafe fn new(cx: *mut Cx) -> Poll {
        Poll(cx)
    }

    /// The begin of an operation, `nart_op_enter()`: it returns an `Err` at once.
    pub fn enter(self) -> Result<(), Res> {
        // SAFETY: new() promises a live context, which only this thread accesses during the poll.
        unsafe {
            (*self.0).go -= 1;
            if (*self.0).go >= 0 {
                return Ok(());
            }
            match nart__halt(self.0, std::ptr::null_mut()) {
                0 => Ok(()),
                answer => Err(answer),
            }
        }
    }

    /// The begin of an operation whose inline half counts its answer: the context for its slow path.
    pub fn count(self) -> *mut Cx {
        // SAFETY: as in enter().
        unsafe { (*self.0).go -= 1 };
        self.0
    }

    /// The task that is being polled, for comparisons.
    #[cfg(feature = "tls")]
    pub fn task(self) -> *const c_void {
        // SAFETY: as in enter().
        unsafe { (*self.0).task.cast() }
    }

    /// The context, for an operation of C.
    pub fn cx(self) -> *mut Cx {
        self.0
    }

    /// The waker of the task that is being polled.
    pub fn waker(self) -> NartWaker {
        // SAFETY: new() promises a live context inside its poll.
        unsafe { nart_cx_waker(self.0) }
    }

    /// The end of an operation that has stored the waker: `PENDING`, or the error of an expired
    /// scope.
    pub fn park(self) -> Res {
        // SAFETY: as in waker().
        unsafe { nart_op_park(self.0) }
    }
}
