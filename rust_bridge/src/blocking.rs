// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking functions of C: a bounded queue in front of tokio's blocking pool.
//!
//! A job goes through two queues, each behind a mutex of its own: submitters append to the inbox;
//! drainers, closures in tokio's pool, take from the line and, when that is empty, exchange it for
//! the inbox. So a loop that submits meets a drainer once per exchange and not once per job.
//!
//! 1. submit puts a job into the inbox, or refuses it: -EAGAIN when `cap` jobs are queued. It calls
//!    for help, at most once until the help has come: an idle drainer is woken or, if none idles and
//!    there are fewer than `max`, one is started. The loop pays no more than that. Without a thread
//!    for the first drainer the job is refused, -EAGAIN; a drainer that has not come after LINGER is
//!    started again by who calls next.
//! 2. Help that has come takes a job, and calls for more help while jobs are left. So every queued
//!    job has a drainer on its way as long as one idles or may be started.
//! 3. A drainer runs jobs until both queues are empty. That, and that it idles from now on, is
//!    decided under both locks: no job is left behind. It lingers for LINGER, so that jobs that
//!    come one at a time do not start a thread each.
//! 4. cancel takes a queued job out, which ends it at once; a running one sees its stop flag.
//! 5. close ends what is queued and raises the flags of what runs; abandon, at the deadline of a
//!    shutdown, answers for the jobs that still run, whose own answers then go nowhere.
//!
//! Bounds: `cap` queued and `max` running jobs, whose memory is made in advance; so submitting to a
//! drainer that lives allocates nothing. While a drainer is waited for, tokio gets one closure more
//! per LINGER. Every accepted job's `drop_arg` runs exactly once, before its answer is published: on
//! the drainer, or on the thread that cancels or closes.
//!
//! The line's lock is taken before the inbox's. Both are held for a few lines, never while C code
//! runs. Not handled: a job that never returns keeps its thread; when the system had no second one,
//! what is queued waits for the next call.

use std::collections::VecDeque;
use std::ffi::{c_char, c_void, CStr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bridge::{lock, Shared};
use crate::op::{self, Handle, Outcome, Promise};
use crate::panic::catch;
use crate::sys::{errno, Res, ESHUTDOWN};
use crate::threads::with_signals_blocked;
use crate::tracker::Apart;

/// How long a drainer waits for more, and then tokio's thread for another closure. In unit tests about
/// as long as it takes to submit, so that drainers leave at every moment.
pub const LINGER: Duration = Duration::from_micros(if cfg!(test) { 50 } else { 1_000_000 });

/// The stop flag of a blocking function; see nart_tokio_stopped(). Valid while the function runs.
pub struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) // a flag that guards no data
    }
}

/// A function for the blocking pool. Its return value is the operation's result.
pub type BlockingFn =
    Option<unsafe extern "C-unwind" fn(arg: *mut c_void, stop: *const Stop) -> Res>;

/// Frees the argument of a blocking function.
pub type DropFn = Option<unsafe extern "C-unwind" fn(arg: *mut c_void)>;

/// A name in a report: the first 31 bytes, and a NUL.
pub type Name = [c_char; 32];

