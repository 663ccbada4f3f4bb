/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! A multi-thread runtime with one worker, used from a thread that is not its own.

use std::hint::black_box;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::measure::timed;
use crate::thread::pin_to;

fn builder() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).max_blocking_threads(4).enable_all();
    builder
}

pub fn runtime() -> Runtime {
    builder().build().expect("a runtime")
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

/// n values to a task of the worker and back, per hop. Each thread has its own processor.
pub fn hop(n: u64) -> f64 {
    pin_to(0);
    let rt = builder().on_thread_start(|| pin_to(1)).build().expect("a runtime");
    let (there, mut inbox) = mpsc::channel::<u64>(64);
    let (answer, mut back) = mpsc::channel::<u64>(64);
    drop(rt.spawn(async move {
        while let Some(v) = inbox.recv().await {
            answer.send(v).await.expect("an open channel");
        }
    }));
    let per_trip = rt.block_on(timed(n, async |n| {
        for i in 0..n {
            there.send(i).await.expect("an open channel");
            assert_eq!(back.recv().await, Some(i));
        }
    }));
    per_trip / 2.0
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
