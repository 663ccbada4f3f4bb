// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking functions of C: a bounded queue in front of tokio's blocking pool.
//!
//! 1. submit puts a job into the queue, or refuses it: -EAGAIN when the queue is full. If no drainer
//!    idles and there are fewer than `max`, it starts one: a closure in tokio's pool.
//! 2. A drainer runs jobs until the queue is empty, then lingers on a condition variable for LINGER,
//!    so that jobs that come one at a time do not start a thread each. Emptiness and leaving are
//!    decided under the queue's lock: no job is left behind.
//! 3. cancel takes a queued job out, which ends it at once; a running one sees its stop flag.
//! 4. close ends what is queued and raises the flags of what runs; abandon, at the deadline of a
//!    shutdown, answers for the jobs that still run, whose own answers then go nowhere.
//!
//! Bounds: `cap` queued and `max` running jobs, whose slots are made in advance; so submitting to a
//! drainer that lives allocates nothing. Every accepted job's `drop_arg` runs exactly once, before
//! its answer is published: on the drainer, or on the thread that cancels or closes.
//!
//! One mutex, held for a few lines, never while C code runs. Not handled: a job that never returns
//! keeps its thread.

use std::ffi::{c_char, c_void, CStr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bridge::{lock, Shared};
use crate::guard::catch;
use crate::nart::{errno, Res, ESHUTDOWN};
use crate::op::{self, Handle, Outcome, Promise};
use crate::threads::with_signals_blocked;

/// How long a drainer waits for more, and then tokio's thread for another closure.
pub const LINGER: Duration = Duration::from_secs(1);
const NIL: u32 = u32::MAX;

/// Tells a blocking function that it has been asked to stop.
///
/// Opaque to C; valid while the function runs.
pub struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) // a flag that guards no data
    }
}

/// A function for the blocking pool: its `nart_res` is the operation's answer.
pub type BlockingFn =
    Option<unsafe extern "C-unwind" fn(arg: *mut c_void, stop: *const Stop) -> Res>;

/// Releases the argument of a job.
pub type DropFn = Option<unsafe extern "C-unwind" fn(arg: *mut c_void)>;

/// A job's name as it is kept: 31 bytes of it and a NUL.
pub type Name = [c_char; 32];

/// What C has handed over.
pub struct Work {
    run: unsafe extern "C-unwind" fn(arg: *mut c_void, stop: *const Stop) -> Res,
    arg: *mut c_void,
    drop_arg: DropFn,
    name: Name,
}

// SAFETY: C promises that the argument may be used on the pool's threads.
unsafe impl Send for Work {}

impl Work {
    /// None without a function.
    ///
    /// # Safety
    /// `name` is NULL or a C string. The functions may be called with `arg` on other threads.
    pub unsafe fn new(
        name: *const c_char,
        run: BlockingFn,
        arg: *mut c_void,
        drop_arg: DropFn,
    ) -> Option<Work> {
        let mut short: Name = [0; 32];
        if !name.is_null() {
            // SAFETY: a C string, as the caller promises.
            let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
            for (to, from) in short.iter_mut().zip(&bytes[..bytes.len().min(31)]) {
                *to = *from as c_char;
            }
        }
        Some(Work {
            run: run?,
            arg,
            drop_arg,
            name: short,
        })
    }

    fn run(&self, stop: &Stop) -> Outcome {
        // SAFETY: C promised, when it handed them over, that they fit.
        match catch(|| unsafe { (self.run)(self.arg, stop) }) {
            Ok(res) => Outcome::of_res(res),
            Err(text) => Outcome::panicked(text),
        }
    }

    /// Instead of Drop: a refused job is dropped without this.
    fn release(self) {
        if let Some(drop_arg) = self.drop_arg {
            // SAFETY: as in run(); once per accepted job, because it takes the job.
            let _ = catch(|| unsafe { drop_arg(self.arg) });
        }
    }
}

/// Names a job in the pool.
#[derive(Clone, Copy, Default)]
pub struct JobId {
    slot: u32,
    turn: u32,
}

enum Body {
    Free,
    Queued(Work, Promise),
    /// Without a promise: abandoned.
    Running(Name, Option<Promise>),
}

struct Slot {
    body: Body,
    turn: u32,
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    len: u32,
}

const EMPTY: List = List {
    head: NIL,
    tail: NIL,
    len: 0,
};

