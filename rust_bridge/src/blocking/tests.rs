// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stress tests: threads start and end all the time, because LINGER is short here. Each job must
//! run at most once, be released once, and be answered; and the counts must be right at the end.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;
use std::thread;

use super::*;
use crate::bridge::{lock, Bridge};
use crate::options::Options;
use crate::sys::{EABORTED, EFORK, ESHUTDOWN, PENDING};

#[derive(Default)]
struct Args {
    runs: AtomicU32,
    drops: AtomicU32,
    /// Submitted when this one is released.
    again: Mutex<Option<(Arc<Shared>, Arc<Args>)>>,
}

extern "C-unwind" fn run(arg: *mut c_void, _: *const Stop) -> Res {
    // SAFETY: from Args::submit(), and not released yet.
    let args = unsafe { &*arg.cast::<Args>() };
    args.runs.fetch_add(1, Ordering::Relaxed);
    3
}

extern "C-unwind" fn release(arg: *mut c_void) {
    // SAFETY: from Args::submit(), whose reference ends here.
    let args = unsafe { Arc::from_raw(arg.cast::<Args>()) };
    let again = lock(&args.again).take();
    args.drops.fetch_add(1, Ordering::Relaxed);
    if let Some((shared, next)) = again {
        if let Ok(handle) = next.submit(&shared) {
            handle.detach();
        }
    }
}

impl Args {
    /// Submits a job, whose argument is a reference to self.
    fn submit(self: &Arc<Args>, shared: &Arc<Shared>) -> Result<Handle, Res> {
        let arg = Arc::into_raw(self.clone());
        // SAFETY: the functions fit the argument, which any thread may use.
        let work = unsafe {
            Work::new(
                c"job".as_ptr(),
                Some(run),
                arg as *mut c_void,
                Some(release),
            )
        };
        let answer = Jobs::submit(shared, work.unwrap());
        if answer.is_err() {
            // SAFETY: refused, so the reference is still this function's.
            drop(unsafe { Arc::from_raw(arg) });
        }
        answer
    }

    fn counts(&self) -> (u32, u32) {
        (
            self.runs.load(Ordering::Relaxed),
            self.drops.load(Ordering::Relaxed),
        )
    }
}

/// Pseudo-random numbers, so that the threads interleave in many ways.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % sides
    }

    fn pause(&mut self, max: u32) {
        (0..self.roll(max)).for_each(|_| std::hint::spin_loop());
    }
}

fn answer_of(handle: Handle) -> Res {
    let mut value = 0;
    loop {
        match handle.peek(&mut value) {
            PENDING => thread::yield_now(),
            answer => return answer,
        }
    }
}

fn bridge(max_blocking: u32, queue_cap: u32) -> Bridge {
    let options = Options::new();
    Bridge::new(&options.max_blocking(max_blocking).queue_cap(queue_cap)).unwrap()
}

/// Submits jobs until `times` were accepted, or the bridge ends; cancels and detaches some. Returns
/// the accepted jobs, each of which was answered or detached.
fn submitter(shared: &Arc<Shared>, seed: u32, times: u32) -> Vec<Arc<Args>> {
    let mut dice = Dice(seed);
    let mut accepted = Vec::new();
    while accepted.len() < times as usize {
        let args = Arc::new(Args::default());
        let handle = match args.submit(shared) {
            Ok(handle) => handle,
            Err(ESHUTDOWN) => break,
            Err(refused) => {
                assert_eq!(refused, errno(libc::EAGAIN));
                assert_eq!(args.counts(), (0, 0));
                thread::yield_now();
                continue;
            }
        };
        accepted.push(args.clone());
        dice.pause(3000);
        let action = dice.roll(4);
        if action == 0 {
            handle.cancel();
        }
        if action < 2 {
            let answer = answer_of(handle);
            assert!(answer != EFORK && (answer != EABORTED || action == 0));
            assert_eq!(args.counts().1, 1);
        } else if action == 2 {
            handle.cancel(); // without waiting for it
        }
        handle.detach();
        dice.pause(20_000); // about LINGER
    }
    accepted
}

fn storm(shared: &Arc<Shared>, times: u32, seed: u32) -> Vec<Arc<Args>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|i| scope.spawn(move || submitter(shared, seed * 3 + i, times)))
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.flatten().collect()
    })
}

/// No job is queued or running, and there is no thread.
fn check_idle(shared: &Shared) {
    let mut jobs = 0;
    shared.jobs.each(shared, |_, _| jobs += 1);
    assert_eq!((jobs, shared.jobs.threads()), (0, 0));
}