pub fn short_name(name: &[u8]) -> Name {
    let mut short: Name = [0; 32];
    for (to, from) in short.iter_mut().zip(&name[..name.len().min(31)]) {
        *to = *from as c_char;
    }
    short
}

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
        let bytes = if name.is_null() {
            b""
        } else {
            // SAFETY: a C string, as the caller promises.
            unsafe { CStr::from_ptr(name) }.to_bytes()
        };
        Some(Work {
            run: run?,
            arg,
            drop_arg,
            name: short_name(bytes),
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

/// Names a job: one more than the job before.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(u64);

struct Job {
    id: JobId,
    /// None: cancelled, and on the queue until its turn comes.
    work: Option<(Work, Promise)>,
}

/// Takes a queued job's work out, if it is here: the ids on a queue ascend.
fn take_out(jobs: &mut VecDeque<Job>, id: JobId) -> Option<(Work, Promise)> {
    let i = jobs.binary_search_by_key(&id, |job| job.id).ok()?;
    jobs[i].work.take()
}

/// Where submitters and idle drainers meet.
struct Inbox {
    jobs: VecDeque<Job>,
    next: JobId,
    /// Jobs that may still be queued, as far as the line has told.
    room: u32,
    /// Closures in tokio's pool: those that have a seat, and the one that is starting.
    drainers: u32,
    /// Of those, the ones that sleep and are not called for.
    idle: u32,
    /// One sleeper has been called for, and has not come to the line yet; and `called`: has not
    /// woken yet.
    searching: bool,
    called: bool,
    /// One drainer has been started, when, and has not come to the line yet. It may have to wait for
    /// a thread of tokio, so sleepers are called for nevertheless.
    starting: Option<Instant>,
    closed: bool,
}

enum Help {
    Enough,
    Wake,
    Start,
}

impl Inbox {
    /// What a thread that knows of a queued job has to do when it has let go of the lock.
    fn call(&mut self, max: u32) -> Help {
        if self.searching {
            Help::Enough
        } else if self.idle > 0 {
            self.idle -= 1;
            self.searching = true;
            self.called = true;
            Help::Wake
        } else if self.is_to_start(max) {
            self.starting = Some(Instant::now());
            Help::Start
        } else {
            Help::Enough
        }
    }

    /// Also again, from time to time, while a drainer does not come: tokio asks the system for a
    /// thread only when it is given a closure.
    fn is_to_start(&mut self, max: u32) -> bool {
        if let Some(begun) = self.starting {
            return begun.elapsed() > LINGER;
        }
        let room = self.drainers < max;
        self.drainers += u32::from(room);
        room
    }

    fn push(&mut self, work: Work, promise: Promise) -> JobId {
        if self.jobs.len() == self.jobs.capacity() {
            self.jobs.retain(|job| job.work.is_some()); // rare: see Jobs::new()
        }
        let id = self.next;
        self.next.0 += 1;
        self.room -= 1;
        let work = Some((work, promise));
        self.jobs.push_back(Job { id, work });
        id
    }
}

/// What a drainer runs.
struct Running {
    id: JobId,
    name: Name,
    /// None: abandoned.
    promise: Option<Promise>,
}

#[derive(Default)]
struct Seat {
    taken: bool,
    job: Option<Running>,
}

/// Where drainers meet.
struct Line {
    jobs: VecDeque<Job>,
    /// Places on the queue that have become free and that the inbox has not been told of.
    freed: u32,
    /// One per drainer.
    seats: Vec<Seat>,
}

/// How a drainer has come to the line.
#[derive(Clone, Copy, PartialEq)]
enum Came {
    Started,
    Called,
    Back,
}

pub struct Jobs {
    line: Apart<Mutex<Line>>,
    inbox: Apart<Mutex<Inbox>>,
    work: Condvar,
    /// One per seat, where a job reads its own without the lock.
    stops: Box<[Stop]>,
    max: u32,
}

impl Jobs {
    /// None when there is no memory.
    pub fn new(max: u32, cap: u32) -> Option<Jobs> {
        // Room for cancelled jobs, too: they are thrown out once in so many jobs.
        let n = cap as usize + cap as usize / 4 + 4;
        let mut queues = [VecDeque::new(), VecDeque::new()];
        for jobs in &mut queues {
            jobs.try_reserve_exact(n).ok()?;
            jobs.resize_with(n, || Job {
                id: JobId(0),
                work: None,
            }); // touches the memory, which submitters then do not have to
            jobs.clear();
        }
        let [first, second] = queues;
        let mut seats = Vec::new();
        let mut stops = Vec::new();
        seats.try_reserve_exact(max as usize).ok()?;
        stops.try_reserve_exact(max as usize).ok()?;
        for _ in 0..max {
            seats.push(Seat::default());
            stops.push(Stop(AtomicBool::new(false)));
        }
        Some(Jobs {
            line: Apart(Mutex::new(Line {
                jobs: first,
                freed: 0,
                seats,
            })),
            inbox: Apart(Mutex::new(Inbox {
                jobs: second,
                next: JobId(1),
                room: cap,
                drainers: 0,
                idle: 0,
                searching: false,
                called: false,
                starting: None,
                closed: false,
            })),
            work: Condvar::new(),
            stops: stops.into_boxed_slice(),
            max,
        })
    }

    /// On an error the work is still the caller's.
    pub fn submit(shared: &Arc<Shared>, work: Work) -> Result<Handle, Res> {
        let jobs = &shared.jobs;
        let mut inbox = jobs.inbox_with_room()?;
        if inbox.drainers == 0 {
            let help = inbox.call(jobs.max);
            drop(inbox);
            Jobs::send(shared, help);
            inbox = jobs.inbox_with_room()?;
            if inbox.drainers == 0 {
                return Err(errno(libc::EAGAIN)); // no thread to be had
            }
        }
        let (handle, promise) = op::begin(shared)?;
        let id = inbox.push(work, promise);
        let help = inbox.call(jobs.max);
        drop(inbox);
        Jobs::send(shared, help);
        handle.set_job(id);
        Ok(handle)
    }

    /// Or why nothing may be put into it.
    fn inbox_with_room(&self) -> Result<MutexGuard<'_, Inbox>, Res> {
        let mut inbox = lock(&self.inbox.0);
        if inbox.room == 0 {
            drop(inbox);
            let mut line = lock(&self.line.0);
            inbox = lock(&self.inbox.0);
            inbox.room += std::mem::take(&mut line.freed);
        }
        if inbox.closed {
            return Err(ESHUTDOWN);
        }
        if inbox.room == 0 {
            return Err(errno(libc::EAGAIN));
        }
        Ok(inbox)
    }

    /// Without a lock.
    fn send(shared: &Arc<Shared>, help: Help) {
        match help {
            Help::Enough => {}
            Help::Wake => shared.jobs.work.notify_one(),
            Help::Start => start_drainer(shared),
        }
    }

    pub fn cancel(&self, id: JobId) {
        let mut line = lock(&self.line.0);
        let mut unrun = take_out(&mut line.jobs, id);
        if unrun.is_some() {
            line.freed += 1;
        } else if let Some(seat) = line.seat_of(id) {
            self.stops[seat].0.store(true, Ordering::Relaxed);
        } else {
            let mut inbox = lock(&self.inbox.0);
            unrun = take_out(&mut inbox.jobs, id);
            inbox.room += u32::from(unrun.is_some());
        }
        drop(line);
        end_unrun(unrun);
    }

    /// Ends what is queued, asks what runs to stop, sends the drainers home.
    pub fn close(&self) {
        let mut line = lock(&self.line.0);
        let mut inbox = lock(&self.inbox.0);
        inbox.closed = true;
        let queued = [
            std::mem::take(&mut line.jobs),
            std::mem::take(&mut inbox.jobs),
        ];
        drop(inbox);
        for (seat, stop) in line.seats.iter().zip(&self.stops) {
            if seat.job.is_some() {
                stop.0.store(true, Ordering::Relaxed);
            }
        }
        drop(line);
        self.work.notify_all();
        for job in queued.into_iter().flatten() {
            end_unrun(job.work);
        }
    }

    /// Answers for the jobs that still run, and names them.
    pub fn abandon(&self) -> Vec<Name> {
        let mut names = Vec::new();
        let mut promises = Vec::new();
        let mut line = lock(&self.line.0);
        for running in line.seats.iter_mut().filter_map(|seat| seat.job.as_mut()) {
            names.push(running.name);
            promises.extend(running.promise.take());
        }
        drop(line);
        drop(promises); // publishes, without the lock
        names
    }
}

/// A job that has not been started ends: with the cancel that was asked for, or the shutdown.
fn end_unrun(unrun: Option<(Work, Promise)>) {
    if let Some((work, promise)) = unrun {
        work.release();
        drop(promise);
    }
}

fn start_drainer(shared: &Arc<Shared>) {
    let drainer = Drainer(Some(shared.clone()));
    let given = catch(|| {
        with_signals_blocked(|| drop(shared.handle.spawn_blocking(move || drainer.run())));
    });
    // tokio panics when the system has no thread, and keeps the closure for a thread to come.
    if given.is_err() {
        nobody_comes(shared);
    }
}

/// A drainer that was started will not come; should it nevertheless, it is welcome. What waits for the
/// last one would wait for ever.
fn nobody_comes(shared: &Shared) {
    let jobs = &shared.jobs;
    let line = lock(&jobs.line.0); // one may be sitting down
    let mut inbox = lock(&jobs.inbox.0);
    inbox.drainers -= u32::from(inbox.starting.take().is_some());
    drop(line);
    while inbox.drainers == 0 {
        let Some(job) = inbox.jobs.pop_front() else {
            return;
        };
        inbox.room += u32::from(job.work.is_some());
        drop(inbox);
        end_unrun(job.work);
        inbox = lock(&jobs.inbox.0);
    }
}

/// Holds the bridge until it runs.
struct Drainer(Option<Arc<Shared>>);

impl Drainer {
    fn run(mut self) {
        if let Some(shared) = self.0.take() {
            drain(&shared);
        }
    }
}

impl Drop for Drainer {
    /// Thrown away by tokio before it ran.
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            nobody_comes(&shared);
        }
    }
}