struct State {
    slots: Vec<Slot>,
    free: u32,
    queue: List,
    running: List,
    /// Closures in tokio's pool, running or about to.
    drainers: u32,
    /// Of those, the ones without a job that nobody has sent to work yet; the ones that have been sent
    /// and have not seen it; and the ones that sleep, which have to be told.
    idle: u32,
    sent: u32,
    asleep: u32,
    closed: bool,
}

pub struct Jobs {
    state: Mutex<State>,
    work: Condvar,
    /// Beside the slots, so that a job reads its own without the lock.
    stops: Box<[Stop]>,
    max: u32,
    cap: u32,
}

impl State {
    fn room(&self, cap: u32) -> Result<(), Res> {
        if self.closed {
            return Err(ESHUTDOWN);
        }
        if self.queue.len >= cap {
            return Err(errno(libc::EAGAIN));
        }
        Ok(())
    }

    fn list(&mut self, running: bool) -> &mut List {
        if running {
            &mut self.running
        } else {
            &mut self.queue
        }
    }

    fn link(&mut self, running: bool, i: u32) {
        let tail = std::mem::replace(&mut self.list(running).tail, i);
        self.slots[i as usize].prev = tail;
        self.slots[i as usize].next = NIL;
        match tail {
            NIL => self.list(running).head = i,
            t => self.slots[t as usize].next = i,
        }
        self.list(running).len += 1;
    }

    fn unlink(&mut self, running: bool, i: u32) {
        let Slot { prev, next, .. } = self.slots[i as usize];
        match prev {
            NIL => self.list(running).head = next,
            p => self.slots[p as usize].next = next,
        }
        match next {
            NIL => self.list(running).tail = prev,
            n => self.slots[n as usize].prev = prev,
        }
        self.list(running).len -= 1;
    }

    /// Takes a job off its list and frees the slot.
    fn remove(&mut self, running: bool, i: u32) -> Body {
        self.unlink(running, i);
        let free = std::mem::replace(&mut self.free, i);
        let slot = &mut self.slots[i as usize];
        slot.next = free;
        slot.turn = slot.turn.wrapping_add(1);
        std::mem::replace(&mut slot.body, Body::Free)
    }

    fn push(&mut self, work: Work, promise: Promise) -> JobId {
        let i = self.free;
        let slot = &mut self.slots[i as usize];
        self.free = slot.next;
        slot.body = Body::Queued(work, promise);
        let id = JobId {
            slot: i,
            turn: slot.turn,
        };
        self.link(false, i);
        id
    }

    /// The next job, which then runs.
    fn start(&mut self) -> Option<(u32, Work)> {
        let i = self.queue.head;
        if i == NIL {
            return None;
        }
        self.unlink(false, i);
        self.link(true, i);
        let body = &mut self.slots[i as usize].body;
        let Body::Queued(work, promise) = std::mem::replace(body, Body::Free) else {
            unreachable!("what is on the queue is queued");
        };
        *body = Body::Running(work.name, Some(promise));
        Some((i, work))
    }
}

impl Jobs {
    /// None when there is no memory for the slots.
    pub fn new(max: u32, cap: u32) -> Option<Jobs> {
        let n = (max + cap) as usize;
        let mut slots = Vec::new();
        let mut stops = Vec::new();
        slots.try_reserve_exact(n).ok()?;
        stops.try_reserve_exact(n).ok()?;
        for i in 1..=n as u32 {
            let next = if i as usize == n { NIL } else { i };
            slots.push(Slot {
                body: Body::Free,
                turn: 0,
                prev: NIL,
                next,
            });
            stops.push(Stop(AtomicBool::new(false)));
        }
        let state = State {
            slots,
            free: 0,
            queue: EMPTY,
            running: EMPTY,
            drainers: 0,
            idle: 0,
            sent: 0,
            asleep: 0,
            closed: false,
        };
        let stops = stops.into_boxed_slice();
        Some(Jobs {
            state: Mutex::new(state),
            work: Condvar::new(),
            stops,
            max,
            cap,
        })
    }

    /// On an error the work is still the caller's.
    pub fn submit(shared: &Arc<Shared>, work: Work) -> Result<Handle, Res> {
        let jobs = &shared.jobs;
        let mut state = lock(&jobs.state);
        state.room(jobs.cap)?;
        if state.idle == 0 && state.drainers < jobs.max {
            state.drainers += 1;
            drop(state);
            start_drainer(shared);
            state = lock(&jobs.state);
            state.room(jobs.cap)?;
            if state.drainers == 0 {
                return Err(errno(libc::EAGAIN)); // no thread to be had
            }
        }
        let (handle, promise) = op::begin(shared)?;
        let id = state.push(work, promise);
        jobs.stops[id.slot as usize]
            .0
            .store(false, Ordering::Relaxed);
        if state.idle > 0 {
            state.idle -= 1;
            state.sent += 1;
            if state.asleep > 0 {
                jobs.work.notify_one();
            }
        }
        drop(state);
        handle.set_job(id);
        Ok(handle)
    }

