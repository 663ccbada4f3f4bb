// SPDX-License-Identifier: MIT OR Apache-2.0
//! A loop of C as a guest of a tokio runtime, on one thread.
//!
//! 1. A [`Loop`] owns a `nart_rt`. It is polled by a future ([`Loop::drive`], [`Loop::run_until`]), so
//!    tasks of C and of tokio take turns on one thread: drive.rs.
//! 2. A task that Rust spawns has a frame of its own around that of the C type, by which its end becomes
//!    the answer of a future: task.rs.
//! 3. The runtime reports lines in C; they are collected during a shutdown, and become its error.
//! 4. A [`LoopThread`] runs a `Loop` on a thread of its own: thread.rs.
//!
//! All else belongs to one thread: `Loop` is neither Send nor Sync. `Inner` is referred to by its
//! loop, by tasks (weakly), and by the runtime's report function.

mod drive;
mod frame;
mod task;
mod thread;

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void, CStr, CString};
use std::fmt;
use std::future::Future;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::nanoseconds;
use crate::error::Error;
use crate::panic::catch;
use crate::sys::{
    errno, nart_rt_free_counted, nart_rt_new, nart_rt_shutdown_within, nart_rt_task_count, Res, Rt,
    RtEnd, RtLeft, RtOpts, TaskType,
};

pub(crate) use drive::wake_guests;
pub use task::Task;
pub use thread::{LoopHandle, LoopThread, RemoteTask};

type Report = Box<dyn Fn(&str) + Send>;

/// Options of a [`Loop`]: those of `nart_rt_opts` that a host needs.
///
/// # Examples
///
/// ```
/// use nart_tokio::LoopOptions;
///
/// let options = LoopOptions::new().name("hot").max_io(1000);
/// assert_eq!(format!("{options:?}"), r#"LoopOptions { name: "hot", max_io: 1000, .. }"#);
/// ```
#[derive(Default)]
pub struct LoopOptions {
    name: String,
    max_io: u32,
    spin: Duration,
    cpu: Option<u32>,
    report: Option<Report>,
}

impl LoopOptions {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::LoopOptions::new();
    /// ```
    #[must_use]
    pub fn new() -> LoopOptions {
        LoopOptions::default()
    }

    /// The name in dumps and reports. Default: `nart`.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::LoopOptions::new().name("hot");
    /// ```
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> LoopOptions {
        self.name = name.into();
        self
    }

    /// The maximum number of descriptors. Default: 1,048,575.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::LoopOptions::new().max_io(1000);
    /// ```
    #[must_use]
    pub fn max_io(mut self, descriptors: u32) -> LoopOptions {
        self.max_io = descriptors;
        self
    }

    /// How long the loop looks for work before it sleeps. Default: not at all. For a [`LoopThread`]; a
    /// guest does not sleep by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = nart_tokio::LoopOptions::new().spin(Duration::from_micros(50));
    /// ```
    #[must_use]
    pub fn spin(mut self, time: Duration) -> LoopOptions {
        self.spin = time;
        self
    }

    /// The CPU to run on, for a [`LoopThread`]. Default: those of the thread that starts it.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::LoopOptions::new().cpu(3);
    /// ```
    #[must_use]
    pub fn cpu(mut self, cpu: u32) -> LoopOptions {
        self.cpu = Some(cpu);
        self
    }

    /// Called on the loop's thread with each line about an error that has no return path, for example
    /// a task that ignored cancellation. Default: prints it to standard error.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::LoopOptions::new().report(|line| eprintln!("loop: {line}"));
    /// ```
    #[must_use]
    pub fn report(mut self, report: impl Fn(&str) + Send + 'static) -> LoopOptions {
        self.report = Some(Box::new(report));
        self
    }
}

impl fmt::Debug for LoopOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopOptions")
            .field("name", &self.name)
            .field("max_io", &self.max_io)
            .finish_non_exhaustive()
    }
}

struct Inner {
    /// NULL: freed.
    rt: Cell<*mut Rt>,
    types: task::Types,
    report: Option<Report>,
    /// The lines of a shutdown, instead of calls of `report`.
    collected: RefCell<Option<Vec<String>>>,
    driver: drive::Driver,
}