/// The life of a drainer.
fn drain(shared: &Arc<Shared>) {
    let jobs = &shared.jobs;
    let mut line = lock(&jobs.line.0);
    let Some(seat) = jobs.sit_down(&mut line) else {
        return;
    };
    let (mut work, mut help) = jobs.next(&mut line, seat, Came::Started);
    drop(line);
    loop {
        Jobs::send(shared, help);
        while let Some(running) = work {
            work = jobs.run(seat, running);
        }
        if !jobs.linger(seat) {
            return;
        }
        (work, help) = jobs.next(&mut lock(&jobs.line.0), seat, Came::Called);
    }
}

impl Line {
    fn seat_of(&self, id: JobId) -> Option<usize> {
        let runs = |seat: &Seat| seat.job.as_ref().is_some_and(|job| job.id == id);
        self.seats.iter().position(runs)
    }

    /// The next job of the line, which then runs.
    fn start(&mut self, seat: usize, stop: &Stop) -> Option<Work> {
        while let Some(job) = self.jobs.pop_front() {
            if let Some((work, promise)) = job.work {
                self.freed += 1;
                stop.0.store(false, Ordering::Relaxed);
                self.seats[seat].job = Some(Running {
                    id: job.id,
                    name: work.name,
                    promise: Some(promise),
                });
                return Some(work);
            }
        }
        None
    }
}