    pub fn cancel(&self, id: JobId) {
        let mut state = lock(&self.state);
        let slot = &state.slots[id.slot as usize];
        if slot.turn != id.turn {
            return;
        }
        if let Body::Queued(..) = slot.body {
            let body = state.remove(false, id.slot);
            drop(state);
            end_unrun(body);
        } else {
            self.stops[id.slot as usize]
                .0
                .store(true, Ordering::Relaxed);
        }
    }

    /// Ends what is queued, asks what runs to stop, sends the drainers home.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        while state.queue.head != NIL {
            let i = state.queue.head;
            let body = state.remove(false, i);
            drop(state);
            end_unrun(body);
            state = lock(&self.state);
        }
        let mut i = state.running.head;
        while i != NIL {
            self.stops[i as usize].0.store(true, Ordering::Relaxed);
            i = state.slots[i as usize].next;
        }
        self.work.notify_all();
    }

    /// Answers for the jobs that still run, and names them.
    pub fn abandon(&self) -> Vec<Name> {
        let mut names = Vec::new();
        let mut promises = Vec::new();
        let mut state = lock(&self.state);
        let mut i = state.running.head;
        while i != NIL {
            let slot = &mut state.slots[i as usize];
            i = slot.next;
            if let Body::Running(name, promise) = &mut slot.body {
                names.push(*name);
                promises.extend(promise.take());
            }
        }
        drop(state);
        drop(promises); // publishes, without the lock
        names
    }

    /// Waits for work, counted as idle by the caller. False: it is time to go.
    fn linger<'a>(&self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        let until = Instant::now() + LINGER;
        loop {
            if state.sent > 0 {
                state.sent -= 1; // and `idle` has been lowered by the sender
                return (state, true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                state.idle -= 1;
                return (state, false);
            }
            state.asleep += 1;
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.asleep -= 1;
        }
    }
}

/// A job that has not been started ends: with the cancel that was asked for, or the shutdown.
fn end_unrun(body: Body) {
    if let Body::Queued(work, promise) = body {
        work.release();
        drop(promise);
    }
}

fn start_drainer(shared: &Arc<Shared>) {
    let drainer = Drainer(Some(shared.clone()));
    // tokio panics when the system has no thread for it; the closure is dropped then, and says so.
    let _ = catch(|| {
        with_signals_blocked(|| drop(shared.handle.spawn_blocking(move || drainer.run())));
    });
}

/// Counted in `drainers`. Holds the bridge until it runs.
struct Drainer(Option<Arc<Shared>>);

impl Drainer {
    fn run(mut self) {
        if let Some(shared) = self.0.take() {
            shared.jobs.drain();
        }
    }
}

impl Drop for Drainer {
    /// Thrown away by tokio before it ran. What waits for the last one would wait for ever.
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        let mut state = lock(&shared.jobs.state);
        state.drainers -= 1;
        while state.drainers == 0 && state.queue.head != NIL {
            let i = state.queue.head;
            let body = state.remove(false, i);
            drop(state);
            end_unrun(body);
            state = lock(&shared.jobs.state);
        }
    }
}

impl Jobs {
    /// The life of a drainer.
    fn drain(&self) {
        let mut state = lock(&self.state);
        loop {
            match state.start() {
                Some(first) => {
                    drop(state);
                    self.run_all(first);
                    state = lock(&self.state);
                }
                None => state.idle += 1,
            }
            let go_on;
            (state, go_on) = self.linger(state);
            if !go_on && state.queue.head == NIL {
                state.drainers -= 1;
                return;
            }
        }
    }

    /// Runs a job and those behind it, and counts itself as idle after the last.
    ///
    /// One lock between two jobs. The answer of the first is published after it: whoever it wakes may
    /// submit at once, and finds this drainer idle.
    fn run_all(&self, first: (u32, Work)) {
        let mut next = Some(first);
        while let Some((i, work)) = next {
            let outcome = work.run(&self.stops[i as usize]);
            work.release();
            let mut state = lock(&self.state);
            let body = state.remove(true, i);
            next = state.start();
            if next.is_none() {
                state.idle += 1;
            }
            drop(state);
            if let Body::Running(_, Some(promise)) = body {
                promise.finish(outcome);
            }
        }
    }
}