unsafe extern "C-unwind" fn report(arg: *mut c_void, line: *const c_char) {
    // SAFETY: the argument is the Inner of the runtime, which outlives it; the line is a C string.
    let (inner, line) = unsafe { (&*arg.cast::<Inner>(), CStr::from_ptr(line)) };
    let line = line.to_string_lossy();
    if let Some(lines) = &mut *inner.collected.borrow_mut() {
        lines.push(line.into_owned());
        return;
    }
    match &inner.report {
        Some(report) => drop(catch(|| report(&line))),
        None => eprintln!("{line}"),
    }
}

/// Frees the runtime, which ends all tasks: each is polled once as cancelled. Returns how many were dropped
/// because they still waited. If that is not possible (inside a poll or a drop of its own, or on another
/// thread), the runtime and what it refers to are leaked.
fn free(inner: &Rc<Inner>) -> Result<u64, Res> {
    // SAFETY: all-zero is valid but for the size.
    let mut end: RtEnd = unsafe { std::mem::zeroed() };
    end.size = size_of::<RtEnd>();
    // SAFETY: the runtime is live or NULL, and is not used after this.
    let r = unsafe { nart_rt_free_counted(inner.rt.get(), &mut end) };
    inner.rt.set(ptr::null_mut());
    drive::unlist(inner); // if the future that drove it was forgotten
    if r != 0 {
        std::mem::forget(inner.clone());
        return Err(r);
    }
    Ok(end.dropped)
}

/// A loop of nart as a guest of a tokio runtime: tasks of C and of Rust on one thread.
///
/// It is driven by [`run_until`](Loop::run_until) or [`drive`](Loop::drive), inside a tokio runtime that
/// has time and I/O enabled, of either flavour. While neither is polled, its tasks do not run, as those of
/// a `tokio::task::LocalSet`. It stays on the thread that drove it first.
///
/// One turn of it polls at most 64 tasks; then tokio's tasks have their turn. Its timers have tokio's
/// resolution while it waits, one millisecond.
///
/// Dropping it ends its tasks as `nart_rt_free()` does: each is polled once as cancelled and then dropped.
/// [`shutdown`](Loop::shutdown) gives them time.
///
/// # Examples
///
/// ```
/// use std::ffi::c_void;
/// use nart_tokio::{Cx, Loop, LoopOptions, Res, TaskType};
///
/// unsafe extern "C-unwind" fn poll(_cx: *mut Cx, _frame: *mut c_void) -> Res {
///     42
/// }
/// static ANSWER: TaskType = TaskType::of::<u64>(c"answer", poll, None); // or one of C
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let guest = Loop::new(LoopOptions::new())?;
/// let answer = guest.run_until(async {
///     // SAFETY: the frame may be zeroed.
///     unsafe { guest.spawn(&ANSWER, std::ptr::null()) }?.await
/// });
/// assert_eq!(answer.await??, 42);
/// # Ok::<(), nart_tokio::Error>(())
/// # }).unwrap();
/// ```
///
/// # Tasks written in C
///
/// A C file, compiled by the build script, defines the frame and the task type. The type is not `static`:
///
/// ```c
/// struct pause {
///     int64_t ns; /* set by Rust */
///     nart_co co;
///     nart_timer timer;
/// };
/// _Static_assert(sizeof(struct pause) == 64, "as in Rust");
///
/// const nart_task_type pause_type = NART_TASK_TYPE(struct pause, pause_run, NULL);
/// ```
///
/// Rust declares both: a `repr(C)` struct of the same size, because [`spawn`](Loop::spawn) copies the whole
/// frame, and the type as a static of C. What only C uses is zeroed bytes:
///
/// ```
/// # use std::ffi::c_void;
/// # mod the_c_file {
/// #     use nart_tokio::{Cx, Res, TaskType};
/// #     unsafe extern "C-unwind" fn run(_: *mut Cx, frame: *mut std::ffi::c_void) -> Res {
/// #         // SAFETY: the frame is that of Pause.
/// #         unsafe { *frame.cast::<i64>() }
/// #     }
/// #     #[export_name = "pause_type"]
/// #     static TYPE: TaskType = TaskType::of::<[u64; 8]>(c"struct pause", run, None);
/// # }
/// use nart_tokio::{Loop, LoopOptions, TaskType};
///
/// #[repr(C)]
/// struct Pause {
///     ns: i64,
///     private: [u64; 7],
/// }
/// const _: () = assert!(size_of::<Pause>() == 64);
///
/// extern "C" {
///     #[link_name = "pause_type"]
///     static PAUSE: TaskType;
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let guest = Loop::new(LoopOptions::new())?;
/// let pause = Pause { ns: 1_000_000, private: [0; 7] };
/// // SAFETY: the type is constant, and the frame is one of `struct pause`.
/// let task = unsafe { guest.spawn(&PAUSE, (&raw const pause).cast()) }?;
/// let answer = guest.run_until(task).await?; // of the loop
/// # assert_eq!(answer.clone()?, 1_000_000);
/// answer?; // of the task
/// # Ok::<(), nart_tokio::Error>(())
/// # }).unwrap();
/// ```
///
/// A task type in Rust, for a poll function in Rust, is made by [`TaskType::of`].
pub struct Loop {
    inner: Rc<Inner>,
}

