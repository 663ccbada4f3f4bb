/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! What a tokio task awaited from nexus-async-rt allocates: a program of its own, because its
//! allocator counts.

#[path = "../../../harness.rs"]
mod harness;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::Row;
use nexus_async_rt::{Runtime, spawn_boxed, spawn_on_tokio};
use nexus_rt::WorldBuilder;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Allocations for each of n tasks spawned on tokio and awaited, in the second of two batches.
fn awaited(n: u64) -> f64 {
    let mut world = WorldBuilder::new().build();
    Runtime::new(&mut world).block_on(async move { spawn_boxed(batches(n)).await })
}

async fn batches(n: u64) -> f64 {
    let mut tasks = Vec::with_capacity(n as usize);
    let mut before = 0;
    for _ in 0..2 {
        before = ALLOCATIONS.load(Ordering::Relaxed);
        tasks.extend((0..n).map(|i| spawn_on_tokio(async move { i })));
        for task in tasks.drain(..) {
            black_box(task.await.expect("a value"));
        }
    }
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / n as f64
}

fn main() {
    harness::run(
        "nexus",
        &[Row { name: "bridge_allocs", unit: "allocations", task: awaited, root: None }],
    );
}
