// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations: work that runs elsewhere, and that a C task awaits.
//!
//! An operation is one block with two owners: the handle (`nart_tokio_op`, in the C task's frame)
//! and the [`Promise`], which moves with the work. The invariants:
//!
//! 1. There is exactly one answer: a promise is not cloned. It ends by `finish`, or by its drop,
//!    which answers "cancelled" if the operation was cancelled, else "shut down". If it has not ended
//!    at the deadline of a shutdown, that answers for it ([`Ops::end_all`]), and what the promise
//!    publishes later is only counted.
//! 2. The answer is published last: before that, the work's own data is dropped, the operation is
//!    counted as ended, and the waker of the tokio task is released. Afterwards the promise
//!    accesses the block only if the handle has detached, and then frees it (state.rs).
//! 3. The block never refers to the C frame; it holds a waker only.
//!
//! A cancel sets a flag in the block and wakes the tokio task, which checks the flag before and
//! after each poll and drops its future. So it needs neither tokio's abort nor an allocation, and
//! the block can be made on one thread and its future spawned on another (http/queue.rs). The end of
//! a bridge on an adopted runtime does the same with a flag of the bridge (Shared::end_futures()).
//!
//! A block begins with two cache lines: both owners access the first one. Then there is room for the
//! future that answers (place.rs). The bridge keeps a pool of blocks (pool.rs), so an operation
//! usually costs no malloc and no free.

mod blank;
mod frame;
mod label;
mod place;
mod pool;

#[cfg(test)]
mod tests;

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;
use tokio::task::JoinHandle;

pub(crate) use blank::{begin, begin_uncounted, Blank};
pub(crate) use frame::Frame;
pub(crate) use label::{Kind, Label};
pub(crate) use place::take_queued;
use place::Place;
pub(crate) use place::Queued;
pub(crate) use pool::Ops;

use crate::blocking::{Jobs, Name};
use crate::bridge::Shared;
use crate::observe::Times;
use crate::outcome::{Outcome, Status, SHUT_DOWN};
use crate::state::{Answer, Met, Park, State};
use crate::sys::work::JobBlock;
use crate::sys::{NartWaker, Res, EFORK, PENDING};
use crate::trace::Traced;

/// The size of a request that is submitted without an allocation.
const SCRATCH: usize = if cfg!(feature = "http") { 256 } else { 0 };

/// Values of `counted`. The operation of a shutdown is not counted.
const NEVER_COUNTED: u8 = 0;
const NOT_YET_COUNTED: u8 = 1;
const COUNTED: u8 = 2;
/// By a shutdown, which has left a blocking function behind: its end is not counted again.
const LEFT_BEHIND: u8 = 3;

#[repr(C, align(64))]
pub(crate) struct Op {
    state: State,
    cancelled: AtomicBool,
    /// Whether the tracker has counted its end. The promise and the shutdown swap it to COUNTED: the
    /// first one counts.
    counted: AtomicU8,
    /// Accessed by the promise: `task` holds a waker.
    registered: UnsafeCell<bool>,
    /// Accessed by the handle: `job` is set.
    has_job: UnsafeCell<bool>,
    /// Its number in the list of the pool, under the pool's lock.
    number: UnsafeCell<u32>,
    /// Written by the promise before DONE, read by the handle after it.
    outcome: UnsafeCell<Outcome>,
    /// None in the pool only. Taken by the owner that frees the block.
    bridge: UnsafeCell<Option<Arc<Shared>>>,

    /// Wakes the tokio task when the operation is cancelled.
    task: AtomicWaker,
    /// Accessed by the handle: the job to cancel in the blocking pool.
    job: UnsafeCell<*mut JobBlock>,
    /// An HTTP request, from its submission until a worker reads it. Its memory is kept.
    scratch: UnsafeCell<Vec<u8>>,
    /// Accessed by the handle: see keep().
    spawned: UnsafeCell<Option<JoinHandle<()>>>,

    /// What it is; written by the submitter.
    label: label::Cell,
    times: Times,
    /// Written by the submitter, and when the block is freed.
    traced: UnsafeCell<Option<Traced>>,
    /// Accessed by the promise, and before that by the submitter.
    place: Place,
}

const _: () =
    assert!(std::mem::offset_of!(Op, task) == 64 && std::mem::offset_of!(Op, label) == 128);

