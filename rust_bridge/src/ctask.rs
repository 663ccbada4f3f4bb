// SPDX-License-Identifier: MIT OR Apache-2.0
//! A C task as a tokio future: a task type of C, polled by tokio's threads.
//!
//! 1. One block holds the poll context, nart's task header and the frame; it does not move. The
//!    future that owns it may be polled by one worker after another, never by two at the same time.
//! 2. Operations reach tokio through the driver of poll_context.rs. After a poll, a deadline becomes
//!    a tokio timer, and a ready task wakes its tokio task.
//! 3. A cancel, and the begin of a shutdown, set flags. The next poll then cancels the task, and
//!    its body unwinds. If tokio drops the future instead (the deadline of a shutdown passed), the
//!    task is cancelled and polled once, and its frame is dropped.
//!
//! Not handled: a task that does not react to cancellation keeps running, as any future would; the
//! resolution of timers is tokio's, a millisecond.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::Sleep;

use crate::bridge::{lock, wait_while, Shared};
use crate::clock;
use crate::op::{self, Handle, Label, Promise};
use crate::outcome::Outcome;
use crate::panic::catch_of;
use crate::poll_context::PollContext;
use crate::sys::{errno, Res, TaskType, EABI, EDRIVER, EFORK, NEVER, PENDING, TASK_ABI, TASK_SEND};
use crate::waker_cell::WakerCell;

// ---- the tasks of a bridge ----

/// The number of C tasks of a bridge. A shutdown cancels them as it ends futures
/// (Shared::end_futures()), and waits for them here: they need time to unwind.
#[derive(Default)]
pub struct Tasks {
    live: Mutex<usize>,
    ended: Condvar,
}

impl Tasks {
    fn add(&self) {
        *lock(&self.live) += 1;
    }

    fn remove(&self) {
        let mut live = lock(&self.live);
        *live -= 1;
        if *live == 0 {
            self.ended.notify_all();
        }
    }

    /// Waits until all tasks have ended, or until `until`.
    pub fn wait(&self, until: Instant) {
        drop(wait_while(&self.ended, lock(&self.live), until, |live| {
            *live > 0
        }));
    }
}

// ---- the body ----

/// The begin of the block; the frame follows. Used by one thread at a time.
struct Body {
    context: PollContext,
    ty: *const TaskType,
    frame: *mut c_void,
    layout: Layout,
}

impl Body {
    fn ty(&self) -> &TaskType {
        // SAFETY: the type outlives its tasks.
        unsafe { &*self.ty }
    }
}

// ---- the future ----

/// A body whose frame has not been dropped.
struct Live(NonNull<Body>);

// SAFETY: NART_TASK_SEND permits that one thread after another uses the frame.
unsafe impl Send for Live {}

impl Live {
    /// A body with a frame that is a copy of `*init`, or zeroed.
    ///
    /// # Safety
    /// `ty` is a valid type, `init` NULL or a frame of it.
    unsafe fn new(ty: &TaskType, init: *const c_void, host: *const Shared) -> Result<Live, Res> {
        let bad = |_| errno(libc::EINVAL);
        let frame = Layout::from_size_align(ty.size as usize, ty.align as usize).map_err(bad)?;
        let (layout, offset) = Layout::new::<Body>()
            .extend(frame)
            .map_err(|_| errno(libc::E2BIG))?;
        let no_memory = errno(libc::ENOMEM);
        // SAFETY: the layout is not empty; it contains the frame; the body is initialised before it
        // is used, and does not move.
        unsafe {
            let block = NonNull::new(alloc_zeroed(layout)).ok_or(no_memory)?;
            let Some(cell) = WakerCell::take() else {
                dealloc(block.as_ptr(), layout);
                return Err(no_memory);
            };
            let frame = block.add(offset).as_ptr().cast::<c_void>();
            if !init.is_null() {
                ptr::copy_nonoverlapping(init.cast::<u8>(), frame.cast(), ty.size as usize);
            }
            let body = block.cast::<Body>();
            (&raw mut (*body.as_ptr()).ty).write(ty);
            (&raw mut (*body.as_ptr()).frame).write(frame);
            (&raw mut (*body.as_ptr()).layout).write(layout);
            let context = &raw mut (*body.as_ptr()).context;
            PollContext::init(context, cell, ty, frame, host.cast());
            Ok(Live(body))
        }
    }

