// SPDX-License-Identifier: MIT OR Apache-2.0
//! What polls nart's operations on tokio: a driver of driver.h, with its poll context and one task.
//!
//! 1. The driver's clock is the system's. After a poll, its user arms a tokio timer for the
//!    deadline, and wakes its tokio task if the nart task is ready. Descriptors are in io.rs; they
//!    belong to the driver's host, which is the bridge. Without a bridge they return NART_EDRIVER.
//! 2. The task's nart waker is the address of a cell that holds the waker of the tokio task:
//!    waker_cell.rs. As long as an operation may hold that address, each poll stores its waker in
//!    the cell before it does anything else. So a wake during the poll is not lost.
//! 3. A task that spawns gets a group (driver.h): C polls the tasks of the group in the polls of its first
//!    task, which is the one here. The others have wakers of C's own, and a descriptor that becomes
//!    readable when one of them is woken.
//! 4. The context may be polled by one thread after another, never by two at the same time.

use std::alloc::{handle_alloc_error, Layout};
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::ffi::c_void;
use std::mem::offset_of;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;
use std::task::Waker;

use crate::clock;
use crate::io;
use crate::sys::io::nart_driver_sys;
use crate::sys::{
    nart_cx_waker, nart_driver_cx_init, nart_driver_group_cancel, nart_driver_group_end,
    nart_driver_group_fd, nart_driver_group_first, nart_driver_group_park, nart_driver_group_polls,
    nart_driver_group_tasks, nart_driver_group_waker, nart_driver_poll, nart_driver_task_cancel,
    nart_driver_task_drop, nart_driver_task_end, nart_driver_task_init, Cx, Driver, Res, Task,
    TaskType, DRIVER_ABI, DRIVER_MOVES, DRIVER_SPAWNS, NEVER,
};
use crate::waker::rust_waker;
use crate::waker_cell::{OwnCell, WakerCell};

/// A poll context and its task. It does not move.
pub struct PollContext {
    cx: UnsafeCell<Cx>,
    task: UnsafeCell<Task>,
    /// None: no operation has asked for a waker.
    cell: OnceCell<OwnCell>,
    /// An operation may hold the cell's address.
    escaped: Cell<bool>,
    /// Of the current poll: tokio's waker, whether to poll again, and the deadline.
    waker: Cell<*const Waker>,
    again: Cell<bool>,
    deadline: Cell<i64>,
}

impl PollContext {
    /// Initialises `*place`, for a task of type `ty` with this frame. `host` identifies the bridge, and
    /// is not dereferenced.
    ///
    /// # Safety
    /// `place` is writable and does not move while the context is in use; `ty` outlives it.
    pub unsafe fn init(
        place: *mut PollContext,
        ty: *const TaskType,
        frame: *mut c_void,
        host: *const c_void,
    ) {
        // SAFETY: the caller's promises; an UnsafeCell has the layout of its contents.
        unsafe {
            let cx = (&raw mut (*place).cx).cast::<Cx>();
            let task = (&raw mut (*place).task).cast::<Task>();
            (&raw mut (*place).cell).write(OnceCell::new());
            (&raw mut (*place).escaped).write(Cell::new(false));
            (&raw mut (*place).waker).write(Cell::new(ptr::null()));
            (&raw mut (*place).again).write(Cell::new(false));
            (&raw mut (*place).deadline).write(Cell::new(NEVER));
            nart_driver_cx_init(cx, driver(!host.is_null()), host.cast_mut());
            nart_driver_task_init(task, ty, frame, cx);
        }
    }

    /// Polls the task once. `waker` is tokio's; None: the task is not polled again.
    ///
    /// # Safety
    /// No other poll of the context is running. The task has not ended.
    pub unsafe fn poll(&self, waker: Option<&Waker>) -> Res {
        self.waker.set(waker.map_or(ptr::null(), ptr::from_ref));
        self.again.set(false);
        self.deadline.set(NEVER);
        if let (true, Some(waker)) = (self.escaped.get(), waker) {
            self.cell().register(waker);
        }
        let _forget = ForgetWaker(&self.waker);
        // SAFETY: the task was initialised with this context; the rest is the caller's promise.
        unsafe { nart_driver_poll(self.cx.get(), self.task.get()) }
    }

    /// Cancels the task.
    ///
    /// # Safety
    /// No poll is running.
    pub unsafe fn cancel(&self) {
        // SAFETY: the caller's promise.
        unsafe { nart_driver_task_cancel(self.task.get()) }
    }

    /// Withdraws the waits of a task that is not polled any more.
    ///
    /// # Safety
    /// No poll is running.
    pub unsafe fn withdraw_all(&self) {
        // SAFETY: the caller's promise.
        unsafe { nart_driver_task_end(self.task.get()) }
    }

    /// Calls the drop of the task's type.
    ///
    /// # Safety
    /// The task is not polled any more, and this is called once.
    pub unsafe fn drop_frame(&self) {
        // SAFETY: the caller's promise.
        unsafe { nart_driver_task_drop(self.task.get()) }
    }

    /// The number of tasks that the task has spawned and that have not ended.
    pub fn spawned(&self) -> u32 {
        // SAFETY: the context was initialised, and no poll is running on another thread.
        unsafe { nart_driver_group_tasks(self.cx.get()) }
    }

