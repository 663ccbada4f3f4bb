// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking functions of C: a bounded queue, and threads that run what is queued.
//!
//! The threads are the bridge's own, not those of tokio's blocking pool: closures that Rust code gives
//! to `spawn_blocking` and functions of C would take each other's threads.
//!
//! A job passes through two queues, each with a mutex of its own. Submitters append to the inbox.
//! Drainers, which are these threads, take jobs from the batch; when it is empty, they swap it
//! with the inbox. So a submitting loop and a drainer contend once per swap, not once per job.
//!
//! 1. submit appends a job to the inbox, or refuses it with -EAGAIN if `cap` jobs are queued. It
//!    requests a drainer, unless one was requested that has not arrived yet: it wakes an idle
//!    drainer or, if none is idle and fewer than `max` exist, starts one. The loop does no more
//!    than that. If no thread can be started for the first drainer, the job is refused with
//!    -EAGAIN.
//! 2. A requested drainer that arrives takes a job, and requests another drainer while jobs remain.
//!    So each queued job has a drainer on its way as long as one is idle or may be started.
//! 3. A drainer runs jobs until both queues are empty. It checks that, and becomes idle, under both
//!    locks: so no job is left behind. An idle drainer waits for LINGER before it ends, so that
//!    jobs at short intervals do not start a thread each.
//! 4. cancel removes a queued job and ends it at once; a running one sees its stop flag.
//! 5. close ends queued jobs and sets the stop flags of running ones. abandon, at the deadline of a
//!    shutdown, ends the operations of jobs that are still running; their own results are
//!    discarded.
//!
//! Bounds: `cap` queued and `max` running jobs, in preallocated memory. So a submission allocates
//! nothing if a drainer exists. The `drop_arg` of each accepted job runs exactly once, before its
//! answer is published: on the drainer, or on the thread that cancels or closes.
//!
//! Lock order: batch, inbox. Both are held briefly, and never while C code runs. Not handled: a job
//! that never returns keeps its thread. If no second thread could be started, queued jobs wait
//! until the next request for a drainer.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::bridge::{lock, wait_while, Shared};
use crate::crew::Crew;
use crate::op::{self, Handle, Label, Promise};
use crate::sys::{errno, Res, ESHUTDOWN};
use crate::tracker::Apart;

#[cfg(test)]
mod tests;
mod work;

pub use work::short_name;
pub use work::{BlockingFn, DropFn, Name, Stop, Work};

/// How long an idle drainer waits for a job. In unit tests about the time of a submission, so that
/// drainers end at any point of it.
pub const LINGER: Duration = Duration::from_micros(if cfg!(test) { 50 } else { 1_000_000 });

/// The number of a job; ascending.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(u64);

struct Job {
    id: JobId,
    /// None: cancelled; the entry stays in the queue.
    work: Option<(Work, Promise)>,
}

/// Takes the work of a job out of a queue, whose ids ascend. None if the job is not in it.
fn take_out(jobs: &mut VecDeque<Job>, id: JobId) -> Option<(Work, Promise)> {
    let i = jobs.binary_search_by_key(&id, |job| job.id).ok()?;
    jobs[i].work.take()
}

/// The queue of submitters, and the state of drainers.
struct Inbox {
    jobs: VecDeque<Job>,
    next: JobId,
    /// Jobs that may still be queued; without `Batch::freed`.
    free: u32,
    /// Those with a seat, and the one that is starting.
    drainers: u32,
    /// Of those, the ones that sleep and were not woken for a job.
    idle: u32,
    /// An idle drainer was woken and has not looked at the batch yet.
    searching: bool,
    /// The same, and it has not returned from its wait yet.
    called: bool,
    /// A drainer was started and has not looked at the batch yet. A thread takes some time to start,
    /// so idle drainers are woken nevertheless.
    starting: bool,
    closed: bool,
}

/// What to do to get a drainer for queued jobs.
enum Help {
    Enough,
    Wake,
    Start,
}

impl Inbox {
    /// Requests a drainer. The caller does what this returns after unlocking.
    fn call(&mut self, max: u32) -> Help {
        if self.searching {
            Help::Enough
        } else if self.idle > 0 {
            self.idle -= 1;
            self.searching = true;
            self.called = true;
            Help::Wake
        } else if !self.starting && self.drainers < max {
            self.starting = true;
            self.drainers += 1;
            Help::Start
        } else {
            Help::Enough
        }
    }

