// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations: what a C task holds of work that is done elsewhere.
//!
//! An operation is one block with two owners: the handle (`nart_tokio_op`, in the C task's frame) and
//! the [`Promise`], which moves with the work. What is kept true:
//!
//! 1. Exactly one answer: a promise is not cloned, and ends by `finish` or by being dropped, which
//!    answers "cancelled" if that was asked for and "shut down" if not.
//! 2. The answer is published last: before it, the work's own data has been dropped, the counters
//!    have moved, the waker of the tokio task has been given back. After it the promise touches the
//!    block only if the handle is gone, and then frees it (state.rs).
//! 3. Nothing of the C frame is ever referred to from here; only a waker word crosses.
//!
//! Cancelling sets a flag in the block and wakes the tokio task, which looks at the flag before and
//! after each poll and drops its future. So it needs neither tokio's abort nor an allocation,
//! and the block can be made on one thread and spawned on another (http_queue.rs).
//!
//! Blocks are 128 bytes, two cache lines: the first is what both owners touch. They are recycled:
//! the bridge keeps a number of them, so taking and giving back is no malloc and no free.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;
use tokio::task::JoinHandle;

use crate::blocking::JobId;
use crate::bridge::Shared;
use crate::state::{Met, Park, State};
use crate::sys::{errno, NartWaker, Res, EABORTED, EFORK, EPANIC, ERROR_MIN, ESHUTDOWN, PENDING};

/// The status of an operation. It ends with exactly one of the last five.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Not ended yet.
    Running = 0,
    /// Ended with a value.
    Ok = 1,
    /// Ended with an error.
    Error = 2,
    /// Cancelled before it ended by itself.
    Cancelled = 3,
    /// Its Rust code panicked.
    Panicked = 4,
    /// The bridge was shut down before it ended.
    Shutdown = 5,
}

/// What a piece of work answers: a value or an error, and bytes with it (a body, a text).
#[derive(Debug)]
pub struct Outcome {
    pub(crate) status: Status,
    /// The value, or the error.
    pub(crate) number: i64,
    /// With a NUL behind them, unless there are none.
    pub(crate) bytes: Vec<u8>,
}

impl Outcome {
    /// A value, which may be any number.
    pub fn value(value: i64) -> Outcome {
        Outcome {
            status: Status::Ok,
            number: value,
            bytes: Vec::new(),
        }
    }

    /// A value with bytes, which C reads by `nart_tokio_op_message()`.
    pub fn value_with(value: i64, mut bytes: Vec<u8>) -> Outcome {
        if !bytes.is_empty() {
            bytes.push(0);
        }
        Outcome {
            status: Status::Ok,
            number: value,
            bytes,
        }
    }

    /// An error: a negated errno or one of nart's own, with a text. A number that is no error
    /// becomes `-EINVAL`, and `-ECANCELED`, which C tasks only say of themselves, "cancelled".
    pub fn error(code: Res, text: impl Into<Vec<u8>>) -> Outcome {
        let status = if code == errno(libc::ECANCELED) {
            Status::Cancelled
        } else {
            Status::Error
        };
        let is_error = (ERROR_MIN..0).contains(&code);
        let number = if is_error { code } else { errno(libc::EINVAL) };
        Outcome {
            status,
            number,
            ..Outcome::value_with(0, text.into())
        }
    }

    /// The `nart_res` of a C function: a value or an error.
    pub(crate) fn of_res(res: Res) -> Outcome {
        if res >= 0 {
            Outcome::value(res)
        } else if (ERROR_MIN..0).contains(&res) {
            Outcome::error(res, "")
        } else {
            Outcome::error(res, "the function answered a number that is no result")
        }
    }

    pub(crate) fn panicked(text: String) -> Outcome {
        Outcome {
            status: Status::Panicked,
            ..Outcome::value_with(0, text.into())
        }
    }

    pub(crate) fn is_panic(&self) -> bool {
        self.status == Status::Panicked
    }

