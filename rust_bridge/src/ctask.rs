// SPDX-License-Identifier: MIT OR Apache-2.0
//! A C task as a tokio future: a task type of C, polled by tokio's threads.
//!
//! 1. The frame lies in the block of the operation (op/frame.rs) until the task has answered. The poll context
//!    with nart's task header is part of the future, which tokio does not move. The future may be polled
//!    by one worker after another, never by two at the same time.
//! 2. Operations reach tokio through the driver of poll_context.rs. After a poll, a deadline becomes
//!    a tokio timer, and a ready task wakes its tokio task.
//! 3. A cancel, and the begin of a shutdown, set flags. The next poll then cancels the task, and
//!    its body unwinds. If tokio drops the future instead (the deadline of a shutdown passed), the
//!    task is cancelled and polled once, and its frame is dropped.
//!
//! 4. The tasks that a task spawns belong to its group (driver.h): they are polled by the same future, which
//!    lives until the last of them has ended. The operation ends with the first task's answer. From then on
//!    the future has an operation of its own that is not counted, by which a shutdown wakes it.
//!
//! Not handled: a task that does not react to cancellation keeps running, as any future would; the
//! resolution of timers is tokio's, a millisecond.

use std::ffi::c_void;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::time::Sleep;

use crate::batch;
use crate::bridge::Shared;
use crate::clock;
use crate::io::Borrowed;
use crate::op::{self, Blank, Frame, Handle, Label, Promise};
use crate::outcome::Outcome;
use crate::panic::catch_of;
use crate::poll_context::PollContext;
use crate::sys::{
    errno, Res, TaskType, EABI, EDRIVER, EFORK, ESHUTDOWN, NEVER, PENDING, TASK_ABI, TASK_SEND,
};

// ---- the body ----

/// The task as C sees it. Used by one thread at a time; it does not move once it has begun.
struct Body {
    /// Initialised by begin().
    context: MaybeUninit<PollContext>,
    /// NULL until begin().
    ty: *const TaskType,
    /// The task has answered, and its frame was dropped.
    dropped: bool,
    _pin: PhantomPinned,
}

// SAFETY: NART_TASK_SEND permits that one thread after another uses the frame.
unsafe impl Send for Body {}

impl Body {
    fn new() -> Body {
        Body {
            context: MaybeUninit::uninit(),
            ty: ptr::null(),
            dropped: false,
            _pin: PhantomPinned,
        }
    }

    /// Makes the task, which does not run yet.
    ///
    /// # Safety
    /// `self` does not move any more.
    unsafe fn begin(&mut self, frame: &Frame, host: *const Shared) {
        // SAFETY: the caller's promise.
        unsafe {
            let place = self.context.as_mut_ptr();
            PollContext::init(place, frame.ty, frame.frame, host.cast());
            self.ty = frame.ty;
        }
    }

    fn context(&self) -> &PollContext {
        debug_assert!(!self.ty.is_null());
        // SAFETY: it has begun: CTask::begin() comes first.
        unsafe { self.context.assume_init_ref() }
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        // SAFETY: NULL, or a type that outlives its tasks.
        unsafe { self.ty.as_ref() }.map_or("".into(), TaskType::shown_name)
    }

    /// Cancels the task.
    fn cancel(&self) {
        if !self.dropped {
            // SAFETY: no poll is running: polls need &mut Body.
            unsafe { self.context().cancel() }
        }
    }

    /// Cancels the tasks that it has spawned.
    fn cancel_group(&self) {
        // SAFETY: as above.
        unsafe { self.context().cancel_group() }
    }

    /// Polls once. The error is the text of a panic.
    fn poll(&mut self, waker: Option<&Waker>) -> Result<Res, String> {
        let context = self.context();
        // SAFETY: this is the only poll; a task that has ended has a group.
        let call = || unsafe { context.poll(waker) };
        catch_of(|| format!("a poll of the task {}", self.name()), call)
    }

    /// Drops the frame of a task that is not polled any more.
    fn drop_frame(&mut self) {
        if std::mem::replace(&mut self.dropped, true) {
            return;
        }
        let context = self.context();
        let name = || format!("the drop of the task {}", self.name());
        // SAFETY: this is called once, after the last poll.
        let _ = catch_of(name, || unsafe {
            context.withdraw_all();
            context.drop_frame();
        });
    }

