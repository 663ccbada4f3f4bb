// SPDX-License-Identifier: MIT OR Apache-2.0
//! A C task as a tokio future: the same task type, polled by tokio's threads.
//!
//! 1. One block holds the poll context, nart's task header and the frame; it does not move. The
//!    future that owns it may be polled by one worker after another, never by two at once.
//! 2. The driver: the clock is the system's, a deadline becomes a tokio timer after the poll, being
//!    ready is waking the tokio task. Descriptors are refused with NART_EDRIVER.
//! 3. The task's waker is the address of a **waker cell**, which holds the waker of the tokio task.
//!    Wakers are plain values that stay valid for ever, so cells are never freed: they are reused by one
//!    task after another. An old waker then causes a spurious poll, which every operation allows.
//! 4. A cancel, and the begin of a shutdown, set flags which the next poll turns into the task's own
//!    cancellation: the body unwinds by its answers. When tokio drops the future instead (the
//!    deadline of a shutdown is over), the task is polled once as cancelled, and its frame dropped.
//!
//! Not handled: a task that does not answer to cancellation keeps its worker, as any future does;
//! timers are as exact as tokio's, a millisecond.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::future::Future;
use std::mem::size_of;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use tokio::time::Sleep;

use crate::bridge::{lock, Shared};
use crate::clock;
use crate::op::{self, Handle, Outcome, Promise};
use crate::panic::catch;
use crate::sys::{
    errno, nart_driver_cx_init, nart_driver_poll, nart_driver_task_cancel, nart_driver_task_init,
    Cx, Driver, Res, Task, TaskType, Wakeable, DRIVER_ABI, DRIVER_MOVES, EABI, EDRIVER, EFORK,
    NEVER, PENDING, TASK_ABI, TASK_SEND,
};

// ---- waker cells ----

/// Holds the tokio waker of a C task; its address is the task's nart waker. Never unmapped.
#[repr(C, align(64))]
struct WakerCell {
    wakeable: Wakeable,
    task: AtomicWaker,
    /// The next free cell. Accessed under FREE's lock only.
    next: Cell<Option<&'static WakerCell>>,
}

// SAFETY: `next` has its lock, the rest is atomic or constant.
unsafe impl Sync for WakerCell {}

static FREE: Mutex<Option<&'static WakerCell>> = Mutex::new(None);

unsafe extern "C" fn cell_wake(this: *mut Wakeable) {
    // SAFETY: the wakeable is the first field of a waker cell, and cells are never freed.
    unsafe { &*this.cast::<WakerCell>() }.task.wake();
}

impl WakerCell {
    /// A free cell. None if the system has no memory.
    fn take() -> Option<&'static WakerCell> {
        let mut free = lock(&FREE);
        if free.is_none() {
            *free = WakerCell::map();
        }
        let cell = (*free)?;
        *free = cell.next.take();
        Some(cell)
    }

    fn give(&'static self) {
        drop(self.task.take());
        let mut free = lock(&FREE);
        self.next.set(free.replace(self));
    }

    /// Maps a page of cells, and links them.
    fn map() -> Option<&'static WakerCell> {
        const PAGE: usize = 4096;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: maps new memory at an address that the kernel chooses.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, access, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        let cells = page.cast::<WakerCell>();
        (0..PAGE / size_of::<WakerCell>())
            .rev()
            .fold(None, |next, i| {
                let cell = WakerCell {
                    wakeable: Wakeable { wake: cell_wake },
                    task: AtomicWaker::new(),
                    next: Cell::new(next),
                };
                // SAFETY: inside the page, which is aligned and not in use yet.
                unsafe {
                    cells.add(i).write(cell);
                    Some(&*cells.add(i))
                }
            })
    }

    fn word(&'static self) -> usize {
        ptr::from_ref(self).expose_provenance() | 1
    }
}

// ---- the tasks of a bridge ----

#[derive(Default)]
struct List {
    live: Vec<Option<Waker>>,
    free: Vec<usize>,
    count: usize,
}

/// The C tasks that live on a bridge, so that a shutdown can reach them.
#[derive(Default)]
pub struct Tasks {
    list: Mutex<List>,
    empty: Condvar,
    /// Set under the lock. Read without it by a task that has been woken since, or is told so here.
    closed: AtomicBool,
}

impl Tasks {
    fn add(&self) -> usize {
        let mut list = lock(&self.list);
        list.count += 1;
        list.free.pop().unwrap_or_else(|| {
            list.live.push(None);
            list.live.len() - 1
        })
    }

    /// Called at the first poll, with the waker that is the task's for good.
    fn set_waker(&self, i: usize, waker: &Waker) {
        lock(&self.list).live[i] = Some(waker.clone());
    }