    /// The bytes, and behind them a NUL.
    pub(crate) fn message(&self) -> (&[u8], usize) {
        match self.bytes.len() {
            0 => (b"\0", 0),
            n => (&self.bytes, n - 1),
        }
    }

    /// The answer, and its value if it has one.
    pub(crate) fn read(&self, value: &mut i64) -> Res {
        if self.status == Status::Ok {
            *value = self.number;
        }
        self.answer()
    }

    /// What awaiting the operation answers.
    fn answer(&self) -> Res {
        match self.status {
            Status::Running => PENDING,
            Status::Ok => 0,
            Status::Error => self.number,
            Status::Cancelled => EABORTED,
            Status::Panicked => EPANIC,
            Status::Shutdown => ESHUTDOWN,
        }
    }
}

impl From<i64> for Outcome {
    fn from(value: i64) -> Outcome {
        Outcome::value(value)
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Outcome {
        Outcome::value(0)
    }
}

impl<T: Into<Outcome>> From<std::io::Result<T>> for Outcome {
    fn from(result: std::io::Result<T>) -> Outcome {
        match result {
            Ok(value) => value.into(),
            Err(e) => Outcome::error(errno(e.raw_os_error().unwrap_or(libc::EIO)), e.to_string()),
        }
    }
}

/// Bytes of a request that cost no allocation where it is submitted.
const SCRATCH: usize = if cfg!(feature = "http") { 256 } else { 0 };

#[repr(C, align(64))]
pub(crate) struct Op {
    state: State,
    cancelled: AtomicBool,
    /// Counted by the tracker: every operation but that of a shutdown.
    counted: bool,
    /// The promise's: `task` holds a waker.
    registered: UnsafeCell<bool>,
    /// The handle's: `job` is set.
    has_job: UnsafeCell<bool>,
    /// The promise's, and read by the handle after DONE. Means nothing before.
    outcome: UnsafeCell<Outcome>,
    /// None in the pool only. Taken by whoever frees.
    bridge: UnsafeCell<Option<Arc<Shared>>>,

    /// How cancel reaches the tokio task.
    task: AtomicWaker,
    /// The handle's: what to cancel in the pool of blocking jobs.
    job: UnsafeCell<JobId>,
    /// A request on its way to a worker, or an old one, kept for its memory.
    scratch: UnsafeCell<Vec<u8>>,
    /// The handle's: see keep().
    spawned: UnsafeCell<Option<JoinHandle<()>>>,
}

const _: () = assert!(std::mem::offset_of!(Op, task) == 64 && std::mem::size_of::<Op>() == 128);

// SAFETY: the cells have one owner at a time, by the rules at the top.
unsafe impl Send for Op {}
// SAFETY: as above; the rest is atomic.
unsafe impl Sync for Op {}

impl Op {
    fn new() -> Op {
        Op {
            state: State::new(),
            cancelled: AtomicBool::new(false),
            counted: true,
            registered: UnsafeCell::new(false),
            has_job: UnsafeCell::new(false),
            outcome: UnsafeCell::new(Outcome::value(0)),
            bridge: UnsafeCell::new(None),
            task: AtomicWaker::new(),
            job: UnsafeCell::new(JobId::default()),
            scratch: UnsafeCell::new(Vec::new()),
            spawned: UnsafeCell::new(None),
        }
    }

    /// A block for the pool. None when the system has no more.
    pub fn allocate() -> Option<Box<Op>> {
        let layout = std::alloc::Layout::new::<Op>();
        // SAFETY: the layout is Op's, which is not of size zero; the memory is written before the
        // box is made of it.
        unsafe {
            let p = std::alloc::alloc(layout).cast::<Op>();
            if p.is_null() {
                return None;
            }
            p.write(Op::new());
            Some(Box::from_raw(p))
        }
    }

    pub fn make_scratch(&mut self) {
        self.scratch.get_mut().try_reserve_exact(SCRATCH).ok();
    }