    /// Ends the group and drops the frame, and then the context. Called once, after begin().
    fn end(&mut self) {
        let context = self.context();
        let name = || format!("the end of the tasks of {}", self.name());
        // A panic of a task leaves the end, which continues without that poll or drop.
        for _ in 0..=2 * (context.spawned() + 1) {
            // SAFETY: no poll is running.
            if catch_of(name, || unsafe { context.end_group() }).is_ok() {
                break;
            }
        }
        self.drop_frame();
        // SAFETY: it was initialised by begin(), and is not used any more.
        unsafe { self.context.assume_init_drop() }
    }
}

// ---- the future ----

pub struct CTask {
    body: Body,
    /// None: the task has ended, and its group.
    promise: Option<Promise>,
    /// The task was cancelled.
    cancelled: bool,
    /// Its group was cancelled, by a shutdown.
    group_cancelled: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The deadline of `sleep`; NEVER: it has fired, or there is none.
    armed: i64,
    /// Readable when a task of the group was woken.
    mail: Option<AsyncFd<Borrowed>>,
}

impl CTask {
    /// The task whose frame is in the block of this promise.
    pub fn of(promise: Promise) -> CTask {
        CTask {
            body: Body::new(),
            promise: Some(promise),
            cancelled: false,
            group_cancelled: false,
            sleep: None,
            armed: NEVER,
            mail: None,
        }
    }

    /// Makes the task at the first call.
    ///
    /// # Safety
    /// `self` does not move any more.
    unsafe fn begin(&mut self) {
        let (true, Some(promise)) = (self.body.ty.is_null(), &self.promise) else {
            return;
        };
        let host = Arc::as_ptr(promise.shared());
        let frame = promise.frame().expect("a block with a frame: of()");
        // SAFETY: the caller's promise.
        unsafe { self.body.begin(&frame, host) }
    }

    /// Ends the task and its group, and publishes `outcome`; None: cancelled or shut down.
    fn end(&mut self, outcome: Option<Outcome>) {
        let Some(mut promise) = self.promise.take() else {
            return;
        };
        self.mail = None; // before its descriptor is closed
        self.body.end();
        promise.free_frame();
        promise.shared().tasks.remove();
        match outcome {
            Some(outcome) => promise.finish(outcome),
            None => drop(promise),
        }
    }

    /// The task has answered. The tasks that it has spawned continue.
    fn answer(&mut self, outcome: Outcome) {
        let Some(promise) = &mut self.promise else {
            return;
        };
        self.body.drop_frame();
        let rest = match self.body.context().spawned() {
            0 => None,
            _ => op::begin_uncounted(promise.shared()), // None: no memory, so they are ended
        };
        let Some((handle, own)) = rest else {
            return self.end(Some(outcome));
        };
        handle.detach();
        promise.free_frame();
        std::mem::replace(promise, own).finish(outcome);
    }

    /// Whether the task has to be cancelled, and its group, which was not done yet. A task may make its
    /// group after it was cancelled.
    fn must_cancel(&self) -> (bool, bool) {
        let Some(promise) = &self.promise else {
            return (false, false);
        };
        // Relaxed: as in Promise::must_end().
        let ends = promise.shared().futures_end.load(Ordering::Relaxed);
        let task = promise.must_end() && !self.cancelled;
        let group = ends && !self.group_cancelled && self.body.context().group_fd().is_some();
        (task, group)
    }

    fn cancel_if_asked(&mut self) {
        let (task, group) = self.must_cancel();
        if task {
            self.body.cancel();
            self.cancelled = true;
        }
        if group {
            self.body.cancel_group();
            self.group_cancelled = true;
        }
    }