impl Loop {
    /// Makes a loop. No runtime of tokio is needed yet.
    ///
    /// # Errors
    /// `-EINVAL` the name contains a NUL; `-ENOMEM`; `-EMFILE`, `-ENFILE`, `-ENOSPC` no descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Loop, LoopOptions};
    ///
    /// let guest = Loop::new(LoopOptions::new().name("hot"))?;
    /// assert_eq!(guest.task_count(), 0);
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    pub fn new(options: LoopOptions) -> Result<Loop, Error> {
        let name = CString::new(options.name).map_err(|_| Error::of(errno(libc::EINVAL)))?;
        let inner = Rc::new(Inner {
            rt: Cell::new(ptr::null_mut()),
            types: task::Types::default(),
            report: options.report,
            collected: RefCell::new(None),
            driver: drive::Driver::default(),
        });
        // SAFETY: all-zero is valid but for the size, and means the defaults.
        let mut opts: RtOpts = unsafe { std::mem::zeroed() };
        opts.size = size_of::<RtOpts>();
        if !name.is_empty() {
            opts.name = name.as_ptr();
        }
        opts.max_io = options.max_io;
        opts.spin_ns = nanoseconds(options.spin);
        opts.report = Some(report);
        opts.report_arg = Rc::as_ptr(&inner).cast_mut().cast();
        let mut rt = ptr::null_mut();
        // SAFETY: the options are valid; the argument of the report outlives the runtime.
        match unsafe { nart_rt_new((&raw const opts).cast(), &mut rt) } {
            0 => inner.rt.set(rt),
            code => return Err(Error::of(code)),
        }
        Ok(Loop { inner })
    }

    /// Lends the runtime to C: the `nart_rt *` of its functions, to spawn tasks and to open sockets and
    /// channels.
    ///
    /// It is valid until the loop is dropped or shut down, on the thread of the loop only; other threads use
    /// `nart_rt_remote()`, or a [`LoopThread`]. C must not free it, and leaves the running to this
    /// crate: no `nart_rt_run()` or `nart_rt_poll()` while it is driven.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Loop, LoopOptions};
    ///
    /// let guest = Loop::new(LoopOptions::new())?;
    /// assert!(!guest.as_c().is_null());
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    #[must_use]
    pub fn as_c(&self) -> *mut Rt {
        self.inner.rt.get()
    }

    /// The number of tasks that have not ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Loop, LoopOptions};
    ///
    /// assert_eq!(Loop::new(LoopOptions::new())?.task_count(), 0);
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    #[must_use]
    pub fn task_count(&self) -> usize {
        // SAFETY: the runtime is live as long as its loop.
        unsafe { nart_rt_task_count(self.as_c()) as usize }
    }

    /// Spawns a task of C. Its first poll is in the next turn of the loop, never inside this call.
    ///
    /// Its frame begins as a copy of `*init`, or zeroed if `init` is NULL; frames above 4 KiB are
    /// allocated. Dropping the [`Task`] detaches the task of C, as it does a `tokio::task::JoinHandle`.
    ///
    /// # Errors
    /// `-EINVAL` not a task type; `NART_EABI` one of another version; `-ENOMEM`; `NART_ESHUTDOWN`;
    /// `NART_EWRONGTHREAD`. What `*init` refers to is still the caller's.
    ///
    /// # Safety
    /// `init` is NULL, if a zeroed frame is valid, or points to a frame of this type that may be moved.
    ///
    /// # Examples
    ///
    /// See [`Loop`].
    pub unsafe fn spawn(
        &self,
        task_type: &'static TaskType,
        init: *const c_void,
    ) -> Result<Task, Error> {
        // SAFETY: the caller's promise.
        unsafe { Task::spawn(&self.inner, task_type, init) }.map_err(Error::of)
    }

