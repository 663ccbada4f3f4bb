// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two parties of an operation, in every interleaving that loom explores. Each writes to cells, whose
//! races loom reports; freeing accesses all of them.
//!
//! usage: nart-op-state --list | scenario

#[allow(dead_code)]
mod state {
    include!(concat!(env!("OUT_DIR"), "/state.rs"));
}

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use loom::thread;

use state::{Met, Park, State};

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
    Arc::new(Op {
        state: State::new(),
        answer: UnsafeCell::new(0),
        frame: UnsafeCell::new(0),
        tasks: [UnsafeCell::new(0), UnsafeCell::new(0)],
        wakes: [Notify::new(), Notify::new()],
        freed: Count::new(0),
    })
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
        assert_eq!(self.freed.fetch_add(1, Relaxed), 0, "freed twice");
    }

    fn promise(&self) {
        set(&self.answer, 7);
        match self.state.publish() {
            Met::Handle => {}
            Met::Nobody => self.free(),
            Met::Waiter(waker) => {
                let i = waker / 8 - 1;
                assert_eq!(get(&self.tasks[i]), 1);
                self.wakes[i].notify();
            }
        }
    }

    fn read(&self) {
        assert_eq!(get(&self.answer), 7);
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
        while !self.state.is_done() {
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
    if op.state.is_done() {
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

const SCENARIOS: [Scenario; 6] = [
    ("awaits", awaits),
    ("looks", looks),
    ("detaches", detaches),
    ("parks_and_detaches", parks_and_detaches),
    ("parks_twice", parks_twice),
    ("moves", moves),
];

fn run(handle: fn(&Op)) -> usize {
    static EXECUTIONS: Count = Count::new(0);
    loom::model(move || {
        EXECUTIONS.fetch_add(1, Relaxed);
        let op = new();
        let theirs = op.clone();
        let worker = thread::spawn(move || theirs.promise());
        handle(&op);
        worker.join().unwrap();
        assert_eq!(op.freed.load(Relaxed), 1, "not freed");
    });
    EXECUTIONS.load(Relaxed)
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--list" {
        SCENARIOS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let Some((name, handle)) = SCENARIOS.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("usage: nart-op-state --list | scenario");
        return ExitCode::from(2);
    };
    println!("{name}: {} executions", run(*handle));
    ExitCode::SUCCESS
}
