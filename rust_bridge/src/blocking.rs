// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking functions of C: jobs of a pool of nart/work.h, the bridge's own one or one of the program.
//!
//! They are not run by tokio's blocking pool: closures that Rust code gives to `spawn_blocking` and functions of
//! C would take each other's threads.
//!
//! 1. submit begins an operation, writes the job into its block, and starts it. If the pool refuses it, the
//!    operation is withdrawn: nothing has seen it, and it is not counted.
//! 2. run, on a thread of the pool, calls the function, then its `drop_arg`, and stores the outcome.
//! 3. ended, after the pool has let the job go, publishes: so a task that it wakes finds the thread idle, and may
//!    use the block again. If the job did not run, it calls `drop_arg` before: on the thread that cancels or closes.
//! 4. close ends queued jobs and sets the stop flags of running ones. What still runs at the deadline of a
//!    shutdown is answered by that (Ops::end_all()); its own result is discarded.
//!
//! The pool outlives its jobs: a job's operation refers to the bridge, and the bridge to the pool. The attributes
//! of threads (threads.rs) are set when a thread starts, in a pool of the bridge's own only; tokio is entered for each job.

use std::ffi::{c_char, c_void, CStr, CString};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bridge::Shared;
use crate::op::{self, Handle, Label, Promise};
use crate::options::Options;
use crate::outcome::Outcome;
use crate::sys::work::{self, Job, JobBlock, WorkType, Workers, WorkersOpts, WorkersStats};
use crate::sys::{errno, Res, NEVER};
use crate::threads::{without_waiting, Hygiene};

mod function;
#[cfg(test)]
mod tests;

pub use function::short_name;
pub use function::{BlockingFn, DropFn, Name, Stop, Work};

/// How long an idle thread waits for a job. In unit tests about the time of a submission, so that
/// threads end at any point of it.
pub const LINGER: Duration = Duration::from_micros(if cfg!(test) { 50 } else { 1_000_000 });

/// A pool of the program, which outlives the bridge's operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent(pub *mut Workers);

// SAFETY: any thread may use a pool.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

/// The blocking functions of a bridge.
pub struct Jobs {
    pool: *mut Workers,
    /// The pool is the bridge's.
    own: bool,
    name: String,
}

// SAFETY: any thread may use a pool.
unsafe impl Send for Jobs {}
// SAFETY: as above.
unsafe impl Sync for Jobs {}

/// A job, in the block of its operation. Never referred to as a whole: the pool writes to `block` meanwhile.
pub(crate) struct Slot {
    block: JobBlock,
    work: Work,
    /// It runs or has run.
    begun: bool,
}

static TYPE: WorkType = WorkType {
    abi: work::WORK_ABI,
    size: 0,
    align: 1,
    name: c"blocking function".as_ptr(),
    run,
    drop: None,
    reserved: [ptr::null(); 2],
};

/// The function of all jobs.
///
/// # Safety
/// `data` is that of a job which submit() has started.
unsafe extern "C" fn run(data: *mut c_void, job: *const Job) -> Res {
    // SAFETY: the job has the promise until ended().
    unsafe { Promise::with_raw(data, |promise| promise.run_job(job.cast())) }
    0
}

/// # Safety
/// As run(); called once, as the last.
unsafe extern "C" fn ended(data: *mut c_void, res: Res) {
    // SAFETY: from submit(), and used no more.
    let promise = unsafe { Promise::from_raw(data) };
    match promise.take_work() {
        None => promise.finish_stored(),
        Some(work) => {
            work.release();
            if res == errno(libc::EAGAIN) {
                promise.finish(Outcome::error(res, "no thread could be started"));
            }
        }
    }
}

unsafe extern "C" fn on_start(arg: *mut c_void) {
    // SAFETY: from Jobs::new(), until on_end().
    unsafe { &*arg.cast::<Hygiene>() }.apply();
}

unsafe extern "C" fn on_end(arg: *mut c_void) {
    // SAFETY: from Jobs::new(), and called once.
    drop(unsafe { Box::from_raw(arg.cast::<Hygiene>()) });
}

impl Promise {
    /// The work of its job, the first time.
    fn take_work(&self) -> Option<Work> {
        let slot = self.slot();
        // SAFETY: only the promise accesses these parts of the slot, which submit() has written. The name stays
        // there for the pool.
        unsafe { (!std::mem::replace(&mut (*slot).begun, true)).then(|| (*slot).work) }
    }

    fn run_job(&mut self, stop: *const Stop) {
        let shared = Arc::clone(self.shared());
        let _entered = shared.handle.enter(); // for Rust code that a function of C calls
        let Some(work) = self.take_work() else {
            return; // never: a job runs once
        };
        if !shared.jobs.own {
            shared.hygiene.mask_children();
        }
        self.start();
        let outcome = without_waiting(|| work.run(stop));
        self.job_ended(work.name());
        work.release();
        self.store(outcome);
    }
}

