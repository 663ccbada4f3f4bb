/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Waking, spawning and joining.

use std::hint::black_box;
use std::time::Duration;

use nexus_async_rt::{JoinHandle, sleep, spawn_boxed, spawn_slab, yield_now};

use crate::measure::{resident_bytes, timed};

async fn yields(n: u64) {
    for _ in 0..n {
        yield_now().await;
    }
}

pub async fn self_wake(n: u64) -> f64 {
    timed(n, yields).await
}

/// n yields in all, shared by 1,000 tasks.
pub async fn self_wake_1000(n: u64) -> f64 {
    timed(n, async |n| {
        let tasks: Vec<_> = (0..1000).map(|_| spawn_slab(yields(n / 1000))).collect();
        join_all(tasks).await;
    })
    .await
}

pub async fn spawn_join(n: u64) -> f64 {
    timed(n, async |n| {
        for i in 0..n {
            black_box(spawn_slab(async move { i }).await);
        }
    })
    .await
}

pub async fn spawn_join_1000(n: u64) -> f64 {
    let mut tasks = Vec::with_capacity(1000);
    timed(n, async |n| {
        for _ in 0..n / 1000 {
            tasks.extend((0..1000).map(|i| spawn_slab(async move { i })));
            for task in tasks.drain(..) {
                black_box(task.await);
            }
        }
    })
    .await
}

/// Growth of the process for each of n tasks that sleep, each keeping 64 bytes.
pub async fn task_bytes(n: u64) -> f64 {
    let mut tasks = Vec::with_capacity(n as usize);
    tasks.resize_with(n as usize, || None);
    let before = resident_bytes();
    for (i, task) in tasks.iter_mut().enumerate() {
        let kept = [i as u64; 8];
        *task = Some(spawn_boxed(async move {
            sleep(Duration::from_secs(3600)).await;
            black_box(&kept);
        }));
    }
    yield_now().await;
    let bytes = resident_bytes() - before;
    std::mem::forget(tasks);
    bytes as f64 / n as f64
}

async fn join_all<T: 'static>(tasks: Vec<JoinHandle<T>>) {
    for task in tasks {
        task.await;
    }
}