// SAFETY: each cell has one owner at a time, by the rules above.
unsafe impl Send for Op {}
// SAFETY: as above; the rest is atomic.
unsafe impl Sync for Op {}

impl Op {
    fn new() -> Op {
        Op {
            state: State::new(),
            cancelled: AtomicBool::new(false),
            counted: AtomicU8::new(NEVER_COUNTED),
            registered: UnsafeCell::new(false),
            has_job: UnsafeCell::new(false),
            number: UnsafeCell::new(0),
            outcome: UnsafeCell::new(Outcome::value(0)),
            bridge: UnsafeCell::new(None),
            task: AtomicWaker::new(),
            job: UnsafeCell::new(std::ptr::null_mut()),
            scratch: UnsafeCell::new(Vec::new()),
            spawned: UnsafeCell::new(None),
            label: label::Cell::new(),
            times: Times::new(),
            traced: UnsafeCell::new(None),
            place: Place::new(),
        }
    }

    /// A new block. None if there is no memory.
    fn allocate() -> Option<Box<Op>> {
        let layout = std::alloc::Layout::new::<Op>();
        // SAFETY: the layout is Op's, whose size is not zero; the memory is initialised before it
        // becomes a box.
        unsafe {
            let p = std::alloc::alloc(layout).cast::<Op>();
            if p.is_null() {
                return None;
            }
            p.write(Op::new());
            Some(Box::from_raw(p))
        }
    }

    /// Allocates the memory for requests.
    fn make_scratch(&mut self) {
        self.scratch.get_mut().try_reserve_exact(SCRATCH).ok();
    }

    /// Resets a used block. The second cache line needs no reset, and touching it would cost
    /// misses. Not by `&mut`: a shutdown may read `state` at this time.
    ///
    /// # Safety
    /// The caller is the only owner.
    unsafe fn reset(&self) {
        self.state.end();
        self.cancelled.store(false, Ordering::Relaxed); // one owner
                                                        // SAFETY: the caller's promise.
        unsafe {
            *self.registered.get() = false;
            *self.has_job.get() = false;
            *self.outcome.get() = Outcome::value(0);
        }
    }

    fn traced(&self) -> Option<&Traced> {
        // SAFETY: the cell changes only while the block has a single owner.
        unsafe { (*self.traced.get()).as_ref() }
    }

    fn shared(&self) -> &Arc<Shared> {
        // SAFETY: the cell changes only while the block has a single owner.
        let bridge = unsafe { &*self.bridge.get() };
        bridge
            .as_ref()
            .expect("an operation has its bridge until it is freed")
    }
}

// ---- operations ----

/// Returns a block to its bridge's pool. This may drop the last reference to the bridge.
///
/// # Safety
/// The caller is the last owner, by the operation's state.
unsafe fn free(op: NonNull<Op>) {
    // SAFETY: the block has no other owner.
    unsafe {
        drop((*op.as_ref().traced.get()).take());
        if let Some(shared) = (*op.as_ref().bridge.get()).take() {
            shared.ops.give(op);
        }
    }
}

/// The owner that has to answer.
pub(crate) struct Promise(NonNull<Op>);

// SAFETY: Op is Send and Sync, and has one promise only.
unsafe impl Send for Promise {}

impl Promise {
    fn op(&self) -> &Op {
        // SAFETY: the block is live until the promise has published.
        unsafe { self.0.as_ref() }
    }

    /// Stores a request in the block, for the worker.
    #[cfg(feature = "http")]
    pub fn write_request(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // SAFETY: only the promise accesses the cell, and self is borrowed mutably.
        let scratch = unsafe { &mut *self.op().scratch.get() };
        scratch.clear();
        write(scratch);
    }

    /// Copies the stored request. Its memory stays with the block, unless it is large.
    #[cfg(feature = "http")]
    pub fn read_request(&mut self) -> Vec<u8> {
        // SAFETY: as above.
        let scratch = unsafe { &mut *self.op().scratch.get() };
        if scratch.capacity() > 16 * SCRATCH {
            return std::mem::take(scratch);
        }
        scratch.clone()
    }

    /// Whether it was cancelled, for what ends shortly before it.
    #[cfg(feature = "http")]
    pub fn flag(&self) -> Flag {
        Flag(self.0)
    }

    pub fn shared(&self) -> &Arc<Shared> {
        self.op().shared()
    }