fn check_jobs(accepted: &[Arc<Args>]) {
    for args in accepted {
        let (runs, drops) = args.counts();
        assert!(runs <= 1);
        assert_eq!(drops, 1);
        assert_eq!(Arc::strong_count(args), 1);
    }
}

const SIZES: [(u32, u32); 5] = [(1, 1), (1, 7), (2, 1), (2, 8), (4, 64)];
const SHUTDOWN: Duration = Duration::from_secs(60);

#[test]
fn every_job_ends_and_the_queue_is_free_again() {
    for (seed, (max, cap)) in SIZES.into_iter().enumerate() {
        let bridge = bridge(max, cap);
        let shared = bridge.0.clone();
        let mut accepted = storm(&shared, 1000, seed as u32);
        assert_eq!(accepted.len(), 3000);
        // Submit one more job and wait: all jobs detached before it have then started.
        accepted.push(Arc::new(Args::default()));
        while accepted.last().unwrap().submit(&shared).is_err() {
            thread::yield_now();
        }
        while accepted.iter().any(|args| args.counts().1 == 0) {
            thread::yield_now();
        }
        assert_eq!(bridge.shutdown(SHUTDOWN), Ok(()));
        check_jobs(&accepted);
        check_idle(&shared);
        assert_eq!(shared.tracker.counts().submitted, 3001);
    }
}

#[test]
fn closing_races_with_submitters_and_threads() {
    for seed in 0..400 {
        let (max, cap) = SIZES[seed as usize % SIZES.len()];
        let bridge = bridge(max, cap);
        let shared = bridge.0.clone();
        let accepted = thread::scope(|scope| {
            scope.spawn(|| {
                Dice(seed).pause(200_000);
                assert_eq!(bridge.shutdown(SHUTDOWN), Ok(()));
            });
            storm(&shared, u32::MAX, seed)
        });
        check_jobs(&accepted);
        check_idle(&shared);
        assert_eq!(shared.tracker.counts().submitted, accepted.len() as u64);
    }
}

/// A thread that was admitted before the bridge closed may end its operation after all threads have
/// ended: the shutdown waits for it.
#[test]
fn a_shutdown_waits_for_a_thread_that_submits() {
    let bridge = bridge(1, 1);
    let shared = bridge.0.clone();
    shared.tracker.admit().unwrap();
    thread::scope(|scope| {
        let shutdown = scope.spawn(|| bridge.shutdown(SHUTDOWN));
        while !shared.tracker.is_awaited() && !shutdown.is_finished() {
            thread::yield_now();
        }
        shared.tracker.leave(crate::outcome::Status::Shutdown);
        assert_eq!(shutdown.join().unwrap(), Ok(()));
    });
}

/// An adopted runtime ends, with or without a free thread: jobs go on. A release may submit again, wherever
/// it is called.
#[test]
fn an_adopted_runtime_that_ends_leaves_jobs_alone() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bridge = Bridge::adopt(runtime.handle().clone(), &Options::default()).unwrap();
        let shared = bridge.0.clone();
        let (open, opened) = std::sync::mpsc::channel::<()>();
        if seed % 2 == 0 {
            runtime.spawn_blocking(move || opened.recv()); // the only thread
        }
        let submit = |seed: u32| {
            let mut dice = Dice(seed);
            let mut all = Vec::new();
            for _ in 0..30 {
                let args = Arc::new(Args::default());
                let next = Arc::new(Args::default());
                *lock(&args.again) = Some((shared.clone(), next.clone()));
                if let Ok(handle) = args.submit(&shared) {
                    all.push((args, next, handle.into_raw() as usize));
                }
                dice.pause(500);
            }
            all
        };
        let submitted = thread::scope(|scope| {
            let submit = &submit;
            let threads = [0, 1].map(|i| scope.spawn(move || submit(seed * 2 + i)));
            dice.pause(20_000);
            runtime.shutdown_background();
            drop(open);
            threads.map(|thread| thread.join().unwrap())
        });
        let mut all = Vec::new();
        for (args, next, op) in submitted.into_iter().flatten() {
            // SAFETY: from into_raw(), and not detached yet.
            let handle = unsafe { Handle::from_raw(op as *mut op::Op) }.unwrap();
            let answer = answer_of(handle); // the bridge is not shut down
            assert!(answer == 0 || answer == ESHUTDOWN);
            handle.detach();
            assert_eq!(args.counts(), (u32::from(answer == 0), 1));
            all.extend([args, next]);
        }
        assert_eq!(bridge.shutdown(SHUTDOWN), Ok(())); // the second jobs have ended, too
        for args in all {
            let (runs, drops) = args.counts();
            assert!(runs <= drops && drops <= 1); // no drop if it was refused
            assert_eq!(Arc::strong_count(&args), 1);
        }
        check_idle(&shared);
    }
}
