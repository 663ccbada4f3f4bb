// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two owners of an operation and the shutdown, in every interleaving that loom explores. Each owner
//! writes to cells, whose races loom reports; freeing accesses all of them. Of the block the shutdown
//! uses the state only, also after it was freed: the lock of the pool keeps its memory (op.rs), which is
//! not modelled.

#[allow(dead_code)]
mod state {
    include!(concat!(env!("OUT_DIR"), "/state.rs"));
}

use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use loom::thread;

use state::{Answer, Met, Park, State};

/// Wakers of two tasks.
const A: usize = 8;
const B: usize = 16;

struct Op {
    state: State,
    /// Of the promise.
    answer: UnsafeCell<u32>,
    /// Of the handle.
    frame: UnsafeCell<u32>,
    /// The data of the wakers; written before they are stored, read when they wake.
    tasks: [UnsafeCell<u32>; 2],
    wakes: [Notify; 2],
    freed: Count,
}

fn new() -> Arc<Op> {
    let op = Op {
        state: State::new(),
        answer: UnsafeCell::new(0),
        frame: UnsafeCell::new(0),
        tasks: [UnsafeCell::new(0), UnsafeCell::new(0)],
        wakes: [Notify::new(), Notify::new()],
        freed: Count::new(0),
    };
    op.state.begin();
    Arc::new(op)
}

fn set(cell: &UnsafeCell<u32>, value: u32) {
    // SAFETY: loom reports concurrent accesses.
    cell.with_mut(|p| unsafe { *p = value });
}

fn get(cell: &UnsafeCell<u32>) -> u32 {
    // SAFETY: as above.
    cell.with(|p| unsafe { *p })
}

impl Op {
    fn free(&self) {
        set(&self.answer, 99);
        set(&self.frame, 99);
        self.state.end();
        assert_eq!(self.freed.fetch_add(1, Relaxed), 0, "freed twice");
    }

    fn wake(&self, waker: usize) {
        let i = waker / 8 - 1;
        assert_eq!(get(&self.tasks[i]), 1);
        self.wakes[i].notify();
    }

    fn shutdown(&self) {
        if let Met::Waiter(waker) = self.state.force() {
            self.wake(waker);
        }
    }

    fn promise(&self) {
        set(&self.answer, 7);
        match self.state.publish() {
            Met::Handle => {}
            Met::Nobody => self.free(),
            Met::Waiter(waker) => self.wake(waker),
        }
    }

    /// The answer, which stays what it is.
    fn read(&self) {
        let answer = self.state.answer();
        match answer {
            Answer::No => panic!("no answer"),
            Answer::Outcome => assert_eq!(get(&self.answer), 7),
            Answer::Shutdown => {}
        }
        assert_eq!(self.state.answer(), answer);
    }

    /// True: the waker is parked.
    fn park(&self, waker: usize) -> bool {
        set(&self.tasks[waker / 8 - 1], 1);
        match self.state.park(waker) {
            Park::Parked(_) => true,
            Park::Done => {
                self.read();
                false
            }
        }
    }

    /// Waits until a parked waker is woken. (loom wakes spuriously, once; it reports a missing wake as
    /// a deadlock.)
    fn wait(&self, waker: usize) {
        self.wakes[waker / 8 - 1].wait();
        while self.state.answer() == Answer::No {
            self.wakes[waker / 8 - 1].wait();
        }
        self.read();
    }

    fn detach(&self) {
        set(&self.frame, 1);
        if self.state.detach() {
            self.free();
        }
    }
}

fn awaits(op: &Op) {
    if op.park(A) {
        op.wait(A);
    }
    op.detach();
}

/// Polls without waiting.
fn looks(op: &Op) {
    if op.state.answer() != Answer::No {
        op.read();
    }
    op.detach();
}

fn detaches(op: &Op) {
    op.detach();
}

fn parks_and_detaches(op: &Op) {
    op.park(A);
    op.detach();
}

/// A spurious poll of the same task: its waker is registered already.
fn parks_twice(op: &Op) {
    if op.park_again(A) {
        op.wait(A);
    }
    op.detach();
}

/// The operation moves to another task while it is pending.
fn moves(op: &Op) {
    if op.park(A) && op.park(B) {
        op.wait(B);
    }
    op.detach();
}

impl Op {
    fn park_again(&self, waker: usize) -> bool {
        self.park(waker)
            && match self.state.park(waker) {
                Park::Parked(old) => {
                    assert_eq!(old, waker);
                    true
                }
                Park::Done => {
                    self.read();
                    false
                }
            }
    }
}

type Scenario = (&'static str, fn(&Op));

const PROMISES: [(&str, Promise); 3] = [
    ("", Promise::Alone),
    (".shutdown", Promise::WithShutdown),
    (".stuck", Promise::Stuck),
];

const SCENARIOS: [Scenario; 6] = [
    ("awaits", awaits),
    ("looks", looks),
    ("detaches", detaches),
    ("parks_and_detaches", parks_and_detaches),
    ("parks_twice", parks_twice),
    ("moves", moves),
];

/// The bound of the scenarios with three threads.
const PREEMPTIONS: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Promise {
    /// It ends at any time, and there is no shutdown.
    Alone,
    /// It ends at any time.
    WithShutdown,
    /// It ends after the handle: only the shutdown can answer.
    Stuck,
}

fn run(handle: fn(&Op), promise: Promise) -> usize {
    static EXECUTIONS: Count = Count::new(0);
    let mut model = loom::model::Builder::new();
    // Three threads have too many interleavings for all of them.
    model.preemption_bound = (promise == Promise::WithShutdown).then_some(PREEMPTIONS);
    model.check(move || {
        EXECUTIONS.fetch_add(1, Relaxed);
        let op = new();
        let start = |act: fn(&Op)| {
            let op = op.clone();
            thread::spawn(move || act(&op))
        };
        let mut threads = Vec::new();
        if promise != Promise::Stuck {
            threads.push(start(Op::promise));
        }
        if promise != Promise::Alone {
            threads.push(start(Op::shutdown));
        }
        handle(&op);
        if promise == Promise::Stuck {
            op.promise();
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(op.freed.load(Relaxed), 1, "not freed");
    });
    EXECUTIONS.load(Relaxed)
}

/// The names of the scenarios, and the number of executions of one; None: there is no such scenario.
pub fn names() -> Vec<String> {
    let with = |name: &str| PROMISES.map(|(suffix, _)| format!("{name}{suffix}"));
    SCENARIOS.iter().flat_map(|(name, _)| with(name)).collect()
}

pub fn check(wanted: &str) -> Option<usize> {
    SCENARIOS.iter().find_map(|(name, handle)| {
        let with = wanted.strip_prefix(name)?;
        let (_, promise) = PROMISES.iter().find(|(suffix, _)| *suffix == with)?;
        Some(run(*handle, *promise))
    })
}
