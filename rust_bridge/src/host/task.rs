// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks of C that Rust spawns and awaits.
//!
//! Such a task has a type of its own, whose frame is a header and then the frame of the C type. Its poll
//! calls that of C and notes the answer; its drop calls that of C and then sends the answer. The task is
//! detached, so its frame is dropped when it ends, whichever way it does: there is one answer, and it
//! comes after the end of everything in the frame.

use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::mem::{align_of, size_of};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{drive, Inner};
use crate::error::Error;
use crate::panic::{catch, catch_of};
use crate::sys::{
    errno, nart_join_release, nart_join_task, nart_rt_spawn_begin, nart_rt_spawn_boxed_begin,
    nart_rt_spawn_commit, nart_task_abort, nart_task_cancel, Cx, Join, Res, TaskId, TaskType, EABI,
    EABORTED, EFRAME, EPANIC, ERROR_MIN, PENDING, TASK_ABI,
};

pub(super) type Answer = Result<i64, Error>;

/// The begin of the frame.
struct Header {
    of: &'static TaskType,
    answer: Option<Answer>,
    done: oneshot::Sender<Answer>,
}

/// Where the frame of C begins.
fn offset(of: &TaskType) -> usize {
    size_of::<Header>().next_multiple_of(of.align as usize)
}

/// What a task answered, for Rust. `-ECANCELED` is about the task itself; whoever awaits it is not
/// cancelled.
fn answer_of(res: Res) -> Answer {
    match res {
        0.. => Ok(res),
        _ if res == errno(libc::ECANCELED) => Err(Error::of(EABORTED)),
        ERROR_MIN..0 => Err(Error::of(res)),
        _ => Err(Error::with(
            errno(libc::EINVAL),
            "the task answered a number that is not a nart_res",
        )),
    }
}

unsafe extern "C-unwind" fn poll(cx: *mut Cx, frame: *mut c_void) -> Res {
    let header = frame.cast::<Header>();
    // SAFETY: the frame is that of spawn(), and this is its poll.
    unsafe {
        let of = (*header).of;
        let inside = frame.byte_add(offset(of));
        let call = || of.poll.map_or(errno(libc::EINVAL), |poll| poll(cx, inside));
        let polled = catch_of(|| format!("a poll of the task {}", of.shown_name()), call);
        let (res, answer) = match polled {
            Ok(PENDING) => return PENDING,
            Ok(res) => (res, answer_of(res)),
            Err(text) => (EPANIC, Err(Error::with(EPANIC, text))),
        };
        (*header).answer = Some(answer);
        res
    }
}

unsafe extern "C-unwind" fn end(frame: *mut c_void) {
    // SAFETY: the frame is that of spawn(), and this is its drop: the header is not used again.
    unsafe {
        let header = frame.cast::<Header>().read();
        let of = header.of;
        let mut answer = header.answer.unwrap_or(Err(Error::of(EABORTED)));
        if let Some(drop_frame) = of.drop {
            let inside = frame.byte_add(offset(of));
            let call = || drop_frame(inside);
            if let Err(text) =
                catch_of(|| format!("the drop of the task {}", of.shown_name()), call)
            {
                answer = Err(Error::with(EPANIC, text));
            }
        }
        // It wakes whoever awaits the task; nobody may.
        let _ = catch(|| drop(header.done.send(answer)));
    }
}