    fn push(&mut self, work: Work, promise: Promise) -> JobId {
        if self.jobs.len() == self.jobs.capacity() {
            self.jobs.retain(|job| job.work.is_some()); // rarely: see Jobs::new()
        }
        let id = self.next;
        self.next.0 += 1;
        self.free -= 1;
        let work = Some((work, promise));
        self.jobs.push_back(Job { id, work });
        id
    }
}

/// A running job.
struct Running {
    id: JobId,
    name: Name,
    /// None: abandoned.
    promise: Option<Promise>,
}

/// A drainer's slot.
#[derive(Default)]
struct Seat {
    taken: bool,
    job: Option<Running>,
}

/// The queue of drainers.
struct Batch {
    jobs: VecDeque<Job>,
    /// Jobs that left the queue and are not counted in `Inbox::free` yet.
    freed: u32,
    /// `max` slots.
    seats: Vec<Seat>,
}

/// Why a drainer looks for a job.
#[derive(Clone, Copy, PartialEq)]
enum Arrival {
    Started,
    Called,
    /// It has run one.
    Again,
}

/// The blocking pool of a bridge.
pub struct Jobs {
    batch: Apart<Mutex<Batch>>,
    inbox: Apart<Mutex<Inbox>>,
    work: Condvar,
    /// The stop flags, one per seat: outside of the lock, because jobs read them.
    stops: Box<[Stop]>,
    max: u32,
    crew: Arc<Crew>,
}

impl Jobs {
    /// That of the bridge.
    pub fn name(&self) -> &str {
        self.crew.name()
    }

    /// None if there is no memory.
    pub fn new(max: u32, cap: u32, crew: Arc<Crew>) -> Option<Jobs> {
        // Space for cancelled jobs, too: they are removed once per so many jobs.
        let n = cap as usize + cap as usize / 4 + 4;
        let mut queues = [VecDeque::new(), VecDeque::new()];
        for jobs in &mut queues {
            jobs.try_reserve_exact(n).ok()?;
            jobs.resize_with(n, || Job {
                id: JobId(0),
                work: None,
            }); // writes to the memory, so that submitters get no page faults
            jobs.clear();
        }
        let [first, second] = queues;
        let mut seats = Vec::new();
        let mut stops = Vec::new();
        seats.try_reserve_exact(max as usize).ok()?;
        stops.try_reserve_exact(max as usize).ok()?;
        for _ in 0..max {
            seats.push(Seat::default());
            stops.push(Stop::new());
        }
        Some(Jobs {
            batch: Apart(Mutex::new(Batch {
                jobs: first,
                freed: 0,
                seats,
            })),
            inbox: Apart(Mutex::new(Inbox {
                jobs: second,
                next: JobId(1),
                free: cap,
                drainers: 0,
                idle: 0,
                searching: false,
                called: false,
                starting: false,
                closed: false,
            })),
            work: Condvar::new(),
            stops: stops.into_boxed_slice(),
            max,
            crew,
        })
    }

    /// Queues a job. On an error the argument remains the caller's.
    pub fn submit(shared: &Arc<Shared>, work: Work) -> Result<Handle, Res> {
        let jobs = &shared.jobs;
        let mut inbox = jobs.inbox_with_space()?;
        if inbox.drainers == 0 {
            let help = inbox.call(jobs.max);
            drop(inbox);
            Jobs::send(shared, help);
            inbox = jobs.inbox_with_space()?;
            if inbox.drainers == 0 {
                return Err(errno(libc::EAGAIN)); // no thread could be started
            }
        }
        let (handle, promise) = op::begin(shared, Label::JOB)?;
        let id = inbox.push(work, promise);
        let help = inbox.call(jobs.max);
        drop(inbox);
        Jobs::send(shared, help);
        handle.set_job(id);
        Ok(handle)
    }

