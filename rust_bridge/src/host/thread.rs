// SPDX-License-Identifier: MIT OR Apache-2.0
//! A loop on a thread of its own.
//!
//! 1. The thread makes a [`Loop`], spawns the keeper, and runs until that stops it. The keeper is a task
//!    that waits for a request to end: it keeps the loop running while there is no other task.
//! 2. Everything that other threads want is a closure ([`LoopHandle::call`]): a task is spawned on the
//!    loop (nart/remote.h) whose frame is the closure. Its poll calls it; if the loop ends before, the
//!    frame's drop drops it. Either way its future is answered.
//! 3. The request to end is under a lock, and wakes the keeper, which cannot fail. The thread then gives
//!    its tasks time, frees the loop, and answers.

use std::cell::Cell;
use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::frame::Frame;
use super::task::{self, Answer};
use super::{Loop, LoopOptions};
use crate::bridge::lock;
use crate::error::Error;
use crate::panic::catch;
use crate::signals::{with_signals_blocked, ChildMask};
use crate::sys::{
    errno, nart_remote_spawn, nart_rt_remote, nart_rt_run, nart_rt_stop, nart_task_abort,
    nart_task_cancel, Cx, NartWaker, Poll as CPoll, Remote, Res, Rt, TaskId, TaskType, EABORTED,
    EPANIC, ESTALE,
};
use crate::threads::{pin, watch_forks};

type Ended = Result<(), Error>;

/// A request to end the thread.
struct Request {
    timeout: Duration,
    ended: oneshot::Sender<Ended>,
}

struct State {
    /// The keeper's, once it has been polled.
    keeper: NartWaker,
    request: Option<Request>,
    /// A request was made.
    ending: bool,
}

struct Shared {
    remote: Remote,
    state: Arc<Mutex<State>>,
}

thread_local! {
    /// The loop of this thread, while it exists.
    static HERE: Cell<*const Loop> = const { Cell::new(ptr::null()) };
}

// ---- tasks of the thread's own ----

unsafe extern "C-unwind" fn keeper_poll(cx: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: this is a poll; the frame is that of KEEPER; a loop of this thread is polling.
    let (poll, state, rt) = unsafe {
        let state = &**frame.cast::<*const Mutex<State>>();
        (CPoll::new(cx), state, (*HERE.get()).as_c())
    };
    if let Err(answer) = poll.enter() {
        return answer;
    }
    let mut state = lock(state);
    if state.ending {
        // SAFETY: the loop is running.
        unsafe { nart_rt_stop(rt) };
        return 0;
    }
    state.keeper = poll.waker();
    drop(state);
    poll.park()
}

unsafe extern "C-unwind" fn keeper_drop(frame: *mut c_void) {
    // SAFETY: the frame is that of KEEPER, and not used again.
    drop(unsafe { Arc::from_raw(*frame.cast::<*const Mutex<State>>()) });
}

static KEEPER: TaskType =
    TaskType::of::<*const Mutex<State>>(c"nart_loop_thread", keeper_poll, Some(keeper_drop));

type Closure = Box<dyn FnOnce(&Loop) + Send>;

unsafe extern "C-unwind" fn call_poll(_: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: the frame is that of CALL; its drop sees that the closure was taken. A loop of this thread
    // is polling.
    unsafe {
        let closure = std::mem::replace(&mut *frame.cast::<*mut Closure>(), ptr::null_mut());
        let closure = Box::from_raw(closure);
        let _ = catch(|| closure(&*HERE.get()));
    }
    0
}

unsafe extern "C-unwind" fn call_drop(frame: *mut c_void) {
    // SAFETY: the frame is that of CALL, and not used again.
    unsafe {
        let closure = *frame.cast::<*mut Closure>();
        if !closure.is_null() {
            let _ = catch(|| drop(Box::from_raw(closure)));
        }
    }
}

static CALL: TaskType = TaskType::of::<*mut Closure>(c"nart_loop_call", call_poll, Some(call_drop));

// ---- the thread ----

