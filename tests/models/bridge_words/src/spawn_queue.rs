// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads that push items, and carriers that take what was queued. Each item is run once: by itself if
//! it is a carrier, else by the carrier that took it. loom reports accesses to an item that race.

#[allow(dead_code)]
mod queue {
    include!(concat!(env!("OUT_DIR"), "/spawn_queue.rs"));
}

use std::ptr;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use queue::SpawnQueue;

#[repr(align(8))]
struct Item {
    next: UnsafeCell<*mut Item>,
    runs: UnsafeCell<u32>,
}

const ITEMS: usize = 4;

struct World {
    queue: SpawnQueue<Item>,
    items: [Item; ITEMS],
}

// SAFETY: loom reports concurrent accesses to the cells.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    fn new() -> Arc<World> {
        let item = || Item {
            next: UnsafeCell::new(ptr::null_mut()),
            runs: UnsafeCell::new(0),
        };
        Arc::new(World {
            queue: SpawnQueue::new(),
            items: [item(), item(), item(), item()],
        })
    }

    fn run(item: &Item) {
        // SAFETY: as above.
        item.runs.with_mut(|runs| unsafe { *runs += 1 });
    }

    /// True: it is a carrier.
    fn push(&self, i: usize) -> bool {
        let item = &self.items[i];
        // SAFETY: as above.
        item.runs.with_mut(|runs| unsafe { *runs = 0 });
        let link = |next| item.next.with_mut(|p| unsafe { *p = next });
        !self.queue.push(ptr::from_ref(item).cast_mut(), link)
    }

    /// The first poll of a carrier, or its drop.
    fn carry(&self, i: usize) {
        let mut at = self.queue.take();
        // SAFETY: an item that was taken is its taker's.
        while let Some(item) = unsafe { at.as_ref() } {
            Self::run(item);
            // SAFETY: as above.
            at = SpawnQueue::item(item.next.with(|next| unsafe { *next }));
        }
        Self::run(&self.items[i]);
    }

    /// A thread: pushes these items, and is the worker of those that are carriers.
    fn spawns(&self, items: std::ops::Range<usize>) {
        let carriers: Vec<usize> = items.filter(|&i| self.push(i)).collect();
        carriers.into_iter().for_each(|i| self.carry(i));
    }
}

/// The number of items that each of three threads pushes.
type Scenario = (&'static str, [usize; 3]);

const SCENARIOS: [Scenario; 3] = [
    ("spawns.two_threads", [2, 2, 0]),
    ("spawns.one_after_another", [1, 3, 0]),
    ("spawns.three_threads", [2, 1, 1]),
];

/// The bound of the scenario with three threads.
const PREEMPTIONS: usize = 3;

pub fn names() -> Vec<String> {
    SCENARIOS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

pub fn check(wanted: &str) -> Option<usize> {
    let (_, pushes) = *SCENARIOS.iter().find(|(name, _)| *name == wanted)?;
    static EXECUTIONS: Count = Count::new(0);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = (pushes[2] > 0).then_some(PREEMPTIONS);
    model.check(move || {
        EXECUTIONS.fetch_add(1, Relaxed);
        let world = World::new();
        let mut first = 0;
        let mut ranges = pushes.map(|n| {
            first += n;
            first - n..first
        });
        let own = std::mem::replace(&mut ranges[0], 0..0);
        let start = |range: std::ops::Range<usize>| {
            let world = world.clone();
            thread::spawn(move || world.spawns(range))
        };
        let used = ranges.into_iter().filter(|range| !range.is_empty());
        let threads: Vec<_> = used.map(start).collect();
        world.spawns(own);
        threads.into_iter().for_each(|t| t.join().unwrap());
        for item in &world.items[..first] {
            // SAFETY: the threads have ended.
            assert_eq!(item.runs.with(|runs| unsafe { *runs }), 1, "runs");
        }
        assert!(
            world.queue.take().is_null(),
            "somebody carries, or nobody took"
        );
    });
    Some(EXECUTIONS.load(Relaxed))
}