impl Jobs {
    /// A drainer has come; next() counts it as started no longer. None: it had been given up, and
    /// there are enough without it.
    fn sit_down(&self, line: &mut Line) -> Option<usize> {
        let mut inbox = lock(&self.inbox.0);
        if inbox.starting.is_none() {
            if inbox.drainers == self.max {
                return None;
            }
            inbox.drainers += 1;
            inbox.starting = Some(Instant::now());
        }
        // There are as many seats as drainers may be.
        let seat = line.seats.iter().position(|seat| !seat.taken)?;
        line.seats[seat].taken = true;
        Some(seat)
    }

    /// Work for a drainer, and what to do about the jobs behind it. Without work it idles from now on.
    fn next(&self, line: &mut Line, seat: usize, came: Came) -> (Option<Work>, Help) {
        let stop = &self.stops[seat];
        let mut work = line.start(seat, stop);
        if work.is_some() && came == Came::Back {
            return (work, Help::Enough); // the common case: one lock, and not the submitters'
        }
        let mut inbox = lock(&self.inbox.0);
        match came {
            Came::Started => inbox.starting = None,
            Came::Called => inbox.searching = false,
            Came::Back => {}
        }
        if work.is_none() {
            inbox.room += std::mem::take(&mut line.freed);
            std::mem::swap(&mut line.jobs, &mut inbox.jobs);
            work = line.start(seat, stop);
        }
        if work.is_none() {
            inbox.idle += 1;
            return (None, Help::Enough);
        }
        let more = !line.jobs.is_empty() || !inbox.jobs.is_empty();
        if more && came != Came::Back {
            return (work, inbox.call(self.max));
        }
        (work, Help::Enough)
    }

    /// Runs a job; answers with the next one.
    ///
    /// One lock between two jobs. The answer of the first is published after it: whoever it wakes
    /// may submit at once, and finds this drainer idle.
    fn run(&self, seat: usize, work: Work) -> Option<Work> {
        let outcome = work.run(&self.stops[seat]);
        work.release();
        let mut line = lock(&self.line.0);
        let ended = line.seats[seat].job.take();
        let (next, _) = self.next(&mut line, seat, Came::Back);
        drop(line);
        if let Some(promise) = ended.and_then(|job| job.promise) {
            promise.finish(outcome);
        }
        next
    }

    /// Waits to be called, counted as idle. False: it is time to go, and the seat is free.
    fn linger(&self, seat: usize) -> bool {
        let until = Instant::now() + LINGER;
        let mut inbox = lock(&self.inbox.0);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if inbox.called || inbox.closed || left.is_zero() {
                break;
            }
            let waited = self.work.wait_timeout(inbox, left);
            inbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !inbox.called {
            drop(inbox);
            let mut line = lock(&self.line.0);
            inbox = lock(&self.inbox.0);
            if !inbox.called {
                // Nothing is queued that nobody comes for: this one was to be had.
                inbox.idle -= 1;
                inbox.drainers -= 1;
                line.seats[seat].taken = false;
                return false;
            }
        }
        inbox.called = false; // and `idle` has been lowered by who called
        true
    }
}

#[cfg(test)]
mod tests;