    /// A close that came before set_waker() is seen because of its lock, a later one because of the
    /// wake.
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn remove(&self, i: usize) {
        let mut list = lock(&self.list);
        let waker = list.live[i].take();
        list.free.push(i);
        list.count -= 1;
        if list.count == 0 {
            self.empty.notify_all();
        }
        drop(list);
        drop(waker);
    }

    /// Asks every task to end.
    pub fn close(&self) {
        let list = lock(&self.list);
        self.closed.store(true, Ordering::Relaxed);
        let wakers: Vec<Waker> = list.live.iter().flatten().cloned().collect();
        drop(list);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until none is left, or `until`.
    pub fn wait(&self, until: Instant) {
        let mut list = lock(&self.list);
        while list.count > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.empty.wait_timeout(list, left);
            list = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

// ---- the driver ----

/// The block's head; the frame stands behind it. Used by one thread at a time.
struct Body {
    cx: UnsafeCell<Cx>,
    task: UnsafeCell<Task>,
    ty: *const TaskType,
    frame: *mut c_void,
    layout: Layout,
    cell: &'static WakerCell,
    /// The cell's address was handed out as a waker: from then on the cell holds tokio's waker.
    escaped: Cell<bool>,
    /// What this poll has left: who polls, whether to be polled again, until when to sleep.
    waker: Cell<*const Waker>,
    again: Cell<bool>,
    deadline: Cell<i64>,
}

/// The body of a task, from a driver's call.
///
/// # Safety
/// `host` is what the task's context was made with; the body lives.
unsafe fn body<'a>(host: *mut c_void) -> &'a Body {
    // SAFETY: the caller's promise.
    unsafe { &*host.cast::<Body>() }
}

unsafe extern "C" fn now(_: *mut c_void) -> i64 {
    clock::now()
}

unsafe extern "C" fn park(host: *mut c_void, _: *mut Task, deadline: i64) {
    // SAFETY: called by the poll of this body.
    unsafe { body(host) }.deadline.set(deadline);
}

unsafe extern "C" fn ready(host: *mut c_void, _: *mut Task) {
    // SAFETY: called on the thread that polls this body.
    unsafe { body(host) }.again.set(true);
}

unsafe extern "C" fn waker(host: *mut c_void, _: *mut Task) -> usize {
    // SAFETY: called by the poll of this body.
    let body = unsafe { body(host) };
    if !body.escaped.replace(true) {
        // SAFETY: during a poll it is NULL or points at the waker of that poll.
        if let Some(waker) = unsafe { body.waker.get().as_ref() } {
            body.cell.task.register(waker);
        }
    }
    body.cell.word()
}

unsafe extern "C" fn io_add(_: *mut c_void, _: c_int, _: *mut u64) -> Res {
    EDRIVER
}

unsafe extern "C" fn io_want(_: *mut c_void, _: u64, _: u32, _: *mut Cx) -> Res {
    EDRIVER
}

unsafe extern "C" fn io_clear(_: *mut c_void, _: u64, _: u32) {}

unsafe extern "C" fn io_del(_: *mut c_void, _: u64, _: *mut c_int) -> Res {
    EDRIVER
}

unsafe extern "C" fn io_none(_: *mut c_void, _: u64) -> Res {
    EDRIVER
}

static DRIVER: Driver = Driver {
    abi: DRIVER_ABI,
    kind: DRIVER_MOVES,
    name: c"tokio".as_ptr(),
    now,
    park,
    ready,
    waker,
    io_add,
    io_want,
    io_clear,
    io_del,
    sys: ptr::null(),
    io_fd: io_none,
    io_wake: io_none,
};

// ---- the future ----

/// A task's body, alive: its frame has not been dropped.
struct Live(NonNull<Body>);

// SAFETY: NART_TASK_SEND says that the frame may be used by one thread after another.
unsafe impl Send for Live {}

impl Live {
    /// A body whose frame is a copy of `*init`, or zeros.
    ///
    /// # Safety
    /// `ty` is a valid type, `init` NULL or a frame of it.
    unsafe fn new(ty: &TaskType, init: *const c_void) -> Result<Live, Res> {
        let bad = |_| errno(libc::EINVAL);
        let frame = Layout::from_size_align(ty.size as usize, ty.align as usize).map_err(bad)?;
        let (layout, offset) = Layout::new::<Body>()
            .extend(frame)
            .map_err(|_| errno(libc::E2BIG))?;
        let no_memory = errno(libc::ENOMEM);
        // SAFETY: the layout is not empty; the frame is inside it; the body is written before it is
        // used, and then does not move.
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
            let cx = (&raw mut (*body.as_ptr()).cx).cast::<Cx>();
            let task = (&raw mut (*body.as_ptr()).task).cast::<Task>();
            (&raw mut (*body.as_ptr()).ty).write(ty);
            (&raw mut (*body.as_ptr()).frame).write(frame);
            (&raw mut (*body.as_ptr()).layout).write(layout);
            (&raw mut (*body.as_ptr()).cell).write(cell);
            (&raw mut (*body.as_ptr()).escaped).write(Cell::new(false));
            (&raw mut (*body.as_ptr()).waker).write(Cell::new(ptr::null()));
            (&raw mut (*body.as_ptr()).again).write(Cell::new(false));
            (&raw mut (*body.as_ptr()).deadline).write(Cell::new(NEVER));
            nart_driver_cx_init(cx, &DRIVER, body.as_ptr().cast());
            nart_driver_task_init(task, ty, frame, cx);
            Ok(Live(body))
        }
    }

    fn body(&self) -> &Body {
        // SAFETY: the block lives as long as this.
        unsafe { self.0.as_ref() }
    }

    /// Asks the task to end.
    fn cancel(&self) {
        // SAFETY: no poll runs: polls are made through &mut Live.
        unsafe { nart_driver_task_cancel(self.body().task.get()) }
    }

    /// One poll. A panic or a foreign exception is the error.
    fn poll(&mut self, waker: Option<&Waker>) -> Result<Res, String> {
        let body = self.body();
        body.waker.set(waker.map_or(ptr::null(), ptr::from_ref));
        body.again.set(false);
        body.deadline.set(NEVER);
        if let (true, Some(waker)) = (body.escaped.get(), waker) {
            body.cell.task.register(waker); // before the poll, so that a wake during it is not lost
        }
        // SAFETY: context and task were made for each other, and this is the only poll.
        let polled = catch(|| unsafe { nart_driver_poll(body.cx.get(), body.task.get()) });
        body.waker.set(ptr::null());
        polled
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let body = self.body();
        let (frame, layout) = (body.frame, body.layout);
        // SAFETY: the type is a constant of the program; its drop runs here only.
        unsafe {
            if let Some(drop_frame) = (*body.ty).drop {
                let _ = catch(|| drop_frame(frame));
            }
        }
        body.cell.give();
        // SAFETY: the block was made with this layout, and is used by nobody any more.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) }
    }
}

/// Frees what new() has made without running the frame's drop: it is the submitter's again.
fn take_back(live: Live) {
    let live = std::mem::ManuallyDrop::new(live);
    live.body().cell.give();
    // SAFETY: as in Drop.
    unsafe { dealloc(live.0.as_ptr().cast(), live.body().layout) }
}

struct CTask {
    /// Gone when the task has ended, and the promise with it.
    live: Option<(Live, Promise)>,
    shared: Arc<Shared>,
    entry: usize,
    known: bool,
    told: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    armed: i64,
}

impl CTask {
    fn end(&mut self, outcome: Option<Outcome>) {
        let Some((live, promise)) = self.live.take() else {
            return;
        };
        drop(live);
        self.shared.tasks.remove(self.entry);
        match outcome {
            Some(outcome) => promise.finish(outcome),
            None => drop(promise),
        }
    }

    /// Has the task to be told now that it shall end?
    fn is_asked(&mut self, waker: &Waker) -> bool {
        let Some((_, promise)) = &self.live else {
            return false;
        };
        let cancelled = promise.register(waker);
        let tasks = &self.shared.tasks;
        if !std::mem::replace(&mut self.known, true) {
            tasks.set_waker(self.entry, waker);
        }
        let asked = cancelled || tasks.is_closed();
        let now = asked && !self.told;
        self.told = asked;
        now
    }

    /// Sleeps until the deadline that the poll has left. A timer that is no longer wanted is left as
    /// it is: it costs a spurious poll. One that has fired is armed anew if it is wanted still: who
    /// parks until a time that has passed is polled again and again, as on a loop.
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
        let asked = this.is_asked(cx.waker());
        let Some((live, _)) = &mut this.live else {
            return Poll::Ready(());
        };
        if asked {
            live.cancel();
        }
        match live.poll(Some(cx.waker())) {
            Ok(PENDING) => {
                let (deadline, again) = (live.body().deadline.get(), live.body().again.get());
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
    /// Thrown away by tokio: a last poll, as cancelled, then the frame's drop.
    fn drop(&mut self) {
        if let Some((live, _)) = &mut self.live {
            live.cancel();
            let _ = live.poll(None);
        }
        self.end(None);
    }
}

/// Runs a C task on tokio.
///
/// # Safety
/// `ty` is NULL or a task type that lives as long as its tasks; `init` is NULL or a frame of it.
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
    // SAFETY: the type has been looked at, the frame is the caller's promise.
    let live = unsafe { Live::new(ty, init) }?;
    let (handle, promise) = match op::begin(shared) {
        Ok(pair) => pair,
        Err(refused) => {
            take_back(live);
            return Err(refused);
        }
    };
    let task = CTask {
        live: Some((live, promise)),
        shared: shared.clone(),
        entry: shared.tasks.add(),
        known: false,
        told: false,
        sleep: None,
        armed: NEVER,
    };
    handle.keep(shared.handle.spawn(task));
    Ok(handle)
}