    /// Sets the timer to the deadline of the last poll. A timer that is no longer needed stays set:
    /// it causes a spurious poll. One that fired is set again if it is still needed: a task that
    /// parks until a time in the past is polled repeatedly, as on a loop.
    fn arm(&mut self, deadline: i64, cx: &mut Context<'_>) {
        if deadline == NEVER {
            return;
        }
        if deadline != self.armed {
            let at = clock::instant(deadline);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            }
            self.armed = deadline;
        }
        let Some(sleep) = &mut self.sleep else { return };
        if sleep.as_mut().poll(cx).is_ready() {
            self.armed = NEVER;
            cx.waker().wake_by_ref();
        }
    }

    /// Waits for wakes of tasks of the group. False: there may be one already, or the descriptor cannot
    /// be watched; poll again.
    fn watch(&mut self, fd: RawFd, cx: &mut Context<'_>) -> bool {
        if self.mail.is_none() {
            // The group keeps the descriptor open, and ends after `mail`: see end().
            #[allow(deprecated)] // as in host/drive.rs: tokio 1.52 has no register()
            let mail = AsyncFd::with_interest(Borrowed(fd), Interest::READABLE);
            self.mail = mail.ok();
        }
        let Some(mail) = &self.mail else {
            return false;
        };
        while let Poll::Ready(ready) = mail.poll_read_ready(cx) {
            match ready {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => break, // the runtime ends, and drops this future
            }
        }
        self.body.context().park_group()
    }

    /// Arranges the next poll. Ready: no task is left.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.promise.is_none() {
            return Poll::Ready(());
        }
        let context = self.body.context();
        if self.body.dropped && context.spawned() == 0 {
            self.end(None);
            return Poll::Ready(());
        }
        let (deadline, mut again, group) =
            (context.deadline(), context.again(), context.group_fd());
        if let (false, Some(fd)) = (again, group) {
            again = !self.watch(fd, cx);
        }
        if again {
            cx.waker().wake_by_ref();
        }
        self.arm(deadline, cx);
        if let Some(promise) = &self.promise {
            // After the poll: a task that answers at once needs no waker.
            if promise.register(cx.waker()) && self.must_cancel() != (false, false) {
                cx.waker().wake_by_ref();
            }
            promise.pause();
        }
        Poll::Pending
    }
}

impl Future for CTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is pinned.
        unsafe { this.begin() };
        let Some(promise) = &this.promise else {
            return Poll::Ready(());
        };
        promise.start();
        this.cancel_if_asked();
        match this.body.poll(Some(cx.waker())) {
            Ok(PENDING) => {}
            Ok(res) => this.answer(Outcome::of_res(res)),
            Err(text) => this.end(Some(Outcome::panicked(text))),
        }
        this.wait(cx)
    }
}

impl Drop for CTask {
    /// tokio drops the future: cancels the task, polls it once, and drops its frame. The end of a group
    /// does the same with each of its tasks.
    fn drop(&mut self) {
        if self.promise.is_none() {
            return;
        }
        // SAFETY: it is not moved during its drop.
        unsafe { self.begin() };
        if self.body.context().group_fd().is_none() {
            self.body.cancel();
            let _ = self.body.poll(None);
        }
        self.end(None);
    }
}

/// Spawns a C task on tokio. On an error the contents of `*init` remain the caller's.
///
/// # Safety
/// `ty` is NULL or a task type that outlives its tasks; `init` is NULL or a frame of it.
pub unsafe fn spawn(
    shared: &Arc<Shared>,
    ty: *const TaskType,
    init: *const c_void,
) -> Result<Handle, Res> {
    // SAFETY: the caller's promise.
    let ty = unsafe { ty.as_ref() }
        .filter(|ty| ty.poll.is_some())
        .ok_or(errno(libc::EINVAL))?;
    if ty.abi != TASK_ABI {
        return Err(EABI);
    }
    if ty.flags & TASK_SEND == 0 {
        return Err(EDRIVER);
    }
    if shared.is_forked() {
        return Err(EFORK);
    }
    let blank = Blank::take(shared)?;
    // SAFETY: the caller's promise.
    unsafe { blank.put_frame(ty, init) }?;
    if shared.tracker.is_closed() {
        return Err(ESHUTDOWN); // a shutdown does not wait for those that are refused
    }
    // Before it is admitted: a shutdown that refuses further ones then waits for this one.
    shared.tasks.add();
    let admitted = blank.admit(Label::task(ty));
    let (handle, promise) = admitted.inspect_err(|_| shared.tasks.remove())?;
    batch::spawn(shared, handle, promise);
    Ok(handle)
}