    /// The inbox, with space for a job. Errors: NART_ESHUTDOWN; -EAGAIN it is full.
    fn inbox_with_space(&self) -> Result<MutexGuard<'_, Inbox>, Res> {
        let mut inbox = lock(&self.inbox.0);
        if inbox.free == 0 {
            drop(inbox);
            let mut batch = lock(&self.batch.0);
            inbox = lock(&self.inbox.0);
            inbox.free += std::mem::take(&mut batch.freed);
        }
        if inbox.closed {
            return Err(ESHUTDOWN);
        }
        if inbox.free == 0 {
            return Err(errno(libc::EAGAIN));
        }
        Ok(inbox)
    }

    /// Carries out call(). Without a lock.
    fn send(shared: &Arc<Shared>, help: Help) {
        match help {
            Help::Enough => {}
            Help::Wake => shared.jobs.work.notify_one(),
            Help::Start => start_drainer(shared),
        }
    }

    /// Cancels a job, if it has not ended.
    pub fn cancel(&self, id: JobId) {
        let mut batch = lock(&self.batch.0);
        let mut unrun = take_out(&mut batch.jobs, id);
        if unrun.is_some() {
            batch.freed += 1;
        } else if let Some(seat) = batch.seat_of(id) {
            self.stops[seat].set();
        } else {
            let mut inbox = lock(&self.inbox.0);
            unrun = take_out(&mut inbox.jobs, id);
            inbox.free += u32::from(unrun.is_some());
        }
        drop(batch);
        end_unrun(unrun);
    }

    /// Ends queued jobs, sets the stop flags of running ones, and ends drainers.
    pub fn close(&self) {
        let mut batch = lock(&self.batch.0);
        let mut inbox = lock(&self.inbox.0);
        inbox.closed = true;
        let queued = [
            std::mem::take(&mut batch.jobs),
            std::mem::take(&mut inbox.jobs),
        ];
        drop(inbox);
        for (seat, stop) in batch.seats.iter().zip(&self.stops) {
            if seat.job.is_some() {
                stop.set();
            }
        }
        drop(batch);
        self.work.notify_all();
        for job in queued.into_iter().flatten() {
            end_unrun(job.work);
        }
    }

    /// After close(): waits until `until` for all threads. Returns the number of those that have not
    /// ended.
    pub fn wait(&self, until: Instant) -> usize {
        self.crew.wait(until)
    }

    /// Calls `see` with the name of each job, and whether it runs.
    pub fn each(&self, mut see: impl FnMut(&str, bool)) {
        let text = |name: &Name| {
            // SAFETY: short_name() has written a NUL.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) };
            name.to_string_lossy().into_owned()
        };
        let batch = lock(&self.batch.0);
        let inbox = lock(&self.inbox.0);
        for running in batch.seats.iter().filter_map(|seat| seat.job.as_ref()) {
            see(&text(&running.name), true);
        }
        for job in batch.jobs.iter().chain(&inbox.jobs) {
            if let Some((work, _)) = &job.work {
                see(&text(work.name()), false);
            }
        }
    }

    /// The number of its threads.
    pub fn threads(&self) -> u32 {
        lock(&self.inbox.0).drainers
    }

    /// Ends the operations of jobs that are still running, and returns their names.
    pub fn abandon(&self) -> Vec<Name> {
        let mut names = Vec::new();
        let mut promises = Vec::new();
        let mut batch = lock(&self.batch.0);
        for running in batch.seats.iter_mut().filter_map(|seat| seat.job.as_mut()) {
            names.push(running.name);
            promises.extend(running.promise.take());
        }
        drop(batch);
        drop(promises); // publishes, without the lock
        names
    }
}

/// Ends a job that has not started: cancelled or shut down.
fn end_unrun(unrun: Option<(Work, Promise)>) {
    if let Some((work, promise)) = unrun {
        work.release();
        drop(promise);
    }
}

fn start_drainer(shared: &Arc<Shared>) {
    let theirs = shared.clone();
    let started = shared.jobs.crew.start(move || {
        let _entered = theirs.handle.enter(); // for Rust code that a function of C calls
        drain(&theirs);
    });
    if started.is_err() {
        start_failed(&shared.jobs);
    }
}

/// Discounts a drainer that could not be started. Without any drainer, queued jobs would wait for ever,
/// so they end.
fn start_failed(jobs: &Jobs) {
    let mut inbox = lock(&jobs.inbox.0);
    inbox.starting = false;
    inbox.drainers -= 1;
    while inbox.drainers == 0 {
        let Some(job) = inbox.jobs.pop_front() else {
            return;
        };
        inbox.free += u32::from(job.work.is_some());
        drop(inbox);
        end_unrun(job.work);
        inbox = lock(&jobs.inbox.0);
    }
}