    fn body(&self) -> &Body {
        // SAFETY: the block is live as long as self.
        unsafe { self.0.as_ref() }
    }

    /// Cancels the task.
    fn cancel(&self) {
        // SAFETY: no poll is running: polls need &mut Live.
        unsafe { self.body().context.cancel() }
    }

    /// Polls once. The error is the text of a panic.
    fn poll(&mut self, waker: Option<&Waker>) -> Result<Res, String> {
        let body = self.body();
        // SAFETY: this is the only poll, and a task that has ended has no Live.
        let call = || unsafe { body.context.poll(waker) };
        catch_of(
            || format!("a poll of the task {}", body.ty().shown_name()),
            call,
        )
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let body = self.body();
        let (frame, layout) = (body.frame, body.layout);
        // SAFETY: the frame's drop is called here only, after the last poll.
        unsafe {
            body.context.withdraw_all();
            if let Some(drop_frame) = body.ty().drop {
                let name = || format!("the drop of the task {}", body.ty().shown_name());
                let _ = catch_of(name, || drop_frame(frame));
            }
        }
        body.context.end();
        // SAFETY: the block was allocated with this layout, and is not used any more.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) }
    }
}

/// Undoes new() without dropping the frame, whose contents remain the submitter's.
fn take_back(live: Live) {
    let live = std::mem::ManuallyDrop::new(live);
    live.body().context.end();
    // SAFETY: as in Drop.
    unsafe { dealloc(live.0.as_ptr().cast(), live.body().layout) }
}

struct CTask {
    /// None: the task has ended.
    live: Option<(Live, Promise)>,
    shared: Arc<Shared>,
    /// The task was cancelled.
    cancelled: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The deadline of `sleep`; NEVER: it has fired, or there is none.
    armed: i64,
}

impl CTask {
    /// Drops the frame and publishes `outcome`; None: cancelled or shut down.
    fn end(&mut self, outcome: Option<Outcome>) {
        let Some((live, promise)) = self.live.take() else {
            return;
        };
        drop(live);
        self.shared.tasks.remove();
        match outcome {
            Some(outcome) => promise.finish(outcome),
            None => drop(promise),
        }
    }

    /// Whether the task has to be cancelled before this poll: once.
    fn must_cancel(&mut self, waker: &Waker) -> bool {
        let Some((_, promise)) = &self.live else {
            return false;
        };
        promise.start();
        let cancel = promise.register(waker);
        let first = cancel && !self.cancelled;
        self.cancelled = cancel;
        first
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
}

impl Future for CTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let cancel = this.must_cancel(cx.waker());
        let Some((live, _)) = &mut this.live else {
            return Poll::Ready(());
        };
        if cancel {
            live.cancel();
        }
        match live.poll(Some(cx.waker())) {
            Ok(PENDING) => {
                let (deadline, again) = {
                    let context = &live.body().context;
                    (context.deadline(), context.again())
                };
                if again {
                    cx.waker().wake_by_ref();
                }
                this.arm(deadline, cx);
                return Poll::Pending;
            }
            Ok(res) => this.end(Some(Outcome::of_res(res))),
            Err(text) => this.end(Some(Outcome::panicked(text))),
        }
        Poll::Ready(())
    }
}

impl Drop for CTask {
    /// tokio drops the future: cancels the task, polls it once, and drops its frame.
    fn drop(&mut self) {
        if let Some((live, _)) = &mut self.live {
            live.cancel();
            let _ = live.poll(None);
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
    // SAFETY: the type was checked; the frame is the caller's promise.
    let live = unsafe { Live::new(ty, init, Arc::as_ptr(shared)) }?;
    let (handle, promise) = match op::begin(shared, Label::task(ty)) {
        Ok(pair) => pair,
        Err(refused) => {
            take_back(live);
            return Err(refused);
        }
    };
    shared.tasks.add();
    let task = CTask {
        live: Some((live, promise)),
        shared: shared.clone(),
        cancelled: false,
        sleep: None,
        armed: NEVER,
    };
    handle.keep(shared.handle.spawn(task));
    Ok(handle)
}