/// Makes the loop, tells `made`, and runs until a request to end.
fn run(options: LoopOptions, state: Arc<Mutex<State>>, made: &mpsc::Sender<Result<Remote, Error>>) {
    let begin = || {
        if let Some(cpu) = options.cpu {
            pin(cpu).map_err(Error::of)?;
        }
        let here = Loop::new(options)?;
        let frame = Arc::into_raw(state.clone());
        // SAFETY: the frame is a pointer that the keeper frees.
        unsafe { here.spawn(&KEEPER, (&raw const frame).cast()) }
            .inspect_err(|_| unsafe { drop(Arc::from_raw(frame)) })?
            .detach();
        Ok(here)
    };
    let here: Loop = match begin() {
        Ok(here) => here,
        Err(error) => return drop(made.send(Err(error))),
    };
    HERE.set(&raw const here);
    // SAFETY: the runtime is live, and run on this thread only.
    let _ = made.send(Ok(unsafe { nart_rt_remote(here.as_c()) }));
    let ran = run_until_request(&here, &state);
    let request = {
        let mut state = lock(&state);
        state.ending = true; // a later request is not answered
        state.request.take()
    };
    let timeout = request.as_ref().map_or(Duration::ZERO, |r| r.timeout);
    let unwound = here.cancel_all(timeout);
    let ended = here.end();
    HERE.set(ptr::null());
    if let Some(request) = request {
        let _ = request.ended.send(ended.and(unwound).and(ran));
    }
}

/// Runs until there is a request to end, or no task: then the keeper was cancelled, too.
fn run_until_request(here: &Loop, state: &Mutex<State>) -> Ended {
    loop {
        // SAFETY: the runtime is live.
        match unsafe { nart_rt_run(here.as_c()) } {
            0 if lock(state).ending || here.task_count() == 0 => return Ok(()),
            0 => {} // a function of C has stopped it
            code => return Err(Error::of(code)),
        }
    }
}

/// A loop of nart on a thread of its own.
///
/// Its [`handle`](LoopThread::handle) spawns tasks on it from any thread. Dropping a `LoopThread` ends its
/// tasks, as dropping a [`Loop`] does, and waits for the thread: for at most one poll of a task and the
/// drops of all. [`shutdown`](LoopThread::shutdown) gives them time.
///
/// The thread blocks all signals except faults; processes that it forks do not.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use nart_tokio::{LoopOptions, LoopThread};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let hot = LoopThread::new(LoopOptions::new().name("hot"))?;
/// let tasks = hot.handle().call(|hot| hot.task_count()).await?;
/// assert_eq!(tasks, 2); // the one that keeps the thread, and this call
/// hot.shutdown(Duration::from_secs(10)).await
/// # }).unwrap();
/// ```
pub struct LoopThread {
    handle: LoopHandle,
    thread: Option<JoinHandle<()>>,
}

impl LoopThread {
    /// Starts a thread with a loop.
    ///
    /// # Errors
    /// Those of [`Loop::new`]; `-EINVAL` the process may not run on that CPU; `-EAGAIN` no thread could be
    /// started.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{LoopOptions, LoopThread};
    ///
    /// let hot = LoopThread::new(LoopOptions::new())?;
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    pub fn new(options: LoopOptions) -> Result<LoopThread, Error> {
        let state = Arc::new(Mutex::new(State {
            keeper: NartWaker { w: 0 },
            request: None,
            ending: false,
        }));
        let (made, is_made) = mpsc::channel();
        let name = match options.name.as_str() {
            name if name.is_empty() || name.contains('\0') => "nart".to_owned(),
            name => name.to_owned(),
        };
        let (inside, builder) = (state.clone(), std::thread::Builder::new().name(name));
        watch_forks();
        let children = ChildMask::here();
        let body = move || {
            children.set_for_this_thread();
            run(options, inside, &made);
        };
        let again = || Error::of(errno(libc::EAGAIN));
        let thread = with_signals_blocked(|| builder.spawn(body)).map_err(|_| again())?;
        let remote = is_made.recv().map_err(|_| Error::of(EPANIC))??;
        Ok(LoopThread {
            handle: LoopHandle(Arc::new(Shared { remote, state })),
            thread: Some(thread),
        })
    }

    /// A handle, for any thread. It does not keep the thread alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{LoopOptions, LoopThread};
    ///
    /// let hot = LoopThread::new(LoopOptions::new())?;
    /// let handle = hot.handle();
    /// drop(hot);
    /// assert!(handle.is_closed());
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    #[must_use]
    pub fn handle(&self) -> LoopHandle {
        self.handle.clone()
    }