/// The body of a drainer.
fn drain(shared: &Arc<Shared>) {
    let jobs = &shared.jobs;
    let mut batch = lock(&jobs.batch.0);
    let Some(seat) = batch.take_seat() else {
        return; // there are `max` seats, and at most `max` drainers
    };
    let (mut work, mut help) = jobs.next(&mut batch, seat, Arrival::Started);
    drop(batch);
    loop {
        Jobs::send(shared, help);
        while let Some(running) = work {
            work = jobs.run(seat, running);
        }
        if !jobs.linger(seat) {
            return;
        }
        (work, help) = jobs.next(&mut lock(&jobs.batch.0), seat, Arrival::Called);
    }
}

impl Batch {
    /// Gives a started drainer a seat.
    fn take_seat(&mut self) -> Option<usize> {
        let seat = self.seats.iter().position(|seat| !seat.taken)?;
        self.seats[seat].taken = true;
        Some(seat)
    }

    fn seat_of(&self, id: JobId) -> Option<usize> {
        let runs = |seat: &Seat| seat.job.as_ref().is_some_and(|job| job.id == id);
        self.seats.iter().position(runs)
    }

    /// Takes the next job, and marks it as running.
    fn start(&mut self, seat: usize, stop: &Stop) -> Option<Work> {
        while let Some(job) = self.jobs.pop_front() {
            if let Some((work, promise)) = job.work {
                self.freed += 1;
                stop.clear();
                promise.start();
                self.seats[seat].job = Some(Running {
                    id: job.id,
                    name: *work.name(),
                    promise: Some(promise),
                });
                return Some(work);
            }
        }
        None
    }
}

impl Jobs {
    /// A job for a drainer, and what to do for the jobs behind it. Without a job the drainer is
    /// idle.
    fn next(&self, batch: &mut Batch, seat: usize, arrival: Arrival) -> (Option<Work>, Help) {
        let stop = &self.stops[seat];
        let mut work = batch.start(seat, stop);
        if work.is_some() && arrival == Arrival::Again {
            return (work, Help::Enough); // the common case does not lock the inbox
        }
        let mut inbox = lock(&self.inbox.0);
        match arrival {
            Arrival::Started => inbox.starting = false,
            Arrival::Called => inbox.searching = false,
            Arrival::Again => {}
        }
        if work.is_none() {
            inbox.free += std::mem::take(&mut batch.freed);
            std::mem::swap(&mut batch.jobs, &mut inbox.jobs);
            work = batch.start(seat, stop);
        }
        if work.is_none() {
            inbox.idle += 1;
            return (None, Help::Enough);
        }
        let more = !batch.jobs.is_empty() || !inbox.jobs.is_empty();
        if more && arrival != Arrival::Again {
            return (work, inbox.call(self.max));
        }
        (work, Help::Enough)
    }

    /// Runs a job. Returns the next one.
    ///
    /// One lock between two jobs. The answer of the first job is published after that: a task that
    /// it wakes may submit at once, and finds this drainer idle.
    fn run(&self, seat: usize, work: Work) -> Option<Work> {
        let outcome = work.run(&self.stops[seat]);
        work.release();
        let mut batch = lock(&self.batch.0);
        let ended = batch.seats[seat].job.take();
        if let Some((name, promise)) = ended
            .as_ref()
            .and_then(|j| Some((&j.name, j.promise.as_ref()?)))
        {
            promise.job_ended(name);
        }
        let (next, _) = self.next(&mut batch, seat, Arrival::Again);
        drop(batch);
        if let Some(promise) = ended.and_then(|job| job.promise) {
            promise.finish(outcome);
        }
        next
    }

    /// Waits, idle, until woken for a job. False: the drainer must end, and its seat is free.
    fn linger(&self, seat: usize) -> bool {
        let until = Instant::now() + LINGER;
        let idle = |inbox: &mut Inbox| !inbox.called && !inbox.closed;
        let mut inbox = wait_while(&self.work, lock(&self.inbox.0), until, idle);
        if !inbox.called {
            drop(inbox);
            let mut batch = lock(&self.batch.0);
            inbox = lock(&self.inbox.0);
            if !inbox.called {
                // No job is left behind: call() would have woken this drainer.
                inbox.idle -= 1;
                inbox.drainers -= 1;
                batch.seats[seat].taken = false;
                return false;
            }
        }
        inbox.called = false; // call() has lowered `idle`
        true
    }
}