    /// Drives the loop until no task is left, those spawned by other threads included.
    ///
    /// Cancel safe: if this future is dropped, the tasks stay, and continue when the loop is driven again. If
    /// it is forgotten instead, the loop counts as driven for ever.
    ///
    /// # Errors
    /// `-EDEADLK` the loop is being driven, for example by the task of C that called this;
    /// `-EOPNOTSUPP` the tokio runtime has no timers or no I/O; `NART_ESHUTDOWN` the tokio runtime in
    /// which this was polled first has ended; `NART_EWRONGTHREAD` another thread drove the loop before;
    /// `NART_EFORK` in a forked child; an errno of epoll.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Loop, LoopOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let guest = Loop::new(LoopOptions::new())?;
    /// // ... functions of C spawn tasks on guest.as_c() ...
    /// guest.drive().await
    /// # }).unwrap();
    /// ```
    pub async fn drive(&self) -> Result<(), Error> {
        drive::until_empty(&self.inner).await
    }

    /// Drives the loop until `future` completes, and returns its output. The tasks that are left stay.
    ///
    /// Cancel safe, as [`drive`](Loop::drive) is.
    ///
    /// # Errors
    /// Those of [`drive`](Loop::drive).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use nart_tokio::{Loop, LoopOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let guest = Loop::new(LoopOptions::new())?;
    /// guest.run_until(tokio::time::sleep(Duration::from_millis(1))).await
    /// # }).unwrap();
    /// ```
    pub async fn run_until<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        drive::until(&self.inner, future).await
    }

    /// Ends the loop: refuses new tasks, cancels those that exist, and drives them until they have ended,
    /// for at most `timeout`. Those that still wait then are dropped.
    ///
    /// If this future is dropped, the loop is, too: its tasks end at once.
    ///
    /// # Errors
    /// `-ETIMEDOUT` tasks were dropped; the text names each, and where it waited. Those of
    /// [`drive`](Loop::drive).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use nart_tokio::{Loop, LoopOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let guest = Loop::new(LoopOptions::new())?;
    /// guest.shutdown(Duration::from_secs(10)).await
    /// # }).unwrap();
    /// ```
    pub async fn shutdown(self, timeout: Duration) -> Result<(), Error> {
        let driven = match self.cancel_all(Duration::ZERO) {
            Ok(()) => drive::until_empty_or(&self.inner, timeout).await,
            Err(error) => Err(error),
        };
        self.end().and(driven)
    }

    /// Refuses new tasks, cancels all, and runs for so long, without tokio. What nart reports about tasks
    /// that have not ended is suppressed: they may get more time, and end() says it.
    fn cancel_all(&self, time: Duration) -> Result<(), Error> {
        // SAFETY: all-zero is valid but for the size.
        let mut left: RtLeft = unsafe { std::mem::zeroed() };
        left.size = size_of::<RtLeft>();
        *self.inner.collected.borrow_mut() = Some(Vec::new());
        // SAFETY: the runtime is live, and `left` has its size.
        let r = unsafe { nart_rt_shutdown_within(self.as_c(), 0, nanoseconds(time), &mut left) };
        self.inner.collected.take();
        match r {
            0 => Ok(()),
            r if r == errno(libc::ETIMEDOUT) || r == errno(libc::EBUSY) => Ok(()),
            code => Err(Error::of(code)),
        }
    }

    /// Frees the runtime; the loop must not be used again. The error names the tasks that were dropped.
    fn end(&self) -> Result<(), Error> {
        *self.inner.collected.borrow_mut() = Some(Vec::new());
        let dropped = free(&self.inner);
        let lines = self.inner.collected.take().unwrap_or_default();
        match dropped.map_err(Error::of)? {
            0 => Ok(()),
            _ => Err(Error::with(errno(libc::ETIMEDOUT), lines.join("\n"))),
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = free(&self.inner);
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop")
            .field("tasks", &self.task_count())
            .finish_non_exhaustive()
    }
}