    /// Ends the loop and its thread: refuses new tasks, cancels those that exist, and waits until they have
    /// ended, for at most `timeout`. Those that still wait then are dropped. A task that does not return from
    /// its poll is waited for.
    ///
    /// If this future is dropped after its first poll, the shutdown continues in the background.
    ///
    /// # Errors
    /// `-ETIMEDOUT` tasks were dropped: the text names each, and where it waited; the errors of running
    /// the loop.
    ///
    /// # Examples
    ///
    /// See [`LoopThread`].
    pub async fn shutdown(mut self, timeout: Duration) -> Result<(), Error> {
        let (ended, has_ended) = oneshot::channel();
        self.handle.end(Request { timeout, ended });
        let thread = self.thread.take(); // from here on a drop does not wait
        let ended = has_ended.await.unwrap_or(Ok(())); // Err: its tasks had ended before
        if let Some(thread) = thread {
            let _ = thread.join(); // it does nothing more
        }
        ended
    }
}

impl Drop for LoopThread {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        let (ended, _) = oneshot::channel();
        self.handle.end(Request {
            timeout: Duration::ZERO,
            ended,
        });
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for LoopThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.thread.as_ref().and_then(|t| t.thread().name());
        f.debug_struct("LoopThread")
            .field("name", &name.unwrap_or_default())
            .field("closed", &self.handle.is_closed())
            .finish()
    }
}

// ---- its handle ----

/// A handle of a [`LoopThread`], for any thread. After the end of the loop its functions return an error.
///
/// # Examples
///
/// See [`LoopThread`].
#[derive(Clone)]
pub struct LoopHandle(Arc<Shared>);

impl LoopHandle {
    fn end(&self, request: Request) {
        let mut state = lock(&self.0.state);
        if !std::mem::replace(&mut state.ending, true) {
            state.request = Some(request);
        }
        let keeper = state.keeper;
        drop(state);
        keeper.wake();
    }