    /// Becomes readable, edge by edge, when one of these tasks is woken. None: it has spawned none.
    pub fn group_fd(&self) -> Option<RawFd> {
        // SAFETY: as above.
        let fd = unsafe { nart_driver_group_fd(self.cx.get()) };
        (fd >= 0).then_some(fd)
    }

    /// From here on wakes of these tasks make group_fd() readable. False: poll again at once.
    pub fn park_group(&self) -> bool {
        // SAFETY: as above.
        unsafe { nart_driver_group_park(self.cx.get()) }
    }

    /// Cancels these tasks.
    ///
    /// # Safety
    /// No poll is running.
    pub unsafe fn cancel_group(&self) {
        // SAFETY: the caller's promise.
        unsafe { nart_driver_group_cancel(self.cx.get()) }
    }

    /// Ends these tasks, and then the task itself: each is polled once more.
    ///
    /// # Safety
    /// No poll is running.
    pub unsafe fn end_group(&self) {
        self.waker.set(ptr::null());
        // SAFETY: the caller's promise.
        unsafe { nart_driver_group_end(self.cx.get()) }
    }

    /// Calls `f` with the waker of the task that `cx` polls.
    ///
    /// # Safety
    /// `cx` is that of a live PollContext or of its group, in a poll.
    pub unsafe fn with_waker_of<R>(cx: *mut Cx, f: impl FnOnce(&Waker) -> R) -> R {
        // SAFETY: the caller's promise.
        unsafe {
            if nart_driver_group_polls(cx) {
                return f(&rust_waker(nart_cx_waker(cx)));
            }
            context(nart_driver_group_first(cx)).with_waker(f)
        }
    }

    /// Calls `f` with the waker of the running poll.
    fn with_waker<R>(&self, f: impl FnOnce(&Waker) -> R) -> R {
        // SAFETY: during a poll it is NULL or points to the waker of that poll.
        match unsafe { self.waker.get().as_ref() } {
            Some(waker) => f(waker),
            None => f(Waker::noop()),
        }
    }

    /// Whether the last poll requested another one.
    pub fn again(&self) -> bool {
        self.again.get()
    }

    /// The earliest deadline of the last poll, or NEVER.
    pub fn deadline(&self) -> i64 {
        self.deadline.get()
    }

    /// The task waits for nothing: later polls need not store their waker first.
    pub fn waits_for_nothing(&self) {
        self.escaped.set(false);
    }

    /// Made when it is asked for first: a task that answers at once needs none.
    fn cell(&self) -> &'static WakerCell {
        let make =
            || OwnCell::take().unwrap_or_else(|| handle_alloc_error(Layout::new::<WakerCell>()));
        self.cell.get_or_init(make).cell()
    }
}

/// At the end of a poll, also by a panic.
struct ForgetWaker<'a>(&'a Cell<*const Waker>);

impl Drop for ForgetWaker<'_> {
    fn drop(&mut self) {
        self.0.set(ptr::null());
    }
}

// ---- the driver ----

/// The context of a task.
///
/// # Safety
/// `task` is that of a live PollContext.
unsafe fn context<'a>(task: *mut Task) -> &'a PollContext {
    // SAFETY: the caller's promise: `task` points into the context.
    unsafe {
        &*task
            .byte_sub(offset_of!(PollContext, task))
            .cast::<PollContext>()
    }
}

unsafe extern "C" fn now(_: *mut c_void) -> i64 {
    clock::now()
}

unsafe extern "C" fn park(_: *mut c_void, task: *mut Task, deadline: i64) {
    // SAFETY: called inside a poll of this context.
    unsafe { context(task) }.deadline.set(deadline);
}

unsafe extern "C" fn ready(_: *mut c_void, task: *mut Task) {
    // SAFETY: called on the thread that polls this context.
    unsafe { context(task) }.again.set(true);
}

unsafe extern "C" fn waker(_: *mut c_void, task: *mut Task) -> usize {
    // SAFETY: called inside a poll of this task.
    let word = unsafe { nart_driver_group_waker(task) };
    if word != 0 {
        return word;
    }
    // SAFETY: called inside a poll of this context.
    let context = unsafe { context(task) };
    if !context.escaped.replace(true) {
        // SAFETY: during a poll it is NULL or points to the waker of that poll.
        if let Some(waker) = unsafe { context.waker.get().as_ref() } {
            context.cell().register(waker);
        }
    }
    context.cell().nart_waker()
}

/// The driver. Its table of system calls is C's. Without a host its tasks do not spawn: nothing would poll
/// their group.
fn driver(has_host: bool) -> &'static Driver {
    static DRIVERS: OnceLock<[Driver; 2]> = OnceLock::new();
    let of_kind = |kind| Driver {
        abi: DRIVER_ABI,
        kind,
        name: c"tokio".as_ptr(),
        now,
        park,
        ready,
        waker,
        io_add: io::io_add,
        io_want: io::io_want,
        io_clear: io::io_clear,
        io_del: io::io_del,
        // SAFETY: returns a constant.
        sys: unsafe { nart_driver_sys() },
        io_fd: io::io_fd,
        io_wake: io::io_wake,
        io_unwait: io::io_unwait,
        io_stay: io::io_stay,
    };
    let make = || [of_kind(DRIVER_MOVES), of_kind(DRIVER_MOVES | DRIVER_SPAWNS)];
    &DRIVERS.get_or_init(make)[usize::from(has_host)]
}