    pub fn is_cancelled(&self) -> bool {
        // Relaxed: the flag guards no data. register() explains why it is not missed.
        self.op().cancelled.load(Ordering::Relaxed)
    }

    /// Whether the work has to end: it was cancelled, or the bridge ends its futures.
    pub fn must_end(&self) -> bool {
        // Relaxed: as above.
        self.is_cancelled() || self.op().shared().futures_end.load(Ordering::Relaxed)
    }

    /// Stores the waker of the tokio task for cancel() and Ops::wake_tasks(). True if the work had to
    /// end before.
    ///
    /// register() and what wakes are read-modify-writes on one word of the AtomicWaker: if register is
    /// second, the flag is seen below; if the wake is second, it wakes.
    pub fn register(&self, waker: &Waker) -> bool {
        self.op().task.register(waker);
        // SAFETY: only the promise accesses the cell.
        unsafe { *self.op().registered.get() = true };
        self.must_end()
    }

    /// Its work starts, or continues.
    pub fn start(&self) {
        self.op().times.start();
        if let Some(traced) = self.op().traced() {
            traced.begin();
        }
    }

    /// Its work is interrupted.
    pub fn pause(&self) {
        self.trace_end(None, false);
    }

    /// The work of a blocking function has ended.
    pub fn job_ended(&self, name: &Name) {
        self.trace_end(Some(name), true);
    }

    fn trace_end(&self, job: Option<&Name>, answered: bool) {
        if let Some(traced) = self.op().traced() {
            traced.end(self.op().label.get(), job, answered);
        }
    }

    /// For a job, which has the promise meanwhile.
    pub fn into_raw(self) -> *mut c_void {
        std::mem::ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// # Safety
    /// `raw` is from into_raw(), and not used again.
    pub unsafe fn from_raw(raw: *mut c_void) -> Promise {
        // SAFETY: the caller's promise.
        Promise(unsafe { NonNull::new_unchecked(raw.cast()) })
    }

    /// # Safety
    /// `raw` is from into_raw(), and the caller has it alone.
    pub unsafe fn with_raw(raw: *mut c_void, f: impl FnOnce(&mut Promise)) {
        // SAFETY: the caller's promise; it is not dropped.
        f(&mut std::mem::ManuallyDrop::new(unsafe {
            Promise::from_raw(raw)
        }));
    }

    /// Stores the result, for finish_stored().
    pub fn store(&mut self, outcome: Outcome) {
        // SAFETY: the handle does not read it before DONE.
        unsafe { *self.op().outcome.get() = outcome };
    }

    pub fn finish_stored(self) {
        // SAFETY: as above.
        let outcome =
            unsafe { std::mem::replace(&mut *self.op().outcome.get(), Outcome::value(0)) };
        self.finish(outcome);
    }

    /// Ends an operation that was refused after it had begun: it is not counted, and nothing waits for it.
    pub fn withdraw(self) {
        let promise = std::mem::ManuallyDrop::new(self);
        let op = promise.op();
        // SAFETY: the cell changes only while nothing else has the block.
        unsafe { *op.traced.get() = None };
        // Relaxed: only who is first matters, this or a shutdown that answers it.
        if op.counted.swap(COUNTED, Ordering::Relaxed) == NOT_YET_COUNTED {
            op.shared().tracker.withdraw();
        }
        match op.state.publish() {
            Met::Handle => {}
            Met::Waiter(w) => NartWaker { w }.wake(),
            // SAFETY: the handle has detached, so the promise is the last owner.
            Met::Nobody => unsafe { free(promise.0) },
        }
    }

    /// Publishes the result.
    pub fn finish(self, outcome: Outcome) {
        std::mem::ManuallyDrop::new(self).publish(outcome);
    }

    fn publish(&mut self, outcome: Outcome) {
        let op = self.op();
        // SAFETY: only the promise accesses the cell.
        if unsafe { *op.registered.get() } {
            drop(op.task.take());
        }
        op.times.end(&op.shared().legs);
        self.trace_end(None, true);
        // Relaxed: only who is first matters.
        match op.counted.swap(COUNTED, Ordering::Relaxed) {
            NOT_YET_COUNTED => op.shared().tracker.leave(outcome.status),
            COUNTED => op.shared().tracker.leave_late(),
            _ => {}
        }
        // SAFETY: the handle does not read it before DONE.
        unsafe { *op.outcome.get() = outcome };
        match op.state.publish() {
            Met::Handle => {}
            Met::Waiter(w) => NartWaker { w }.wake(),
            // SAFETY: the handle has detached, so the promise is the last owner.
            Met::Nobody => unsafe { free(self.0) },
        }
    }
}

impl Drop for Promise {
    /// The work was dropped: by a cancel, or with its runtime.
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

/// Whether an operation was cancelled.
#[cfg(feature = "http")]
pub(crate) struct Flag(NonNull<Op>);

// SAFETY: it reads an atomic flag.
#[cfg(feature = "http")]
unsafe impl Send for Flag {}

#[cfg(feature = "http")]
impl Flag {
    /// # Safety
    /// The promise of the operation has not ended.
    pub unsafe fn is_set(&self) -> bool {
        // SAFETY: the caller's promise. Relaxed: the flag guards no data.
        unsafe { self.0.as_ref() }.cancelled.load(Ordering::Relaxed)
    }
}

/// The owner that waits: the contents of a `nart_tokio_op`. One thread at a time may use it.
#[derive(Clone, Copy)]
pub(crate) struct Handle(NonNull<Op>);

impl Handle {
    pub fn into_raw(self) -> *mut Op {
        self.0.as_ptr()
    }

