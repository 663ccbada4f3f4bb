/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Waking, spawning and joining.

use std::future::poll_fn;
use std::hint::black_box;
use std::task::Poll;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use crate::measure::{resident_bytes, timed};

/// Queues the task again and returns: cheaper than tokio's yield_now, which puts a turn of the
/// driver between two polls.
pub async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn yields(n: u64) {
    for _ in 0..n {
        yield_once().await;
    }
}

pub async fn self_wake(n: u64) -> f64 {
    timed(n, yields).await
}

/// n yields in all, shared by 1,000 tasks.
pub async fn self_wake_1000(n: u64) -> f64 {
    timed(n, async |n| {
        let tasks: Vec<_> = (0..1000).map(|_| spawn_local(yields(n / 1000))).collect();
        join_all(tasks).await;
    })
    .await
}

pub async fn spawn_join(n: u64) -> f64 {
    timed(n, async |n| {
        for i in 0..n {
            black_box(spawn_local(async move { i }).await.expect("a value"));
        }
    })
    .await
}

pub async fn spawn_join_1000(n: u64) -> f64 {
    let mut tasks = Vec::with_capacity(1000);
    timed(n, async |n| {
        for _ in 0..n / 1000 {
            tasks.extend((0..1000).map(|i| spawn_local(async move { i })));
            for task in tasks.drain(..) {
                black_box(task.await.expect("a value"));
            }
        }
    })
    .await
}

/// Growth of the process for each of n tasks that sleep, each keeping so many words of 8 bytes.
pub async fn task_bytes<const WORDS: usize>(n: u64) -> f64 {
    let mut tasks = Vec::with_capacity(n as usize);
    tasks.resize_with(n as usize, || None);
    let before = resident_bytes();
    for (i, task) in tasks.iter_mut().enumerate() {
        let kept = [i as u64; WORDS];
        *task = Some(spawn_local(async move {
            sleep(Duration::from_secs(3600)).await;
            black_box(&kept);
        }));
    }
    sleep(Duration::from_millis(1)).await;
    let bytes = resident_bytes() - before;
    std::mem::forget(tasks);
    bytes as f64 / n as f64
}

async fn join_all<T>(tasks: Vec<JoinHandle<T>>) {
    for task in tasks {
        task.await.expect("a value");
    }
}
