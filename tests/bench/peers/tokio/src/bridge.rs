/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! A multi-thread runtime with one worker, used from a thread that is not its own.

use std::hint::black_box;

use tokio::runtime::{Builder, Runtime};

use crate::measure::timed;

pub fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// n tasks spawned, then each awaited.
pub fn batch(n: u64) -> f64 {
    let rt = runtime();
    rt.block_on(timed(n, async |n| {
        let tasks: Vec<_> = (0..n).map(|i| rt.spawn(async move { i })).collect();
        for task in tasks {
            black_box(task.await.expect("a value"));
        }
    }))
}

/// n jobs for the blocking pool, then each awaited.
pub fn blocking_batch(n: u64) -> f64 {
    let rt = runtime();
    rt.block_on(timed(n, async |n| {
        let jobs: Vec<_> = (0..n).map(|i| rt.spawn_blocking(move || i)).collect();
        for job in jobs {
            black_box(job.await.expect("a value"));
        }
    }))
}

/// n jobs for the blocking pool, one after the other.
pub fn blocking_lone(n: u64) -> f64 {
    let rt = runtime();
    rt.block_on(timed(n, async |n| {
        for i in 0..n {
            black_box(rt.spawn_blocking(move || i).await.expect("a value"));
        }
    }))
}