    /// Makes a used block as good as new. The second line needs nothing: a batch of operations would
    /// feel its cache misses.
    pub fn reset(&mut self) {
        self.state = State::new();
        self.cancelled = AtomicBool::new(false);
        self.counted = true;
        self.registered = UnsafeCell::new(false);
        self.has_job = UnsafeCell::new(false);
        self.outcome = UnsafeCell::new(Outcome::value(0));
    }

    fn shared(&self) -> &Arc<Shared> {
        // SAFETY: the cell changes only before the block is shared and after it is not any more.
        let bridge = unsafe { &*self.bridge.get() };
        bridge
            .as_ref()
            .expect("an operation has its bridge until it is freed")
    }
}

/// A new operation, admitted and counted; or why there is none: shut down, or no memory.
pub(crate) fn begin(shared: &Arc<Shared>) -> Result<(Handle, Promise), Res> {
    let block = shared.ops.take().ok_or(errno(libc::ENOMEM))?;
    if let Err(refused) = shared.tracker.admit() {
        shared.ops.give(block);
        return Err(refused);
    }
    Ok(open(shared, block))
}

/// A new operation that is neither admitted nor counted. None when there is no memory.
pub(crate) fn begin_uncounted(shared: &Arc<Shared>) -> Option<(Handle, Promise)> {
    let mut block = shared.ops.take()?;
    block.counted = false;
    Some(open(shared, block))
}

fn open(shared: &Arc<Shared>, mut block: Box<Op>) -> (Handle, Promise) {
    *block.bridge.get_mut() = Some(shared.clone());
    let op = NonNull::from(Box::leak(block));
    (Handle(op), Promise(op))
}

/// The block goes back to its bridge, whose last reference this may have been.
///
/// # Safety
/// The caller is the last owner, as the state has told it.
unsafe fn free(op: NonNull<Op>) {
    // SAFETY: the block came from a box, and nobody else has it any more.
    let mut block = unsafe { Box::from_raw(op.as_ptr()) };
    if let Some(shared) = block.bridge.get_mut().take() {
        shared.ops.give(block);
    }
}

/// The side that owes the answer.
pub(crate) struct Promise(NonNull<Op>);

// SAFETY: Op is Send and Sync, and a promise is its only one.
unsafe impl Send for Promise {}

impl Promise {
    fn op(&self) -> &Op {
        // SAFETY: the block lives until the promise has published.
        unsafe { self.0.as_ref() }
    }

    /// For the submitter: where a request is written for the worker.
    #[cfg(feature = "http")]
    pub fn write_request(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // SAFETY: the promise's alone, and borrowed mutably with it.
        let scratch = unsafe { &mut *self.op().scratch.get() };
        scratch.clear();
        write(scratch);
    }

    /// For the worker: a copy of the request. Its memory stays with the block, unless it is large.
    #[cfg(feature = "http")]
    pub fn read_request(&mut self) -> Vec<u8> {
        // SAFETY: as above.
        let scratch = unsafe { &mut *self.op().scratch.get() };
        if scratch.capacity() > 16 * SCRATCH {
            return std::mem::take(scratch);
        }
        scratch.clone()
    }

    pub fn is_cancelled(&self) -> bool {
        // Relaxed: a flag that guards no data. That it is not missed is the AtomicWaker's doing.
        self.op().cancelled.load(Ordering::Relaxed)
    }

    /// Stores how a cancel wakes the tokio task; true when there has been one already.
    ///
    /// register() and the wake() of a cancel are read-modify-writes on one word of the AtomicWaker:
    /// either register comes second and the flag is seen below, or wake does and wakes.
    pub fn register(&self, waker: &Waker) -> bool {
        self.op().task.register(waker);
        // SAFETY: only the promise touches the cell.
        unsafe { *self.op().registered.get() = true };
        self.is_cancelled()
    }

    pub fn finish(self, outcome: Outcome) {
        std::mem::ManuallyDrop::new(self).publish(outcome);
    }

