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
//! 4. The tasks that a task spawns belong to its group (driver.h): they are polled by the same future, which
//!    lives until the last of them has ended. The operation ends with the first task's answer. From then on
//!    the future has an operation of its own that is not counted, by which a shutdown wakes it.
//!
//! Not handled: a task that does not react to cancellation keeps running, as any future would; the
//! resolution of timers is tokio's, a millisecond.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ffi::c_void;
use std::future::Future;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::time::Sleep;

use crate::bridge::{lock, wait_while, Shared};
use crate::clock;
use crate::io::Borrowed;
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

/// A body, whose frame is dropped at the latest with it.
struct Live {
    block: NonNull<Body>,
    /// The task has answered, and its frame was dropped.
    dropped: bool,
}

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
            Ok(Live {
                block: body,
                dropped: false,
            })
        }
    }

    fn body(&self) -> &Body {
        // SAFETY: the block is live as long as self.
        unsafe { self.block.as_ref() }
    }

    fn context(&self) -> &PollContext {
        &self.body().context
    }

    /// Cancels the task.
    fn cancel(&self) {
        if !self.dropped {
            // SAFETY: no poll is running: polls need &mut Live.
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
        let body = self.body();
        // SAFETY: this is the only poll; a task that has ended has a group.
        let call = || unsafe { body.context.poll(waker) };
        catch_of(
            || format!("a poll of the task {}", body.ty().shown_name()),
            call,
        )
    }
}

impl Live {
    /// Drops the frame of a task that is not polled any more.
    fn drop_frame(&mut self) {
        if std::mem::replace(&mut self.dropped, true) {
            return;
        }
        let body = self.body();
        let name = || format!("the drop of the task {}", body.ty().shown_name());
        // SAFETY: this is called once, after the last poll.
        let _ = catch_of(name, || unsafe {
            body.context.withdraw_all();
            body.context.drop_frame();
        });
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let body = self.body();
        let name = || format!("the end of the tasks of {}", body.ty().shown_name());
        // A panic of a task leaves the end, which continues without that poll or drop.
        for _ in 0..=2 * (body.context.spawned() + 1) {
            // SAFETY: no poll is running.
            if catch_of(name, || unsafe { body.context.end_group() }).is_ok() {
                break;
            }
        }
        self.drop_frame();
        self.free();
    }
}

impl Live {
    fn free(&self) {
        self.context().end();
        let layout = self.body().layout;
        // SAFETY: the block was allocated with this layout, and is not used any more.
        unsafe { dealloc(self.block.as_ptr().cast(), layout) }
    }
}

/// Undoes new() without dropping the frame, whose contents remain the submitter's.
fn take_back(live: Live) {
    std::mem::ManuallyDrop::new(live).free();
}

struct CTask {
    /// None: the task has ended, and its group.
    live: Option<(Live, Promise)>,
    shared: Arc<Shared>,
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
    /// Ends the task and its group, and publishes `outcome`; None: cancelled or shut down.
    fn end(&mut self, outcome: Option<Outcome>) {
        let Some((live, promise)) = self.live.take() else {
            return;
        };
        self.mail = None; // before its descriptor is closed
        drop(live);
        self.shared.tasks.remove();
        match outcome {
            Some(outcome) => promise.finish(outcome),
            None => drop(promise),
        }
    }

    /// The task has answered. The tasks that it has spawned continue.
    fn answer(&mut self, outcome: Outcome) {
        let Some((live, promise)) = &mut self.live else {
            return;
        };
        live.drop_frame();
        let rest = match live.context().spawned() {
            0 => None,
            _ => op::begin_uncounted(&self.shared), // None: no memory, so they are ended
        };
        let Some((handle, own)) = rest else {
            return self.end(Some(outcome));
        };
        handle.detach();
        std::mem::replace(promise, own).finish(outcome);
    }

    /// Cancels what has to be cancelled before this poll: each once.
    fn cancel_if_asked(&mut self, waker: &Waker) {
        let Some((live, promise)) = &self.live else {
            return;
        };
        promise.start();
        let cancel = promise.register(waker);
        if cancel && !self.cancelled {
            live.cancel();
        }
        self.cancelled = cancel;
        // Relaxed: as in Promise::register(), which came before.
        if self.shared.futures_end.load(Ordering::Relaxed) && !self.group_cancelled {
            live.cancel_group();
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
        let (Some(mail), Some((live, _))) = (&self.mail, &self.live) else {
            return false;
        };
        while let Poll::Ready(ready) = mail.poll_read_ready(cx) {
            match ready {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => break, // the runtime ends, and drops this future
            }
        }
        live.context().park_group()
    }

    /// Arranges the next poll. Ready: no task is left.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((live, _)) = &self.live else {
            return Poll::Ready(());
        };
        let context = live.context();
        if live.dropped && context.spawned() == 0 {
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
        if let Some((_, promise)) = &self.live {
            promise.pause();
        }
        Poll::Pending
    }
}

impl Future for CTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel_if_asked(cx.waker());
        let Some((live, _)) = &mut this.live else {
            return Poll::Ready(());
        };
        match live.poll(Some(cx.waker())) {
            Ok(PENDING) => {}
            Ok(res) => {
                this.answer(Outcome::of_res(res));
                this.cancel_if_asked(cx.waker()); // registers with the new promise
            }
            Err(text) => this.end(Some(Outcome::panicked(text))),
        }
        this.wait(cx)
    }
}

impl Drop for CTask {
    /// tokio drops the future: cancels the task, polls it once, and drops its frame. The end of a group
    /// does the same with each of its tasks.
    fn drop(&mut self) {
        if let Some((live, _)) = &mut self.live {
            if live.context().group_fd().is_none() {
                live.cancel();
                let _ = live.poll(None);
            }
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
        group_cancelled: false,
        sleep: None,
        armed: NEVER,
        mail: None,
    };
    handle.keep(shared.handle.spawn(task));
    Ok(handle)
}