    /// # Safety
    /// `op` is NULL or from into_raw(), and was not detached since.
    pub unsafe fn from_raw(op: *mut Op) -> Option<Handle> {
        NonNull::new(op).map(Handle)
    }

    fn op(&self) -> &Op {
        // SAFETY: the block is live until the handle has detached, which consumes it.
        unsafe { self.0.as_ref() }
    }

    /// Stores the job that cancel() cancels.
    pub fn set_job(self, job: *mut JobBlock) {
        // SAFETY: only the handle accesses these cells.
        unsafe {
            *self.op().job.get() = job;
            *self.op().has_job.get() = true;
        }
    }

    /// Keeps tokio's task, so that the submitting thread frees the memory that it allocated. If a
    /// worker freed it, both would contend for the allocator's lock, and an operation would cost a
    /// third more.
    pub fn keep(self, spawned: JoinHandle<()>) {
        // SAFETY: only the handle accesses the cell.
        unsafe { *self.op().spawned.get() = Some(spawned) };
    }

    /// Whether this process is a child of the one that submitted it.
    pub fn is_forked(&self) -> bool {
        self.op().shared().is_forked()
    }

    /// The outcome. None: still running.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self.op().state.answer() {
            Answer::No => None,
            // SAFETY: it was written before the answer, and is not written any more.
            Answer::Outcome => Some(unsafe { &*self.op().outcome.get() }),
            Answer::Shutdown => Some(&SHUT_DOWN),
        }
    }

    /// The answer and its value, or PENDING. NART_EFORK in a forked child.
    pub fn peek(self, value: &mut i64) -> Res {
        match self.outcome() {
            Some(outcome) => {
                self.op().times.read(&self.op().shared().legs);
                if let Some(traced) = self.op().traced() {
                    traced.read();
                }
                outcome.read(value)
            }
            None if self.is_forked() => EFORK,
            None => PENDING,
        }
    }

    /// The same; if it returns PENDING, `waker` will be woken. A different waker that was stored
    /// before is woken and replaced, so two tasks that poll one operation both make progress.
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

    /// Cancels the operation if it is still running.
    pub fn cancel(self) {
        let op = self.op();
        if op.state.answer() != Answer::No || op.shared().is_forked() {
            return;
        }
        op.cancelled.store(true, Ordering::Relaxed); // see Promise::register()
        op.task.wake();
        // SAFETY: only the handle accesses these cells.
        if unsafe { *op.has_job.get() } {
            // SAFETY: as above; the handle has not detached, so the block is live.
            unsafe { Jobs::cancel(*op.job.get()) };
        }
    }

    /// Ends the handle. The last owner frees the block.
    pub fn detach(self) {
        if self.op().shared().is_forked() {
            return; // the promise belongs to a thread of the parent
        }
        // SAFETY: only the handle accesses the cell, and not after this.
        let spawned = unsafe { (*self.op().spawned.get()).take() };
        if self.op().state.detach() {
            // SAFETY: the promise has published, so the handle is the last owner.
            unsafe { free(self.0) }
        }
        drop(spawned);
    }
}