    fn publish(&mut self, outcome: Outcome) {
        let op = self.op();
        // SAFETY: only the promise touches the cell.
        if unsafe { *op.registered.get() } {
            drop(op.task.take());
        }
        if op.counted {
            op.shared().tracker.leave(outcome.status);
        }
        // SAFETY: the handle does not read it before DONE.
        unsafe { *op.outcome.get() = outcome };
        match op.state.publish() {
            Met::Handle => {}
            Met::Waiter(w) => NartWaker { w }.wake(),
            // SAFETY: the handle is gone, so the promise is the last owner.
            Met::Nobody => unsafe { free(self.0) },
        }
    }
}

impl Drop for Promise {
    /// The work was thrown away: by a cancel, or with its runtime.
    fn drop(&mut self) {
        let status = if self.is_cancelled() {
            Status::Cancelled
        } else {
            Status::Shutdown
        };
        self.publish(Outcome {
            status,
            ..Outcome::value(0)
        });
    }
}

/// The side that waits: what `nart_tokio_op` holds. One thread at a time.
#[derive(Clone, Copy)]
pub(crate) struct Handle(NonNull<Op>);

impl Handle {
    pub fn into_raw(self) -> *mut Op {
        self.0.as_ptr()
    }

    /// # Safety
    /// `op` comes from into_raw(), and has not been closed since.
    pub unsafe fn from_raw(op: *mut Op) -> Option<Handle> {
        NonNull::new(op).map(Handle)
    }

    fn op(&self) -> &Op {
        // SAFETY: the block lives until the handle has detached, which consumes it.
        unsafe { self.0.as_ref() }
    }

    /// For the submitter, before the handle leaves its hands.
    pub fn set_job(self, job: JobId) {
        // SAFETY: only the handle touches these cells.
        unsafe {
            *self.op().job.get() = job;
            *self.op().has_job.get() = true;
        }
    }

    /// Keeps tokio's task, for its memory only: the submitter has allocated it and frees it, too. A
    /// worker that frees it meets the submitter at the allocator's lock: a third dearer.
    pub fn keep(self, spawned: JoinHandle<()>) {
        // SAFETY: only the handle touches the cell.
        unsafe { *self.op().spawned.get() = Some(spawned) };
    }

    /// The outcome, once it is there.
    pub fn outcome(&self) -> Option<&Outcome> {
        // SAFETY: after DONE nobody writes it.
        self.op()
            .state
            .is_done()
            .then(|| unsafe { &*self.op().outcome.get() })
    }

    /// The answer and its value, or PENDING.
    pub fn peek(self, value: &mut i64) -> Res {
        match self.outcome() {
            Some(outcome) => outcome.read(value),
            None if self.op().shared().is_forked() => EFORK,
            None => PENDING,
        }
    }

    /// The same; PENDING means that `waker` will be woken. A different waker that was stored before is
    /// woken and forgotten, so two tasks that poll one operation both go on.
    pub fn poll(self, waker: NartWaker, value: &mut i64) -> Res {
        let answer = self.peek(value);
        if answer != PENDING || waker.w == 0 {
            return answer;
        }
        match self.op().state.park(waker.w) {
            Park::Done => self.peek(value),
            Park::Parked(old) => {
                if old != waker.w {
                    NartWaker { w: old }.wake();
                }
                PENDING
            }
        }
    }

    pub fn cancel(self) {
        let op = self.op();
        if op.state.is_done() || op.shared().is_forked() {
            return;
        }
        op.cancelled.store(true, Ordering::Relaxed); // see Promise::register()
        op.task.wake();
        // SAFETY: only the handle touches these cells.
        if unsafe { *op.has_job.get() } {
            // SAFETY: as above.
            op.shared().jobs.cancel(unsafe { *op.job.get() });
        }
    }

    pub fn detach(self) {
        if self.op().shared().is_forked() {
            return; // the promise is on a thread that this process does not have
        }
        // SAFETY: only the handle touches the cell, and not after the next line.
        let spawned = unsafe { (*self.op().spawned.get()).take() };
        if self.op().state.detach() {
            // SAFETY: the answer had come, so the handle is the last owner.
            unsafe { free(self.0) }
        }
        drop(spawned);
    }
}