/// The types that a loop has made. They are freed with it, after its tasks.
#[derive(Default)]
pub struct Types(RefCell<Vec<(&'static TaskType, Box<TaskType>)>>);

impl Types {
    /// The type of tasks with frames of `of`. It stays until the loop is freed.
    fn get(&self, of: &'static TaskType) -> *const TaskType {
        let mut types = self.0.borrow_mut();
        let known = types.iter().position(|(known, _)| std::ptr::eq(*known, of));
        let i = known.unwrap_or_else(|| {
            let mut made = TaskType::of::<Header>(c"", poll, Some(end));
            made.flags = of.flags;
            made.name = of.name;
            made.size = (offset(of) + of.size as usize) as u32;
            made.align = of.align.max(align_of::<Header>() as u32);
            types.push((of, Box::new(made)));
            types.len() - 1
        });
        &raw const *types[i].1
    }
}

/// The error if a task of this type cannot be spawned.
pub(super) fn check(of: &TaskType) -> Result<(), Res> {
    if of.abi != TASK_ABI {
        return Err(EABI);
    }
    if of.poll.is_none() || !of.align.is_power_of_two() || of.align > 64 || of.size > 1 << 30 {
        return Err(errno(libc::EINVAL));
    }
    Ok(())
}

/// Spawns a task that sends its answer by `done`. On an error nothing has been sent or copied.
///
/// # Safety
/// `init` is NULL, if a zeroed frame is valid, or points to a frame of this type that may be moved. The
/// type passed check().
pub(super) unsafe fn spawn(
    inner: &Inner,
    of: &'static TaskType,
    init: *const c_void,
    done: oneshot::Sender<Answer>,
) -> Result<TaskId, (Res, oneshot::Sender<Answer>)> {
    drive::soon(inner);
    let (rt, made) = (inner.rt.get(), inner.types.get(of));
    let (mut error, mut join) = (0, Join { opaque: [0; 11] });
    // SAFETY: the runtime is live, and the type lives as long; the frame is filled in before it is
    // committed. The join handle is released at once, which detaches the task.
    unsafe {
        let mut frame = nart_rt_spawn_begin(rt, made, &mut error);
        if frame.is_null() && error == EFRAME {
            frame = nart_rt_spawn_boxed_begin(rt, made, &mut error);
        }
        if frame.is_null() {
            return Err((error, done));
        }
        frame.cast::<Header>().write(Header {
            of,
            answer: None,
            done,
        });
        if !init.is_null() {
            let inside = frame.byte_add(offset(of)).cast::<u8>();
            std::ptr::copy_nonoverlapping(init.cast::<u8>(), inside, of.size as usize);
        }
        let _ = nart_rt_spawn_commit(rt, frame, &mut join); // it was begun above
        let id = nart_join_task(&join);
        nart_join_release(&mut join);
        Ok(id)
    }
}

/// A task of C, spawned by [`Loop::spawn`](crate::Loop::spawn). As a future it completes with what the
/// task answers, after the drop of its frame.
///
/// Await it where its loop is driven: inside [`run_until`](crate::Loop::run_until), or beside
/// [`drive`](crate::Loop::drive), in another future of the same `join!` or `LocalSet`. It does not drive the
/// loop by itself: awaited alone, it never completes. It stays on the thread of its loop;
/// [`LoopHandle::spawn`](crate::LoopHandle::spawn) makes tasks that any thread can await.
///
/// Dropping it detaches the task, which continues.
///
/// # Errors
/// What the task answered; `NART_EABORTED` it was cancelled, aborted, or dropped with its loop;
/// `NART_EPANIC` its poll or its drop panicked: the text is the panic's.
///
/// # Examples
///
/// See [`Loop`](crate::Loop).
pub struct Task {
    id: TaskId,
    inner: Weak<Inner>,
    receiver: oneshot::Receiver<Answer>,
}

impl Task {
    /// # Safety
    /// As for the function spawn(); the type need not have been checked.
    pub(super) unsafe fn spawn(
        inner: &Rc<Inner>,
        of: &'static TaskType,
        init: *const c_void,
    ) -> Result<Task, Res> {
        check(of)?;
        let (done, receiver) = oneshot::channel();
        // SAFETY: the caller's promises.
        let id = unsafe { spawn(inner, of, init, done) }.map_err(|(code, _)| code)?;
        Ok(Task {
            id,
            inner: Rc::downgrade(inner),
            receiver,
        })
    }

    fn ask(&self, ask: unsafe extern "C" fn(*mut crate::Rt, TaskId) -> Res) {
        let Some(inner) = self.inner.upgrade() else {
            return; // freed, and the task has ended
        };
        drive::soon(&inner);
        // SAFETY: the runtime is live or NULL; an id is never reused, so it may be that of a task that
        // has ended.
        unsafe { ask(inner.rt.get(), self.id) };
    }

    /// Cancels the task: its operations answer `-ECANCELED` from its next poll on. No effect if it has
    /// ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::ffi::c_void;
    /// # use nart_tokio::{Cx, Loop, LoopOptions, Res, TaskType};
    /// # unsafe extern "C-unwind" fn poll(_cx: *mut Cx, _frame: *mut c_void) -> Res {
    /// #     -i64::from(libc::ECANCELED)
    /// # }
    /// # static SLEEPER: TaskType = TaskType::of::<u64>(c"sleeper", poll, None);
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let guest = Loop::new(LoopOptions::new())?;
    /// // SAFETY: the frame may be zeroed.
    /// let task = unsafe { guest.spawn(&SLEEPER, std::ptr::null()) }?;
    /// task.cancel();
    /// assert!(guest.run_until(task).await?.is_err());
    /// # Ok::<(), nart_tokio::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn cancel(&self) {
        self.ask(nart_task_cancel);
    }

    /// Cancels the task and polls it once more; if it still waits then, it is dropped. No effect if it
    /// has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::ffi::c_void;
    /// # use nart_tokio::{Cx, Loop, LoopOptions, Res, TaskType};
    /// # unsafe extern "C-unwind" fn poll(_cx: *mut Cx, _frame: *mut c_void) -> Res {
    /// #     i32::MIN as Res
    /// # }
    /// # static NEVER: TaskType = TaskType::of::<u64>(c"never", poll, None);
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let guest = Loop::new(LoopOptions::new())?;
    /// // SAFETY: the frame may be zeroed.
    /// let task = unsafe { guest.spawn(&NEVER, std::ptr::null()) }?;
    /// task.abort();
    /// assert!(guest.run_until(task).await?.is_err());
    /// # Ok::<(), nart_tokio::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn abort(&self) {
        self.ask(nart_task_abort);
    }

    /// Lets the task continue on its own. The same as dropping this, and says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::ffi::c_void;
    /// # use nart_tokio::{Cx, Loop, LoopOptions, Res, TaskType};
    /// # unsafe extern "C-unwind" fn poll(_cx: *mut Cx, _frame: *mut c_void) -> Res { 0 }
    /// # static CONN: TaskType = TaskType::of::<u64>(c"conn", poll, None);
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let guest = Loop::new(LoopOptions::new())?;
    /// // SAFETY: the frame may be zeroed.
    /// unsafe { guest.spawn(&CONN, std::ptr::null()) }?.detach();
    /// guest.drive().await // until it has ended
    /// # }).unwrap();
    /// ```
    pub fn detach(self) {}
}

impl Future for Task {
    type Output = Result<i64, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let received = std::task::ready!(Pin::new(&mut self.receiver).poll(cx));
        Poll::Ready(received.unwrap_or(Err(Error::of(EABORTED)))) // Err: the loop was leaked
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.id.slot)
    }
}