impl Jobs {
    /// Of the threads.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Errors: -ENOMEM.
    pub fn new(o: &Options, hygiene: Hygiene) -> Result<Jobs, Res> {
        let name = o.name.clone();
        if let Some(Lent(pool)) = o.pool {
            let own = false;
            return Ok(Jobs { pool, own, name });
        }
        let c_name = CString::new(name.as_str()).map_err(|_| errno(libc::EINVAL))?;
        let arg = Box::into_raw(Box::new(hygiene));
        let opts = WorkersOpts {
            size: size_of::<WorkersOpts>(),
            name: c_name.as_ptr(),
            threads: o.max_blocking,
            queue: o.queue_cap,
            idle_ns: LINGER.as_nanos() as i64,
            stack: o.stack,
            alloc: ptr::null(),
            on_start: Some(on_start),
            arg: arg.cast(),
            on_end: Some(on_end),
            reserved: [0; 4],
        };
        let mut pool = ptr::null_mut();
        // SAFETY: the options are complete, and copied.
        match unsafe { work::nart_workers_new(&opts, &mut pool) } {
            0 => Ok(Jobs {
                pool,
                own: true,
                name,
            }),
            refused => {
                // SAFETY: made above; the pool did not take it.
                drop(unsafe { Box::from_raw(arg) });
                Err(refused)
            }
        }
    }

    /// Queues a job. On an error the argument remains the caller's.
    pub fn submit(shared: &Arc<Shared>, work: Work) -> Result<Handle, Res> {
        let (handle, mut promise) = op::begin(shared, Label::JOB)?;
        let slot = promise.put_slot(Slot {
            block: JobBlock::new(),
            work,
            begun: false,
        });
        // SAFETY: the slot stays where it is until the operation is freed.
        let (block, name) = unsafe { (&raw mut (*slot).block, (*slot).work.name().as_ptr()) };
        handle.set_job(block);
        let owner = Arc::as_ptr(shared).cast();
        let pool = shared.jobs.pool;
        let data = promise.into_raw();
        // SAFETY: the block, the name and the data live until the job has ended, and so does the pool.
        let refused = unsafe { work::nart_job_start(block, pool, &TYPE, name, data, ended, owner) };
        if refused != 0 {
            // SAFETY: from into_raw(), and the pool did not take it.
            unsafe { Promise::from_raw(data) }.withdraw();
            handle.detach();
            return Err(refused);
        }
        if !shared.jobs.own && shared.tracker.is_closed() {
            // close() may have looked before the job was queued: under the pool's lock it was first, and its
            // closing is seen here.
            shared.jobs.end(owner);
        }
        Ok(handle)
    }

    /// Cancels a job, if it has not ended.
    ///
    /// # Safety
    /// The block is one that submit() has started, and its operation was not freed.
    pub unsafe fn cancel(block: *mut JobBlock) {
        // SAFETY: the caller's promise.
        unsafe { work::nart_job_cancel(block) }
    }

    fn end(&self, owner: *const c_void) {
        // SAFETY: the pool is live.
        unsafe { work::nart_jobs_end(self.pool, owner) }
    }

    /// Ends queued jobs, sets the stop flags of running ones, and ends the bridge's own threads.
    pub fn close(&self, shared: &Shared) {
        self.end(ptr::from_ref(shared).cast());
        if self.own {
            // SAFETY: as in end(). It does not block.
            unsafe { work::nart_workers_shutdown(self.pool, 0) };
        }
    }

    /// After close(): waits until `until` for the bridge's own threads. Returns the number of those that
    /// have not ended.
    pub fn wait(&self, until: Instant) -> u32 {
        if !self.own {
            return 0;
        }
        let left = until.saturating_duration_since(Instant::now()).as_nanos();
        let left = i64::try_from(left).unwrap_or(NEVER);
        // SAFETY: as in end().
        unsafe { work::nart_workers_shutdown(self.pool, left) };
        self.threads()
    }

    /// Calls `see` with the name of each job, and whether it runs.
    pub fn each<F: FnMut(&str, bool)>(&self, shared: &Shared, mut see: F) {
        unsafe extern "C" fn call<F: FnMut(&str, bool)>(
            see: *mut c_void,
            name: *const c_char,
            runs: bool,
        ) {
            // SAFETY: short_name() has written a NUL; `see` is the closure below.
            unsafe { (*see.cast::<F>())(&CStr::from_ptr(name).to_string_lossy(), runs) }
        }
        let owner = ptr::from_ref(shared).cast();
        // SAFETY: the closure is called during the call only.
        unsafe { work::nart_jobs_each(self.pool, owner, call::<F>, (&raw mut see).cast()) }
    }

    /// The names of the jobs that run.
    pub fn running(&self, shared: &Shared) -> Vec<Name> {
        let mut names = Vec::new();
        self.each(shared, |name, runs| {
            if runs {
                names.push(short_name(name.as_bytes()));
            }
        });
        names
    }

    /// The number of the bridge's own threads.
    pub fn threads(&self) -> u32 {
        let mut stats = WorkersStats {
            size: size_of::<WorkersStats>(),
            ..WorkersStats::default()
        };
        if self.own {
            // SAFETY: as in end().
            unsafe { work::nart_workers_stats_get(self.pool, &mut stats) };
        }
        stats.threads
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        if self.own {
            // SAFETY: no job is left: each refers to the bridge, whose part this is.
            unsafe { work::nart_workers_free(self.pool) }
        }
    }
}
