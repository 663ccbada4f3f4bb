// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queue of log events: threads push, one reader pops, in every interleaving that loom explores. Each
//! event is read once, whole, and after the earlier ones of its thread, or it is counted as lost. loom
//! reports accesses to a line that race.

#[allow(dead_code)]
mod logs {
    pub mod line {
        /// An event, which says of whom it is.
        #[derive(Clone, Copy)]
        pub struct Line {
            pub thread: usize,
            /// From 1.
            pub number: usize,
            pub lost: u64,
        }

        impl Line {
            pub fn new() -> Line {
                Line::of(0, 0)
            }

            pub fn of(thread: usize, number: usize) -> Line {
                Line {
                    thread,
                    number,
                    lost: 0,
                }
            }
        }
    }

    pub mod ring {
        include!(concat!(env!("OUT_DIR"), "/ring.rs"));
    }
}

use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::sync::Arc;
use loom::thread;

use logs::line::Line;
use logs::ring::Ring;

/// Threads that push.
const THREADS: usize = 2;

fn push(ring: &Ring, thread: usize, number: usize) -> bool {
    ring.push(&mut Line::of(thread, number))
}

/// What the reader has seen.
#[derive(Default)]
struct Seen {
    /// Of each thread, the number of the last event.
    last: [usize; THREADS],
    /// Events, and lost ones that they count.
    events: u64,
}

impl Seen {
    /// False: there was no event.
    fn pop(&mut self, ring: &Ring) -> bool {
        let mut line = Line::new();
        // SAFETY: this is the reader.
        if !unsafe { ring.pop(&mut line) } {
            return false;
        }
        assert!(line.number > self.last[line.thread], "out of order");
        self.last[line.thread] = line.number;
        self.events += 1 + line.lost;
        true
    }
}

struct Scenario {
    name: &'static str,
    /// Events that are pushed before the threads start, some of which may be lost.
    before: usize,
    /// Events that each thread pushes.
    pushes: [usize; THREADS],
    /// Attempts of the reader to pop meanwhile.
    pops: usize,
    /// Then it counts the unread ones, as the one that closes the log does.
    counts: bool,
}

/// Of the ring.
const PLACES: usize = 2;
/// The bound of the scenarios with three threads.
const PREEMPTIONS: usize = 3;

#[rustfmt::skip]
const SCENARIOS: [Scenario; 6] = [
    Scenario { name: "log.one_thread", before: 0, pushes: [2, 0], pops: 2, counts: false },
    Scenario { name: "log.rounds", before: 2, pushes: [3, 0], pops: 3, counts: false },
    Scenario { name: "log.counted", before: 1, pushes: [2, 0], pops: 1, counts: true },
    Scenario { name: "log.full", before: 2, pushes: [1, 1], pops: 0, counts: true },
    Scenario { name: "log.lost", before: 3, pushes: [1, 1], pops: 1, counts: false },
    Scenario { name: "log.two_threads", before: 0, pushes: [1, 1], pops: 2, counts: false },
];

pub fn names() -> Vec<String> {
    SCENARIOS.iter().map(|s| s.name.to_owned()).collect()
}

pub fn check(wanted: &str) -> Option<usize> {
    let scenario: &'static Scenario = SCENARIOS.iter().find(|s| s.name == wanted)?;
    static EXECUTIONS: Count = Count::new(0);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = (scenario.pushes[1] > 0).then_some(PREEMPTIONS);
    // loom misses that a store depends on another thread's load if its own thread has loaded since. So it
    // begins with either side.
    for reader_first in [true, false] {
        model.check(move || {
            EXECUTIONS.fetch_add(1, Relaxed);
            run(scenario, reader_first);
        });
    }
    Some(EXECUTIONS.load(Relaxed))
}

fn run(scenario: &'static Scenario, reader_first: bool) {
    let ring = Arc::new(Ring::new(PLACES as u32).expect("memory"));
    let mut seen = Seen::default();
    // A whole round first: loom takes the first access to a word for a write.
    for n in 1..=PLACES {
        assert!(push(&ring, 0, n) && seen.pop(&ring));
    }
    for n in 1..=scenario.before {
        assert_eq!(push(&ring, 0, PLACES + n), n <= PLACES);
    }
    let first = PLACES + scenario.before + 1;
    let pushed = (first - 1 + scenario.pushes.iter().sum::<usize>()) as u64;

    let start_reader = |mut seen: Seen| {
        let ring = ring.clone();
        thread::spawn(move || {
            for _ in 0..scenario.pops {
                seen.pop(&ring);
            }
            if scenario.counts {
                assert!(seen.events + ring.unread() <= pushed, "counted twice");
            }
            seen
        })
    };
    let start = |(thread, &pushes): (usize, &usize)| {
        let ring = ring.clone();
        thread::spawn(move || {
            for n in 0..pushes {
                push(&ring, thread, first + n);
            }
        })
    };
    let threads = scenario.pushes.iter().enumerate();
    let threads = threads.filter(|(_, pushes)| **pushes > 0).map(start);
    let (reader, threads): (_, Vec<_>) = if reader_first {
        (start_reader(seen), threads.collect())
    } else {
        let threads = threads.collect();
        (start_reader(seen), threads)
    };
    threads.into_iter().for_each(|t| t.join().unwrap());
    let mut seen = reader.join().unwrap();
    assert_eq!(seen.events + ring.unread(), pushed, "before the last pops");
    while seen.pop(&ring) {}
    assert_eq!(seen.events + ring.unread(), pushed, "in the end");
}