    /// Whether a shutdown of the thread has begun.
    ///
    /// # Examples
    ///
    /// See [`LoopThread::handle`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.0.state).ending
    }

    fn post(&self, closure: Closure) -> Result<(), Error> {
        let closure = Box::into_raw(Box::new(closure));
        // SAFETY: the frame is a pointer that the task frees; the loop calls it on its thread.
        match unsafe { nart_remote_spawn(self.0.remote, &CALL, (&raw const closure).cast()) } {
            0 => Ok(()),
            code => {
                // SAFETY: it was refused, so it is still this function's.
                drop(unsafe { Box::from_raw(closure) });
                Err(Error::of(code))
            }
        }
    }

    /// Calls a function on the loop's thread, inside a poll. The call is made also if the future is
    /// dropped.
    ///
    /// # Errors
    /// `NART_ESTALE` the loop has ended, or ended before the call; `NART_ESHUTDOWN` it is ending; `-EAGAIN`
    /// 4,096 calls and spawns are pending; `-ENOMEM`; `NART_EPANIC` the function panicked: the text is the
    /// panic's.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{LoopOptions, LoopThread};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let hot = LoopThread::new(LoopOptions::new())?;
    /// let rt = hot.handle().call(|hot| hot.as_c().addr()).await?; // for functions of C
    /// assert_ne!(rt, 0);
    /// # Ok::<(), nart_tokio::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn call<R, F>(&self, f: F) -> impl Future<Output = Result<R, Error>> + Send + use<R, F>
    where
        F: FnOnce(&Loop) -> R + Send + 'static,
        R: Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let posted = self.post(Box::new(move |here| {
            let answer = catch(|| f(here)).map_err(|text| Error::with(EPANIC, text));
            let _ = done.send(answer);
        }));
        async move {
            posted?;
            answer.await.unwrap_or(Err(Error::of(ESTALE)))
        }
    }

    /// Spawns a task of C on the loop's thread, as [`Loop::spawn`]. It starts in the loop's next tick.
    ///
    /// # Errors
    /// `-EINVAL` not a task type; `NART_EABI` one of another version; `NART_ESTALE` the loop has ended;
    /// `NART_ESHUTDOWN` it is ending; `-EAGAIN` 4,096 calls and spawns are pending; `-ENOMEM`. What
    /// `*init` refers to is still the caller's then. An error that the loop finds later is the task's
    /// answer, and the type's drop is called for the copy of `*init`.
    ///
    /// # Safety
    /// As [`Loop::spawn`]; what `*init` refers to may be used on another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::ffi::c_void;
    /// # use nart_tokio::{Cx, LoopOptions, LoopThread, Res, TaskType};
    /// # unsafe extern "C-unwind" fn poll(_cx: *mut Cx, _frame: *mut c_void) -> Res { 42 }
    /// # static ANSWER: TaskType = TaskType::of::<u64>(c"answer", poll, None);
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let hot = LoopThread::new(LoopOptions::new())?;
    /// // SAFETY: the frame may be zeroed.
    /// let task = unsafe { hot.handle().spawn(&ANSWER, std::ptr::null()) }?;
    /// assert_eq!(task.await?, 42);
    /// # Ok::<(), nart_tokio::Error>(())
    /// # }).unwrap();
    /// ```
    pub unsafe fn spawn(
        &self,
        task_type: &'static TaskType,
        init: *const c_void,
    ) -> Result<RemoteTask, Error> {
        task::check(task_type).map_err(Error::of)?;
        // SAFETY: the caller's promises.
        let frame = unsafe { Frame::copy(task_type, init) }.map_err(Error::of)?;
        let (done, receiver) = oneshot::channel();
        let id = Arc::new(OnceLock::new());
        let known = id.clone();
        let owned = Arc::new(Mutex::new(Some(frame)));
        let given = owned.clone();
        let posted = self.post(Box::new(move |here| {
            let Some(frame) = lock(&given).take() else {
                return;
            };
            // SAFETY: the frame is a copy of one, or zeros where those are valid.
            match unsafe { task::spawn(&here.inner, task_type, frame.bytes(), done) } {
                Ok(task) => {
                    frame.moved();
                    let _ = known.set(task);
                }
                Err((code, done)) => {
                    drop(frame);
                    let _ = done.send(Err(Error::of(code)));
                }
            }
        }));
        if let Err(error) = posted {
            if let Some(frame) = lock(&owned).take() {
                frame.moved(); // its contents are the caller's
            }
            return Err(error);
        }
        Ok(RemoteTask {
            id,
            handle: self.clone(),
            receiver,
        })
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// A task of C on a [`LoopThread`], spawned by [`LoopHandle::spawn`]. As a future it completes with what
/// the task answers, as [`Task`](crate::Task) does, on any thread.
///
/// Dropping it detaches the task, which continues.
///
/// # Examples
///
/// See [`LoopHandle::spawn`].
pub struct RemoteTask {
    /// Set when the loop has spawned it.
    id: Arc<OnceLock<TaskId>>,
    handle: LoopHandle,
    receiver: oneshot::Receiver<Answer>,
}

impl RemoteTask {
    fn ask(&self, ask: unsafe extern "C" fn(*mut Rt, TaskId) -> Res) -> Result<(), Error> {
        let id = self.id.clone();
        self.handle.post(Box::new(move |here| {
            if let Some(&id) = id.get() {
                // SAFETY: the loop is live; the id may be that of a task that has ended.
                unsafe { ask(here.as_c(), id) };
            }
        }))
    }

    /// Cancels the task, as [`Task::cancel`](crate::Task::cancel).
    ///
    /// # Errors
    /// Those of a post: [`LoopHandle::call`]. A loop that is ending cancels all tasks by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::ffi::c_void;
    /// # use nart_tokio::{Cx, LoopOptions, LoopThread, Res, TaskType};
    /// # unsafe extern "C-unwind" fn poll(_cx: *mut Cx, _frame: *mut c_void) -> Res { 42 }
    /// # static ANSWER: TaskType = TaskType::of::<u64>(c"answer", poll, None);
    /// let hot = LoopThread::new(LoopOptions::new())?;
    /// // SAFETY: the frame may be zeroed.
    /// unsafe { hot.handle().spawn(&ANSWER, std::ptr::null()) }?.cancel()?;
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    pub fn cancel(&self) -> Result<(), Error> {
        self.ask(nart_task_cancel)
    }

    /// Cancels the task and polls it once more, as [`Task::abort`](crate::Task::abort).
    ///
    /// # Errors
    /// As [`cancel`](RemoteTask::cancel).
    ///
    /// # Examples
    ///
    /// As for [`cancel`](RemoteTask::cancel).
    pub fn abort(&self) -> Result<(), Error> {
        self.ask(nart_task_abort)
    }

    /// Lets the task continue on its own. The same as dropping this, and says so.
    ///
    /// # Examples
    ///
    /// As for [`Task::detach`](crate::Task::detach).
    pub fn detach(self) {}
}

impl Future for RemoteTask {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let received = std::task::ready!(Pin::new(&mut self.receiver).poll(cx));
        Poll::Ready(received.unwrap_or(Err(Error::of(EABORTED)))) // Err: the loop ended before
    }
}

impl fmt::Debug for RemoteTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteTask({:?})", self.id.get().map(|id| id.slot))
    }
}
