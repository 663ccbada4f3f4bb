/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! The rows of the benchmark on nexus-async-rt 0.7.0.

#[path = "../../harness.rs"]
mod harness;
#[path = "../../measure.rs"]
mod measure;
#[path = "../../message.rs"]
mod message;
#[path = "../../thread.rs"]
mod thread;

mod bridge;
mod bytes;
mod cancel;
mod chan;
mod exec;
mod net;
mod stream;
mod timer;

use std::future::Future;

use harness::Row;
use nexus_async_rt::{ByteSlab, Runtime, spawn_boxed};
use nexus_rt::WorldBuilder;

/// A runtime with a slab for tasks.
fn runtime() -> Runtime {
    let world = Box::leak(Box::new(WorldBuilder::new().build()));
    // SAFETY: the slab is used by this thread alone.
    let slab = unsafe { ByteSlab::<256>::with_chunk_capacity(1024) };
    Runtime::builder(world).slab_unbounded(slab).build()
}

/// Runs `work` as the root future of a fresh runtime.
fn root<T>(work: impl Future<Output = T> + 'static) -> T {
    runtime().block_on(work)
}

/// The same, and never drops the runtime: it would print a line for every task that still sleeps.
fn root_forgotten<T>(work: impl Future<Output = T> + 'static) -> T {
    std::mem::ManuallyDrop::new(runtime()).block_on(work)
}

/// Runs `work` as a task of a fresh runtime.
fn task<T: 'static>(work: impl Future<Output = T> + 'static) -> T {
    root(async { spawn_boxed(work).await })
}

/// The same with a loop that does not park.
fn task_busy<T: 'static>(work: impl Future<Output = T> + 'static) -> T {
    runtime().block_on_busy(async { spawn_boxed(work).await })
}

const fn both(name: &'static str, task: fn(u64) -> f64, root: fn(u64) -> f64) -> Row {
    Row { name, unit: "ns", task, root: Some(root) }
}

const fn one(name: &'static str, unit: &'static str, task: fn(u64) -> f64) -> Row {
    Row { name, unit, task, root: None }
}

fn main() {
    harness::run(
        "nexus",
        &[
            both("self_wake_1", |n| task(exec::self_wake(n)), |n| root(exec::self_wake(n))),
            both(
                "self_wake_1000",
                |n| task(exec::self_wake_1000(n)),
                |n| root(exec::self_wake_1000(n)),
            ),
            both("spawn_join", |n| task(exec::spawn_join(n)), |n| root(exec::spawn_join(n))),
            both(
                "spawn_join_1000",
                |n| task(exec::spawn_join_1000(n)),
                |n| root(exec::spawn_join_1000(n)),
            ),
            both("local_pair", |n| task(chan::local_pair(n)), |n| root(chan::local_pair(n))),
            both("local_stream", |n| task(chan::local_stream(n)), |n| root(chan::local_stream(n))),
            both(
                "local_pingpong",
                |n| task(chan::local_pingpong(n)),
                |n| root(chan::local_pingpong(n)),
            ),
            both("spsc_pair", |n| task(chan::spsc_pair(n)), |n| root(chan::spsc_pair(n))),
            both("spsc_pair_park", |n| task(chan::spsc_pair(n)), |n| root(chan::spsc_pair(n))),
            both("mpsc_pair", |n| task(chan::mpsc_pair(n)), |n| root(chan::mpsc_pair(n))),
            both("spsc_bytes_64", |n| task(bytes::spsc(n)), |n| root(bytes::spsc(n))),
            both("spsc_bytes_64_spin", |n| task(bytes::spsc(n)), |n| root(bytes::spsc(n))),
            both("mpsc_bytes_64", |n| task(bytes::mpsc(n)), |n| root(bytes::mpsc(n))),
            one("spsc_stream", "ns", |n| task(stream::spsc(n))),
            one("spsc_stream_spin", "ns", |n| task_busy(stream::spsc(n))),
            one("mpsc_stream", "ns", |n| task(stream::mpsc(n))),
            one("cancel_check", "ns", |n| task(cancel::check(n))),
            one("cancel_100", "ns", |n| task(cancel::crowd(n, 100))),
            one("cancel_1000", "ns", |n| task(cancel::crowd(n, 1000))),
            both(
                "timer_cancel",
                |n| task(timer::cancel_until(n)),
                |n| root(timer::cancel_until(n)),
            ),
            both(
                "timer_cancel_rel",
                |n| task(timer::cancel_rel(n)),
                |n| root(timer::cancel_rel(n)),
            ),
            both(
                "deadline_pingpong",
                |n| task(chan::deadline_pingpong(n)),
                |n| root(chan::deadline_pingpong(n)),
            ),
            both("tcp_echo", |n| task(net::tcp_echo(n)), |n| root(net::tcp_echo(n))),
            both("bridge_batch", |n| task(bridge::batch(n)), |n| root(bridge::batch(n))),
            one("bridge_wake_spin", "ns", bridge::wake_spin),
            one("task_bytes", "B", |n| root_forgotten(exec::task_bytes(n))),
        ],
    );
}
